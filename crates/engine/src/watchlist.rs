//! Which prefixes get a row, and how they are looked at.

use std::collections::BTreeSet;

use netfault_model::{Asn, Family, Prefix, Watch};
use rustc_hash::FxHashSet;

use crate::table::Interest;

/// The user's [`Watch`], prepared so that asking for a prefix costs a few hash look-ups.
#[derive(Default)]
pub struct Watchlist {
    watch: Watch,
    listed: FxHashSet<Prefix>,
    /// Prefix lengths that occur in the list, per family.
    lengths: [Vec<u8>; 2],
    /// Less-specifics of listed prefixes: kept, so that a cover can be named.
    covers: FxHashSet<Prefix>,
    /// Names are watched: the route of every address may be asked for.
    every_route: bool,
}

impl Watchlist {
    pub fn new(watch: Watch) -> Self {
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        let mut covers = FxHashSet::default();
        for prefix in &watch.prefixes {
            lengths[prefix.family() as usize].insert(prefix.len());
            let mut shorter = prefix.parent();
            while let Some(cover) = shorter.filter(|cover| cover.len() > 0) {
                covers.insert(cover);
                shorter = cover.parent();
            }
        }
        Watchlist {
            listed: watch.prefixes.iter().copied().collect(),
            lengths: lengths.map(|lengths| lengths.into_iter().collect()),
            covers,
            every_route: !watch.names.is_empty(),
            watch,
        }
    }

    /// How `prefix`, as announced by `origin`, is looked at; `None` if nobody asks for it.
    pub(crate) fn interest(&self, prefix: Prefix, origin: Option<Asn>) -> Option<Interest> {
        if self.listed.contains(&prefix) {
            return Some(Interest::Watched);
        }
        let longest = match prefix.family() {
            Family::V4 => 24,
            Family::V6 => 48,
        };
        if prefix.len() > longest {
            let relevant = self.watch.all || self.lists(prefix, origin);
            return relevant.then_some(Interest::Evidence);
        }
        if self.lists(prefix, origin) {
            return Some(Interest::Watched);
        }
        if self.watch.all {
            return Some(Interest::Subject);
        }
        let kept = self.every_route || self.covers.contains(&prefix);
        kept.then_some(Interest::Evidence)
    }

    /// Origins that the addresses of a name must have, if the user says.
    pub(crate) fn expected_origins(&self, name: &str) -> Option<&BTreeSet<Asn>> {
        self.watch.expected_origins.get(name)
    }

    /// True if the user listed this origin by name.
    pub fn lists_origin(&self, origin: Asn) -> bool {
        self.watch.origins.contains(&origin)
    }

    /// True if the user listed this prefix, a less-specific of it, or its origin by name.
    pub fn is_watched(&self, prefix: Prefix, origin: Option<Asn>) -> bool {
        self.lists(prefix, origin)
    }

    fn lists(&self, prefix: Prefix, origin: Option<Asn>) -> bool {
        let by_origin = origin.is_some_and(|origin| self.watch.origins.contains(&origin));
        by_origin
            || self.lengths[prefix.family() as usize]
                .iter()
                .take_while(|&&length| length <= prefix.len())
                .any(|&length| self.listed.contains(&shorten(prefix, length)))
    }
}

pub(crate) fn shorten(prefix: Prefix, length: u8) -> Prefix {
    let shorter = match prefix.addr() {
        std::net::IpAddr::V4(addr) => Prefix::v4(addr, length),
        std::net::IpAddr::V6(addr) => Prefix::v6(addr, length),
    };
    shorter.unwrap_or(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest(watch: &Watch, prefix: &str, origin: u32) -> Option<Interest> {
        Watchlist::new(watch.clone()).interest(prefix.parse().unwrap(), Some(Asn(origin)))
    }

    #[test]
    fn a_listed_prefix_brings_its_more_specifics_and_its_covers() {
        let watch = Watch {
            prefixes: ["129.134.30.0/23".parse().unwrap()].into(),
            ..Watch::default()
        };
        assert_eq!(interest(&watch, "129.134.30.0/23", 1), Some(Interest::Watched));
        assert_eq!(interest(&watch, "129.134.31.0/24", 1), Some(Interest::Watched));
        assert_eq!(interest(&watch, "129.134.31.0/25", 1), Some(Interest::Evidence));
        assert_eq!(interest(&watch, "129.134.0.0/17", 1), Some(Interest::Evidence));
        assert_eq!(interest(&watch, "129.135.0.0/17", 1), None);
    }

    #[test]
    fn an_origin_brings_its_prefixes() {
        let watch = Watch {
            origins: [Asn(32934)].into(),
            ..Watch::default()
        };
        assert_eq!(interest(&watch, "157.240.0.0/16", 32934), Some(Interest::Watched));
        assert_eq!(interest(&watch, "157.240.0.0/16", 64500), None);
    }

    #[test]
    fn all_is_recorded_but_not_watched() {
        let watch = Watch {
            all: true,
            ..Watch::default()
        };
        assert_eq!(interest(&watch, "192.0.2.0/24", 1), Some(Interest::Subject));
        assert_eq!(interest(&watch, "192.0.2.0/25", 1), Some(Interest::Evidence));
    }
}
