//! Step by step: what routes and names did, what was said of it, what people and users said.

use std::collections::BTreeMap;

use netfault_model::{Hint, HintKind, Incident, IncidentState, LayerKind, State, Time, Transition};
use netfault_store::query::{Note, NoteKind};

use super::Case;
use super::layers::{is_bad, layer_of};
use super::text::{Table, clean, clock, lasted};
use crate::render::who;

/// Steps of the same kind that follow each other so closely are told as one.
const TOGETHER_US: i64 = 60_000_000;
/// Subjects of such a group that are named.
const NAMED: usize = 3;
/// More nobody reads; the first and the last ones matter.
const MOST: usize = 200;

struct Entry {
    at: Time,
    /// The last step of a group.
    until: Time,
    layer: &'static str,
    text: String,
}

impl Entry {
    fn at(at: Time, layer: &'static str, text: String) -> Entry {
        Entry {
            at,
            until: at,
            layer,
            text,
        }
    }
}

pub fn section(case: &Case) -> String {
    let mut entries = steps(&case.transitions);
    entries.extend(versions(&case.history.versions));
    entries.extend(case.history.notes.iter().map(note));
    entries.extend(hints(&case.hints));
    // Of one moment: routes before what was said about them.
    entries.sort_by_key(|entry| (entry.at, rank(entry.layer)));
    let incident = case.newest();
    let mut table = Table::new(&["time", "after", "layer", "what"]);
    let skip = MOST / 2..entries.len().saturating_sub(MOST / 2).max(MOST / 2);
    for (n, entry) in entries.iter().enumerate() {
        if skip.contains(&n) {
            if n == skip.start {
                let left_out = format!("… {} steps are left out …", skip.len());
                table.row([String::new(), String::new(), String::new(), left_out]);
            }
            continue;
        }
        let first = clock(entry.at, incident.first_evidence_at);
        let last = clock(entry.until, entry.at);
        let time = match clock(entry.at, entry.at) == last {
            true => first,
            false => format!("{first} – {last}"),
        };
        let after = lasted(entry.at.since(incident.first_evidence_at));
        table.row([time, after, entry.layer.to_owned(), entry.text.clone()]);
    }
    let mut out = String::from("\n### Step by step\n\n");
    match table.is_empty() {
        true => out.push_str("Nothing of it is left in the store.\n"),
        false => out.push_str(&table.finish()),
    }
    out
}

fn rank(layer: &str) -> u8 {
    match layer {
        "BGP" => 0,
        "DNS" => 1,
        "users" => 2,
        "incident" => 3,
        _ => 4,
    }
}

/// Those of one layer that came to one state at about the same time are one entry.
fn steps(transitions: &[Transition]) -> Vec<Entry> {
    struct Group<'a> {
        began: Time,
        last: Time,
        steps: Vec<&'a Transition>,
    }
    let mut open: BTreeMap<(&'static str, State), Group> = BTreeMap::new();
    let mut done = Vec::new();
    for step in transitions {
        let layer = match layer_of(&step.subject) {
            Some(LayerKind::Dns) => "DNS",
            _ => "BGP",
        };
        let key = (layer, step.to);
        let fits = |group: &Group| step.at.since(group.last) <= TOGETHER_US;
        if let Some(group) = open.get_mut(&key).filter(|group| fits(group)) {
            group.last = step.at;
            group.steps.push(step);
            continue;
        }
        let group = Group {
            began: step.at,
            last: step.at,
            steps: vec![step],
        };
        if let Some(over) = open.insert(key, group) {
            done.push((key, over));
        }
    }
    done.extend(open);
    done.into_iter()
        .map(|((layer, to), group)| Entry {
            at: group.began,
            until: group.last,
            layer,
            text: sentence(to, &group.steps),
        })
        .collect()
}

