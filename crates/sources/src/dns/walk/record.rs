//! What a walk found: its JSON is `netfault dns walk --format json`; fields are added, never changed.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use netfault_model::{Outcome, Time};
use serde::{Deserialize, Serialize};

use super::findings::WalkFinding;
use crate::dns::check::Verdict;

/// One walk from the root to a name, and through its aliases. Names are in lower case, without the last dot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    pub name: String,
    /// When it began.
    pub at: Time,
    pub took_ms: f64,
    /// Packets over UDP and connections over TCP.
    pub queries: u32,
    pub verdict: Verdict,
    pub end: End,
    /// In the order in which they were followed.
    pub aliases: Vec<Alias>,
    /// Every zone on the way, in the order in which they were entered: the root first.
    pub zones: Vec<Zone>,
    /// The zone that holds the name itself, if the walk came there.
    pub zone: Option<String>,
    /// The addresses at the end in presentation form: IPv4 first, each family sorted.
    pub answers: Vec<String>,
    /// Lowest TTL of these, in seconds.
    pub ttl: Option<u32>,
    pub findings: Vec<WalkFinding>,
    /// Families in which some server answered: nothing is said about servers of the others.
    pub sighted_v4: bool,
    pub sighted_v6: bool,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// The name has addresses (`answers`).
    Answer { zone: String },
    /// The name exists, and has no address.
    Nodata { zone: String },
    /// The name does not exist.
    Nxdomain { zone: String },
    /// No server of this zone answers for it.
    NoServer { zone: String },
    /// None of the servers of this zone has an address that can be found.
    NoAddress { zone: String },
    /// What is needed to go on needs itself.
    Loop { path: Vec<String> },
    /// More aliases in a row than any resolver follows.
    TooManyAliases,
    /// More than this walk may do.
    Limit { what: String },
    /// No root server answered at all: nothing is known about the name.
    Offline,
    /// The root servers answer, and without authority: something on the way there answers in their place.
    Intercepted,
}

/// One alias that was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    pub kind: AliasKind,
    /// The name that was asked for.
    pub from: String,
    pub to: String,
    /// The zone that says so.
    pub zone: String,
    pub ttl: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasKind {
    Cname,
    /// RFC 6672: everything below a name is elsewhere.
    Dname,
}

/// One zone on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    pub zone: String,
    /// `None`: the root.
    pub parent: Option<String>,
    /// Name servers in the referral of the parent. `None`: the root; or the same servers serve the parent and hide it.
    pub parent_ns: Option<Vec<String>>,
    /// Name servers as the zone itself says. `None`: it was not asked, or nobody answered.
    pub child_ns: Option<Vec<String>>,
    /// Servers whose own list of name servers is not the whole one.
    pub disagreeing: Vec<SocketAddr>,
    /// Addresses that came with the referral, of names in the parent's zone only.
    pub glue: Vec<Host>,
    /// Addresses of its name servers as the zones of those names say.
    pub addresses: Vec<Host>,
    /// Name servers without an address, and why.
    pub unresolved: Vec<Unresolved>,
    /// DS records in the parent. `None`: not known.
    pub ds: Option<Vec<Ds>>,
    /// DNSKEY records of the zone; asked for only if there is a DS. `None`: not known.
    pub dnskey: Option<Vec<Key>>,
    /// True if every address was asked. At the root and top-level domains one good answer is enough.
    pub examined: bool,
    /// Name servers that were left out, because there were too many.
    pub left_out: u32,
    pub servers: Vec<Server>,
}

/// A name server and its addresses, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub addrs: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unresolved {
    pub name: String,
    pub why: Unresolvable,
}

/// Why a name server has no address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unresolvable {
    /// It is below the zone that it serves, and the parent gives no glue.
    NoGlue,
    /// Its name exists, but has no address, or does not exist at all.
    NoAddress,
    /// RFC 2181 §10.3: the name of a server must not be an alias.
    IsAlias,
    /// Its address needs itself.
    Loop {
        path: Vec<String>,
    },
    /// No server answers for the zone of its name.
    NoServer {
        zone: String,
    },
    Limit {
        what: String,
    },
}

/// Delegation signer (RFC 4034 §5), without its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
}

/// A public key of a zone (RFC 4034 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub key_tag: u16,
    pub algorithm: u8,
    pub flags: u16,
}

/// One address of one name server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub name: String,
    pub server: SocketAddr,
    /// Who names it.
    pub named_by: NamedBy,
    /// `None`: it was not asked.
    pub outcome: Option<Outcome>,
    /// `None`: it speaks for the zone, or nothing came back.
    pub lame: Option<Lame>,
    pub rcode: Option<String>,
    pub latency_ms: Option<f64>,
}

impl Server {
    /// It was asked, and answered for the zone.
    pub fn is_healthy(&self) -> bool {
        self.outcome == Some(Outcome::Ok) && self.lame.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    Hints,
    Parent,
    Child,
    Both,
}

/// In which way a server does not serve the zone that is delegated to it (RFC 8499: lame delegation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lame {
    Refused,
    /// RCODE NOTAUTH.
    NotAuth,
    /// SERVFAIL, NOTIMP and the like.
    Failed,
    /// An answer, or a denial, without authority.
    NotAuthoritative,
    /// It sends us to the zone that it should serve.
    SelfReferral,
    /// It sends us above that zone.
    UpwardReferral,
    /// It says that the zone does not exist.
    NoSuchZone,
}

/// The servers of the zone that a name is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    pub zone: hickory_proto::rr::Name,
    pub servers: BTreeSet<SocketAddr>,
}

impl Walk {
    /// Every address of every name server, of the parent's and of the child's list, of the zone that the name itself is in
    /// (not of that of its aliases): whom to ask from now on. `None` if there are none.
    pub fn authorities(&self) -> Option<Authorities> {
        let zone = self.zone.as_ref()?;
        let zone = self.zones.iter().find(|entry| entry.zone == *zone)?;
        let servers: BTreeSet<SocketAddr> = zone.servers.iter().map(|server| server.server).collect();
        let name = crate::dns::wire::parse_name(&zone.zone).ok()?;
        (!servers.is_empty()).then_some(Authorities { zone: name, servers })
    }
}
