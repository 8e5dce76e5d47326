//! R5: another origin. Before the loss it is the cause, after it an effect: where nobody announces a prefix any more, somebody
//! else's old announcement shines through.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{
    Asn, Cause, CauseRule, Facts, Notable, NotableKind, Prefix, Route, State, Subject, Time, Transition,
};
use serde::{Deserialize, Serialize};

use super::{Case, Verdict};

/// A change of origin explains losses for so long.
const REMEMBERED: i64 = 24 * 3600 * 1_000_000;

/// Somebody else announces a prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What is announced: the prefix of the loss, or a part of it.
    pub prefix: Prefix,
    pub first_at: Time,
    pub old: Vec<Asn>,
    pub new: BTreeSet<Asn>,
    over: bool,
}

/// Changes of origin of the last day. In the order of prefixes, so that the parts of a prefix follow it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Foreign {
    changes: BTreeMap<Prefix, Change>,
}

impl Foreign {
    /// Takes a statement; `None` if it is about something else.
    pub fn take(&mut self, notable: &Notable, now: Time) -> Option<&Change> {
        let Some(Subject::Prefix { prefix, .. }) = notable.subject else {
            return None;
        };
        if notable.what != NotableKind::OriginChange {
            return None;
        }
        let oldest = now.plus_micros(-REMEMBERED);
        self.changes
            .retain(|_, change| !change.over || change.first_at >= oldest);
        let change = self.changes.entry(prefix).or_insert_with(|| Change {
            prefix,
            first_at: notable.first_evidence_at,
            old: notable.old_origins.clone(),
            new: BTreeSet::new(),
            over: false,
        });
        change.new.extend(&notable.new_origins);
        change.over = notable.over;
        Some(change)
    }

    /// Changes of this prefix and of its parts, in their order.
    pub fn of(&self, prefix: Prefix) -> impl Iterator<Item = &Change> {
        let parts = self.changes.range(prefix..).map(|(_, change)| change);
        parts.take_while(move |change| covers(change.prefix).any(|cover| cover == prefix))
    }
}

/// The prefix and everything that covers it.
pub fn covers(prefix: Prefix) -> impl Iterator<Item = Prefix> {
    std::iter::successors(Some(prefix), |prefix| prefix.parent())
}

/// The loss that an incident is told by: a watched prefix, or a part of it, is announced by somebody else.
pub fn transition(notable: &Notable, now: Time) -> Option<Transition> {
    let Some(Subject::Prefix { prefix, origin }) = notable.subject else {
        return None;
    };
    let (from, to) = match notable.over {
        false => (State::Normal, State::Degraded),
        true => (State::Degraded, State::Normal),
    };
    let origin = notable.old_origins.first().copied().or(origin);
    (notable.what == NotableKind::OriginChange && notable.watched).then(|| Transition {
        first_evidence_at: notable.first_evidence_at,
        baseline: notable.baseline,
        peers_seen: notable.peers,
        watched: true,
        ..Transition::plain(Subject::Prefix { prefix, origin }, from, to, now)
    })
}

/// What an incident holds of other origins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Others {
    /// The earliest that came before the loss of `prefix`, or that is an incident by itself.
    pub hijack: Option<(Prefix, Change)>,
    /// Those that came after.
    pub exposed: BTreeSet<Asn>,
}

impl Others {
    /// `change` concerns the prefix, which began to fall at `lost_at` (`None`: it did not).
    pub fn note(&mut self, prefix: Prefix, lost_at: Option<Time>, change: &Change) {
        let is_effect = lost_at.is_some_and(|lost_at| change.first_at >= lost_at);
        if is_effect {
            self.exposed.extend(&change.new);
            return;
        }
        let earlier = |(_, known): &(Prefix, Change)| known.first_at >= change.first_at;
        if self.hijack.as_ref().is_none_or(earlier) {
            self.hijack = Some((prefix, change.clone()));
        }
    }

    pub fn absorb(&mut self, other: Others) {
        if let Some((prefix, change)) = other.hijack {
            self.note(prefix, None, &change);
        }
        self.exposed.extend(other.exposed);
    }
}

pub(super) fn judge(case: &Case) -> Option<Verdict> {
    let (lost, change) = case.others.hijack.as_ref()?;
    let origin = change.old.first().copied();
    let route = Route {
        prefix: change.prefix,
        origin,
    };
    Some(Verdict {
        rule: Some(CauseRule::R5),
        cause: Some(Cause::Hijacked),
        subject: Some(Subject::Prefix {
            prefix: *lost,
            origin,
        }),
        facts: Some(Box::new(Facts {
            carriers: vec![route],
            other_origins: change.new.iter().copied().collect(),
            ..Facts::default()
        })),
        services: Vec::new(),
        floor: 4,
    })
}

/// Origins that turned up after the loss are written down as what they are.
pub(super) fn expose(case: &Case, verdict: &mut Verdict) {
    if verdict.cause == Some(Cause::Hijacked) || case.others.exposed.is_empty() {
        return;
    }
    let facts = verdict.facts.get_or_insert_default();
    facts.other_origins = case.others.exposed.iter().copied().collect();
    facts.exposed = true;
}
