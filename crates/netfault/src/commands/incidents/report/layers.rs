//! One line for each layer: when it began, when it was at its worst, when it was well again.

use std::collections::BTreeSet;

use netfault_model::{
    Child, Hint, HintKind, HttpPhase, Incident, LayerKind, State, Subject, Time, Transition,
};

use super::Case;
use super::text::{Table, clock, count, lasted};

/// One layer of one incident.
pub struct LayerLine {
    pub first: Time,
    pub degrading: Option<Time>,
    pub partial: Option<Time>,
    pub out: Option<Time>,
    pub recovering: Option<Time>,
    pub recovered: Option<Time>,
}

/// Routes are BGP, names are DNS; a service is neither.
pub fn layer_of(subject: &Subject) -> Option<LayerKind> {
    match subject {
        Subject::Prefix { .. } | Subject::Origin { .. } | Subject::Country { .. } => Some(LayerKind::Bgp),
        Subject::Name { .. } => Some(LayerKind::Dns),
        Subject::Service { .. } => None,
    }
}

pub fn table(case: &Case) -> String {
    let incident = case.newest();
    let mut table = Table::new(&[
        "layer",
        "first evidence",
        "degrading",
        "partial",
        "out",
        "recovering",
        "well again",
        "for",
    ]);
    let mut absent = Vec::new();
    for (kind, title) in [(LayerKind::Bgp, "BGP"), (LayerKind::Dns, "DNS")] {
        match line(case, kind) {
            Some(line) => table.row(cells(
                &format!("{title}: {}", what(incident, kind)),
                &line,
                incident,
            )),
            None => absent.push(title),
        }
    }
    match application(case) {
        Some(line) => table.row(cells("HTTP and users (a hint)", &line, incident)),
        None => absent.push("HTTP"),
    }
    let mut out = table.finish();
    if !absent.is_empty() {
        out.push_str(&format!("\nNot part of it: {}.\n", absent.join(", ")));
    }
    out
}

fn what(incident: &Incident, kind: LayerKind) -> String {
    let of = |wanted: fn(&Subject) -> bool| {
        incident
            .children
            .iter()
            .filter(|child| wanted(&child.subject))
            .count()
    };
    match kind {
        LayerKind::Dns => count(of(|it| matches!(it, Subject::Name { .. })), "name", "names"),
        _ => count(
            of(|it| matches!(it, Subject::Prefix { .. })).max(incident.prefixes as usize),
            "prefix",
            "prefixes",
        ),
    }
}

fn cells(title: &str, line: &LayerLine, incident: &Incident) -> [String; 8] {
    let first = incident.first_evidence_at;
    let at = |time: Option<Time>| time.map_or("–".to_owned(), |time| clock(time, first));
    let (recovered, time) = match line.recovered {
        Some(end) => (clock(end, first), lasted(end.since(line.first))),
        None => ("not yet".to_owned(), String::new()),
    };
    [
        title.to_owned(),
        clock(line.first, first),
        at(line.degrading),
        at(line.partial),
        at(line.out),
        at(line.recovering),
        recovered,
        time,
    ]
}

/// `None`: nothing of this layer is part of it.
pub fn line(case: &Case, kind: LayerKind) -> Option<LayerLine> {
    let incident = case.newest();
    let told = incident.layers.iter().find(|layer| layer.layer == kind);
    let children: Vec<&Child> = incident
        .children
        .iter()
        .filter(|child| layer_of(&child.subject) == Some(kind))
        .collect();
    let first = told
        .map(|layer| layer.since)
        .or(children.iter().map(|child| child.first_evidence_at).min())?;
    let all_clear = children.iter().all(|child| child.cleared_at.is_some());
    let cleared = children.iter().filter_map(|child| child.cleared_at).max();
    let steps = || {
        case.transitions
            .iter()
            .filter(|step| layer_of(&step.subject) == Some(kind))
    };
    let first_to = |state: State| steps().find(|step| step.to == state).map(|step| step.at);
    let recovered = match told {
        Some(layer) => layer.recovered_at,
        None => cleared.filter(|_| all_clear),
    };
    Some(LayerLine {
        first,
        degrading: first_to(State::Degrading).or(first_to(State::Degraded)),
        partial: first_to(State::Partial),
        out: first_to(State::Out),
        recovering: last_recovery(steps()),
        recovered,
    })
}

/// The beginning of the recovery that held: of several the last one of those that were the first of their subject after
/// its last fall.
fn last_recovery<'a>(steps: impl Iterator<Item = &'a Transition>) -> Option<Time> {
    let mut recoveries: std::collections::BTreeMap<(&'static str, String), Option<Time>> = Default::default();
    for step in steps {
        let slot = recoveries.entry(step.subject.key()).or_default();
        match step.to {
            State::Recovering => *slot = slot.or(Some(step.at)),
            State::Out | State::Partial | State::Degrading | State::Degraded => *slot = None,
            _ => {}
        }
    }
    recoveries.into_values().flatten().min()
}

/// What users and HTTP probes told.
fn application(case: &Case) -> Option<LayerLine> {
    let told = case
        .newest()
        .layers
        .iter()
        .find(|layer| layer.layer == LayerKind::Application);
    let bad: Vec<&Hint> = case.hints.iter().filter(|hint| is_bad(hint)).collect();
    let first = told
        .map(|layer| layer.since)
        .or(bad.first().map(|hint| hint.at))?;
    let last = bad.last().map(|hint| hint.at);
    // Well again: the first good word of every source that had a bad one, after its last bad one.
    let sources: BTreeSet<&str> = bad.iter().map(|hint| hint.source.as_str()).collect();
    let well: Vec<Option<Time>> = sources
        .iter()
        .map(|source| {
            let of_source = case.hints.iter().filter(|hint| hint.source == **source);
            of_source
                .filter(|hint| !is_bad(hint) && Some(hint.at) > last_bad(&bad, source))
                .map(|hint| hint.at)
                .min()
        })
        .collect();
    let seen_well = match well.iter().all(Option::is_some) && !well.is_empty() {
        true => well.into_iter().flatten().max(),
        false => None,
    };
    Some(LayerLine {
        first,
        degrading: None,
        partial: None,
        out: None,
        recovering: None,
        recovered: told
            .and_then(|layer| layer.recovered_at)
            .or(seen_well.filter(|at| Some(*at) > last)),
    })
}

fn last_bad(bad: &[&Hint], source: &str) -> Option<Time> {
    bad.iter()
        .filter(|hint| hint.source == source)
        .map(|hint| hint.at)
        .max()
}

/// Reports above twice the usual are trouble; it is a reader's rule of thumb, no verdict.
pub fn is_bad(hint: &Hint) -> bool {
    match &hint.what {
        HintKind::Http { reached, status, .. } => {
            *reached != HttpPhase::Done || status.is_none_or(|status| status >= 500)
        }
        HintKind::Reports { count, usual, .. } => usual.is_some_and(|usual| *count > 2.0 * usual.max(1.0)),
        HintKind::Traffic { value, usual, .. } => usual.is_some_and(|usual| *value < 0.5 * usual),
        HintKind::Status { indicator, .. } => indicator != "none",
    }
}
