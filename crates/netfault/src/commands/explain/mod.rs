//! `netfault explain ID`: why something was decided, from the store or from what a replay has said.
//!
//! * [`find`] a transition or an incident by its id, wherever it is kept
//! * [`transition`], [`incident`] how each is shown to people
//!
//! `netfault incidents show ID` is the same for incidents alone.

mod find;
mod incident;
mod transition;

use std::io::Write;
use std::process::ExitCode;

use netfault_model::{Incident, Output, Transition};
use netfault_store::query::{Note, Step};
use serde::Serialize;
use serde_json::value::RawValue;

pub use find::Wanted;
pub use find::{ask as find_in_store, incident_of};
pub use transition::words;

use super::unwritable;
use crate::cli::{ExplainArgs, ShowArgs};
use crate::exit::{Failure, Result};
use crate::render::{Column, Format, RowWriter, Style, event_line, quiet_pipe};

/// What an id stands for.
pub enum Found {
    Transition(Box<Transition>),
    Incident(History),
}

/// Every version of one incident, at least one, and what its parts went through.
pub struct History {
    pub versions: Vec<Incident>,
    pub steps: Vec<Step>,
    /// What people said about it; only the store has that.
    pub notes: Vec<Note>,
}

impl History {
    /// The present word on it.
    pub fn newest(&self) -> &Incident {
        &self.versions[self.versions.len() - 1]
    }

    /// As it stood in that version: what came later is forgotten, notes too.
    fn go_back_to(&mut self, version: u32) -> Result<()> {
        let newest = self.newest().version;
        if self.versions.iter().all(|it| it.version != version) {
            return Err(Failure::data(format_args!(
                "incident {} has no version {version}; its newest is {newest}",
                self.newest().id
            )));
        }
        self.versions.retain(|it| it.version <= version);
        if version < newest {
            let at = self.newest().at;
            self.steps.retain(|step| step.at <= at);
            self.notes.retain(|note| note.at <= at);
        }
        Ok(())
    }

    /// The versions as they stand in ndjson.
    fn events(&self) -> std::io::Result<Vec<Box<RawValue>>> {
        let event = |version: &Incident| raw(&Output::Incident(Box::new(version.clone())));
        self.versions.iter().map(event).collect()
    }
}

fn raw(output: &Output) -> std::io::Result<Box<RawValue>> {
    Ok(event_line(output).and_then(RawValue::from_string)?)
}

pub async fn explain(args: ExplainArgs, format: Format) -> Result<ExitCode> {
    let found = find::find(&args, find::Wanted::Anything).await?;
    show(&found, format)
}

/// `netfault incidents show`.
pub async fn show_incident(args: ShowArgs, format: Format) -> Result<ExitCode> {
    let mut found = find::find(&args.what, find::Wanted::Incident).await?;
    if let (Found::Incident(history), Some(version)) = (&mut found, args.version) {
        history.go_back_to(version)?;
    }
    match &found {
        Found::Incident(history) if args.versions => versions(history, format),
        _ => show(&found, format),
    }
}

/// `--versions`: what was said, and when.
fn versions(history: &History, format: Format) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        Format::Json | Format::Ndjson => {
            let events = history.events();
            events.and_then(|events| {
                let mut writer = RowWriter::new(&mut out, format, Vec::new());
                events.iter().try_for_each(|event| writer.row(event))?;
                writer.finish().map(drop)
            })
        }
        Format::Table | Format::Csv => {
            let (columns, rows) = incident::version_rows(history, format);
            let mut writer = RowWriter::new(&mut out, format, columns);
            rows.iter()
                .try_for_each(|row| writer.row(row))
                .and_then(|()| writer.finish().map(drop))
        }
    };
    quiet_pipe(written.and_then(|()| out.flush())).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn show(found: &Found, format: Format) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let written = match (format, found) {
        (Format::Table, Found::Transition(it)) => {
            out.write_all(transition::page(it, Style::stdout()).as_bytes())
        }
        (Format::Table, Found::Incident(it)) => out.write_all(incident::page(it, Style::stdout()).as_bytes()),
        (Format::Json | Format::Ndjson, found) => json(found).and_then(|line| writeln!(out, "{line}")),
        (Format::Csv, Found::Transition(it)) => csv(&mut out, &transition::COLUMNS, &transition::peers(it)),
        (Format::Csv, Found::Incident(it)) => csv(&mut out, &incident::COLUMNS, &incident::plain_rows(it)),
    };
    quiet_pipe(written.and_then(|()| out.flush())).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn csv(out: impl Write, columns: &[&str], rows: &[impl Serialize]) -> std::io::Result<()> {
    let columns = columns.iter().map(|key| Column::left(key, key)).collect();
    let mut writer = RowWriter::new(out, Format::Csv, columns);
    rows.iter().try_for_each(|row| writer.row(row))?;
    writer.finish().map(drop)
}

/// One object: the events as they stand in ndjson, and what they mean in words and in order.
fn json(found: &Found) -> std::io::Result<String> {
    #[derive(Serialize)]
    struct OfTransition {
        kind: &'static str,
        transition: Box<RawValue>,
        why: String,
        peers: Vec<transition::Peer>,
    }
    #[derive(Serialize)]
    struct OfIncident<'a> {
        kind: &'static str,
        versions: Vec<Box<RawValue>>,
        steps: Vec<incident::StepRow>,
        notes: &'a [Note],
    }
    let line = match found {
        Found::Transition(it) => serde_json::to_string(&OfTransition {
            kind: "transition",
            transition: raw(&Output::Transition(it.clone()))?,
            why: transition::why(it),
            peers: transition::peers(it),
        }),
        Found::Incident(it) => serde_json::to_string(&OfIncident {
            kind: "incident",
            versions: it.events()?,
            steps: incident::rows(it),
            notes: &it.notes,
        }),
    };
    Ok(line?)
}
