//! What belonged together, and each of its versions.

use netfault_model::{Baseline, Cause, Child, Id, Incident, IncidentState, State, Time};
use serde::Deserialize;

use super::{Ask, at_or_after, before, subject};
use crate::client::Client;
use crate::error::StoreError;

/// Which incidents: everything that is `None` or false does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Incidents that lasted into or began in `since..until`.
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// Only those that are not over.
    pub open: bool,
    /// Not only what is worth showing: also small ones that nobody watches, beacons, and what became part of another.
    pub all: bool,
    /// At most so many rows, the latest; 0 is no limit.
    pub limit: u64,
}

/// The newest version of each incident, oldest incident first.
pub async fn incidents(client: &Client, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError> {
    let mut ask = Ask::new("incidents_current");
    if filter.open {
        ask.and("state IN ('open', 'update')");
    }
    if !filter.all {
        ask.and("shown AND state != 'merged'");
    }
    if let Some(since) = filter.since {
        ask.and(&format!(
            "(cleared_at IS NULL OR {})",
            at_or_after("cleared_at", "since")
        ))
        .bind("since", since.micros().to_string());
    }
    if let Some(until) = filter.until {
        ask.and(&before("first_evidence_at", "until"))
            .bind("until", until.micros().to_string());
    }
    let rows: Vec<Row> = ask.rows(client, "first_evidence_at", "id", filter.limit).await?;
    rows.into_iter().map(Row::incident).collect()
}

/// Every version of one incident, first to last. Empty: there is no such incident.
pub async fn incident_versions(client: &Client, id: Id) -> Result<Vec<Incident>, StoreError> {
    let query = client
        .query(
            "SELECT * REPLACE (leftPad(lower(hex(id)), 16, '0') AS id, \
             if(merged_into IS NULL, NULL, leftPad(lower(hex(assumeNotNull(merged_into))), 16, '0')) AS merged_into) \
             FROM (SELECT * FROM incidents FINAL WHERE id = {id:UInt64}) ORDER BY version",
        )
        .param("id", id.0.to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter().map(Row::incident).collect()
}

#[derive(Deserialize)]
struct Row {
    id: Id,
    version: u32,
    state: IncidentState,
    subject_type: String,
    subject: String,
    origin: Option<u32>,
    cause: Cause,
    at: Time,
    first_evidence_at: Time,
    raised_at: Time,
    cleared_at: Option<Time>,
    confidence: f64,
    baseline: Baseline,
    severity: u8,
    level: State,
    prefixes_down: u32,
    prefixes: u32,
    watched: bool,
    shown: bool,
    beacon: bool,
    flapping: bool,
    reopened: u32,
    merged_into: Option<Id>,
    summary: String,
    said: String,
    #[serde(rename = "children.type")]
    types: Vec<String>,
    #[serde(rename = "children.subject")]
    subjects: Vec<String>,
    #[serde(rename = "children.origin")]
    origins: Vec<u32>,
    #[serde(rename = "children.state")]
    states: Vec<State>,
    #[serde(rename = "children.worst")]
    worst: Vec<State>,
    #[serde(rename = "children.first_evidence_at")]
    firsts: Vec<Time>,
    #[serde(rename = "children.cleared_at")]
    cleared: Vec<Option<Time>>,
}

impl Row {
    fn incident(self) -> Result<Incident, StoreError> {
        if !self.said.is_empty() {
            return serde_json::from_str(&self.said)
                .map_err(|error| StoreError::Unreadable(format!("incident {}: {error}", self.id)));
        }
        let children = self.children()?;
        Ok(Incident {
            id: self.id,
            version: self.version,
            state: self.state,
            subject: subject(&self.subject_type, &self.subject, self.origin)?,
            cause: self.cause,
            at: self.at,
            first_evidence_at: self.first_evidence_at,
            raised_at: self.raised_at,
            cleared_at: self.cleared_at,
            confidence: self.confidence,
            baseline: self.baseline,
            children,
            severity: self.severity,
            level: self.level,
            prefixes_down: self.prefixes_down,
            prefixes: self.prefixes,
            watched: self.watched,
            shown: self.shown,
            beacon: self.beacon,
            flapping: self.flapping,
            reopened: self.reopened,
            merged_into: self.merged_into,
            summary: self.summary,
            rule: None,
            services: Vec::new(),
            layers: Vec::new(),
            facts: None,
        })
    }

    /// The lists of a `Nested` column have the same length; ClickHouse sees to it.
    fn children(&self) -> Result<Vec<Child>, StoreError> {
        let subjects = self.types.iter().zip(&self.subjects).zip(&self.origins);
        let states = self.states.iter().zip(&self.worst);
        let times = self.firsts.iter().zip(&self.cleared);
        let parts = subjects.zip(states).zip(times);
        parts
            .map(|((((kind, text), origin), (state, worst)), (first, cleared))| {
                Ok(Child {
                    subject: subject(kind, text, Some(*origin).filter(|origin| *origin > 0))?,
                    state: *state,
                    worst: *worst,
                    first_evidence_at: *first,
                    cleared_at: *cleared,
                })
            })
            .collect()
    }
}
