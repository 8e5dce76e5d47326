//! One subject as a part of an incident.

use netfault_model::{
    Asn, Baseline, Child, Country, Cover, Family, Finding, Prefix, Share, State, Subject, Time, Transition,
};
use serde::{Deserialize, Serialize};

use super::confidence::{self, Term};
use super::severity::{Class, is_down, is_settled, rank};

/// From this many /24s on an origin is a big one.
const BIG: f64 = 256.0;

/// What a part is about, whatever its origin is called today. In the order of subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    Prefix(Prefix),
    Name(String),
    Origin(Asn),
    Country(Country),
    /// Somebody else announces the prefix, or a part of it.
    Change(Prefix),
    /// What an incident may be about, and never a part.
    Service(String),
}

impl Key {
    pub fn of(subject: &Subject) -> Key {
        match subject {
            Subject::Prefix { prefix, .. } => Key::Prefix(*prefix),
            Subject::Name { name } => Key::Name(name.clone()),
            Subject::Origin { origin } => Key::Origin(*origin),
            Subject::Country { country } => Key::Country(*country),
            Subject::Service { service } => Key::Service(service.clone()),
        }
    }

    /// What is decided first where several things are decided at one moment: parts before the whole.
    pub fn level(&self) -> u8 {
        match self {
            Key::Prefix(_) | Key::Change(_) => 0,
            Key::Name(_) => 1,
            Key::Origin(_) => 2,
            Key::Country(_) => 3,
            Key::Service(_) => 4,
        }
    }
}

/// So many entries into Partial or Out within so many microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Flap {
    pub entries: usize,
    pub within: i64,
}

impl Default for Flap {
    fn default() -> Self {
        Flap {
            entries: usize::MAX,
            within: i64::MAX,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub subject: Subject,
    pub state: State,
    /// `state`, or what it was before it became Unknown: what is not known is frozen.
    pub known: State,
    pub worst: State,
    pub first_evidence: Time,
    pub cleared_at: Option<Time>,
    pub class: Class,
    pub watched: bool,
    pub inferred: bool,
    /// Was Partial or Out.
    pub fell: bool,
    /// When it fell, a route of the same origin covered it.
    pub covered: bool,
    pub term: Term,
    /// Of a prefix: V↓ when it was measured.
    pub visibility: f64,
    /// Peer ASes, or servers: lost, and eligible.
    pub lost: (u32, u32),
    pub finding: Option<Finding>,
    pub share: Option<Share>,
    /// Its last entries into Partial or Out, fewer than make it flap.
    entries: Vec<Time>,
}

impl Part {
    /// Of a prefix that somebody else announces.
    pub fn changed(transition: &Transition) -> Self {
        let mut part = Part::new(transition);
        part.class = Class::Change;
        part.fell = false;
        part
    }

    pub fn new(transition: &Transition) -> Self {
        let mut part = Part {
            subject: transition.subject.clone(),
            state: State::Normal,
            known: State::Normal,
            worst: State::Normal,
            first_evidence: transition.first_evidence_at,
            cleared_at: None,
            class: Class::Prefix,
            watched: false,
            inferred: false,
            fell: false,
            covered: false,
            term: Term::default(),
            visibility: 1.0,
            lost: (0, 0),
            finding: None,
            share: None,
            entries: Vec::new(),
        };
        part.take(transition, Flap::default());
        part
    }

    /// Goes to its next state. True if by that it flaps.
    pub fn take(&mut self, transition: &Transition, flap: Flap) -> bool {
        let before = self.known;
        self.state = transition.to;
        self.watched |= transition.watched;
        if transition.to == State::Unknown {
            return false;
        }
        self.known = transition.to;
        let fresh = is_settled(before);
        if is_settled(transition.to) {
            self.cleared_at = Some(transition.at);
            return false;
        }
        self.cleared_at = None;
        if fresh || rank(transition.to) > rank(before) {
            self.measure(transition, fresh);
        }
        if rank(transition.to) > rank(self.worst) {
            self.worst = transition.to;
        }
        is_down(transition.to) && !is_down(before) && self.enters(transition.at, flap)
    }

    fn measure(&mut self, transition: &Transition, fresh: bool) {
        let term = match transition.subject {
            Subject::Prefix { .. } => confidence::of_prefix(transition),
            Subject::Name { .. } => confidence::of_name(transition),
            _ => Term::default(),
        };
        if fresh || term.score() > self.term.score() {
            self.term = term;
        }
        self.subject = transition.subject.clone();
        self.inferred = transition.baseline == Some(Baseline::Inferred);
        self.fell |= is_down(transition.to);
        self.covered = transition.cover == Some(Cover::SameOrigin);
        self.finding = transition.finding;
        self.visibility = transition.visibility.unwrap_or(1.0);
        self.lost = match (transition.servers_eligible, transition.servers_ok) {
            (Some(all), Some(ok)) => (all.saturating_sub(ok), all),
            _ => (
                transition.peers_lost.unwrap_or(0),
                transition.peers_eligible.unwrap_or(0),
            ),
        };
        self.share = transition
            .evidence
            .as_ref()
            .and_then(|it| it.share)
            .or(self.share);
        if self.class == Class::Change {
            return;
        }
        self.class = match &self.subject {
            Subject::Prefix { .. } => Class::Prefix,
            Subject::Name { .. } => Class::Name,
            Subject::Country { .. } | Subject::Service { .. } => Class::Country,
            Subject::Origin { .. } if self.is_big() => Class::BigOrigin,
            Subject::Origin { .. } => Class::Origin,
        };
    }

    /// Its visibility is this low now, though it has not gone to another state since it was measured.
    pub fn sink(&mut self, falling: f64) {
        if falling < self.visibility && self.visibility > 0.0 {
            let fallen = 1.0 - self.visibility;
            if fallen > 0.0 {
                self.term.c *= (1.0 - falling) / fallen;
            }
            self.visibility = falling;
            let (lost, all) = self.lost;
            self.lost = (lost.max((f64::from(all) * (1.0 - falling)).round() as u32), all);
        }
    }

    fn is_big(&self) -> bool {
        self.share
            .is_some_and(|share| share.family == Family::V4 && share.space >= BIG)
    }

    fn enters(&mut self, at: Time, flap: Flap) -> bool {
        self.entries.retain(|&entry| at.since(entry) <= flap.within);
        self.entries.push(at);
        let flaps = self.entries.len() >= flap.entries;
        let spare = (self.entries.len().saturating_add(1)).saturating_sub(flap.entries);
        self.entries.drain(..spare.min(self.entries.len()));
        flaps
    }

    pub fn is_settled(&self) -> bool {
        is_settled(self.known)
    }

    pub fn is_prefix(&self) -> bool {
        self.class == Class::Prefix
    }

    /// Origin before the loss.
    pub fn origin(&self) -> Option<Asn> {
        match self.subject {
            Subject::Prefix { origin, .. } => origin,
            Subject::Origin { origin } => Some(origin),
            _ => None,
        }
    }

    pub fn family(&self) -> Option<Family> {
        match self.subject {
            Subject::Prefix { prefix, .. } => Some(prefix.family()),
            _ => None,
        }
    }

    pub fn child(&self) -> Child {
        Child {
            subject: self.subject.clone(),
            state: self.state,
            worst: self.worst,
            first_evidence_at: self.first_evidence,
            cleared_at: self.cleared_at,
        }
    }
}
