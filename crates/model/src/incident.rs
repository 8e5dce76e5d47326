//! Incidents: what belongs together, told once (DESIGN section 7).

use serde::{Deserialize, Serialize};

use crate::delegation::Route;
use crate::id::Id;
use crate::net::Asn;
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

/// What is held to be the cause (DESIGN section 7). Closed; each but the first three follows from a [`CauseRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One prefix, or some of its origin's, went without the rest.
    PrefixWithdrawn,
    /// At least 80 % of an origin's stable prefixes and space went.
    OriginWithdrawn,
    /// A good part of a country's space or origins went.
    CountryWithdrawn,
    /// A name fails, and no rule says why.
    NameFailing,
    /// R1: the prefixes of its name servers went, and the name with them.
    NameServersWithdrawn,
    /// R2: the prefixes of its name servers go; it still resolves.
    DnsOutagePredicted,
    /// R3: the prefixes of its own addresses went; its name servers are fine.
    ServiceWithdrawn,
    /// R4: losses of several origins have one transit AS in common.
    TransitFailed,
    /// R5: somebody else announced it before it was lost, or a more-specific of it.
    Hijacked,
    /// R6: its name servers do not answer, or answer wrongly, though their prefixes are there.
    DnsServersFailed,
    /// R7: only resolvers fail it.
    ResolversFail,
    /// R7: resolvers that validate refuse its answers.
    DnssecBogus,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::PrefixWithdrawn => "prefix_withdrawn",
            Cause::OriginWithdrawn => "origin_withdrawn",
            Cause::CountryWithdrawn => "country_withdrawn",
            Cause::NameFailing => "name_failing",
            Cause::NameServersWithdrawn => "name_servers_withdrawn",
            Cause::DnsOutagePredicted => "dns_outage_predicted",
            Cause::ServiceWithdrawn => "service_withdrawn",
            Cause::TransitFailed => "transit_failed",
            Cause::Hijacked => "hijacked",
            Cause::DnsServersFailed => "dns_servers_failed",
            Cause::ResolversFail => "resolvers_fail",
            Cause::DnssecBogus => "dnssec_bogus",
        }
    }
}

/// Which rule of DESIGN section 7 found the cause. R0 and R8 are no incidents: see [`crate::NotableKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseRule {
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
}

/// The numbers behind a cause. What does not apply is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The name that decided: of several the one with the largest share of its name servers lost.
    pub name: Option<String>,
    /// Addresses of its name servers, and those of them whose prefixes are Partial or Out (R2: at V↓ ≤ 0.5).
    pub servers: u32,
    pub servers_lost: u32,
    /// Its own addresses, and those of them whose prefixes are Out; of a service without names, the prefixes that it lists.
    pub addresses: u32,
    pub addresses_lost: u32,
    /// When that mapping was made: before the outage.
    pub mapped_at: Option<Time>,
    /// Prefixes that carry those, are lost, and their origins (before the loss).
    pub carriers: Vec<Route>,
    /// From the first routing evidence to the first DNS failure, in seconds; negative: DNS failed first.
    pub lead_s: Option<i64>,
    /// Peer ASes that lost the carrier that most of them lost, and those that could see it.
    pub peers_lost: u32,
    pub peers: u32,
    /// The parent still refers to the name servers (the last walk says so).
    pub parent_ok: Option<bool>,
    /// Resolvers (seen from vantages) that still answer from their caches, all of them, and until when at the latest.
    pub caches_good: u32,
    pub caches: u32,
    pub masked_until: Option<Time>,
    /// The transit AS, the link if it is one, and how many origins lost prefixes behind it.
    pub transit: Option<Asn>,
    pub link: Option<(Asn, Asn)>,
    pub origins: u32,
    /// Another origin that announces it: before the loss it is the cause, after it an effect.
    pub other_origins: Vec<Asn>,
    pub exposed: bool,
}

/// One layer of an incident, from its first evidence to its recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    pub layer: LayerKind,
    pub since: Time,
    /// When everything of this layer was well again; `None`: it is not.
    pub recovered_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    Bgp,
    Dns,
    /// HTTP(S) probes and what users report: a hint. It neither opens an incident nor keeps one open.
    Application,
}

impl LayerKind {
    pub fn name(self) -> &'static str {
        match self {
            LayerKind::Bgp => "bgp",
            LayerKind::Dns => "dns",
            LayerKind::Application => "application",
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
    /// The rule that found the cause; `None`: no service or name depends on what is lost.
    #[serde(default)]
    pub rule: Option<CauseRule>,
    /// Services of the configuration that it concerns, sorted.
    #[serde(default)]
    pub services: Vec<String>,
    #[serde(default)]
    pub layers: Vec<Layer>,
    #[serde(default)]
    pub facts: Option<Box<Facts>>,
}
