//! One incident: its word, its versions, its parts, and what they went through.

use std::fmt::Write as _;

use netfault_model::{Baseline, Id, Incident, State, Subject, Time};
use netfault_store::query::{Note, NoteKind};
use serde::Serialize;
use serde_json::json;

use super::History;
use crate::render::{Column, Format, RowWriter, Style, moment, moment_beside, who};

/// Rows of one table that a person reads; JSON and CSV have all.
const MOST: usize = 100;

/// Of CSV.
pub const COLUMNS: [&str; 6] = ["at", "subject", "from", "to", "visibility", "id"];

/// One step of one part; `id` is that of its transition.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    pub at: Time,
    pub subject: Subject,
    pub from: State,
    pub to: State,
    pub visibility: Option<f64>,
    pub id: Id,
}

/// The steps with their subjects as plain text, for CSV.
pub fn plain_rows(history: &History) -> Vec<serde_json::Value> {
    let row = |step: StepRow| {
        json!({"at": step.at, "subject": who(&step.subject).0, "from": step.from, "to": step.to,
            "visibility": step.visibility, "id": step.id})
    };
    rows(history).into_iter().map(row).collect()
}

pub fn rows(history: &History) -> Vec<StepRow> {
    let row = |step: &netfault_store::query::Step| StepRow {
        at: step.at,
        subject: step.subject.clone(),
        from: step.from,
        to: step.to,
        visibility: step.visibility,
        id: step.id,
    };
    history.steps.iter().map(row).collect()
}

pub fn page(history: &History, style: Style) -> String {
    let newest = history.newest();
    let mut page = format!("{}\n\n", style.state(newest.level, &newest.summary));
    let mut fact = |name: &str, text: String| {
        let _ = writeln!(page, "  {name:<12} {text}"); // a String takes everything
    };
    fact(
        "incident",
        format!(
            "{}, version {}: {}",
            newest.id,
            newest.version,
            newest.state.name()
        ),
    );
    facts(newest, &mut fact);
    if !history.notes.is_empty() {
        page.push_str("\nWhat people said\n");
        for note in &history.notes {
            page.push_str(&said(note, newest.first_evidence_at));
        }
    }
    section(&mut page, "Versions", &versions(history), history.versions.len());
    section(&mut page, "Parts", &parts(newest), newest.children.len());
    if !history.steps.is_empty() {
        section(
            &mut page,
            "What happened",
            &steps(history, newest),
            history.steps.len(),
        );
        page.push_str("\nEach step has its reasons: netfault explain TRANSITION\n");
    }
    page
}

/// `  16:00:00  alice acknowledged it: on it`, further lines of the text below.
fn said(note: &Note, beside: Time) -> String {
    let (at, by) = (moment_beside(note.at, beside), &note.by);
    let does = match (note.kind, note.text.is_empty()) {
        (NoteKind::Ack, true) => " acknowledged it",
        (NoteKind::Ack, false) => " acknowledged it: ",
        (NoteKind::Note, _) => ": ",
    };
    let text = note.text.lines().collect::<Vec<_>>().join("\n            ");
    format!("  {at}  {by}{does}{text}\n")
}

fn facts(incident: &Incident, fact: &mut impl FnMut(&str, String)) {
    cause(incident, fact);
    fact("severity", incident.severity.to_string());
    let baseline = match incident.baseline {
        Baseline::Held => "held",
        Baseline::Inferred => "inferred",
    };
    fact(
        "confidence",
        format!("{:.0} %, baseline {baseline}", incident.confidence * 100.0),
    );
    fact(
        "prefixes",
        format!(
            "{} down now, {} in all",
            incident.prefixes_down, incident.prefixes
        ),
    );
    fact("first loss", moment(incident.first_evidence_at));
    fact(
        "raised",
        moment_beside(incident.raised_at, incident.first_evidence_at),
    );
    if let Some(cleared) = incident.cleared_at {
        fact("cleared", moment_beside(cleared, incident.first_evidence_at));
    }
    if let Some(into) = incident.merged_into {
        fact("merged into", into.to_string());
    }
    let again = format!("opened again {} times", incident.reopened);
    let marks = [
        (incident.watched, "watched"),
        (!incident.shown, "not shown: small, and nobody watches it"),
        (incident.beacon, "beacon"),
        (incident.flapping, "flapping"),
        (incident.reopened > 0, again.as_str()),
    ];
    let marks: Vec<&str> = marks
        .iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, word)| *word)
        .collect();
    if !marks.is_empty() {
        fact("marks", marks.join(", "));
    }
}

