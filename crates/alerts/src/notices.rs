//! Which incident opens an alert, and what ends it. Pure: no I/O, no clock.
//!
//! | the incident is | what happens |
//! |---|---|
//! | watched, and at least Degrading (a name: Degraded or Out) | opens, once |
//! | open, and its severity, level, cause, subject, flapping changed or its size doubled | updates |
//! | open again within half an hour of its end | opens another alert, `<id>-2`, `<id>-3` … |
//! | resolved | resolves what is open |
//! | merged into another one | resolves what is open, and says where it goes on; the other one alerts by itself |
//! | about beacons only | nothing, unless the configuration says `beacons: report` |
//!
//! An alert is about one incident, so a hundred prefixes of one origin are one alert. Each opening has an id of its own:
//! a receiver that has taken a resolve must not find the same alert open again, nor drop the second opening as a
//! repetition of the first. `incident.id` in the notice is the same in all of them.

use std::collections::BTreeMap;

use netfault_model::{Baseline, Child, Incident, IncidentState, State, Subject, Time};

use crate::notice::{About, Notice, NoticeState};

/// Parts of an incident that travel with its notice: an origin may have thousands, a message may not.
const MAX_CHILDREN: usize = 100;
/// Parts that are named in the text.
const MAX_NAMED: usize = 5;

/// Alerts that were opened and not resolved, by the id of their notice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open(BTreeMap<String, OpenNotice>);

/// What was said last about an open alert, as far as a next version is compared with it.
#[derive(Clone, Debug, PartialEq)]
struct OpenNotice {
    severity: u8,
    opened_severity: u8,
    started_at: Time,
    opened_at: Time,
    digest: Option<Digest>,
}

/// Where two versions of an incident differ in it, people want to know.
#[derive(Clone, Debug, PartialEq)]
struct Digest {
    subject: (&'static str, String),
    cause: &'static str,
    severity: u8,
    level: State,
    flapping: bool,
    /// Doublings of the number of prefixes that are down.
    size: u32,
}

impl Digest {
    fn of(incident: &Incident) -> Self {
        Digest {
            subject: incident.subject.key(),
            cause: incident.cause.name(),
            severity: incident.severity,
            level: incident.level,
            flapping: incident.flapping,
            size: u32::BITS - incident.prefixes_down.leading_zeros(),
        }
    }
}

impl Open {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the alert with this id ([`notice_id`]) is open.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Takes up an alert that an earlier run opened, so that this run resolves it and opens no second one.
    pub(crate) fn adopt(&mut self, notice: &Notice) {
        if notice.is_over() || notice.about == About::Ourselves {
            return;
        }
        let open = OpenNotice {
            severity: notice.severity,
            opened_severity: notice.first_severity(),
            started_at: notice.started_at,
            opened_at: notice.opened_at,
            digest: notice.incident.as_deref().map(Digest::of),
        };
        let Some(group) = &notice.group else {
            self.0.insert(notice.id.clone(), open);
            return;
        };
        // A group knows less of its members; what was said of them last is said again where it still holds.
        for member in group.members.iter().filter(|member| !member.over) {
            let open = OpenNotice {
                severity: member.severity,
                opened_severity: member.severity,
                started_at: member.started_at,
                digest: None,
                ..open
            };
            self.0.entry(member.id.clone()).or_insert(open);
        }
    }
}

/// What a configuration says about alerts as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `beacons: report`: routing beacons alert like everything else that is watched.
    pub beacons: bool,
}

/// The notice that this version of `incident` calls for, if any.
pub fn from_incident(incident: &Incident, policy: Policy, open: &mut Open) -> Option<Notice> {
    let id = notice_id(incident);
    match incident.state {
        IncidentState::Open | IncidentState::Update => match open.0.get(&id) {
            Some(before) => {
                let notice = updated(incident, id, before)?;
                open.adopt(&notice);
                Some(notice)
            }
            None if calls(incident, policy) => {
                let notice = opened(incident, id);
                open.adopt(&notice);
                Some(notice)
            }
            None => None,
        },
        IncidentState::Resolved | IncidentState::Merged => {
            open.0.remove(&id).map(|it| resolved(incident, id, it))
        }
    }
}

/// True if this version would open an alert, were it not open yet, or end it.
pub fn decides(incident: &Incident, policy: Policy) -> bool {
    match incident.state {
        IncidentState::Open | IncidentState::Update => calls(incident, policy),
        IncidentState::Resolved | IncidentState::Merged => true,
    }
}

