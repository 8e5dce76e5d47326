//! One incident: its parts, and what has been said of it ([`say`]).

mod say;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, Country, Id, Prefix, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use super::part::{Flap, Key, Part};
use super::severity::severity;
use super::tally::Tally;
use crate::Settings;
use crate::cause::{Case, Others, Transit, Verdict, World, judge};
use crate::graph::Tie;
use crate::settings::secs;
use say::Said;
pub use say::Say;

/// From so many dependents on the rules are not asked at every change.
const MANY_TIES: usize = 256;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Live {
    pub id: Id,
    pub version: u32,
    pub first_evidence: Time,
    pub raised_at: Time,
    /// Starts of the first and the last loss, since it was opened or re-opened: what may join it.
    pub first_loss: Time,
    pub last_loss: Time,
    pub parts: BTreeMap<Key, Part>,
    tally: Tally,
    /// The first part, which the id was made of.
    first: Subject,
    pub origins: BTreeSet<Asn>,
    pub countries: BTreeSet<Country>,
    /// Who depends on what fell, and on what it depends.
    pub ties: BTreeSet<Tie>,
    /// Prefixes that were at V↓ ≤ 0.5 for long enough to predict an outage of DNS.
    pub low: BTreeSet<Prefix>,
    pub transit: Option<Transit>,
    /// Other origins of what fell.
    pub others: Others,
    /// What the rules say of it.
    pub verdict: Verdict,
    judged_at: Option<Time>,
    /// A whole origin was Out.
    pub whole: bool,
    pub beacon: bool,
    watched: bool,
    flapping: bool,
    shown: bool,
    worst: u8,
    pub reopened: u32,
    /// Since when everything in it has been Normal.
    pub settled_at: Option<Time>,
    /// … and that has been said.
    pub resolved: bool,
    /// To be said: it is open again.
    returns: bool,
    /// Parts changed since the last version.
    changed: bool,
    said: Option<Said>,
}

impl Live {
    pub fn new(transition: &Transition, start: Time, beacon: bool, now: Time) -> Self {
        let (kind, what) = transition.subject.key();
        let evidence = transition.first_evidence_at;
        Live {
            id: Id::of(&["incident", kind, &what, &evidence.micros().to_string()]),
            version: 0,
            first_evidence: evidence,
            raised_at: now,
            first_loss: start,
            last_loss: start,
            parts: BTreeMap::new(),
            tally: Tally::default(),
            first: transition.subject.clone(),
            origins: BTreeSet::new(),
            countries: BTreeSet::new(),
            ties: BTreeSet::new(),
            low: BTreeSet::new(),
            transit: None,
            others: Others::default(),
            verdict: Verdict::default(),
            judged_at: None,
            whole: false,
            beacon,
            watched: false,
            flapping: false,
            shown: false,
            worst: 0,
            reopened: 0,
            settled_at: None,
            resolved: false,
            returns: false,
            changed: false,
            said: None,
        }
    }

    /// One of its parts, present or new, goes to its next state.
    pub fn take(&mut self, key: Key, transition: &Transition, settings: &Settings) {
        let flap = Flap {
            entries: settings.flap_entries.max(2) as usize,
            within: secs(settings.flap_within_s),
        };
        let make = match key {
            Key::Change(_) => Part::changed,
            _ => Part::new,
        };
        let part = match self.parts.entry(key) {
            Entry::Vacant(place) => place.insert(make(transition)),
            Entry::Occupied(place) => {
                let part = place.into_mut();
                self.tally.remove(part);
                self.flapping |= part.take(transition, flap);
                part
            }
        };
        self.tally.add(part);
        self.first_evidence = self.first_evidence.min(part.first_evidence);
        self.watched |= part.watched;
        self.whole |= part.state == State::Out && matches!(part.subject, Subject::Origin { .. });
        self.worst = self.worst.max(severity(part.class, part.known));
        self.origins.extend(part.origin());
        self.changed = true;
        self.settled_at = match (self.tally.is_settled(), self.settled_at) {
            (false, _) => None,
            (true, before) => before.or(Some(transition.at)),
        };
    }

