//! `netfault incidents note` and `ack`: what people say about an incident. It goes through the store, where a running
//! service hears of it.

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use netfault_model::{Id, Incident, Time};
use netfault_store::query::{self, Note, NoteKind};
use netfault_store::{Client, StoreError};
use serde::Serialize;

use super::super::explain::incident_of;
use super::super::query::store;
use super::super::unwritable;
use crate::cli::{AckArgs, ConfigArg, IdDigits, NoteArgs};
use crate::exit::{Failure, Result};
use crate::render::{Column, Format, RowWriter, quiet_pipe};
use crate::stores::store_failure;

/// A page of text; more belongs into a document that the note names.
const MAX_TEXT: usize = 10_000;
const MAX_NAME: usize = 200;

pub async fn note(args: NoteArgs, format: Format) -> Result<ExitCode> {
    if args.text.trim().is_empty() {
        return Err(Failure::usage("the note is empty: say something"));
    }
    say(args.config, args.id, args.by, NoteKind::Note, args.text, format).await
}

pub async fn ack(args: AckArgs, format: Format) -> Result<ExitCode> {
    let text = args.text.unwrap_or_default();
    say(args.config, args.id, args.by, NoteKind::Ack, text, format).await
}

async fn say(
    config: ConfigArg,
    digits: IdDigits,
    by: Option<String>,
    kind: NoteKind,
    text: String,
    format: Format,
) -> Result<ExitCode> {
    let (text, by) = (text.trim().to_owned(), who(by)?);
    if text.len() > MAX_TEXT {
        let length = text.len();
        return Err(Failure::usage(format_args!(
            "the text has {length} bytes, {MAX_TEXT} are the most: keep it elsewhere and note where"
        )));
    }
    let (store, client) = store(&config).await?;
    let said = async {
        let incident = incident_of(&client, &digits).await?;
        let note = Note {
            at: now(),
            incident: incident.id,
            kind,
            by,
            text,
        };
        query::add_note(&client, &note).await.map_err(store_failure)?;
        Ok((incident, note))
    }
    .await;
    store.close().await;
    let (incident, note) = said?;
    tell(&incident, &note, format)
}

/// One line, or the note as it is kept.
fn tell(incident: &Incident, note: &Note, format: Format) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        Format::Table => {
            let done = match note.kind {
                NoteKind::Note => "noted",
                NoteKind::Ack => "acknowledged",
            };
            let (by, id, summary) = (&note.by, incident.id, &incident.summary);
            writeln!(out, "{done} by {by}: {id} ({}) {summary}", incident.state.name())
        }
        Format::Json | Format::Ndjson => serde_json::to_string(note)
            .map_err(std::io::Error::from)
            .and_then(|line| writeln!(out, "{line}")),
        Format::Csv => {
            let columns = ["at", "incident", "kind", "by", "text"].map(|key| Column::left(key, key));
            let mut writer = RowWriter::new(&mut out, format, columns.to_vec());
            writer.row(note).and_then(|()| writer.finish().map(drop))
        }
    };
    quiet_pipe(written.and_then(|()| out.flush())).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn who(by: Option<String>) -> Result<String> {
    let of_shell = || {
        ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .filter(|name| !name.trim().is_empty())
    };
    let Some(by) = by.or_else(of_shell) else {
        return Err(Failure::usage("nobody knows who you are: give --by WHO"));
    };
    let by = by.trim().to_owned();
    if by.is_empty() || by.len() > MAX_NAME || by.chars().any(char::is_control) {
        return Err(Failure::usage(format_args!(
            "--by is a name of 1 to {MAX_NAME} bytes on one line"
        )));
    }
    Ok(by)
}

/// The clock of whoever speaks.
fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    Time::from_micros(i64::try_from(since).unwrap_or(i64::MAX))
}

/// What was said about these incidents, for a list: the first acknowledgement and the number of notes of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Said {
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<Time>,
    pub notes: u64,
}

impl Said {
    pub fn of(id: Id, notes: &[Note]) -> Said {
        let mut said = Said::default();
        // They come in order of time.
        for note in notes.iter().filter(|note| note.incident == id) {
            match note.kind {
                NoteKind::Note => said.notes += 1,
                NoteKind::Ack if said.acknowledged_at.is_none() => {
                    said.acknowledged_by = Some(note.by.clone());
                    said.acknowledged_at = Some(note.at);
                }
                NoteKind::Ack => {}
            }
        }
        said
    }
}

/// Of each incident what people said.
pub async fn notes(client: &Client, incidents: &[Incident]) -> Result<Vec<Note>, StoreError> {
    let ids: Vec<Id> = incidents.iter().map(|incident| incident.id).collect();
    query::notes(client, &ids).await
}
