//! Incidents: what belongs together, told once (DESIGN section 7).

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::output::{Baseline, State, Subject};
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    Open,
    /// Still open, and something of it changed.
    Update,
    /// Everything in it is Normal again (or its loss is accepted).
    Resolved,
    /// It turned out to be part of another one: `merged_into`.
    Merged,
}

impl IncidentState {
    pub fn name(self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Update => "update",
            IncidentState::Resolved => "resolved",
            IncidentState::Merged => "merged",
        }
    }
}

/// What is held to be the cause. The rules of DESIGN section 7 add more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One prefix, or some of its origin's, went without the rest.
    PrefixWithdrawn,
    /// At least 80 % of an origin's stable prefixes and space went.
    OriginWithdrawn,
    /// A good part of a country's space or origins went.
    CountryWithdrawn,
    /// A name fails; why is in its finding.
    NameFailing,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::PrefixWithdrawn => "prefix_withdrawn",
            Cause::OriginWithdrawn => "origin_withdrawn",
            Cause::CountryWithdrawn => "country_withdrawn",
            Cause::NameFailing => "name_failing",
        }
    }
}

/// A part of an incident, in its present state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    pub subject: Subject,
    pub state: State,
    /// The worst state it has been in.
    pub worst: State,
    pub first_evidence_at: Time,
    pub cleared_at: Option<Time>,
}

/// One version of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Of kind, first subject and first evidence: stable between runs, and between live and replay.
    pub id: Id,
    /// From 1, one more with each statement.
    pub version: u32,
    pub state: IncidentState,
    /// What it is about now; it may widen from a prefix to its origin to a country.
    pub subject: Subject,
    pub cause: Cause,
    /// When this version was decided.
    pub at: Time,
    /// The first loss of all.
    pub first_evidence_at: Time,
    /// When version 1 was decided.
    pub raised_at: Time,
    /// When everything in it was Normal again.
    pub cleared_at: Option<Time>,
    /// 0 to 1, two decimals (DESIGN section 7).
    pub confidence: f64,
    pub baseline: Baseline,
    /// Everything that is or was part of it, in order of subject.
    pub children: Vec<Child>,
    /// 1 (note) to 5 (country or watched service out).
    pub severity: u8,
    /// The worst present state of a part.
    pub level: State,
    /// How many prefixes are Out or Partial now, and how many are or were part of it.
    pub prefixes_down: u32,
    pub prefixes: u32,
    /// Something in it is listed by name in the configuration.
    pub watched: bool,
    /// Worth showing to people: watched, or 10 prefixes or more; never a beacon.
    pub shown: bool,
    /// Routing beacons only: muted, but measured.
    pub beacon: bool,
    /// Entered Partial or Out for the third time within 1800 s.
    pub flapping: bool,
    /// How often it was opened again within 1800 s of having been resolved.
    pub reopened: u32,
    pub merged_into: Option<Id>,
    /// One sentence for people.
    pub summary: String,
}
