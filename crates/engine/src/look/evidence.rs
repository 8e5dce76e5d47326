//! Why: the rule that fired, its numbers, and who said what.

use std::collections::BTreeMap;

use netfault_model::{Asn, Collector, Evidence, Family, Lost};

use crate::Engine;
use crate::prefix::{Episode, Why};
use crate::table::Row;
use crate::table::bits::{self, Slot};

impl Engine {
    /// `electorate`: the peer ASes whose votes were counted.
    pub(super) fn evidence(&self, row: Row, why: Why, episode: &Episode, electorate: &[u64]) -> Evidence {
        let votes = self.peers.votes(row, self.table.has(row), electorate);
        let lost: Vec<Slot> = bits::slots(&votes.lost).collect();
        let family = self.table.entry(row).prefix.family();
        let known = self
            .peers
            .tally(family, row, self.table.has(row), electorate)
            .known();
        Evidence {
            rule: why.rule,
            threshold: why.threshold,
            since: why.since,
            hold_s: why.hold_s,
            lost: self.losses(row, episode, &lost),
            kept: self.asns_of(bits::slots(&votes.seen)),
            unknown: self.asns_of(bits::slots(&votes.unknown)),
            zombies: self.asns_of(episode.zombies().iter().copied()),
            collectors: self.peers.collectors_of(family, bits::slots(electorate)).len() as u32,
            one_collector: self.one_collector(family, &lost),
            known: (known * 1000.0).round() / 1000.0,
            share: None,
        }
    }

    fn asns_of(&self, voters: impl Iterator<Item = Slot>) -> Vec<Asn> {
        let mut asns: Vec<Asn> = voters.map(|voter| self.peers.session(voter).peer.asn).collect();
        asns.sort_unstable();
        asns
    }

    /// When each of `voters` lost the prefix last.
    fn losses(&self, row: Row, episode: &Episode, voters: &[Slot]) -> Vec<Lost> {
        let marks = self.table.entry(row).marks.as_deref();
        let mut losses: Vec<Lost> = voters
            .iter()
            .map(|&voter| {
                let loss = marks.and_then(|marks| marks.loss(voter));
                Lost {
                    peer_asn: self.peers.session(voter).peer.asn,
                    at: loss.map_or(episode.first_evidence, |loss| loss.at).min(self.now),
                    inferred: loss.is_some_and(|loss| loss.inferred),
                }
            })
            .collect();
        losses.sort_unstable_by_key(|lost| lost.peer_asn);
        losses
    }

    /// The largest share of the lost weight that is seen through one collector.
    fn one_collector(&self, family: Family, lost: &[Slot]) -> f64 {
        let mut by_collector: BTreeMap<Collector, u64> = BTreeMap::new();
        for &voter in lost {
            for (collector, weight) in self.peers.shares(family, voter) {
                *by_collector.entry(collector).or_default() += weight;
            }
        }
        let all = by_collector.values().sum();
        let largest = by_collector.values().copied().max().unwrap_or(0);
        (share(largest, all) * 1000.0).round() / 1000.0
    }
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}