/// What is held to be the cause, and how far each layer is.
fn cause(incident: &Incident, fact: &mut impl FnMut(&str, String)) {
    let rule = incident.rule.map_or(String::new(), |rule| {
        format!(" (rule {})", format!("{rule:?}").to_uppercase())
    });
    fact(
        "cause",
        format!("{}{rule}", incident.cause.name().replace('_', " ")),
    );
    if !incident.services.is_empty() {
        fact("services", incident.services.join(", "));
    }
    for layer in &incident.layers {
        let since = moment_beside(layer.since, incident.first_evidence_at);
        let until = layer.recovered_at.map_or(", not well yet".to_owned(), |at| {
            format!(" to {}", moment_beside(at, layer.since))
        });
        fact(layer.layer.name(), format!("{since}{until}"));
    }
}

/// Rows under a title, indented; how many are left out is said.
fn section(
    page: &mut String,
    title: &str,
    (columns, rows): &(Vec<Column>, Vec<serde_json::Value>),
    all: usize,
) {
    let mut table = Vec::new();
    let mut writer = RowWriter::new(&mut table, Format::Table, columns.clone());
    // Writing into memory does not fail.
    let _ = rows.iter().try_for_each(|row| writer.row(row));
    let _ = writer.finish();
    let _ = writeln!(page, "\n{title}");
    for line in String::from_utf8_lossy(&table).lines() {
        let _ = writeln!(page, "  {line}");
    }
    if all > rows.len() {
        let _ = writeln!(page, "  … and {} more (--format json has all)", all - rows.len());
    }
}

/// Every version, for `--versions`.
pub fn version_rows(history: &History, format: Format) -> (Vec<Column>, Vec<serde_json::Value>) {
    let keys = [
        ("version", "version"),
        ("at", "at"),
        ("state", "state"),
        ("level", "level"),
        ("severity", "severity"),
        ("confidence", "sure"),
        ("prefixes_down", "down"),
        ("prefixes", "of"),
        ("summary", "what was said"),
    ];
    let is_csv = format == Format::Csv;
    let column = |(key, title)| Column::left(key, if is_csv { key } else { title });
    let row = |it: &Incident| {
        let (at, confidence) = match is_csv {
            true => (it.at.to_string(), it.confidence.to_string()),
            false => (moment(it.at), format!("{:.0} %", it.confidence * 100.0)),
        };
        json!({"version": it.version, "at": at, "state": it.state.name(), "level": it.level.name(),
            "severity": it.severity, "confidence": confidence, "prefixes_down": it.prefixes_down,
            "prefixes": it.prefixes, "summary": it.summary})
    };
    (
        keys.map(column).to_vec(),
        history.versions.iter().map(row).collect(),
    )
}

fn versions(history: &History) -> (Vec<Column>, Vec<serde_json::Value>) {
    let columns = vec![
        Column::right("version", "version"),
        Column::left("at", "at"),
        Column::left("state", "state"),
        Column::right("severity", "severity"),
        Column::left("summary", "what was said"),
    ];
    let row = |it: &Incident| {
        json!({"version": it.version, "at": moment(it.at), "state": it.state.name(), "severity": it.severity,
            "summary": it.summary})
    };
    // The first ones and the newest are what matters.
    let skip = history.versions.len().saturating_sub(MOST);
    (columns, history.versions.iter().skip(skip).map(row).collect())
}

fn parts(newest: &Incident) -> (Vec<Column>, Vec<serde_json::Value>) {
    let columns = vec![
        Column::left("subject", "subject"),
        Column::left("origin", "origin"),
        Column::left("state", "now"),
        Column::left("worst", "worst"),
        Column::left("first", "first loss"),
        Column::left("cleared", "normal again"),
    ];
    let row = |child: &netfault_model::Child| {
        let (subject, origin) = who(&child.subject);
        let cleared = child
            .cleared_at
            .map(|at| moment_beside(at, newest.first_evidence_at));
        json!({"subject": subject, "origin": origin, "state": child.state.name(), "worst": child.worst.name(),
            "first": moment_beside(child.first_evidence_at, newest.first_evidence_at), "cleared": cleared})
    };
    (columns, newest.children.iter().take(MOST).map(row).collect())
}

fn steps(history: &History, newest: &Incident) -> (Vec<Column>, Vec<serde_json::Value>) {
    let columns = vec![
        Column::left("at", "at"),
        Column::left("subject", "subject"),
        Column::left("change", "change"),
        Column::right("visibility", "visible"),
        Column::left("id", "transition"),
    ];
    let row = |step: StepRow| {
        let visibility = step.visibility.map(|share| format!("{:.0} %", share * 100.0));
        json!({"at": moment_beside(step.at, newest.first_evidence_at), "subject": who(&step.subject).0,
            "change": format!("{} → {}", step.from.name(), step.to.name()), "visibility": visibility, "id": step.id})
    };
    (columns, rows(history).into_iter().take(MOST).map(row).collect())
}
