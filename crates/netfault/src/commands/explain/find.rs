//! A transition or an incident by its id or the first digits of it: in the store, or among the lines of a replay.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use netfault_model::{Id, Incident, State, Subject, Time, Transition};
use netfault_store::query::{self, Named, Step};
use netfault_store::{Client, StoreError};
use serde::Deserialize;
use serde_json::Value;

use super::super::query::store;
use super::{Found, History};
use crate::cli::{ExplainArgs, IdDigits};
use crate::exit::{Failure, Result};
use crate::stores::store_failure;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Anything,
    Incident,
}

impl Wanted {
    fn takes(self, what: Named) -> bool {
        self == Wanted::Anything || what == Named::Incident
    }

    fn words(self) -> &'static str {
        match self {
            Wanted::Anything => "transition or incident",
            Wanted::Incident => "incident",
        }
    }
}

pub async fn find(args: &ExplainArgs, wanted: Wanted) -> Result<Found> {
    match &args.from {
        Some(path) => in_events(path, &args.id, wanted),
        None => in_store(args, wanted).await,
    }
}

/// The one that was meant, or why it is not clear.
fn only(ids: &[(Id, Named)], digits: &IdDigits, wanted: Wanted, place: &str) -> Result<(Id, Named)> {
    match ids {
        [one] => Ok(*one),
        [] => Err(Failure::data(format_args!(
            "there is no {} in {place} whose id begins with {digits}",
            wanted.words()
        ))),
        [(first, _), (second, _), ..] => Err(Failure::data(format_args!(
            "{digits} is not enough to know which one: {first} and {second} begin with it"
        ))),
    }
}

async fn in_store(args: &ExplainArgs, wanted: Wanted) -> Result<Found> {
    let (store, client) = store(&args.config).await?;
    let found = ask(&client, &args.id, wanted).await;
    store.close().await;
    found
}

/// The newest version of the incident that is meant.
pub async fn incident_of(client: &Client, digits: &IdDigits) -> Result<Incident> {
    match ask(client, digits, Wanted::Incident).await? {
        Found::Incident(history) => Ok(history.newest().clone()),
        Found::Transition(_) => Err(Failure::bug(
            "a transition was found where an incident was asked for",
        )),
    }
}

pub async fn ask(client: &Client, digits: &IdDigits, wanted: Wanted) -> Result<Found> {
    let mut ids = query::named(client, &digits.0).await.map_err(store_failure)?;
    ids.retain(|(_, what)| wanted.takes(*what));
    let (id, what) = only(&ids, digits, wanted, "the store")?;
    let vanished = || Failure::unavailable(format_args!("{id} is not in the store any more"));
    match what {
        Named::Transition => {
            let found = query::transition(client, id).await.map_err(store_failure)?;
            Ok(Found::Transition(Box::new(found.ok_or_else(vanished)?)))
        }
        Named::Incident => {
            let history = history(client, id).await.map_err(store_failure)?;
            Ok(Found::Incident(history.ok_or_else(vanished)?))
        }
    }
}

async fn history(client: &Client, id: Id) -> Result<Option<History>, StoreError> {
    let versions = query::incident_versions(client, id).await?;
    let Some(newest) = versions.last() else {
        return Ok(None);
    };
    let steps = query::steps(client, newest).await?;
    let notes = query::notes(client, &[id]).await?;
    Ok(Some(History {
        versions,
        steps,
        notes,
    }))
}

fn in_events(path: &Path, digits: &IdDigits, wanted: Wanted) -> Result<Found> {
    let is_stdin = path == Path::new("-");
    let place = match is_stdin {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    let unreadable = |error: std::io::Error| Failure::data(format_args!("{place} cannot be read: {error}"));
    let reader: Box<dyn BufRead> = match is_stdin {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(unreadable)?)),
    };
    let mut events = Events::default();
    for (number, line) in reader.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if !line.trim().is_empty() {
            events.take(&line, digits).map_err(|error| {
                Failure::data(format_args!(
                    "line {} of {place} is not an event: {error}",
                    number + 1
                ))
            })?;
        }
    }
    events.find(digits, wanted, &place)
}

