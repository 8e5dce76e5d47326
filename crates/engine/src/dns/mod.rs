//! The health of names: probes in, transitions out.
//!
//! No clock and no socket: `now` is an argument, and [`Names::next_deadline`] says when to call
//! [`Names::fire`]. What one probe meant is settled before it gets here ([`netfault_model::Outcome`]).
//!
//! * [`server`] one server's run of good and bad rounds
//! * [`round`] the answers of one round, kept until all servers have spoken, so that their order is nothing
//! * [`health`] counts over servers: H of the authorities, agreement of the resolvers, the level they mean
//! * [`name`] the states of one name and the edges between them
//!
//! What is deliberately absent: several vantages (upper median), canaries, the cache-mask clock and
//! `answer_changed`; they come with the DNS monitor and enter through [`health`].
//!
//! ## Edges
//!
//! H↓ leaves out only servers that failed in their last two rounds, H↑ counts only those that answered in
//! both; falls go by H↓, rises by H↑, so that every edge takes two rounds and one lost packet is nothing.
//!
//! | from → to | rule | held for |
//! |---|---|---|
//! | Unknown → Ok | H↑ ≥ 0.9 and resolvers agree | – |
//! | Unknown, Ok → Partial | H↓ < 1 | – |
//! | Unknown, Ok, Partial → Degraded | H↓ < 0.75, or no resolver answers though the servers do | – |
//! | any but Out → Out | H↓ = 0; or at every resolver bogus, or at every resolver missing | – |
//! | Out → Recovering | H↑ ≥ 0.5 | – |
//! | Partial, Degraded, Recovering → Ok | H↑ ≥ 0.9 (from Partial: 1), H↓ = 1, resolvers agree | 300 s |
//! | Degraded, Recovering → Partial | H↑ ≥ 0.75, H↓ < 1 | 300 s |
//! | Recovering → Degraded | H↓ < 0.75 still, or no resolver answers | 300 s |
//! | any → Unknown | the vantage hears nobody at all, or asks no more | – |
//!
//! The last but two are not in DESIGN section 6: without them a name with one dead server of eight would
//! stay Recovering for ever, or go to Ok and fall to Partial in the same breath.

mod health;
mod name;
mod round;
mod server;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{Outcome, Probe, Time, Transition};

use self::name::Name;
pub use self::settings::DnsSettings;

/// Every watched name, its servers and its state.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Names {
    /// Of the configuration, not of the state: see `Names::resume`.
    #[serde(skip)]
    settings: DnsSettings,
    names: BTreeMap<Arc<str>, Name>,
    /// One entry per name that waits for something; ordered, so that equal moments fire in name order.
    due: BTreeSet<(Time, Arc<str>)>,
    /// When any server of any name was last heard at all: proof that this vantage is not cut off.
    heard: Option<Time>,
}

/// What a name may know about the rest of the world when it decides.
#[derive(Clone, Copy, Debug)]
struct Sight {
    heard: Option<Time>,
    /// Other names are asked from here, so their silence can be compared.
    others: bool,
}

impl Names {
    pub fn new(settings: DnsSettings) -> Self {
        Names {
            settings,
            names: BTreeMap::new(),
            due: BTreeSet::new(),
            heard: None,
        }
    }

    /// The state that was loaded goes on with the settings of today.
    pub fn resume(&mut self, settings: DnsSettings) {
        self.settings = settings;
    }

    /// Takes one answer. `now` is engine time; the probe's own time is kept as evidence.
    /// Deadlines up to `now` fire first, as the contract of time wants it.
    pub fn probe(&mut self, now: Time, probe: &Probe, out: &mut Vec<Transition>) {
        self.fire(now, out);
        if probe.outcome == Outcome::Void || probe.role.is_control() {
            return;
        }
        if !matches!(probe.outcome, Outcome::Timeout | Outcome::NetUnreachable) {
            self.heard = self.heard.max(Some(now));
        }
        let key = match self.names.get_key_value(probe.name.as_str()) {
            Some((key, _)) => key.clone(),
            None => {
                let key: Arc<str> = probe.name.as_str().into();
                self.names.insert(key.clone(), Name::new(key.clone()));
                key
            }
        };
        self.with(&key, |name, settings, sight| {
            name.probe(now, probe, settings, sight, out)
        });
    }

    /// The next moment at which something may change without any input.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Fires all deadlines up to `due`, each stamped with its own moment.
    pub fn fire(&mut self, due: Time, out: &mut Vec<Transition>) {
        while let Some((at, key)) = self.due.first().cloned().filter(|(at, _)| *at <= due) {
            self.with(&key, |name, settings, sight| name.fire(at, settings, sight, out));
        }
    }

    /// Runs one step of one name and books its next deadline anew.
    fn with(&mut self, key: &Arc<str>, step: impl FnOnce(&mut Name, &DnsSettings, Sight)) {
        let sight = Sight {
            heard: self.heard,
            others: self.names.len() > 1,
        };
        let Some(name) = self.names.get_mut(key) else {
            return;
        };
        let before = name.next_deadline(&self.settings);
        step(name, &self.settings, sight);
        let after = name.next_deadline(&self.settings);
        if before != after {
            if let Some(at) = before {
                self.due.remove(&(at, key.clone()));
            }
            if let Some(at) = after {
                self.due.insert((at, key.clone()));
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
