//! The health of names: probes in, transitions out.
//!
//! No clock and no socket: `now` is an argument, and [`Names::next_deadline`] says when to call
//! [`Names::fire`]. What one probe meant is settled before it gets here ([`netfault_model::Outcome`]).
//!
//! * [`server`] one server's run of good and bad rounds
//! * [`round`] the answers of one round, kept until all servers have spoken, so that their order is nothing
//! * [`vantage`] what one host that asks sees of the network: control authorities, canaries, who was heard
//! * [`view`] one name as one vantage sees it: whose silence is proven, whose vote counts
//! * [`health`] counts over servers: H of the authorities, agreement of the resolvers, the level they mean
//! * [`name`] the states of one name over all vantages, and the edges between them
//! * [`said`] statements about ourselves, about one resolver, about a name that flaps
//!
//! ## Whose fault
//!
//! A server is down after two bad rounds. Silence is proven only if the vantage has seen the network since it
//! began: a control authority of that family answered, or where none is asked, anybody else did. A family whose
//! control authorities have all failed for two rounds is dark, and its servers are left out. A vantage is offline when
//! all families are dark that it has seen in the last day; where no control authority ever answered, when all
//! canaries fail. Then no failure that it finds counts. It is offline as well when it has reported nothing, or nothing in
//! time, for as long as makes a name stale, until it reports that somebody has answered since; after a day it is forgotten.
//!
//! H is counted per vantage, and the upper median decides. A family or a vantage that was lost has a say for one
//! thing only: what it found healthy after all that fails now had begun to fail. So losing one never makes an outage,
//! and one that was lost before the outage cannot hide it. Its last word also counts against a rise, for an hour.
//!
//! A resolver's failure counts when a canary of it was fine after the failure began. Both canaries failing void its
//! vote. Without canaries it takes two resolvers to convict a name whose servers are healthy, and their silence counts once
//! somebody was heard after it had become an outage. Resolvers that fail while all servers have just failed a round wait
//! for the next one: SERVFAIL comes from a failure cache long before silence is noticed. What a resolver could not validate
//! while the servers failed is its failure cache, too, for 300 s after they are back.
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
//! | Unknown, Ok, Partial → Degraded | H↓ < 0.75, or most resolvers fail (two or more) though the servers answer | – |
//! | any but Out → Out | H↓ = 0; or at every resolver bogus, or missing, or not as expected; or so at every server | – |
//! | Out → Recovering | H↑ ≥ 0.5 | – |
//! | Partial, Degraded, Recovering → Ok | H↑ ≥ 0.9 (from Partial: 1), H↓ = 1, resolvers agree | 300 s |
//! | Degraded, Recovering → Partial | H↑ ≥ 0.75, H↓ < 1 | 300 s |
//! | Recovering → Degraded | H↓ < 0.75 still, or no resolver answers | 300 s |
//! | any → Unknown | no vantage sees the servers, or none asks any more | – |
//!
//! The last but two are not in DESIGN section 6: without them a name with one dead server of eight would
//! stay Recovering for ever, or go to Ok and fall to Partial in the same breath.

mod health;
mod name;
mod round;
mod said;
mod server;
mod settings;
mod vantage;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{NameEvidence, Notable, Outcome, Probe, State, Time, Transition};

use self::name::{Context, Name, Told};
use self::said::Flaps;
pub use self::settings::DnsSettings;
use self::vantage::{Change, Vantage, Vantages};

/// Vantages that are listened to. Agents are configured one by one; a name that changes with every start must not
/// fill the memory.
const MAX_VANTAGES: usize = 64;

/// Every watched name, its servers and its state.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Names {
    /// Of the configuration, not of the state: see `Names::resume`.
    #[serde(skip)]
    settings: DnsSettings,
    names: BTreeMap<Arc<str>, Name>,
    /// One entry per name that waits for something; ordered, so that equal moments fire in name order.
    due: BTreeSet<(Time, Arc<str>)>,
    vantages: Vantages,
    flaps: Flaps,
    /// Statements of the present instant, until they are taken.
    said: Vec<Notable>,
    /// Probes of vantages beyond the number that is listened to.
    refused: u64,
}

