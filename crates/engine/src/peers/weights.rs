//! What the vote of a peer AS weighs (DESIGN section 5): 1, split over the collectors that it is seen through. From
//! seven collectors on none of them has more than 15 % of all votes of its family; the excess goes to
//! the others in proportion. So a collector with two thirds of all peers cannot decide alone what is down.
//!
//! Weights follow from all sessions that have ever said something of the family, whatever their state: were they
//! those of the Up sessions, or of one prefix's baseline, then losing a feed would move the share of a prefix
//! that nothing happened to. They are integers, parts per million of one vote, and few different ones: all collectors
//! below the limit have the same factor. A count is one popcount per class of equal weight and word; with fewer
//! collectors, or none above the limit, there is one class.

use std::collections::BTreeMap;

use netfault_model::{Collector, Family};
use serde::{Deserialize, Serialize};

use super::Peers;
use crate::Settings;
use crate::table::bits::{self, Slot};

/// One full vote.
pub const UNIT: u64 = 1_000_000;

/// The weights of one family.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Weights {
    /// Sessions that have said something of this family.
    members: Vec<u64>,
    /// A session has joined since they were weighed.
    outdated: bool,
    /// What a session at this collector weighs; empty if none is above the limit.
    factors: BTreeMap<Collector, u64>,
    /// Voters of equal weight, by weight; empty if all weigh the same.
    classes: BTreeMap<u64, Vec<u64>>,
}

impl Weights {
    pub fn are_even(&self) -> bool {
        self.classes.is_empty()
    }

    /// The weight of a set of voters.
    pub fn weigh(&self, voters: &[u64]) -> u64 {
        if self.are_even() {
            return u64::from(bits::count(voters)) * UNIT;
        }
        let of_class = |(&weight, class): (&u64, &Vec<u64>)| {
            let members = class
                .iter()
                .zip(voters)
                .map(|(class, voters)| (class & voters).count_ones());
            weight * u64::from(members.sum::<u32>())
        };
        self.classes.iter().map(of_class).sum()
    }
}

impl Peers {
    pub fn weights(&self, family: Family) -> &Weights {
        &self.weights[family as usize]
    }

    /// The session has said something of this family. True if that may change the weights.
    pub fn joins(&mut self, slot: Slot, family: Family, settings: &Settings) -> bool {
        let weights = &mut self.weights[family as usize];
        if bits::get(&weights.members, slot) {
            return false;
        }
        weights
            .members
            .resize(weights.members.len().max(slot as usize / 64 + 1), 0);
        bits::set(&mut weights.members, slot);
        weights.outdated = self.collectors.len() >= settings.cap_from_collectors as usize;
        weights.outdated
    }

    /// Weighs the votes of a family, if somebody has joined it.
    pub fn reweigh(&mut self, family: Family, settings: &Settings) {
        if std::mem::take(&mut self.weights[family as usize].outdated) {
            self.weigh_all(family, settings);
        }
    }

    /// How the vote of an AS is split over its collectors.
    pub fn shares(&self, family: Family, voter: Slot) -> Vec<(Collector, u64)> {
        let weights = self.weights(family);
        let collectors = self.collectors_of(family, [voter]);
        let count = collectors.len() as u64;
        let factor = |collector| weights.factors.get(collector).copied().unwrap_or(UNIT);
        collectors
            .iter()
            .map(|collector| (*collector, factor(collector) / count))
            .collect()
    }

    /// Through which collectors these ASes are seen in this family, in order.
    pub fn collectors_of(&self, family: Family, voters: impl IntoIterator<Item = Slot>) -> Vec<Collector> {
        let members = &self.weights(family).members;
        let mut collectors = Vec::new();
        for voter in voters {
            let mates = self.sessions_of(voter);
            let speaking = mates.iter().filter(|&&mate| bits::get(members, mate));
            collectors.extend(speaking.map(|&mate| self.session(mate).peer.collector));
        }
        collectors.sort_unstable();
        collectors.dedup();
        collectors
    }

    fn weigh_all(&mut self, family: Family, settings: &Settings) {
        let mut raw: BTreeMap<Collector, u64> = BTreeMap::new();
        let voters: Vec<Slot> = self.voters.values().copied().collect();
        self.weights[family as usize].factors.clear();
        for &voter in &voters {
            for (collector, share) in self.shares(family, voter) {
                *raw.entry(collector).or_default() += share;
            }
        }
        let factors = match raw.len() >= settings.cap_from_collectors as usize {
            true => capped(&raw, settings.collector_cap),
            false => BTreeMap::new(),
        };
        self.weights[family as usize].factors = factors;
        let classes = self.classes(family, &voters);
        self.weights[family as usize].classes = classes;
    }

    fn classes(&self, family: Family, voters: &[Slot]) -> BTreeMap<u64, Vec<u64>> {
        let mut classes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        if self.weights(family).factors.is_empty() {
            return classes;
        }
        let words = self.count().div_ceil(64);
        for &voter in voters {
            let shares = self.shares(family, voter);
            // An AS that has not spoken of the family is in no baseline of it.
            let weight = shares.iter().map(|(_, share)| share).sum();
            let class = classes.entry(weight).or_insert_with(|| vec![0; words]);
            bits::set(class, voter);
        }
        classes
    }
}

/// Factors, parts per million, by which each collector's votes count so that none has more than `cap` of all. Empty
/// if none has anyway.
fn capped(raw: &BTreeMap<Collector, u64>, cap: f64) -> BTreeMap<Collector, u64> {
    let total: u64 = raw.values().sum();
    let limit = (u128::from(total) * (cap * UNIT as f64).round() as u128 / u128::from(UNIT)) as u64;
    let mut over: BTreeMap<Collector, u64> = BTreeMap::new();
    let mut free = total;
    loop {
        // What the others get lifts them, and may lift one more above the limit.
        let left = total.saturating_sub(limit * over.len() as u64);
        let lifted = |votes: u64| u128::from(votes) * u128::from(left) > u128::from(limit) * u128::from(free);
        let more: Vec<_> = raw
            .iter()
            .filter(|&(collector, &votes)| !over.contains_key(collector) && lifted(votes))
            .map(|(&collector, &votes)| (collector, votes))
            .collect();
        if more.is_empty() || over.len() + more.len() == raw.len() {
            let others = u128::from(left) * u128::from(UNIT) / u128::from(free.max(1));
            let factor = |(&collector, &votes): (&Collector, &u64)| match over.contains_key(&collector) {
                true => (collector, limit.saturating_mul(UNIT) / votes.max(1)),
                false => (collector, others as u64),
            };
            return match over.is_empty() {
                true => BTreeMap::new(),
                false => raw.iter().map(factor).collect(),
            };
        }
        free -= more.iter().map(|&(_, votes)| votes).sum::<u64>();
        over.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excess_goes_to_the_others_in_proportion() {
        let names = ["rrc00", "rrc01", "rrc03", "rrc04", "rrc05", "rrc06", "rrc07"];
        let raw: BTreeMap<_, _> = names
            .iter()
            .zip([40, 10, 10, 10, 10, 10, 10])
            .map(|(name, votes)| (Collector::new(name), votes * UNIT))
            .collect();
        let factors = capped(&raw, 0.15);
        assert_eq!(factors[&Collector::new("rrc00")], 375_000);
        assert_eq!(factors[&Collector::new("rrc01")], 1_416_666);
        assert!(capped(&raw, 0.40).is_empty());
    }
}
