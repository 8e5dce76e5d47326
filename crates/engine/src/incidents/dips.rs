//! Watched prefixes that are Degrading: one that stays below V↓ 0.70 for 30 s opens an incident, before it is
//! Partial or Out, if it ever is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use netfault_model::{Prefix, State, Time, Transition};
use serde::{Deserialize, Serialize};

use super::part::Key;
use crate::Settings;
use crate::settings::secs;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dips {
    /// Watched prefixes that are below the threshold, whatever their state, and since when.
    low: BTreeMap<Prefix, Time>,
    /// Watched prefixes that are Degrading and in no incident.
    degrading: BTreeMap<Prefix, Transition>,
    /// When the earliest of those may open one.
    due: Option<Time>,
}

impl Dips {
    /// The visibility of a watched prefix, each time its votes were counted. `None` without a quorum.
    pub fn observe(&mut self, settings: &Settings, prefix: Prefix, falling: Option<f64>, now: Time) {
        if !falling.is_some_and(|falling| falling < settings.watched_below) {
            self.low.remove(&prefix);
        } else if let Entry::Vacant(place) = self.low.entry(prefix) {
            place.insert(now);
            let due = now.plus_micros(secs(settings.watched_hold_s));
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
    }

    /// A transition of a subject that is in no incident.
    pub fn take(&mut self, key: &Key, transition: &Transition) {
        let Key::Prefix(prefix) = key else { return };
        match transition.to {
            State::Degrading if transition.watched => {
                self.degrading.insert(*prefix, transition.clone());
                self.due = Some(
                    self.due
                        .map_or(transition.at, |earlier| earlier.min(transition.at)),
                );
            }
            _ => drop(self.degrading.remove(prefix)),
        }
    }

    /// The subject is in an incident now.
    pub fn forget(&mut self, key: &Key) {
        if let Key::Prefix(prefix) = key {
            self.degrading.remove(prefix);
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Those that have been low for long enough.
    pub fn ripe(&mut self, settings: &Settings, now: Time) -> Vec<Transition> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let hold = secs(settings.watched_hold_s);
        let due = |prefix: &Prefix| self.low.get(prefix).map(|since| since.plus_micros(hold));
        let is_ripe = |prefix: &Prefix| due(prefix).is_some_and(|due| due <= now);
        let ripe: Vec<Prefix> = self
            .degrading
            .keys()
            .copied()
            .filter(|prefix| is_ripe(prefix))
            .collect();
        // What is low and not Degrading yet asks again when it is.
        self.due = self
            .degrading
            .keys()
            .filter(|prefix| !is_ripe(prefix))
            .filter_map(due)
            .min();
        ripe.iter()
            .filter_map(|prefix| self.degrading.remove(prefix))
            .collect()
    }
}
