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
mod layers;
mod live;
pub(crate) mod part;
pub mod severity;
mod summary;
mod tally;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{
    Asn, Country, Id, Incident, IncidentState, Output, Prefix, State, Subject, Time, Transition,
};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::cause::foreign::{self, Change};
use crate::cause::transit::Common;
use crate::cause::{Behind, Foreign, OpenIncident, World};
use crate::graph::Tie;
use crate::origins::Countries;
pub(crate) use dips::Dips;
use join::{Loss, is_loss};
use live::{Live, Say};
use part::Key;
use severity::is_down;

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
    by_tie: BTreeMap<Tie, Vec<Id>>,
    foreign: Foreign,
    behind: Behind,
    said: Vec<Incident>,
    pub(crate) dips: Dips,
}

/// What the rules of an instant may look at, and what the instant has found out beside transitions.
#[derive(Clone, Copy)]
pub(crate) struct Instant<'a> {
    pub now: Time,
    pub settings: &'a Settings,
    pub world: World<'a>,
    /// Prefixes that have now been at V↓ ≤ 0.5 for long enough, and their V↓.
    pub low: &'a [(Prefix, f64)],
    /// What the paths of a prefix had in common before it began to fall.
    pub in_common: &'a dyn Fn(Prefix) -> Common,
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
    pub(crate) fn settle(&mut self, it: Instant, decided: &mut Vec<Output>) {
        let (settings, now) = (it.settings, it.now);
        if decided.is_empty() && it.low.is_empty() && self.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        for batch in self.batches(settings, decided, now) {
            for transition in batch.transitions {
                self.take(it, &batch.key, transition);
            }
        }
        for transition in self.dips.ripe(settings, now) {
            self.raise(it, Key::of(&transition.subject), &transition);
        }
        self.take_changes(it, decided);
        for &(prefix, falling) in it.low {
            if let Some(id) = self.holding(&Key::Prefix(prefix))
                && let Some(live) = self.live.get_mut(&id)
            {
                live.sinks(prefix, falling);
                self.dirty.insert(id);
            }
        }
        while let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            self.dirty.insert(id);
        }
        self.say(it);
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

    fn take(&mut self, it: Instant, key: &Key, transition: &Transition) {
        if let Some(id) = self.holding(key) {
            self.dips.forget(key);
            self.change(it, id, key, transition);
            if transition.to == State::Out && matches!(key, Key::Origin(_) | Key::Country(_)) {
                let loss = self.loss(it, key, transition);
                self.gather(it, &loss);
            }
        } else if is_loss(transition) {
            self.dips.forget(key);
            self.raise(it, key.clone(), transition);
        } else if let Some(id) = self.had(key).filter(|_| transition.to == State::Degrading) {
            // It was well again, in an incident that is not over: now it is not.
            self.change(it, id, key, transition);
        } else {
            self.dips.take(key, transition);
        }
    }

    /// Somebody else announces a prefix. What has fallen before exposes it; else it is an incident of its own, if it is watched.
    fn take_changes(&mut self, it: Instant, decided: &[Output]) {
        for output in decided {
            let Output::Notable(notable) = output else {
                continue;
            };
            let Some(change) = self.foreign.take(notable, it.now).cloned() else {
                continue;
            };
            let lost = foreign::covers(change.prefix)
                .find_map(|cover| Some((cover, self.holding(&Key::Prefix(cover))?)));
            if let Some((cover, id)) = lost {
                self.other_origin(id, cover, &change);
            }
            let Some(transition) = foreign::transition(notable, it.now) else {
                continue;
            };
            let key = Key::Change(change.prefix);
            match self.holding(&key) {
                Some(id) => self.change(it, id, &key, &transition),
                None if lost.is_none() && !notable.over => {
                    self.raise(it, key.clone(), &transition);
                    if let Some(live) = self.of.get(&key).and_then(|id| self.live.get_mut(id)) {
                        live.others.note(change.prefix, None, &change);
                    }
                }
                None => {}
            }
        }
    }

    fn other_origin(&mut self, id: Id, prefix: Prefix, change: &Change) {
        if let Some(live) = self.live.get_mut(&id) {
            let lost_at = live
                .parts
                .get(&Key::Prefix(prefix))
                .map(|part| part.first_evidence);
            live.others.note(prefix, lost_at, change);
            self.dirty.insert(id);
        }
    }

    fn loss<'a>(&self, it: Instant, key: &Key, transition: &'a Transition) -> Loss<'a> {
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
            ties: it.world.graph.ties_of(transition),
        }
    }

    fn country_of(&self, prefix: netfault_model::Prefix) -> Option<Country> {
        self.countries.of_prefix(prefix)
    }

    /// A loss that is in no incident yet.
    fn raise(&mut self, it: Instant, key: Key, transition: &Transition) {
        let loss = self.loss(it, &key, transition);
        let gathered = self.gather(it, &loss);
        let id = match gathered {
            Some(id) => {
                if let Some(live) = self.live.get_mut(&id) {
                    live.countries.extend(loss.country);
                }
                id
            }
            None => self.place(it, &loss),
        };
        self.index(id, &key, loss.origin, loss.ties);
        self.change(it, id, &key, transition);
    }

    fn gather(&mut self, it: Instant, loss: &Loss) -> Option<Id> {
        match (&loss.key, loss.transition.to) {
            (Key::Origin(origin), State::Out) => self.gather_origin(it, *origin),
            (Key::Country(_), _) => self.gather_country(it, loss),
            _ => None,
        }
    }

    fn change(&mut self, it: Instant, id: Id, key: &Key, transition: &Transition) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        live.take(key.clone(), transition, it.settings);
        self.dirty.insert(id);
        if let Key::Prefix(prefix) = key
            && is_down(transition.to)
            && !is_down(transition.from)
        {
            self.fell(it, id, *prefix, transition);
        }
    }

    /// A prefix is Partial or Out: who announced it before, and what its paths had in common with others that fell.
    fn fell(&mut self, it: Instant, id: Id, prefix: Prefix, transition: &Transition) {
        let changes: Vec<Change> = self.foreign.of(prefix).cloned().collect();
        for change in &changes {
            self.other_origin(id, prefix, change);
        }
        let Subject::Prefix {
            origin: Some(origin), ..
        } = transition.subject
        else {
            return;
        };
        if transition.beacon {
            return;
        }
        let common = (it.in_common)(prefix);
        let fall = (prefix, origin, id);
        let Some((transit, ids)) = self.behind.fell(it.settings, fall, common, transition.at) else {
            return;
        };
        let mut open: Vec<Id> = Vec::new();
        for id in ids {
            if !open.contains(&id) && self.live.get(&id).is_some_and(|live| !live.resolved) {
                open.push(id);
            }
        }
        // Somebody has been told of these by name: taking that back would be one more message each.
        let (told, silent): (Vec<Id>, Vec<Id>) = open
            .into_iter()
            .partition(|id| self.live.get(id).is_some_and(Live::was_alerted));
        let into = self.merge(it, &silent);
        for id in told.into_iter().chain(into) {
            if let Some(live) = self.live.get_mut(&id) {
                live.transit = Some(transit);
                self.dirty.insert(id);
            }
        }
    }

    /// Open incidents that concern one of these, worst first.
    pub(crate) fn about(&self, ties: &BTreeSet<Tie>) -> Vec<OpenIncident> {
        let open = self
            .live
            .values()
            .filter(|live| !live.is_settled() && live.was_told());
        let about = open.filter(|live| !live.ties.is_disjoint(ties));
        let mut about: Vec<OpenIncident> = about.filter_map(Live::as_told).collect();
        about.sort_by_key(|it| (u8::MAX - it.severity, it.since, it.id));
        about
    }

    /// Services that an open incident is about.
    pub(crate) fn concerned(&self) -> BTreeSet<String> {
        let open = self.live.values().filter(|live| !live.is_settled());
        open.flat_map(|live| live.verdict.services.iter().cloned())
            .collect()
    }

    fn say(&mut self, it: Instant) {
        let (settings, now) = (it.settings, it.now);
        for id in std::mem::take(&mut self.dirty) {
            let Some(live) = self.live.get_mut(&id) else {
                continue;
            };
            if let Some(due) = live.judge(it.world, now) {
                self.due.insert((due, id));
            }
            match live.ask(now, settings) {
                Say::Nothing => {}
                Say::Later(due) => drop(self.due.insert((due, id))),
                Say::Now(state) => {
                    let incident = live.say(state, now, settings, it.world.hints, None);
                    if state == IncidentState::Resolved {
                        self.ended.insert((live.settled_at.unwrap_or(now), id));
                    }
                    self.said.push(incident);
                }
            }
        }
    }
}
