//! One incident: its parts, and what has been said of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{
    Asn, Baseline, Cause, Country, Family, Id, Incident, IncidentState, Prefix, State, Subject, Time,
    Transition,
};
use serde::{Deserialize, Serialize};

use super::confidence;
use super::layers;
use super::part::{Flap, Key, Part};
use super::severity::severity;
use super::summary;
use super::tally::Tally;
use crate::Settings;
use crate::cause::{Case, Hints, OpenIncident, Others, Transit, Verdict, World, judge};
use crate::graph::Tie;
use crate::settings::secs;

/// From so many dependents on the rules are not asked at every change.
const MANY_TIES: usize = 256;

/// What the last version said, as far as a change of it is worth another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub at: Time,
    subject: Key,
    cause: Cause,
    severity: u8,
    level: State,
    shown: bool,
    flapping: bool,
    prefixes: u32,
    summary: String,
}

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

/// What is to be said of an incident, or when to ask again.
pub enum Say {
    Now(IncidentState),
    Later(Time),
    Nothing,
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
        None
    }

    /// What its last version said.
    pub fn as_told(&self) -> Option<OpenIncident> {
        let said = self.said.as_ref()?;
        Some(OpenIncident {
            id: self.id,
            severity: said.severity,
            since: self.first_evidence,
            summary: said.summary.clone(),
        })
    }

    /// It was told, and is somebody's alert.
    pub fn was_alerted(&self) -> bool {
        self.watched && self.was_told()
    }

    pub fn was_told(&self) -> bool {
        self.said.is_some()
    }

    pub fn is_settled(&self) -> bool {
        self.tally.is_settled()
    }

    fn subject(&self) -> Subject {
        if let Some(subject) = &self.verdict.subject {
            return subject.clone();
        }
        if let Some((Key::Country(country), _)) = self.parts.last_key_value() {
            return Subject::Country { country: *country };
        }
        let one_origin = self.origins.first().copied().filter(|_| self.origins.len() == 1);
        let widened = |origin| self.tally.prefixes > 1 || self.parts.contains_key(&Key::Origin(origin));
        match one_origin.filter(|&origin| widened(origin)) {
            Some(origin) => Subject::Origin { origin },
            None => self.first.clone(),
        }
    }

    fn cause(&self) -> Cause {
        if let Some(cause) = self.verdict.cause {
            return cause;
        }
        match (&self.first, self.parts.last_key_value()) {
            (_, Some((Key::Country(_), _))) => Cause::CountryWithdrawn,
            (Subject::Name { .. }, _) => Cause::NameFailing,
            _ if self.whole => Cause::OriginWithdrawn,
            _ => Cause::PrefixWithdrawn,
        }
    }

    fn is_shown(&self, settings: &Settings) -> bool {
        let many = self.tally.bare >= settings.incident_shown_prefixes;
        (!self.beacon || settings.beacons.mode == crate::notables::beacons::BeaconMode::Report)
            && (self.shown || self.watched || many)
    }

    fn severity(&self) -> u8 {
        if self.tally.is_settled() {
            self.worst
        } else {
            self.tally.severity().max(self.verdict.floor)
        }
    }

    fn to_say(&self, at: Time, settings: &Settings) -> Said {
        Said {
            at,
            subject: Key::of(&self.subject()),
            cause: self.cause(),
            severity: self.severity(),
            level: self.tally.level(),
            shown: self.is_shown(settings),
            flapping: self.flapping,
            prefixes: self.tally.prefixes,
            summary: String::new(),
        }
    }

    /// What there is to say now.
    pub fn ask(&self, now: Time, settings: &Settings) -> Say {
        let Some(said) = self.said.as_ref().filter(|_| !self.returns) else {
            return Say::Now(IncidentState::Open);
        };
        if let Some(settled) = self.settled_at {
            let due = match self.flapping {
                // It will fall again; that it is over is said when it has been quiet.
                true => settled.plus_micros(secs(settings.flap_within_s)),
                false => settled,
            };
            return match due <= now {
                _ if self.resolved => Say::Nothing,
                true => Say::Now(IncidentState::Resolved),
                false => Say::Later(due),
            };
        }
        let news = self.to_say(now, settings);
        let doubled =
            news.prefixes >= said.prefixes.saturating_mul(2).max(1) && news.prefixes > said.prefixes;
        let same = Said {
            at: said.at,
            prefixes: said.prefixes,
            summary: said.summary.clone(),
            ..news
        } == *said;
        let due = said.at.plus_micros(secs(settings.incident_update_s));
        match self.changed {
            _ if !same || doubled => Say::Now(IncidentState::Update),
            true if due <= now => Say::Now(IncidentState::Update),
            true => Say::Later(due),
            false => Say::Nothing,
        }
    }

    /// The next version.
    pub fn say(
        &mut self,
        state: IncidentState,
        now: Time,
        settings: &Settings,
        hints: &Hints,
        into: Option<Id>,
    ) -> Incident {
        self.version += 1;
        self.shown = self.is_shown(settings);
        self.resolved = state == IncidentState::Resolved;
        self.returns = false;
        self.changed = false;
        self.said = Some(self.to_say(now, settings));
        let mut incident = Incident {
            id: self.id,
            version: self.version,
            state,
            subject: self.subject(),
            cause: self.cause(),
            at: now,
            first_evidence_at: self.first_evidence,
            raised_at: self.raised_at,
            cleared_at: self.settled_at.filter(|_| state == IncidentState::Resolved),
            confidence: self.confidence(),
            baseline: self.baseline(),
            children: self.parts.values().map(Part::child).collect(),
            severity: self.severity(),
            level: self.tally.level(),
            prefixes_down: self.tally.down(),
            prefixes: self.tally.prefixes,
            watched: self.watched,
            shown: self.shown,
            beacon: self.beacon,
            flapping: self.flapping,
            reopened: self.reopened,
            merged_into: into,
            summary: String::new(),
            rule: self.verdict.rule,
            services: self.verdict.services.clone(),
            layers: layers::of(&self.parts, &self.verdict.services, hints),
            facts: self.verdict.facts.clone(),
        };
        incident.summary = summary::of(&incident, &self.parts);
        if let Some(said) = &mut self.said {
            said.summary.clone_from(&incident.summary);
        }
        incident
    }

    fn confidence(&self) -> f64 {
        let fallen = || {
            self.parts
                .values()
                .filter(|part| part.fell || self.tally.fell == 0)
        };
        let best = fallen()
            .map(|part| part.term)
            .reduce(|best, term| if term.score() > best.score() { term } else { best });
        let has = |family| fallen().any(|part| part.family() == Some(family));
        let both = has(Family::V4) && has(Family::V6);
        let one_origin = self.origins.len().max(1) as u32;
        confidence::combine(
            best.unwrap_or_default(),
            both,
            self.baseline(),
            self.tally.fell / one_origin,
        )
    }

    /// Of what it is about; of several prefixes, held if one of those is.
    fn baseline(&self) -> Baseline {
        let whole = match self.subject() {
            Subject::Country { country } => self.parts.get(&Key::Country(country)),
            Subject::Origin { origin } if self.whole => self.parts.get(&Key::Origin(origin)),
            _ => None,
        };
        let inferred = match whole {
            Some(whole) => whole.inferred,
            None => self.parts.values().all(|part| part.inferred),
        };
        if inferred {
            Baseline::Inferred
        } else {
            Baseline::Held
        }
    }
}
