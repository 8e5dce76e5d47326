//! `netfault incidents`: what belongs together, told once. `query incidents` is its list.
//!
//! * here: the list; [`people`] notes and acknowledgements; [`export`] the post-mortem, as [`report`] writes it

mod export;
mod people;
mod report;

use std::process::ExitCode;

use netfault_model::{Incident, Output};
use netfault_store::query::{IncidentFilter, Note, incidents as ask_incidents};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{explain, query};
use crate::cli::{IncidentsCommand, ListArgs};
use crate::exit::{Failure, Result};
use crate::render::{Column, Format, event_line, moment, moment_beside, who};
use people::Said;

pub async fn incidents(command: IncidentsCommand, format: Format) -> Result<ExitCode> {
    match command {
        IncidentsCommand::List(args) => list(args, format).await,
        IncidentsCommand::Show(args) => explain::show_incident(args, format).await,
        IncidentsCommand::Note(args) => people::note(args, format).await,
        IncidentsCommand::Ack(args) => people::ack(args, format).await,
        IncidentsCommand::Export(args) => export::export(args, format).await,
    }
}

pub async fn list(args: ListArgs, format: Format) -> Result<ExitCode> {
    let filter = IncidentFilter {
        since: args.span.since,
        until: args.span.until,
        open: args.open,
        all: args.all,
        limit: args.span.limit,
    };
    let (found, notes) = query::ask(&args.config, async |client| {
        let found = ask_incidents(&client, &filter).await?;
        let notes = people::notes(&client, &found).await?;
        Ok((found, notes))
    })
    .await?;
    let nothing = match (args.open, args.all) {
        (true, _) => "no incident is open in that span",
        (false, true) => "there was no incident in that span",
        (false, false) => "there was no incident in that span that is worth showing (--all shows every one)",
    };
    match format {
        Format::Json | Format::Ndjson => {
            let events: Vec<Box<RawValue>> = found
                .into_iter()
                .map(|it| event(it, &notes))
                .collect::<Result<_>>()?;
            query::print(format, &events, Vec::new(), nothing)
        }
        Format::Table | Format::Csv => {
            let rows: Vec<Row> = found.iter().map(|it| Row::of(it, &notes)).collect();
            query::print(format, &rows, columns(format), nothing)
        }
    }
}

/// As in the ndjson of the service; behind it, if people said something, what.
fn event(incident: Incident, notes: &[Note]) -> Result<Box<RawValue>> {
    let bug = |error| Failure::bug(format_args!("an incident is not JSON: {error}"));
    let said: Vec<&Note> = notes.iter().filter(|note| note.incident == incident.id).collect();
    let mut line = event_line(&Output::Incident(Box::new(incident))).map_err(bug)?;
    if !said.is_empty() && line.pop() == Some('}') {
        let said = serde_json::to_string(&said).map_err(bug)?;
        line.push_str(&format!(r#","notes":{said}}}"#));
    }
    RawValue::from_string(line).map_err(bug)
}

/// An incident as a line of a table.
#[derive(Serialize)]
struct Row {
    id: String,
    state: &'static str,
    subject: String,
    severity: u8,
    confidence: f64,
    first_loss: String,
    cleared: Option<String>,
    first_evidence_at: netfault_model::Time,
    raised_at: netfault_model::Time,
    cleared_at: Option<netfault_model::Time>,
    prefixes_down: u32,
    prefixes: u32,
    watched: bool,
    summary: String,
    #[serde(flatten)]
    said: Said,
}

impl Row {
    fn of(incident: &Incident, notes: &[Note]) -> Row {
        Row {
            id: incident.id.to_string(),
            state: incident.state.name(),
            subject: who(&incident.subject).0,
            severity: incident.severity,
            confidence: incident.confidence,
            first_loss: moment(incident.first_evidence_at),
            cleared: incident
                .cleared_at
                .map(|at| moment_beside(at, incident.first_evidence_at)),
            first_evidence_at: incident.first_evidence_at,
            raised_at: incident.raised_at,
            cleared_at: incident.cleared_at,
            prefixes_down: incident.prefixes_down,
            prefixes: incident.prefixes,
            watched: incident.watched,
            summary: incident.summary.clone(),
            said: Said::of(incident.id, notes),
        }
    }
}

fn columns(format: Format) -> Vec<Column> {
    if format == Format::Csv {
        return [
            "id",
            "state",
            "subject",
            "severity",
            "confidence",
            "first_evidence_at",
            "raised_at",
            "cleared_at",
            "prefixes_down",
            "prefixes",
            "watched",
            "summary",
            "acknowledged_by",
            "acknowledged_at",
            "notes",
        ]
        .map(|key| Column::left(key, key))
        .to_vec();
    }
    vec![
        Column::left("id", "incident"),
        Column::left("first_loss", "first loss"),
        Column::left("cleared", "over"),
        Column::right("severity", "severity"),
        Column::left("state", "state"),
        Column::left("acknowledged_by", "taken by"),
        Column::left("summary", "what"),
    ]
}