    /// A prefix of it has been at this visibility (0.5 or less) for long enough to predict an outage of DNS.
    pub fn sinks(&mut self, prefix: Prefix, falling: f64) {
        self.low.insert(prefix);
        if let Some(part) = self.parts.get_mut(&Key::Prefix(prefix)) {
            part.sink(falling);
        }
        self.changed = true;
    }

    /// A loss that began at `start` has joined it.
    pub fn joined(&mut self, start: Time, settings: &Settings) {
        let too_late = start.since(self.first_loss) > secs(settings.incident_span_s);
        if too_late || self.resolved {
            // It falls again: what falls with it now belongs to it too.
            self.first_loss = start;
            self.last_loss = start;
        }
        self.first_loss = self.first_loss.min(start);
        self.last_loss = self.last_loss.max(start);
        if std::mem::take(&mut self.resolved) {
            self.reopened += 1;
            self.returns = true;
        }
    }

    /// True if a loss that began at `start` and was decided `at` belongs to it by time.
    pub fn fits(&self, start: Time, at: Time, settings: &Settings) -> bool {
        let join = secs(settings.incident_join_s);
        !self.resolved
            && start.since(self.last_loss) <= join
            && self.first_loss.since(at) <= join
            && start.since(self.first_loss) <= secs(settings.incident_span_s)
    }

    /// Its origin is Out, or was lately before `start`: whatever prefix of it falls now falls with it again.
    pub fn falls_again(&self, origin: Asn, start: Time, settings: &Settings) -> bool {
        let part = self.parts.get(&Key::Origin(origin)).filter(|_| self.whole);
        part.is_some_and(|part| {
            let reopen = secs(settings.incident_reopen_s);
            part.cleared_at
                .is_none_or(|cleared| start.since(cleared) <= reopen)
                && (!self.resolved || self.settled_at.is_none_or(|at| start.since(at) <= reopen))
        })
    }

    /// It has been over for so long that nothing opens it again.
    pub fn is_past(&self, now: Time, settings: &Settings) -> bool {
        // A loss is decided some time after it began.
        let reopen = secs(settings.incident_reopen_s) + secs(settings.incident_span_s);
        self.resolved && self.settled_at.is_some_and(|at| now.since(at) > reopen)
    }

    /// Takes over everything of another one.
    pub fn absorb(&mut self, other: Live) {
        self.first_evidence = self.first_evidence.min(other.first_evidence);
        self.first_loss = self.first_loss.min(other.first_loss);
        self.last_loss = self.last_loss.max(other.last_loss);
        for (key, part) in other.parts {
            if let Some(own) = self.parts.get(&key) {
                if !own.is_settled() || part.is_settled() {
                    continue;
                }
                self.tally.remove(own);
            }
            self.tally.add(&part);
            self.parts.insert(key, part);
        }
        self.origins.extend(other.origins);
        self.countries.extend(other.countries);
        self.ties.extend(other.ties);
        self.low.extend(other.low);
        self.transit = self.transit.or(other.transit);
        self.others.absorb(other.others);
        self.whole |= other.whole;
        self.watched |= other.watched;
        self.flapping |= other.flapping;
        self.shown |= other.shown;
        self.worst = self.worst.max(other.worst);
        self.changed = true;
        if !self.tally.is_settled() {
            self.settled_at = None;
        }
    }

    /// Asks the rules again; if many depend on it, not more than once a second. Returns when to ask again, if it was not asked.
    pub fn judge(&mut self, world: World, now: Time) -> Option<Time> {
        let pause = |judged: Time| judged.plus_micros(secs(1));
        if let Some(due) = self
            .judged_at
            .map(pause)
            .filter(|&due| due > now && self.ties.len() > MANY_TIES)
        {
            return Some(due);
        }
        self.judged_at = Some(now);
        let case = Case {
            parts: &self.parts,
            ties: &self.ties,
            low: &self.low,
            transit: self.transit,
            others: &self.others,
            now,
        };
        self.verdict = judge(&case, world);
        self.worst = self.worst.max(self.verdict.floor);
        None
    }

    pub fn is_settled(&self) -> bool {
        self.tally.is_settled()
    }
}
