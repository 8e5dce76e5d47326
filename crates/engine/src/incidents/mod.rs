//! Incidents: losses that belong together are told once (DESIGN section 7).
//!
//! * `join`: which incident a loss belongs to, what is gathered into one, what is forgotten
//! * `live`: one incident; `part`: one subject in it; `tally`: sums over the parts
//! * `severity`, `confidence`, `summary`: pure functions
//! * `dips`: watched prefixes that are Degrading
//!
//! What opens one: a prefix that becomes Partial or Out; a name that is Partial, Degraded or Out; an origin or a
//! country that is Degrading or Out. A prefix that is Degrading opens none (of 130 to 160 a day among a thousand, a
//! third are well again within a minute), unless it is watched and stays below V↓ 0.70 for 30 s. Whatever opens it,
//! `first_evidence_at` is the first loss, from before it was Degrading.
//!
//! It is over when every part of it is Normal (or its loss is accepted). A part whose quorum is lost is frozen as it
//! was: it neither ends the incident nor opens another. An incident that flaps is over when nothing has fallen for
//! 1800 s, so that flapping is said once; `cleared_at` is the true end all the same.
//!
//! A version is said when the subject, cause, severity, level or `shown` changed or the prefixes doubled; other changes
//! of parts at most every 60 s.

pub mod confidence;
mod dips;
mod join;
mod live;
mod part;
pub mod severity;
mod summary;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{Asn, Country, Id, Incident, IncidentState, Output, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::origins::Countries;
pub(crate) use dips::Dips;
use join::{Loss, is_loss};
use live::{Live, Say};
use part::Key;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Incidents {
    #[serde(skip)]
    countries: Arc<Countries>,
    /// Those that are open, and those that may be opened again.
    live: BTreeMap<Id, Live>,
    /// The newest incident of each subject.
    of: BTreeMap<Key, Id>,
    /// Oldest first.
    by_origin: BTreeMap<Asn, Vec<Id>>,
    /// When to ask them again.
    due: BTreeSet<(Time, Id)>,
    ended: BTreeSet<(Time, Id)>,
    /// Changed in this instant.
    dirty: BTreeSet<Id>,
    said: Vec<Incident>,
    pub(crate) dips: Dips,
}

/// The transitions of one subject in one instant, in their order.
struct Batch<'a> {
    key: Key,
    transitions: Vec<&'a Transition>,
}

impl Incidents {
    /// The next version of this incident will be a later one than `version`.
    pub(crate) fn raise_version(&mut self, id: Id, version: u32) {
        if let Some(live) = self.live.get_mut(&id) {
            live.version = live.version.max(version);
        }
    }

    pub(crate) fn set_countries(&mut self, countries: Arc<Countries>) {
        self.countries = countries;
    }

    /// When [`settle`](Self::settle) has something to do of its own accord.
    pub fn next_deadline(&self) -> Option<Time> {
        let due = self.due.first().map(|&(due, _)| due);
        [due, self.dips.next_deadline()].into_iter().flatten().min()
    }

    /// The instant `now` is over: takes what was decided in it (`decided`, sorted) and adds to it.
    pub fn settle(&mut self, settings: &Settings, now: Time, decided: &mut Vec<Output>) {
        if decided.is_empty() && self.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        for batch in self.batches(settings, decided, now) {
            for transition in batch.transitions {
                self.take(settings, &batch.key, transition, now);
            }
        }
        for transition in self.dips.ripe(settings, now) {
            self.raise(settings, &transition, now);
        }
        while let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            self.dirty.insert(id);
        }
        self.say(settings, now);
        self.forget(settings, now);
        decided.extend(
            self.said
                .drain(..)
                .map(|incident| Output::Incident(Box::new(incident))),
        );
    }

    /// Parts before the whole, what falls again before what is new (which may then join it), then by start.
    fn batches<'a>(&self, settings: &Settings, decided: &'a [Output], now: Time) -> Vec<Batch<'a>> {
        let mut by_key: BTreeMap<Key, Vec<&Transition>> = BTreeMap::new();
        for output in decided {
            if let Output::Transition(transition) = output {
                by_key
                    .entry(Key::of(&transition.subject))
                    .or_default()
                    .push(transition);
            }
        }
        let batches = by_key
            .into_iter()
            .map(|(key, transitions)| Batch { key, transitions });
        let mut batches: Vec<Batch> = batches.collect();
        batches.sort_by_cached_key(|batch| {
            let loss = batch.transitions.iter().find(|it| is_loss(it));
            let start = loss.map_or(Time::MIN, |it| it.first_evidence_at);
            let is_new = loss.is_some_and(|_| self.fell_before(settings, &batch.key, start, now).is_none());
            (batch.key.level(), is_new, start, batch.key.clone())
        });
        batches
    }

    fn take(&mut self, settings: &Settings, key: &Key, transition: &Transition, now: Time) {
        if let Some(id) = self.holding(key) {
            self.dips.forget(key);
            self.change(settings, id, transition);
            if transition.to == State::Out && matches!(key, Key::Origin(_) | Key::Country(_)) {
                let loss = self.loss(key, transition);
                self.gather(settings, &loss, now);
            }
        } else if is_loss(transition) {
            self.dips.forget(key);
            self.raise(settings, transition, now);
        } else {
            self.dips.take(key, transition);
        }
    }

    fn loss<'a>(&self, key: &Key, transition: &'a Transition) -> Loss<'a> {
        let (origin, country) = match &transition.subject {
            Subject::Prefix { prefix, origin } => (*origin, self.country_of(*prefix)),
            Subject::Origin { origin } => (Some(*origin), None),
            Subject::Country { country } => (None, Some(*country)),
            Subject::Name { .. } | Subject::Service { .. } => (None, None),
        };
        Loss {
            key: key.clone(),
            transition,
            origin,
            country,
        }
    }

    fn country_of(&self, prefix: netfault_model::Prefix) -> Option<Country> {
        self.countries.of_prefix(prefix)
    }

    /// A loss that is in no incident yet.
    fn raise(&mut self, settings: &Settings, transition: &Transition, now: Time) {
        let key = Key::of(&transition.subject);
        let loss = self.loss(&key, transition);
        let gathered = self.gather(settings, &loss, now);
        let id = match gathered {
            Some(id) => {
                if let Some(live) = self.live.get_mut(&id) {
                    live.countries.extend(loss.country);
                }
                id
            }
            None => self.place(settings, &loss, now),
        };
        self.index(id, &key, loss.origin);
        self.change(settings, id, transition);
    }

    fn gather(&mut self, settings: &Settings, loss: &Loss, now: Time) -> Option<Id> {
        match (&loss.key, loss.transition.to) {
            (Key::Origin(origin), State::Out) => self.gather_origin(settings, *origin, now),
            (Key::Country(_), _) => self.gather_country(settings, loss, now),
            _ => None,
        }
    }

    fn change(&mut self, settings: &Settings, id: Id, transition: &Transition) {
        if let Some(live) = self.live.get_mut(&id) {
            live.take(transition, settings);
            self.dirty.insert(id);
        }
    }

    fn say(&mut self, settings: &Settings, now: Time) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(live) = self.live.get_mut(&id) else {
                continue;
            };
            match live.ask(now, settings) {
                Say::Nothing => {}
                Say::Later(due) => drop(self.due.insert((due, id))),
                Say::Now(state) => {
                    let incident = live.say(state, now, settings, None);
                    if state == IncidentState::Resolved {
                        self.ended.insert((live.settled_at.unwrap_or(now), id));
                    }
                    self.said.push(incident);
                }
            }
        }
    }
}
