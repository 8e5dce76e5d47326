//! What is said of an incident, and when.

use netfault_model::{Baseline, Cause, Family, Id, Incident, IncidentState, State, Subject, Time};
use serde::{Deserialize, Serialize};

use super::{Key, Live, Part};
use crate::Settings;
use crate::cause::{Hints, OpenIncident};
use crate::incidents::{confidence, layers, summary};
use crate::settings::secs;

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

/// What is to be said of an incident, or when to ask again.
pub enum Say {
    Now(IncidentState),
    Later(Time),
    Nothing,
}

impl Live {
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
