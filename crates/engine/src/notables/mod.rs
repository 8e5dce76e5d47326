//! What is worth writing down and is no outage: origin changes, leaks, churn, flapping, beacons, and how far
//! the baselines have been learnt.
//!
//! * [`origin`] knows the origins of every prefix and follows new ones; `sighting` is its side of the engine
//! * [`beacons`] lists the routing beacons; `clockwork` measures those that go by the clock
//! * [`flaps`] counts entries into Partial and Out
//! * [`leak`] looks for AS triplets that many prefixes gain at once
//! * [`churn`] counts updates by the hour
//! * [`maturity`] counts baselines once an hour
//! * [`asn`] says which AS answers for a route
//!
//! Whatever needs the route table or the peers is an `impl Engine` here; the rest sees outputs and time.

pub mod asn;
pub mod beacons;
pub mod churn;
mod clockwork;
pub mod flaps;
pub mod leak;
pub mod maturity;
pub mod origin;
pub(crate) mod sighting;

use netfault_model::{Output, Prefix, Time};
use serde::{Deserialize, Serialize};

use crate::{Engine, Settings};
use beacons::Beacons;
use churn::Churn;
use clockwork::Measured;
use flaps::Flaps;
use leak::Leaks;
use maturity::Hourly;
use origin::Changes;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Notables {
    pub(crate) changes: Changes,
    flaps: Flaps,
    /// From the settings.
    #[serde(skip)]
    pub(crate) beacons: Beacons,
    measured: Measured,
    hourly: Hourly,
    pub(crate) churn: Churn,
    leaks: Leaks,
    /// Lengths of watched prefixes that have been seen, one bit each, IPv4 and IPv6; bit 127 stands for 128 too.
    watched_lengths: [u128; 2],
    /// The first instant of all.
    pub(crate) begun: Option<Time>,
}

impl Notables {
    pub fn new(settings: &Settings) -> Self {
        let mut notables = Notables::default();
        notables.configure(settings);
        notables
    }

    /// Takes what the configuration says.
    pub fn configure(&mut self, settings: &Settings) {
        self.beacons = Beacons::new(&settings.beacons);
    }

    /// A watched prefix is in the table.
    pub(crate) fn note_watched(&mut self, prefix: Prefix) {
        self.watched_lengths[prefix.family() as usize] |= 1 << prefix.len().min(127);
    }

    /// When [`settle`](Self::settle) has something to do of its own accord.
    pub fn next_deadline(&self) -> Option<Time> {
        let dues = [
            self.changes.due.first().map(|&(due, _)| due),
            self.measured.next_deadline(),
            self.hourly.next_deadline(),
            self.leaks.next_deadline(),
        ];
        dues.into_iter().flatten().min()
    }

    /// The instant `now` is over: takes what was decided in it (`decided`, sorted) and adds to it.
    pub fn settle(&mut self, settings: &Settings, now: Time, decided: &mut Vec<Output>) {
        if decided.is_empty() {
            return;
        }
        self.flaps.settle(settings, &self.beacons, now, decided);
        self.measured.note(&self.beacons, decided);
    }
}

impl Engine {
    /// What the route table says at the end of an instant; comes before [`Notables::settle`].
    pub(crate) fn notice(&mut self) {
        if self.now == Time::MIN {
            return;
        }
        self.judge_origins();
        self.judge_leaks();
        self.measure_beacons();
        self.count_baselines();
    }
}
