//! What changes when a hole is filled: what was said against what is said again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Id, Incident, IncidentState, Output, Subject, Time, Transition};

/// What has to be told.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Verdicts that the hole had hidden, or put at another time.
    pub added: Vec<Transition>,
    /// Verdicts that were only a view through the hole.
    pub withdrawn: Vec<Transition>,
    /// Incidents in their true last version; those that were no incidents are merged or resolved.
    pub incidents: Vec<Incident>,
}

/// True for what is compared at all.
pub fn matters(output: &Output) -> bool {
    matches!(output, Output::Transition(_) | Output::Incident(_))
}

/// `said`: by the engine that missed something; `again`: by the one that did not. Both from the same moment on.
pub fn compare(said: &[Output], again: &[Output], now: Time) -> Changes {
    let (before, after) = (transitions(said), transitions(again));
    let told: BTreeSet<Id> = before.iter().map(|transition| transition.id()).collect();
    let true_ones: BTreeSet<Id> = after.iter().map(|transition| transition.id()).collect();
    let healed = |transition: &&Transition| Transition {
        healed: true,
        ..(*transition).clone()
    };
    Changes {
        added: after
            .iter()
            .filter(|it| !told.contains(&it.id()))
            .map(healed)
            .collect(),
        withdrawn: before
            .iter()
            .filter(|it| !true_ones.contains(&it.id()))
            .map(healed)
            .collect(),
        incidents: incidents(&newest(said), &newest(again), now),
    }
}

fn transitions(outputs: &[Output]) -> Vec<&Transition> {
    let mut transitions = Vec::new();
    for output in outputs {
        if let Output::Transition(transition) = output {
            transitions.push(transition.as_ref());
        }
    }
    transitions
}

/// Each incident in its newest version.
fn newest(outputs: &[Output]) -> BTreeMap<Id, &Incident> {
    let mut newest = BTreeMap::new();
    for output in outputs {
        if let Output::Incident(incident) = output {
            newest.insert(incident.id, incident.as_ref());
        }
    }
    newest
}

fn incidents(before: &BTreeMap<Id, &Incident>, after: &BTreeMap<Id, &Incident>, now: Time) -> Vec<Incident> {
    let mut changes = Vec::new();
    for (id, incident) in after {
        let told = before.get(id);
        if told.is_some_and(|told| same(told, incident)) {
            continue;
        }
        changes.push(Incident {
            version: told.map_or(incident.version, |told| told.version.max(incident.version) + 1),
            at: now,
            ..(*incident).clone()
        });
    }
    for (id, told) in before {
        let is_over = matches!(told.state, IncidentState::Resolved | IncidentState::Merged);
        if !after.contains_key(id) && !is_over {
            changes.push(no_incident(told, after, now));
        }
    }
    changes
}

/// The same in all that people are told.
fn same(a: &Incident, b: &Incident) -> bool {
    let over = |it: &Incident| matches!(it.state, IncidentState::Resolved | IncidentState::Merged);
    (over(a), &a.subject, a.severity, a.level, a.cleared_at)
        == (over(b), &b.subject, b.severity, b.level, b.cleared_at)
        && a.children == b.children
}

/// An open incident that the second engine does not know: the hole gave it another beginning, or made it up.
fn no_incident(told: &Incident, after: &BTreeMap<Id, &Incident>, now: Time) -> Incident {
    let key = told.subject.key();
    let same_subject = after.values().find(|it| it.subject.key() == key);
    Incident {
        version: told.version + 1,
        at: now,
        state: match same_subject {
            Some(_) => IncidentState::Merged,
            None => IncidentState::Resolved,
        },
        merged_into: same_subject.map(|it| it.id),
        cleared_at: Some(now),
        summary: match same_subject {
            Some(it) => format!("The archive shows that this is part of incident {}.", it.id),
            None => format!(
                "The archive shows that {} was not out: the feed had a hole.",
                name(&told.subject)
            ),
        },
        ..told.clone()
    }
}

fn name(subject: &Subject) -> String {
    match subject {
        Subject::Origin { origin } => origin.to_string(),
        other => other.key().1,
    }
}

#[cfg(test)]
mod tests;
