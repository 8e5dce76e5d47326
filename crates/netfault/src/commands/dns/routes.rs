//! Prefix and origin of an address, out of table dumps.
//!
//! Only what covers one of the wanted addresses is kept, so a whole table passes by without being held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netfault_model::{Asn, Family, Input, Prefix};
use netfault_sources::mrt;

use crate::exit::{Failure, Result, sentence};

/// Longer prefixes are internal routes that a peer let out; they count only where there is nothing else.
fn is_usual(prefix: Prefix) -> bool {
    prefix.len()
        <= match prefix.family() {
            Family::V4 => 24,
            Family::V6 => 48,
        }
}

/// The longest prefix of each address, and the AS that most peers see it originated by.
#[derive(Debug, Default)]
pub struct Routes {
    covering: BTreeMap<Prefix, BTreeMap<Option<Asn>, u32>>,
}

impl Routes {
    /// Reads whole files: some seconds for a table of the Internet.
    pub fn read(paths: &[String], wanted: &BTreeSet<IpAddr>) -> Result<Routes> {
        let mut routes = Routes::default();
        if paths.is_empty() || wanted.is_empty() {
            return Ok(routes);
        }
        let files = mrt::discover(paths).map_err(|error| Failure::data(sentence(&error)))?;
        let stream = mrt::Stream::open(files, mrt::Options::default());
        let stream = stream.map_err(|error| Failure::data(sentence(&error)))?;
        let mut seen = 0u64;
        for input in stream.flatten() {
            if let Input::Rib(route) = input {
                seen += 1;
                routes.add(route.nlri.prefix, route.announcement.origin, wanted);
            }
        }
        match seen {
            0 => Err(Failure::data(format_args!(
                "{}: there is no route of a table dump in it",
                paths.join(", ")
            ))),
            _ => Ok(routes),
        }
    }

    fn add(&mut self, prefix: Prefix, origin: Option<Asn>, wanted: &BTreeSet<IpAddr>) {
        // A default route covers everything and says nothing.
        if prefix.len() > 0 && wanted.iter().any(|addr| prefix.contains(*addr)) {
            let peers = self
                .covering
                .entry(prefix)
                .or_default()
                .entry(origin)
                .or_default();
            *peers = peers.saturating_add(1);
        }
    }

    pub fn of(&self, addr: IpAddr) -> Option<(Prefix, Option<Asn>)> {
        let covering = self.covering.iter().filter(|(prefix, _)| prefix.contains(addr));
        let (prefix, origins) = covering.max_by_key(|(prefix, _)| (is_usual(**prefix), prefix.len()))?;
        // Of equals the lowest number: the same file, the same answer.
        let origin = origins.iter().rev().max_by_key(|(_, peers)| **peers);
        Some((*prefix, origin.and_then(|(origin, _)| *origin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_usual_prefix_and_its_usual_origin() {
        let wanted: BTreeSet<IpAddr> = ["192.0.2.1", "198.51.100.9"]
            .map(|text| text.parse().unwrap())
            .into();
        let mut routes = Routes::default();
        for (prefix, origin) in [
            ("0.0.0.0/0", 1),
            ("192.0.0.0/16", 64500),
            ("192.0.2.0/24", 64501),
            ("192.0.2.0/24", 64502),
            ("192.0.2.0/24", 64502),
            ("192.0.2.0/28", 64503),
            ("198.51.100.0/25", 64504),
            ("203.0.113.0/24", 64505),
        ] {
            routes.add(prefix.parse().unwrap(), Some(Asn(origin)), &wanted);
        }
        assert_eq!(routes.covering.len(), 4, "what covers nothing wanted is not kept");
        let of = |addr: &str| {
            let found = routes.of(addr.parse().unwrap());
            found.map(|(prefix, origin)| (prefix.to_string(), origin.map(|asn| asn.0)))
        };
        assert_eq!(of("192.0.2.1"), Some(("192.0.2.0/24".to_owned(), Some(64502))));
        assert_eq!(
            of("198.51.100.9"),
            Some(("198.51.100.0/25".to_owned(), Some(64504)))
        );
        assert_eq!(of("203.0.113.1"), None);
    }
}