/// What of the lines is needed: whatever matches the digits, and the steps of all subjects, since which of them
/// belong to an incident is known only at its end.
#[derive(Default)]
struct Events {
    transitions: BTreeMap<Id, Transition>,
    incidents: BTreeMap<Id, Vec<Incident>>,
    steps: Vec<Step>,
}

/// A line, as far as a step needs it.
#[derive(Deserialize)]
struct StepLine {
    subject: Subject,
    from: State,
    to: State,
    at: Time,
    visibility: Option<f64>,
    /// Absent in what earlier releases printed.
    id: Option<Id>,
}

impl Events {
    fn take(&mut self, line: &str, digits: &IdDigits) -> serde_json::Result<()> {
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let Kind { kind } = serde_json::from_str(line)?;
        let may_match =
            line.contains(&format!(r#""id":"{digits}"#)) || line.contains(&format!(r#""id": "{digits}"#));
        match kind.as_str() {
            "transition" => {
                let step: StepLine = serde_json::from_str(line)?;
                let Some(id) = step.id else { return Ok(()) };
                if may_match && id.to_string().starts_with(&digits.0) {
                    self.transitions.insert(id, transition(line)?);
                }
                self.steps.push(Step {
                    id,
                    subject: step.subject,
                    from: step.from,
                    to: step.to,
                    at: step.at,
                    visibility: step.visibility,
                });
            }
            "incident" if may_match => {
                let incident: Incident = serde_json::from_str(line)?;
                if incident.id.to_string().starts_with(&digits.0) {
                    self.incidents.entry(incident.id).or_default().push(incident);
                }
            }
            // Readers ignore what they do not know.
            _ => {}
        }
        Ok(())
    }

    fn find(mut self, digits: &IdDigits, wanted: Wanted, place: &str) -> Result<Found> {
        let transitions = self.transitions.keys().map(|id| (*id, Named::Transition));
        let incidents = self.incidents.keys().map(|id| (*id, Named::Incident));
        let ids: Vec<_> = transitions
            .chain(incidents)
            .filter(|(_, what)| wanted.takes(*what))
            .collect();
        let (id, _) = only(&ids, digits, wanted, place)?;
        if let Some(versions) = self.incidents.remove(&id) {
            return Ok(Found::Incident(self.history(versions)));
        }
        match self.transitions.remove(&id) {
            Some(transition) => Ok(Found::Transition(Box::new(transition))),
            None => Err(Failure::bug(format_args!("{id} was found and lost again"))),
        }
    }

    fn history(self, mut versions: Vec<Incident>) -> History {
        versions.sort_by_key(|incident| incident.version);
        versions.dedup_by_key(|incident| incident.version); // two replays in one file
        let steps = match versions.last() {
            Some(newest) => self
                .steps
                .into_iter()
                .filter(|step| belongs(step, newest))
                .collect(),
            None => Vec::new(),
        };
        History {
            versions,
            steps,
            notes: Vec::new(),
        }
    }
}

fn belongs(step: &Step, incident: &Incident) -> bool {
    let key = step.subject.key();
    let lasts =
        incident.first_evidence_at <= step.at && incident.cleared_at.is_none_or(|over| step.at <= over);
    lasts && incident.children.iter().any(|child| child.subject.key() == key)
}

/// Fields that were added later are absent in what earlier releases printed.
fn transition(line: &str) -> serde_json::Result<Transition> {
    let mut value: Value = serde_json::from_str(line)?;
    if let Some(fields) = value.as_object_mut() {
        for field in ["beacon", "healed", "watched"] {
            fields.entry(field).or_insert(Value::Bool(false));
        }
    }
    serde_json::from_value(value)
}