impl Names {
    pub fn new(settings: DnsSettings) -> Self {
        Names {
            settings,
            names: BTreeMap::new(),
            due: BTreeSet::new(),
            vantages: Vantages::new(),
            flaps: Flaps::default(),
            said: Vec::new(),
            refused: 0,
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
        if probe.outcome == Outcome::Void {
            return;
        }
        let Some(vantage) = self.vantage(&probe.vantage, now) else {
            self.refused = self.refused.saturating_add(1);
            return;
        };
        if let Some(reporter) = self.vantages.get_mut(&vantage) {
            reporter.reports(now);
            if reporter.is_old_news(probe) {
                return;
            }
        }
        if probe.role.is_control() {
            return self.control(now, &vantage, probe);
        }
        let key = match self.names.get_key_value(probe.name.as_str()) {
            Some((key, _)) => key.clone(),
            None => {
                let key: Arc<str> = probe.name.as_str().into();
                self.names.insert(key.clone(), Name::new(key.clone()));
                key
            }
        };
        self.look_at(&vantage, now, None, |it| it.note(now, &key, probe));
        self.with(&key, now, out, |name, cx, told| {
            name.probe(now, &vantage, probe, cx, told)
        });
    }

    /// Statements that are no state of a name: vantages, single resolvers, flapping. Those since the last call.
    pub fn take_said(&mut self) -> Vec<Notable> {
        std::mem::take(&mut self.said)
    }

    /// Probes that were not looked at, because there were too many vantages.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The next moment at which something may change without any input.
    pub fn next_deadline(&self) -> Option<Time> {
        let name = self.due.first().map(|(at, _)| *at);
        let vantages = self.vantages.values();
        let vantages = vantages.map(|it| it.next_deadline(&self.settings));
        name.into_iter().chain(vantages).min()
    }

    /// Fires all deadlines up to `due`, each stamped with its own moment.
    pub fn fire(&mut self, due: Time, out: &mut Vec<Transition>) {
        while let Some(at) = self.next_deadline().filter(|at| *at <= due) {
            match self.due.first().cloned().filter(|(first, _)| *first <= at) {
                Some((_, key)) => self.with(&key, at, out, |name, cx, told| name.fire(at, cx, told)),
                None => self.miss(at),
            }
        }
    }

    /// A vantage that has reported nothing for too long is offline, and one day later it is forgotten.
    fn miss(&mut self, at: Time) {
        let is_due = |it: &Vantage| it.next_deadline(&self.settings) <= at;
        let Some((key, it)) = self.vantages.iter().find(|(_, it)| is_due(it)) else {
            return;
        };
        let key = key.clone();
        if !it.is_silent() {
            return self.look_at(&key, at, None, |it| it.fall_silent(at));
        }
        if let Some(it) = self.vantages.remove(&key) {
            let changes = it.forgotten();
            self.said
                .extend(changes.map(|change| said::about(&key, at, &change)));
        }
    }

    /// What each vantage and each cache says of a name now, as if it were failing.
    pub fn seen(&self, name: &str, now: Time) -> Option<NameEvidence> {
        let cx = Context {
            settings: &self.settings,
            vantages: &self.vantages,
        };
        Some(self.names.get(name)?.seen(State::Out, now, cx))
    }

    /// How many of its servers answer, from where most are seen.
    pub fn servers_up(&self, name: &str, now: Time) -> u32 {
        let vantages = self.seen(name, now).map(|seen| seen.vantages).unwrap_or_default();
        vantages.iter().map(|view| view.servers_ok).max().unwrap_or(0)
    }

    /// How many hosts ask.
    pub fn vantages(&self) -> usize {
        self.vantages.len()
    }

    /// The vantage of this name. A new one has reported now.
    fn vantage(&mut self, name: &str, now: Time) -> Option<Arc<str>> {
        if let Some((key, _)) = self.vantages.get_key_value(name) {
            return Some(key.clone());
        }
        if self.vantages.len() >= MAX_VANTAGES {
            return None;
        }
        let key: Arc<str> = name.into();
        self.vantages.insert(key.clone(), Vantage::new(now));
        Some(key)
    }

    /// The answer to a control question.
    fn control(&mut self, now: Time, vantage: &Arc<str>, probe: &Probe) {
        let settings = self.settings.clone();
        self.look_at(vantage, now, None, |it| it.control(now, probe, &settings));
        if !probe.role.is_authority()
            && let Some(it) = self.vantages.get_mut(vantage)
        {
            let change = it.judge_canaries(now, probe.server, &settings);
            self.say(vantage, now, change);
        }
    }

    /// Changes what is known of a vantage, and says so if that makes it go offline or come back.
    fn look_at(
        &mut self,
        vantage: &Arc<str>,
        now: Time,
        deaf: Option<Time>,
        change: impl FnOnce(&mut Vantage),
    ) {
        if let Some(it) = self.vantages.get_mut(vantage) {
            change(it);
            let change = it.judge(now, deaf, &self.settings);
            self.say(vantage, now, change);
        }
    }

    fn say(&mut self, vantage: &Arc<str>, now: Time, change: Option<Change>) {
        self.said
            .extend(change.map(|change| said::about(vantage, now, &change)));
    }

    /// Runs one step of one name, books its next deadline anew, and passes on what it has to say.
    fn with(
        &mut self,
        key: &Arc<str>,
        now: Time,
        out: &mut Vec<Transition>,
        step: impl FnOnce(&mut Name, Context, &mut Told),
    ) {
        let Some(name) = self.names.get_mut(key) else {
            return;
        };
        let mut told = Told::default();
        let cx = Context {
            settings: &self.settings,
            vantages: &self.vantages,
        };
        let before = name.next_deadline(&self.settings);
        step(name, cx, &mut told);
        let after = name.next_deadline(&self.settings);
        if before != after {
            if let Some(at) = before {
                self.due.remove(&(at, key.clone()));
            }
            if let Some(at) = after {
                self.due.insert((at, key.clone()));
            }
        }
        self.pass_on(key, now, told, out);
    }

    fn pass_on(&mut self, key: &Arc<str>, now: Time, told: Told, out: &mut Vec<Transition>) {
        for (vantage, since) in told.deaf {
            self.look_at(&vantage, now, Some(since), |_| ());
        }
        for (vantage, resolver, since) in told.resolvers {
            let Some(it) = self.vantages.get_mut(&vantage) else {
                continue;
            };
            let change = match since {
                Some(since) => it.fails(resolver, key, since),
                None => it.works(resolver, key),
            };
            self.say(&vantage, now, change);
        }
        for step in told.steps {
            self.said.extend(self.flaps.step(key, &step, &self.settings));
            out.push(step);
        }
    }
}

#[cfg(test)]
mod blame;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod several;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod tests;
