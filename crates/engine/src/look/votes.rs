//! The count of votes on one prefix, and what it is counted over.

use netfault_model::{Baseline, Time};

use crate::Engine;
use crate::peers::Tally;
use crate::prefix::Episode;
use crate::settings::secs;
use crate::table::Row;
use crate::table::bits::{self, Mask, Slot};

/// Withdrawals of routes that had never been seen, below which no baseline is inferred: at most 2 % of them are
/// spurious (FIELD-FACTS), and three at once are not.
const UNSEEN: usize = 3;

/// A count of votes, and what it was counted over.
#[derive(Clone, Copy)]
pub(super) struct Count {
    pub tally: Tally,
    pub baseline: Baseline,
    /// Enough of the baseline is known for a verdict.
    pub quorum: bool,
}

impl Engine {
    /// Counts the votes. `None` without a baseline to count over.
    pub(super) fn count(&mut self, row: Row) -> Option<Count> {
        let entry = self.table.entry(row);
        let held = u32::from(entry.eligible);
        let enough = held >= self.settings.min_peers;
        let may_infer = !enough || entry.inferred;
        let heard = if may_infer { self.infer(row) } else { None };
        // Proof beats inference once it covers most of what is inferred, or is as large as an inference has to be.
        let covers = |heard: u32| {
            held >= self.settings.inferred_min_peers
                || f64::from(held) >= self.settings.inferred_min_share * f64::from(heard)
        };
        let baseline = match heard {
            Some(heard) if !enough || !covers(heard) => Baseline::Inferred,
            _ if enough => Baseline::Held,
            _ => return None,
        };
        let tally = self.tally(row, baseline);
        self.table.entry_mut(row).inferred = baseline == Baseline::Inferred;
        Some(Count {
            tally,
            baseline,
            quorum: tally.known() >= self.settings.min_known,
        })
    }

    /// Counts the votes; first, who has kept a stuck route for too long loses his.
    pub(super) fn count_anew(&mut self, row: Row) -> Option<Count> {
        let count = self.count(row)?;
        match self.bury(row, count) {
            true => self.count(row),
            false => Some(count),
        }
    }

    fn bury(&mut self, row: Row, count: Count) -> bool {
        if !self.table.entry(row).listening || count.tally.gone() < self.settings.zombie_lost {
            return false;
        }
        let electorate = self.electorate(row, count.baseline);
        let votes = self.peers.votes(row, self.table.has(row), &electorate);
        let marks = self.table.entry_mut(row).marks.as_mut();
        let Some(episode) = marks.and_then(|marks| marks.episode.as_mut()) else {
            return false;
        };
        episode.bury(&self.settings, bits::slots(&votes.seen), self.now)
    }

    /// Somebody has said something of a prefix that has been deserted.
    pub(crate) fn spoke(&mut self, row: Row, slot: Slot) {
        let (now, voter) = (self.now, self.peers.session(slot).voter);
        let marks = self.table.entry_mut(row).marks.as_mut();
        let episode = marks.and_then(|marks| marks.episode.as_mut());
        if episode.is_some_and(|episode| episode.spoke(voter, now)) {
            self.touch(row);
        }
    }

    fn tally(&mut self, row: Row, baseline: Baseline) -> Tally {
        let family = self.table.entry(row).prefix.family();
        self.peers.reweigh(family, &self.settings);
        let has = self.table.has(row);
        if baseline == Baseline::Held && !self.table.entry(row).listening {
            return self.peers.tally(family, row, has, self.table.base(row));
        }
        self.peers
            .tally(family, row, has, &self.electorate(row, baseline))
    }

    /// Without a baseline: how many ASes were heard on this prefix, if their own withdrawals prove that they held it.
    fn infer(&mut self, row: Row) -> Option<u32> {
        let entry = self.table.entry(row);
        let marks = entry.marks.as_deref()?;
        if !entry.inferred && marks.losses.iter().filter(|loss| loss.unseen).count() < UNSEEN {
            return None;
        }
        let family = entry.prefix.family();
        let voters = bits::count(&self.heard_on(row));
        if voters < self.settings.inferred_min_peers {
            return None;
        }
        let full_feeds = f64::from(self.peers.full_feeds(family, &self.settings, self.now));
        (f64::from(voters) >= self.settings.inferred_min_share * full_feeds).then_some(voters)
    }

    /// The ASes that have this prefix or are known to have lost it.
    fn heard_on(&self, row: Row) -> Mask {
        let mut heard = self.peers.voters_having(self.table.has(row));
        if let Some(marks) = &self.table.entry(row).marks {
            marks.losses.iter().for_each(|loss| {
                bits::set(&mut heard, loss.voter);
            });
        }
        heard
    }

    /// Who has a vote on this prefix.
    fn electorate(&self, row: Row, baseline: Baseline) -> Mask {
        let marks = self.table.entry(row).marks.as_ref();
        let episode = marks.and_then(|marks| marks.episode.as_deref());
        self.enfranchised(row, baseline, episode.map_or(&[], Episode::zombies))
    }

    /// Who has a vote on this prefix, but for `zombies`.
    pub(super) fn enfranchised(&self, row: Row, baseline: Baseline, zombies: &[Slot]) -> Mask {
        let mut voters = match baseline {
            Baseline::Held => Mask::from_slice(self.table.base(row)),
            Baseline::Inferred => self.heard_on(row),
        };
        for &zombie in zombies {
            bits::clear(&mut voters, zombie);
        }
        voters
    }

    /// Until when the losses of the last minute make a burst, if they do now.
    pub(super) fn burst(&self, row: Row, count: Count) -> Option<Time> {
        let share = (self.settings.burst_share * f64::from(count.tally.eligible)).ceil() as usize;
        let needed = share.max(self.settings.burst_peers as usize).max(1);
        let marks = self.table.entry(row).marks.as_deref()?;
        if marks.losses.len() < needed {
            return None;
        }
        let window = secs(self.settings.burst_within_s);
        let (base, has) = (self.table.base(row), self.table.has(row));
        let anyone = count.baseline == Baseline::Inferred;
        let lately = || {
            let lost = marks
                .losses
                .iter()
                .filter(|loss| loss.at != Time::MAX && self.now.since(loss.at) < window);
            lost.filter(|loss| anyone || bits::get(base, loss.voter))
                .filter(|loss| !self.peers.voter_has(loss.voter, has))
                .map(|loss| loss.at)
        };
        if lately().count() < needed {
            return None;
        }
        let mut recent: Vec<Time> = lately().collect();
        recent.sort_unstable();
        Some(recent[recent.len() - needed].plus_micros(window))
    }
}