/// The id of the alert about this opening of `incident`.
pub fn notice_id(incident: &Incident) -> String {
    match incident.reopened {
        0 => incident.id.to_string(),
        times => format!("{}-{}", incident.id, u64::from(times) + 1),
    }
}

/// Bad enough to wake somebody. That a watched prefix is Degrading for good is judged by the engine, before it makes
/// an incident of it. A name is Partial while some of its servers do not answer, and still works; Degraded is worse.
fn calls(incident: &Incident, policy: Policy) -> bool {
    let bad = match incident.level {
        State::Out | State::Degrading | State::Degraded => true,
        State::Partial => !matches!(incident.subject, Subject::Name { .. }),
        State::Unknown | State::Normal | State::Ok | State::Recovering | State::Gone => false,
    };
    bad && incident.watched && (policy.beacons || !incident.beacon)
}

/// Other sentences follow it in a message.
fn sentence(summary: &str) -> String {
    format!("{}.", summary.trim_end_matches('.'))
}

fn opened(incident: &Incident, id: String) -> Notice {
    Notice {
        opened_severity: incident.severity,
        started_at: incident.first_evidence_at,
        text: caveats(incident),
        ..stated(incident, id, NoticeState::Open)
    }
}

/// What all notices about an incident have in common.
fn stated(incident: &Incident, id: String, state: NoticeState) -> Notice {
    Notice {
        state,
        version: incident.version,
        services: incident.services.clone(),
        severity: incident.severity,
        subject: Some(incident.subject.clone()),
        title: sentence(&incident.summary),
        incident: Some(carried(incident)),
        ..Notice::blank(id, incident.at)
    }
}

fn updated(incident: &Incident, id: String, before: &OpenNotice) -> Option<Notice> {
    if before.digest.as_ref() == Some(&Digest::of(incident)) {
        return None;
    }
    Some(Notice {
        opened_severity: before.opened_severity,
        opened_at: before.opened_at,
        started_at: before.started_at,
        text: caveats(incident),
        ..stated(incident, id, NoticeState::Update)
    })
}

fn resolved(incident: &Incident, id: String, open: OpenNotice) -> Notice {
    let text = match (incident.state, incident.merged_into) {
        (IncidentState::Merged, Some(into)) => {
            format!("It is not over: it is part of incident {into} now, which has its own alert.")
        }
        (IncidentState::Merged, None) => "It is not over: it is part of another incident now.".to_owned(),
        _ => String::new(),
    };
    Notice {
        severity: open.severity,
        opened_severity: open.opened_severity,
        text,
        started_at: open.started_at,
        opened_at: open.opened_at,
        ..stated(incident, id, NoticeState::Resolved)
    }
}

fn carried(incident: &Incident) -> Box<Incident> {
    let mut carried = Box::new(incident.clone());
    carried.children.truncate(MAX_CHILDREN);
    carried
}

/// What weakens or qualifies the verdict, and what is part of it.
fn caveats(incident: &Incident) -> String {
    let mut said = Vec::new();
    if incident.reopened > 0 {
        said.push("It had been resolved less than half an hour before.".to_owned());
    }
    if incident.flapping {
        said.push("It is flapping.".to_owned());
    }
    if incident.children.len() > 1 {
        said.push(parts(&incident.children));
    }
    if incident.baseline == Baseline::Inferred {
        said.push("The baseline is inferred from withdrawals.".to_owned());
    }
    if incident.confidence < 0.5 {
        said.push(format!("Only {:.0} % sure.", incident.confidence * 100.0));
    }
    said.push(format!("Why: netfault explain {}", incident.id));
    said.join(" ")
}

/// `Parts: 192.0.2.0/24 out, 198.51.100.0/24 out and 148 more.`: the worst ones first.
fn parts(children: &[Child]) -> String {
    let rank = |child: &&Child| match child.state {
        State::Out | State::Gone => 0,
        State::Partial => 1,
        State::Degrading | State::Degraded => 2,
        _ => 3,
    };
    let mut worst: Vec<&Child> = children.iter().collect();
    worst.sort_by_key(rank); // stable: by subject among equals
    let named: Vec<String> = worst
        .iter()
        .take(MAX_NAMED)
        .map(|child| format!("{} {}", who(&child.subject), child.state.name()))
        .collect();
    match worst.len() - named.len() {
        0 => format!("Parts: {}.", named.join(", ")),
        more => format!("Parts: {} and {more} more.", named.join(", ")),
    }
}

pub(crate) fn who(subject: &Subject) -> String {
    match subject {
        Subject::Origin { origin } => origin.to_string(),
        other => other.key().1,
    }
}

#[cfg(test)]
mod tests;
