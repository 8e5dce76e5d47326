//! An incident in one sentence.

use std::collections::BTreeMap;

use netfault_model::{Family, Incident, IncidentState, Share, State, Subject};

use super::part::{Key, Part};
use super::severity::is_down;
use crate::cause::sentence::{self, span};
use crate::cause::who::Who;

pub fn of(incident: &Incident, parts: &BTreeMap<Key, Part>) -> String {
    let what = subject(&incident.subject);
    match incident.state {
        IncidentState::Merged => match incident.merged_into {
            Some(id) => format!("{what}: part of incident {id}"),
            None => what,
        },
        IncidentState::Resolved => {
            let end = incident.cleared_at.unwrap_or(incident.at);
            let lasted = span(end.since(incident.first_evidence_at).max(0) / 1_000_000);
            let lost = match incident.prefixes {
                0 | 1 => String::new(),
                many => format!("; {many} prefixes were lost"),
            };
            if let Some(text) = sentence::over(incident, &lasted) {
                return text;
            }
            let accepted = parts.values().any(|part| part.state == State::Gone);
            let over = if accepted { "taken as gone" } else { "back" };
            let who = Who::subject(incident, &what);
            format!("{who} {} {over} after {lasted}{lost}", who.is())
        }
        IncidentState::Open | IncidentState::Update => {
            let flapping = if incident.flapping { ", and it flaps" } else { "" };
            let text = sentence::of(incident, decider(incident, parts))
                .unwrap_or_else(|| present(incident, parts, &what));
            format!("{text}{flapping}")
        }
    }
}

/// The name that decided.
fn decider<'a>(incident: &Incident, parts: &'a BTreeMap<Key, Part>) -> Option<&'a Part> {
    let name = incident.facts.as_ref()?.name.clone()?;
    parts.get(&Key::Name(name))
}

fn present(incident: &Incident, parts: &BTreeMap<Key, Part>, what: &str) -> String {
    let part = parts.get(&Key::of(&incident.subject));
    // What it was a share of when it went Out; while it is Degrading that changes with each prefix.
    let share = part
        .filter(|part| part.known == State::Out)
        .and_then(|part| part.share);
    match (&incident.subject, part) {
        (Subject::Prefix { .. }, Some(part)) if is_down(part.state) => {
            let (lost, all) = part.lost;
            format!(
                "{what} is {}: {lost} of {all} peer ASes lost it",
                state(part.state)
            )
        }
        (Subject::Name { .. }, Some(part)) if is_down(part.state) && part.lost.1 > 0 => {
            let (lost, all) = part.lost;
            let who = Who::subject(incident, what);
            format!(
                "{who} {} {}: {lost} of {all} servers do not answer",
                who.is(),
                state(part.state)
            )
        }
        (Subject::Origin { .. } | Subject::Country { .. }, part) => {
            let is = part
                .filter(|part| !part.is_settled())
                .map(|part| state(part.state));
            let is = is.map_or(some_of_it(incident).to_owned(), |state| format!("is {state}"));
            let gone = share
                .map(|share| format!(": it lost {}", gone(share)))
                .unwrap_or_default();
            format!("{what} {is}{gone}; {}", counts(incident, parts))
        }
        (_, Some(part)) => format!("{what} is {}", state(part.state)),
        (_, None) => format!("{what}: {}", counts(incident, parts)),
    }
}

/// What becomes of an origin or a country that is in no trouble as a whole.
fn some_of_it(incident: &Incident) -> &'static str {
    match incident.level {
        State::Degrading => "is losing some of its prefixes",
        State::Recovering => "gets its prefixes back",
        _ => "lost some of its prefixes",
    }
}

/// Those that are down; while none is, those in the worst state that there is.
fn counts(incident: &Incident, parts: &BTreeMap<Key, Part>) -> String {
    let at_level = |part: &&Part| part.is_prefix() && part.known == incident.level;
    let (some, are) = match incident.prefixes_down {
        0 => (
            parts.values().filter(at_level).count() as u32,
            state(incident.level),
        ),
        down => (down, "down"),
    };
    match incident.prefixes {
        1 => format!("{some} of 1 prefix in this incident is {are}"),
        all => format!("{some} of {all} prefixes in this incident are {are}"),
    }
}

fn gone(share: Share) -> String {
    let unit = match share.family {
        Family::V4 => "/24s",
        Family::V6 => "/48s",
    };
    let origins = match (share.origins_down, share.origins) {
        (Some(down), Some(all)) => format!(" ({down} of {all} origins)"),
        _ => String::new(),
    };
    format!(
        "{} of {} known prefixes, {:.0} of {:.0} {unit}{origins}",
        share.prefixes_down, share.prefixes, share.space_down, share.space
    )
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Prefix {
            prefix,
            origin: Some(origin),
        } => format!("{prefix} ({origin})"),
        Subject::Prefix { prefix, origin: None } => prefix.to_string(),
        Subject::Name { name } => name.clone(),
        Subject::Origin { origin } => origin.to_string(),
        Subject::Country { country } => format!("country {country}"),
        Subject::Service { service } => service.clone(),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::Normal | State::Ok => "back",
        State::Degrading => "degrading",
        State::Degraded => "degraded",
        State::Partial => "partly out",
        State::Out => "out",
        State::Recovering => "recovering",
        State::Gone => "gone",
    }
}
