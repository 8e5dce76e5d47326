//! What people say about incidents. It goes through the store, so the service need not run, and hears of it there.

use std::collections::BTreeSet;

use netfault_model::{Id, Time};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::StoreError;

/// An insert that began earlier may be seen later; so each look goes back so far. An insert of one row takes far less.
const OVERLAP_US: i64 = 60_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    Note,
    /// Somebody has taken it on.
    Ack,
}

impl NoteKind {
    pub fn name(self) -> &'static str {
        match self {
            NoteKind::Note => "note",
            NoteKind::Ack => "ack",
        }
    }
}

/// One row of `incident_notes`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// By the clock of who wrote it.
    pub at: Time,
    /// Of the incident.
    pub incident: Id,
    pub kind: NoteKind,
    pub by: String,
    pub text: String,
}

/// Is on disk when it returns. Said again in the same words it is there once.
pub async fn add_note(client: &Client, note: &Note) -> Result<(), StoreError> {
    let query = client
        .query(
            "INSERT INTO incident_notes (id, at, by, kind, text) SELECT {id:UInt64}, \
             fromUnixTimestamp64Micro({at:Int64}, 'UTC'), {by:String}, {kind:String}, {text:String}",
        )
        .param("id", note.incident.0.to_string())
        .param("at", note.at.micros().to_string())
        .param("by", &note.by)
        .param("kind", note.kind.name())
        .param("text", &note.text);
    client.run(query).await
}

const COLUMNS: &str = "SELECT at, leftPad(lower(hex(id)), 16, '0') AS incident, kind, by, text, \
                       ingested_at FROM incident_notes FINAL";

/// Everything that was said about these incidents, in order of time.
pub async fn notes(client: &Client, incidents: &[Id]) -> Result<Vec<Note>, StoreError> {
    if incidents.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = incidents.iter().map(|id| id.0.to_string()).collect();
    let query = client
        .query(&format!(
            "{COLUMNS} WHERE id IN {{ids:Array(UInt64)}} ORDER BY at, id, by, kind, text"
        ))
        .param("ids", format!("[{}]", ids.join(",")));
    client.fetch(query).await
}

/// Acknowledgements as they come in. Each is given once, the oldest first; what a lost answer held comes the next time.
///
/// The store's own clock decides what is new, so a wrong clock at whoever acknowledges hides nothing.
#[derive(Clone, Debug)]
pub struct AckPoll {
    since: Time,
    /// Those that are younger than the overlap, and were given.
    given: BTreeSet<(Time, Note)>,
}

impl AckPoll {
    /// Everything that the store has taken since then.
    pub fn since(since: Time) -> Self {
        AckPoll {
            since,
            given: BTreeSet::new(),
        }
    }

    /// What is new.
    pub async fn next(&mut self, client: &Client) -> Result<Vec<Note>, StoreError> {
        let found = acks_since(client, self.since).await?;
        let new: Vec<_> = found
            .into_iter()
            .filter(|(at, note)| self.given.insert((*at, note.clone())))
            .collect();
        if let Some((newest, _)) = self.given.last() {
            self.since = self.since.max(newest.plus_micros(-OVERLAP_US));
        }
        let since = self.since;
        self.given.retain(|(at, _)| *at >= since);
        Ok(new.into_iter().map(|(_, note)| note).collect())
    }
}

/// Acknowledgements that the store took at or after `since`, by its own clock, with that time; oldest first.
pub async fn acks_since(client: &Client, since: Time) -> Result<Vec<(Time, Note)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        ingested_at: Time,
        #[serde(flatten)]
        note: Note,
    }
    let query = client
        .query(&format!(
            "{COLUMNS} WHERE kind = 'ack' AND ingested_at >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') \
             ORDER BY ingested_at, id, by, text"
        ))
        .param("since", since.micros().to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    Ok(rows.into_iter().map(|row| (row.ingested_at, row.note)).collect())
}
