//! Whom a vantage asks to learn about itself, and about its resolvers.
//!
//! Without them nothing tells "their servers are dead" from "my uplink is dead", nor "the name is broken" from "my resolver is".

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hickory_proto::rr::Name;

use crate::dns::walk::Hints;
use crate::dns::wire::parse_name;

/// Names of other operators, each with name servers of its own: Wikimedia, ICANN, the RIPE NCC, APNIC. Old names that have
/// addresses everywhere; two are asked for, so that others may be watched names, too.
const NAMES: [&str; 4] = [
    "www.wikipedia.org",
    "www.iana.org",
    "www.ripe.net",
    "www.apnic.net",
];
/// Canaries of one resolver: both must fail before its vote is void.
const CANARIES: usize = 2;
/// Root servers of each family that are asked. They are run by different operators, and each is in many places.
const ROOTS: usize = 4;

/// Control names and control authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// Asked at every resolver of the plan, once a round.
    pub names: Vec<Name>,
    /// Servers of zones of others, asked for the SOA of the zone.
    pub authorities: BTreeMap<Name, BTreeSet<SocketAddr>>,
}

impl Controls {
    /// Nobody.
    pub fn none() -> Self {
        Controls::default()
    }

    /// What works on the Internet: two names of others, four root servers in each family.
    pub fn usual(watched: &[Name], hints: &Hints, port: Option<u16>) -> Self {
        Controls {
            names: Controls::usual_names(watched),
            authorities: Controls::usual_authorities(hints, port),
        }
    }

    /// Two names that nothing watched is related to.
    pub fn usual_names(watched: &[Name]) -> Vec<Name> {
        let names = NAMES.iter().filter_map(|name| parse_name(name).ok());
        let is_other = |name: &Name| {
            let domain = name.trim_to(2);
            !watched.iter().any(|watched| domain.zone_of(watched))
        };
        names.filter(is_other).take(CANARIES).collect()
    }

    /// Some root servers of each family, spread over the list.
    pub fn usual_authorities(hints: &Hints, port: Option<u16>) -> BTreeMap<Name, BTreeSet<SocketAddr>> {
        let port = port.or(hints.port).unwrap_or(53);
        let mut servers = BTreeSet::new();
        for v4 in [true, false] {
            let all: Vec<_> = hints.addresses().filter(|addr| addr.is_ipv4() == v4).collect();
            let step = (all.len() / ROOTS).max(1);
            // Another start for each family, so that one operator does not decide both.
            let first = usize::from(!v4).min(all.len().saturating_sub(1)) % step;
            let picked = all.iter().skip(first).step_by(step).take(ROOTS);
            servers.extend(picked.map(|addr| SocketAddr::new(*addr, port)));
        }
        match servers.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([(Name::root(), servers)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| parse_name(text).unwrap()).collect()
    }

    #[test]
    fn four_roots_of_each_family_and_two_names_of_others() {
        let controls = Controls::usual(&names(&["www.example.com"]), &Hints::built_in(), None);
        assert_eq!(controls.names, names(&["www.wikipedia.org", "www.iana.org"]));
        let servers = &controls.authorities[&Name::root()];
        assert_eq!(servers.iter().filter(|server| server.is_ipv4()).count(), 4);
        assert_eq!(servers.len(), 8);
        assert!(servers.iter().all(|server| server.port() == 53));
    }

    #[test]
    fn who_watches_a_control_name_has_others() {
        let watched = names(&["wikipedia.org", "data.iana.org"]);
        assert_eq!(
            Controls::usual_names(&watched),
            names(&["www.ripe.net", "www.apnic.net"])
        );
        assert_eq!(
            Controls::usual_names(&names(&["en.wikipedia.org"])),
            names(&["www.iana.org", "www.ripe.net"])
        );
    }

    #[test]
    fn a_laboratory_has_its_own_root() {
        let root: SocketAddr = ([127, 0, 0, 11], 5301).into();
        let authorities = Controls::usual_authorities(&Hints::at([root]), None);
        assert_eq!(
            authorities,
            BTreeMap::from([(Name::root(), BTreeSet::from([root]))])
        );
    }
}
