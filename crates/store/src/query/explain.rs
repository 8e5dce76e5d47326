//! Why something was decided: one transition with its evidence, the steps of one incident.

use netfault_model::{
    Asn, Baseline, Cover, Evidence, Finding, Id, Incident, Lost, Rule, State, Subject, Time, Transition,
};
use serde::Deserialize;

use super::subject;
use crate::client::Client;
use crate::error::StoreError;

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    Transition,
    Incident,
}

/// Which ids begin with these hex digits (at most 16, lower case); two are enough to know that it is not clear.
pub async fn named(client: &Client, digits: &str) -> Result<Vec<(Id, Named)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: Id,
        what: Named,
    }
    let query = client
        .query(
            "SELECT leftPad(lower(hex(n)), 16, '0') AS id, what FROM \
             (SELECT id AS n, 'transition' AS what FROM transitions \
              UNION ALL SELECT id AS n, 'incident' AS what FROM incidents) \
             WHERE startsWith(leftPad(lower(hex(n)), 16, '0'), {digits:String}) \
             GROUP BY n, what ORDER BY id, what LIMIT 10",
        )
        .param("digits", digits);
    let rows: Vec<Row> = client.fetch(query).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.what)).collect())
}

/// One transition with its evidence.
pub async fn transition(client: &Client, id: Id) -> Result<Option<Transition>, StoreError> {
    let query = client
        .query("SELECT * FROM transitions FINAL WHERE id = {id:UInt64} LIMIT 1")
        .param("id", id.0.to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter().next().map(Row::transition).transpose()
}

/// One step of a part of an incident; `id` is that of its transition.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub id: Id,
    pub subject: Subject,
    pub from: State,
    pub to: State,
    pub at: Time,
    pub visibility: Option<f64>,
}

/// What the parts of `incident` (its newest version) went through while it lasted, in order of time.
pub async fn steps(client: &Client, incident: &Incident) -> Result<Vec<Step>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        hex: Id,
        subject_type: String,
        subject: String,
        origin: Option<u32>,
        from_state: State,
        to_state: State,
        at: Time,
        visibility: Option<f64>,
    }
    let last = incident.cleared_at.map_or(i64::MAX, Time::micros);
    let query = client
        .query(&format!(
            "SELECT leftPad(lower(hex(id)), 16, '0') AS hex, subject_type, subject, origin, from_state, to_state, at, \
             visibility FROM transitions FINAL WHERE {OF_ITS_PARTS}"
        ))
        .param("id", incident.id.0.to_string())
        .param("first", incident.first_evidence_at.micros().to_string())
        .param("last", last.to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Step {
                id: row.hex,
                subject: subject(&row.subject_type, &row.subject, row.origin)?,
                from: row.from_state,
                to: row.to_state,
                at: row.at,
                visibility: row.visibility,
            })
        })
        .collect()
}

/// The same with their evidence, at most `limit`, the earliest: each of a thousand prefixes has hundreds of peers.
pub async fn incident_transitions(
    client: &Client,
    incident: &Incident,
    limit: u64,
) -> Result<Vec<Transition>, StoreError> {
    let last = incident.cleared_at.map_or(i64::MAX, Time::micros);
    let query = client
        .query(&format!(
            "SELECT * FROM transitions FINAL WHERE {OF_ITS_PARTS} LIMIT {limit}"
        ))
        .param("id", incident.id.0.to_string())
        .param("first", incident.first_evidence_at.micros().to_string())
        .param("last", last.to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter().map(Row::transition).collect()
}

/// Of the parts of an incident, while it lasted.
const OF_ITS_PARTS: &str = "(subject_type, subject) IN \
    (SELECT type, child FROM incidents ARRAY JOIN children.type AS type, children.subject AS child \
     WHERE id = {id:UInt64}) \
    AND toUnixTimestamp64Micro(at) BETWEEN {first:Int64} AND {last:Int64} ORDER BY at, subject, id";

/// A row of `transitions`. Words that do not apply are empty there.
#[derive(Deserialize)]
struct Row {
    subject_type: String,
    subject: String,
    origin: Option<u32>,
    from_state: State,
    to_state: State,
    at: Time,
    first_evidence_at: Time,
    visibility: Option<f64>,
    peers_seen: Option<u32>,
    peers_lost: Option<u32>,
    peers_unknown: Option<u32>,
    peers_eligible: Option<u32>,
    servers_ok: Option<u32>,
    servers_eligible: Option<u32>,
    resolvers_ok: Option<u32>,
    resolvers_eligible: Option<u32>,
    baseline: String,
    cover: String,
    finding: String,
    watched: bool,
    beacon: bool,
    healed: bool,
    rule: String,
    threshold: Option<f64>,
    since: Option<Time>,
    hold_s: Option<u64>,
    lost_asns: Vec<Asn>,
    lost_at: Vec<Time>,
    lost_inferred: Vec<bool>,
    kept: Vec<Asn>,
    unknown: Vec<Asn>,
    zombies: Vec<Asn>,
    collectors: Option<u32>,
    one_collector: Option<f64>,
    known: Option<f64>,
    share: String,
    dns: String,
}

/// A word of the model as it stands in a table; empty is none.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<Option<T>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map(Some)
        .map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// A value of the model that stands in a table as JSON; empty is none.
fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<Option<T>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| StoreError::Unreadable(error.to_string()))
}

impl Row {
    fn transition(self) -> Result<Transition, StoreError> {
        let (share, dns) = (json(&self.share)?, json(&self.dns)?);
        Ok(Transition {
            subject: subject(&self.subject_type, &self.subject, self.origin)?,
            from: self.from_state,
            to: self.to_state,
            at: self.at,
            first_evidence_at: self.first_evidence_at,
            visibility: self.visibility,
            peers_seen: self.peers_seen,
            peers_lost: self.peers_lost,
            peers_unknown: self.peers_unknown,
            peers_eligible: self.peers_eligible,
            baseline: word::<Baseline>(&self.baseline)?,
            cover: word::<Cover>(&self.cover)?,
            finding: word::<Finding>(&self.finding)?,
            servers_ok: self.servers_ok,
            servers_eligible: self.servers_eligible,
            resolvers_ok: self.resolvers_ok,
            resolvers_eligible: self.resolvers_eligible,
            watched: self.watched,
            beacon: self.beacon,
            healed: self.healed,
            evidence: word::<Rule>(&self.rule)?.map(|rule| {
                let lost = self.lost_asns.iter().zip(&self.lost_at).zip(&self.lost_inferred);
                Box::new(Evidence {
                    rule,
                    threshold: self.threshold,
                    since: self.since,
                    hold_s: self.hold_s.unwrap_or_default(),
                    lost: lost
                        .map(|((asn, at), inferred)| Lost {
                            peer_asn: *asn,
                            at: *at,
                            inferred: *inferred,
                        })
                        .collect(),
                    kept: self.kept,
                    unknown: self.unknown,
                    zombies: self.zombies,
                    collectors: self.collectors.unwrap_or_default(),
                    one_collector: self.one_collector.unwrap_or_default(),
                    known: self.known.unwrap_or_default(),
                    share,
                })
            }),
            dns,
        })
    }
}
