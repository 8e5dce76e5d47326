//! What is remembered of a prefix while something is wrong with it.

use netfault_model::{Asn, Time};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Since};
use crate::Settings;
use crate::settings::secs;
use crate::table::bits::Slot;

/// From the first sign of a loss until the prefix is Normal again and quiet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Episode {
    pub(super) since: Since,
    /// The first loss.
    pub first_evidence: Time,
    /// When the prefix left Normal, while it is not Normal.
    pub left_normal: Option<Time>,
    /// Majority origin when it began.
    pub origin: Option<Asn>,
    /// The quorum is lost: the state is shown as Unknown.
    pub hidden: bool,
    /// Who said something of it lately, since it was deserted.
    said: Vec<(Slot, Time)>,
    /// ASes that have no vote, ascending.
    zombies: Vec<Slot>,
}

impl Episode {
    pub fn new(first_evidence: Time, origin: Option<Asn>) -> Self {
        Episode {
            since: Since::default(),
            first_evidence,
            left_normal: None,
            origin,
            hidden: false,
            said: Vec::new(),
            zombies: Vec::new(),
        }
    }

    /// No condition that leads away from Normal is true.
    pub fn is_quiet(&self) -> bool {
        self.since.get(Condition::Troubled) == Time::MAX
    }

    /// It makes a difference who says something of the prefix.
    pub fn listens(&self) -> bool {
        self.since.get(Condition::Deserted) != Time::MAX || !self.zombies.is_empty()
    }

    /// The AS has announced or withdrawn the prefix: what it has is no stuck route. True if that gives it its vote back.
    pub fn spoke(&mut self, voter: Slot, now: Time) -> bool {
        match self.said.iter_mut().find(|(other, _)| *other == voter) {
            Some((_, at)) => *at = now,
            None => self.said.push((voter, now)),
        }
        let before = self.zombies.len();
        self.zombies.retain(|&other| other != voter);
        self.zombies.len() < before
    }

    /// Of the ASes that still have it, those that have kept it in silence for too long. They lose their votes.
    pub fn bury(&mut self, settings: &Settings, seen: impl Iterator<Item = Slot>, now: Time) -> bool {
        let deserted = self.since.get(Condition::Deserted);
        let limit = now.plus_micros(-secs(settings.zombie_after_s));
        let said = |voter| self.said.iter().any(|&(other, at)| other == voter && at > limit);
        let stuck: Vec<Slot> = seen.filter(|&voter| deserted <= limit && !said(voter)).collect();
        self.zombies.extend(&stuck);
        self.zombies.sort_unstable();
        !stuck.is_empty()
    }

    pub fn zombies(&self) -> &[Slot] {
        &self.zombies
    }

    /// The prefix is well again, or given up.
    pub(super) fn revive(&mut self) {
        self.zombies.clear();
        self.said.clear();
    }

    pub(super) fn forget_said(&mut self) {
        if self.since.get(Condition::Deserted) == Time::MAX {
            self.said.clear();
        }
    }

    /// When somebody who kept silent until then would have kept it for too long.
    pub(super) fn zombie_due(&self, settings: &Settings, now: Time) -> Option<Time> {
        let deserted = self.since.get(Condition::Deserted);
        let moments = std::iter::once(deserted).chain(self.said.iter().map(|&(_, at)| at));
        moments
            .filter(|_| deserted != Time::MAX)
            .map(|at| at.plus_micros(secs(settings.zombie_after_s)))
            .filter(|&due| due > now)
            .min()
    }
}
