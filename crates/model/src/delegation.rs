//! Whom a name depends on: the way from the root to it, as one walk found it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dns::Outcome;
use crate::net::{Asn, Prefix};
use crate::time::Time;

/// The delegation of one watched name. Names are in lower case, without the last dot.
///
/// A source makes it without routes. The engine joins each address to its longest matching prefix in the route table and
/// says it again ([`crate::Output::Delegation`]); what it says does not change while the name or those routes are failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delegation {
    /// When the walk ended.
    pub at: Time,
    /// Which probe host walked.
    pub vantage: String,
    /// The watched name.
    pub name: String,
    /// The walk came to servers of the zone of the name (and of its aliases). If not, what is known stays as it was.
    pub complete: bool,
    /// How the walk ended, in words.
    pub end: String,
    /// The zone that the name is in, if the walk came there.
    pub zone: Option<String>,
    /// Name servers as the parent and as the zone itself name them (RFC 1034 §4.2.1), sorted.
    pub parent_ns: Vec<String>,
    pub child_ns: Vec<String>,
    /// Key tags of the DS records in the parent (RFC 4034 §5); empty: not signed, or not known.
    pub ds: Vec<u16>,
    /// Every address of every name server of the zone, and of the zones of its aliases.
    pub servers: Vec<NameServer>,
    /// Targets of the aliases of the name, in the order in which they are followed.
    pub aliases: Vec<String>,
    /// Addresses of the name itself, at the end of its aliases.
    pub addresses: Vec<Address>,
    pub findings: Vec<DelegationFinding>,
    /// Said by the engine: the mapping is from `at`, but the name or its routes fail since, so it was not replaced.
    #[serde(default)]
    pub frozen: bool,
}

impl Delegation {
    /// Routes of the name servers' addresses and of its own.
    pub fn routes(&self) -> impl Iterator<Item = Route> {
        let servers = self.servers.iter().filter_map(|server| server.route);
        servers.chain(self.addresses.iter().filter_map(|address| address.route))
    }
}

/// One address of one name server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameServer {
    pub zone: String,
    pub name: String,
    pub addr: IpAddr,
    /// Who names it.
    pub in_parent: bool,
    pub in_child: bool,
    /// The parent gives this address as glue.
    pub glue: bool,
    /// `None`: it was not asked.
    pub outcome: Option<Outcome>,
    pub route: Option<Route>,
}

/// An address that the name itself has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub addr: IpAddr,
    pub route: Option<Route>,
}

/// The longest matching prefix of an address in our own route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    pub prefix: Prefix,
    pub origin: Option<Asn>,
}

/// Something that is wrong with a delegation, or will be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DelegationFinding {
    /// A fault is there now; a risk takes one more failure.
    pub fault: bool,
    /// A word of a closed list (`lame`, `ns_differs`, `shared_prefix`, …; `netfault dns walk` says it in the same way).
    pub kind: String,
    pub zone: String,
    /// For people.
    pub text: String,
}
