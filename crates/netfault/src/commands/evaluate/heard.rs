//! What netfault said, put together for scoring: per prefix its stays in Out and in Unknown, its incidents, and
//! the origin changes it named.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::id::Id;
use netfault_model::{
    Asn, Baseline, Incident, IncidentState, Notable, NotableKind, Output, Prefix, State, Subject, Time,
    Transition,
};

/// One stay of a prefix in Out.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    pub at: Time,
    /// When it was left. `None`: never.
    pub until: Option<Time>,
    /// When it was told to come back; not by acceptance of the loss.
    pub recovering_at: Option<Time>,
    /// The Degrading that led here. `None` for a relapse.
    pub degrading_at: Option<Time>,
    pub baseline: Baseline,
    pub eligible: u32,
    pub origin: Option<Asn>,
}

/// A span of time; `None` has no end.
pub type Span = (Time, Option<Time>);

#[derive(Clone, Debug, Default)]
pub struct PrefixLog {
    pub stays: Vec<Stay>,
    pub unknown: Vec<Span>,
    degrading_at: Option<Time>,
}

/// An origin change as it was named.
#[derive(Clone, Debug)]
pub struct Change {
    pub prefix: Prefix,
    pub at: Time,
    pub origins: BTreeSet<Asn>,
}

/// An incident as it was told last, and the most it ever was.
#[derive(Clone, Debug)]
pub struct Story {
    pub last: Incident,
    pub severity: u8,
    pub shown: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub prefixes: BTreeMap<Prefix, PrefixLog>,
    pub incidents: BTreeMap<Id, Story>,
    pub changes: Vec<Change>,
}

impl Heard {
    pub fn take(&mut self, output: &Output) {
        match output {
            Output::Transition(transition) => self.transition(transition),
            Output::Incident(incident) => self.incident(incident),
            Output::Notable(notable) => self.notable(notable),
            Output::Feed(_) | Output::Gap(_) | Output::Delegation(_) => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Subject::Prefix { prefix, origin } = transition.subject else {
            return;
        };
        let log = self.prefixes.entry(prefix).or_default();
        let at = transition.at;
        if let Some(last) = log.unknown.last_mut().filter(|span| span.1.is_none()) {
            last.1 = Some(at);
        }
        if transition.to == State::Unknown {
            log.unknown.push((at, None));
            // The state is only hidden: a stay in Out goes on behind it.
            return;
        }
        let open = log.stays.last_mut().filter(|stay| stay.until.is_none());
        match (open, transition.to) {
            (None, State::Out) => log.stays.push(Stay {
                at,
                until: None,
                recovering_at: None,
                degrading_at: log.degrading_at.take(),
                baseline: transition.baseline.unwrap_or(Baseline::Inferred),
                eligible: transition.peers_eligible.unwrap_or_default(),
                origin,
            }),
            (Some(stay), to) if to != State::Out => {
                stay.until = Some(at);
                stay.recovering_at = (to == State::Recovering).then_some(at);
            }
            _ => {}
        }
        match transition.to {
            State::Degrading if transition.from == State::Normal => log.degrading_at = Some(at),
            State::Normal => log.degrading_at = None,
            _ => {}
        }
    }

    fn incident(&mut self, incident: &Incident) {
        let story = self.incidents.entry(incident.id).or_insert_with(|| Story {
            last: incident.clone(),
            severity: 0,
            shown: false,
        });
        story.severity = story.severity.max(incident.severity);
        story.shown |= incident.shown;
        story.last = incident.clone();
    }

    fn notable(&mut self, notable: &Notable) {
        let Some(Subject::Prefix { prefix, .. }) = notable.subject else {
            return;
        };
        if notable.what == NotableKind::OriginChange && !notable.over {
            let origins = notable.old_origins.iter().chain(&notable.new_origins);
            self.changes.push(Change {
                prefix,
                at: notable.at,
                origins: origins.copied().collect(),
            });
        }
    }

    /// The incident that this one has become a part of, in the end.
    pub fn root(&self, id: Id) -> Id {
        let mut at = id;
        // A chain of merges is short; a ring would be a bug of the engine, and must not hang the scorer.
        for _ in 0..self.incidents.len() {
            match self.incidents.get(&at).and_then(|story| story.last.merged_into) {
                Some(into) if into != at => at = into,
                _ => break,
            }
        }
        at
    }

    /// How many incidents a person would be shown, by the highest severity each had (index 1 to 5), and how many
    /// there were in all.
    pub fn shown(&self) -> ([u64; 6], u64) {
        let mut by_severity = [0; 6];
        let own = self
            .incidents
            .values()
            .filter(|story| story.last.state != IncidentState::Merged);
        let mut all = 0;
        for story in own {
            all += 1;
            if story.shown {
                by_severity[usize::from(story.severity).min(5)] += 1;
            }
        }
        (by_severity, all)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn prefix() -> Prefix {
        "192.0.2.0/24".parse().unwrap()
    }

    /// A transition of [`prefix`], held, of 38 peer ASes.
    pub fn edge(from: State, to: State, at: i64) -> Output {
        Output::Transition(Box::new(Transition {
            subject: Subject::Prefix {
                prefix: prefix(),
                origin: Some(Asn(64500)),
            },
            from,
            to,
            at: Time::from_secs(at),
            first_evidence_at: Time::from_secs(at - 30),
            visibility: None,
            peers_seen: None,
            peers_lost: None,
            peers_unknown: None,
            peers_eligible: Some(38),
            baseline: Some(Baseline::Held),
            cover: None,
            finding: None,
            servers_ok: None,
            servers_eligible: None,
            resolvers_ok: None,
            resolvers_eligible: None,
            watched: false,
            beacon: false,
            healed: false,
            evidence: None,
            dns: None,
        }))
    }

    pub fn hear(edges: &[(State, State, i64)]) -> Heard {
        let mut heard = Heard::default();
        for &(from, to, at) in edges {
            heard.take(&edge(from, to, at));
        }
        heard
    }

    #[test]
    fn a_relapse_is_a_stay_of_its_own_and_unknown_hides_but_does_not_end_one() {
        use State::{Degrading, Normal, Out, Recovering, Unknown};
        let heard = hear(&[
            (Normal, Degrading, 110),
            (Degrading, Out, 130),
            (Out, Unknown, 140),
            (Unknown, Out, 150),
            (Out, Recovering, 200),
            (Recovering, Out, 260),
        ]);
        let log = &heard.prefixes[&prefix()];
        let times: Vec<_> = log
            .stays
            .iter()
            .map(|stay| {
                (
                    stay.at.secs(),
                    stay.until.map(Time::secs),
                    stay.degrading_at.map(Time::secs),
                )
            })
            .collect();
        assert_eq!(times, [(130, Some(200), Some(110)), (260, None, None)]);
        assert_eq!(log.unknown, [(Time::from_secs(140), Some(Time::from_secs(150)))]);
    }
}