/// `` `129.134.30.0/24`, `185.89.218.0/24` and 4 more: degrading (seen by 31 of 43 peer ASes) ``
fn sentence(to: State, steps: &[&Transition]) -> String {
    let mut subjects: Vec<String> = Vec::new();
    for step in steps {
        let name = format!("`{}`", who(&step.subject).0);
        if !subjects.contains(&name) {
            subjects.push(name);
        }
    }
    let more = subjects.len().saturating_sub(NAMED);
    subjects.truncate(NAMED);
    let mut text = subjects.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    let state = match to {
        State::Out => "**out**",
        other => other.name(),
    };
    text.push_str(&format!(": {state}"));
    if let [only] = steps {
        text.push_str(&numbers(only));
    }
    text
}

fn numbers(step: &Transition) -> String {
    let mut facts = Vec::new();
    if let (Some(seen), Some(of)) = (step.peers_seen, step.peers_eligible) {
        facts.push(format!("seen by {seen} of {of} peer ASes"));
    }
    if let (Some(ok), Some(of)) = (step.servers_ok, step.servers_eligible) {
        facts.push(format!("{ok} of {of} name servers answer"));
    }
    if let Some(finding) = step.finding.filter(|it| *it != netfault_model::Finding::None) {
        facts.push(super::super::super::explain::words(&finding));
    }
    match facts.is_empty() {
        true => String::new(),
        false => format!(" ({})", facts.join("; ")),
    }
}

/// The first version, and those that say something else than a number more.
fn versions(versions: &[Incident]) -> Vec<Entry> {
    let news = |now: &Incident, before: Option<&Incident>| {
        before.is_none_or(|before| {
            now.severity != before.severity
                || now.cause != before.cause
                || now.subject != before.subject
                || now.level != before.level
                || matches!(now.state, IncidentState::Resolved | IncidentState::Merged)
                || now.reopened != before.reopened
        })
    };
    let mut before = None;
    let mut entries = Vec::new();
    for version in versions {
        if news(version, before) {
            let word = match (version.state, version.reopened) {
                (IncidentState::Open, 0) => "opened",
                (IncidentState::Open, _) => "opened again",
                (IncidentState::Update, _) => "goes on",
                (IncidentState::Resolved, _) => "resolved",
                (IncidentState::Merged, _) => "merged",
            };
            let text = format!(
                "{word}, severity {}: {}",
                version.severity,
                clean(&version.summary)
            );
            entries.push(Entry::at(version.at, "incident", text));
        }
        before = Some(version);
    }
    entries
}

fn note(note: &Note) -> Entry {
    let does = match note.kind {
        NoteKind::Ack => " took it on",
        NoteKind::Note => "",
    };
    let text = match note.text.is_empty() {
        true => String::new(),
        false => format!(": {}", clean(&note.text)),
    };
    Entry::at(note.at, "people", format!("{}{does}{text}", clean(&note.by)))
}

/// Of each source the turns: when it began to tell of trouble, and when it stopped.
fn hints(hints: &[Hint]) -> Vec<Entry> {
    let mut was_bad: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let mut entries = Vec::new();
    for hint in hints {
        let now = is_bad(hint);
        let key = (hint.service.as_str(), hint.source.as_str());
        let before = was_bad.insert(key, now).unwrap_or(false);
        if now != before {
            let word = if now { "" } else { "well again: " };
            let source = clean(&hint.source);
            let text = format!("{source}: {word}{}", told(&hint.what));
            entries.push(Entry::at(hint.at, "users", text));
        }
    }
    entries
}

fn told(what: &HintKind) -> String {
    let usual = |usual: &Option<f64>| {
        usual.map_or(String::new(), |usual| {
            format!(", {usual:.0} is usual at that time")
        })
    };
    match what {
        HintKind::Http { status, error, .. } => match (status, error) {
            (Some(status), _) => format!("HTTP status {status}"),
            (None, Some(error)) => clean(error),
            (None, None) => "no answer".to_owned(),
        },
        HintKind::Reports {
            count, usual: mean, ..
        } => format!("{count:.0} reports{}", usual(mean)),
        HintKind::Traffic {
            value,
            unit,
            usual: mean,
            ..
        } => format!("{value:.0} {}{}", clean(unit), usual(mean)),
        HintKind::Status {
            indicator,
            description,
        } => format!("{}: {}", clean(indicator), clean(description)),
    }
}
