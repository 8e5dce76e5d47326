//! Votes: what the peer ASes of a baseline say of one prefix.

use netfault_model::Family;

use super::Peers;
use super::weights::UNIT;
use crate::table::bits::{self, Mask, Slot};

/// How many peer ASes see a prefix, lost it, or cannot be asked; and what they weigh, in parts per million of
/// one full vote. `lost` is what remains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub eligible: u32,
    pub seen: u32,
    pub unknown: u32,
    pub eligible_weight: u64,
    pub seen_weight: u64,
    pub unknown_weight: u64,
    /// Of those that lost it: who has no session left that could say that it is back.
    pub silent_weight: u64,
}

impl Tally {
    /// Votes that all weigh the same.
    pub fn even(eligible: u32, seen: u32, unknown: u32) -> Self {
        Tally {
            eligible,
            seen,
            unknown,
            eligible_weight: u64::from(eligible) * UNIT,
            seen_weight: u64::from(seen) * UNIT,
            unknown_weight: u64::from(unknown) * UNIT,
            silent_weight: 0,
        }
    }

    pub fn lost(self) -> u32 {
        self.eligible - self.seen - self.unknown
    }

    /// V↓ = (has + unknown) / B by weight, which decides falls.
    pub fn falling(self) -> f64 {
        self.share(self.seen_weight + self.unknown_weight)
    }

    /// V↑ = has / B by weight, which decides rises.
    pub fn rising(self) -> f64 {
        self.share(self.seen_weight)
    }

    /// What can be known: neither unknown, nor lost by an AS that nothing has been heard of since. A loss that was
    /// seen counts as one however silent its AS is now; but a verdict needs somebody to speak.
    pub fn known(self) -> f64 {
        self.share(self.eligible_weight - self.unknown_weight - self.silent_weight)
    }

    /// What is known to be lost.
    pub fn gone(self) -> f64 {
        self.share(self.eligible_weight - self.seen_weight - self.unknown_weight)
    }

    /// Both numbers are below 2⁵³, so the quotient is the `f64` nearest to the true one, and no sum of
    /// roundings depends on an order.
    fn share(self, part: u64) -> f64 {
        part as f64 / self.eligible_weight.max(1) as f64
    }
}

/// Who says what: three sets without a common member, which make up the electorate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    pub seen: Mask,
    pub unknown: Mask,
    pub lost: Mask,
}

/// A vote that the words of a row do not give.
enum Vote {
    /// Taken for unknown, since its session resynchronises; but it has announced this row again.
    Resynced,
    Seen,
    Unknown,
}

impl Peers {
    /// Counts the votes of the ASes in `base` on one row of `family`. `has`: the sessions that have it.
    pub fn tally(&self, family: Family, row: u32, has: &[u64], base: &[u64]) -> Tally {
        if !self.weights(family).are_even() {
            let votes = self.votes(row, has, base);
            return self.weighed(family, base, &votes);
        }
        let (mut eligible, mut seen, mut unknown, mut silent) = (0, 0, 0, 0);
        let sessions = self.up.iter().zip(&self.alone).zip(&self.live);
        for ((&base, &has), ((&up, &alone), &live)) in base.iter().zip(has).zip(sessions) {
            let held = base & has & alone;
            eligible += base.count_ones();
            seen += (held & up).count_ones();
            unknown += (held & !up).count_ones();
            silent += (base & !held & !live).count_ones();
        }
        self.exceptions(row, has, base, |voter, vote| match vote {
            Vote::Resynced => (seen, unknown) = (seen + 1, unknown - 1),
            Vote::Seen => seen += 1,
            Vote::Unknown => {
                unknown += 1;
                silent -= u32::from(!bits::get(&self.live, voter));
            }
        });
        Tally {
            silent_weight: u64::from(silent) * UNIT,
            ..Tally::even(eligible, seen, unknown)
        }
    }

    fn weighed(&self, family: Family, base: &[u64], votes: &Votes) -> Tally {
        let weights = self.weights(family);
        let silent: Mask = votes
            .lost
            .iter()
            .zip(&self.live)
            .map(|(lost, live)| lost & !live)
            .collect();
        Tally {
            eligible: bits::count(base),
            seen: bits::count(&votes.seen),
            unknown: bits::count(&votes.unknown),
            eligible_weight: weights.weigh(base),
            seen_weight: weights.weigh(&votes.seen),
            unknown_weight: weights.weigh(&votes.unknown),
            silent_weight: weights.weigh(&silent),
        }
    }

    /// Like [`tally`](Self::tally), by name.
    pub fn votes(&self, row: u32, has: &[u64], base: &[u64]) -> Votes {
        let mut votes = Votes::default();
        for (((&base, &has), &up), &alone) in base.iter().zip(has).zip(&self.up).zip(&self.alone) {
            let held = base & has & alone;
            votes.seen.push(held & up);
            votes.unknown.push(held & !up);
        }
        let (seen, unknown) = (&mut votes.seen, &mut votes.unknown);
        self.exceptions(row, has, base, |voter, vote| match vote {
            Vote::Resynced => {
                bits::clear(unknown, voter);
                bits::set(seen, voter);
            }
            Vote::Seen => drop(bits::set(seen, voter)),
            Vote::Unknown => drop(bits::set(unknown, voter)),
        });
        let heard = votes.seen.iter().zip(&votes.unknown);
        votes.lost = base
            .iter()
            .zip(heard)
            .map(|(base, (seen, unknown))| base & !seen & !unknown)
            .collect();
        votes
    }

    /// ASes whose session resynchronises, and ASes with several sessions.
    fn exceptions(&self, row: u32, has: &[u64], base: &[u64], mut each: impl FnMut(Slot, Vote)) {
        for &slot in &self.syncing {
            let single = bits::get(&self.alone, slot) && bits::get(base, slot) && bits::get(has, slot);
            if single && self.session(slot).votes_with(row) {
                each(slot, Vote::Resynced);
            }
        }
        for (&voter, mates) in &self.shared {
            if !bits::get(base, voter) {
                continue;
            }
            let mut holders = mates.iter().filter(|&&mate| bits::get(has, mate)).peekable();
            if holders.peek().is_none() {
                continue;
            }
            match holders.any(|&mate| self.session(mate).votes_with(row)) {
                true => each(voter, Vote::Seen),
                false => each(voter, Vote::Unknown),
            }
        }
    }

    /// The ASes that have the row, as bits of their first slots.
    pub fn voters_having(&self, has: &[u64]) -> Mask {
        let mut voters: Mask = has
            .iter()
            .zip(&self.alone)
            .map(|(has, alone)| has & alone)
            .collect();
        for (&voter, mates) in &self.shared {
            if mates.iter().any(|&mate| bits::get(has, mate)) {
                bits::set(&mut voters, voter);
            }
        }
        voters
    }
}
