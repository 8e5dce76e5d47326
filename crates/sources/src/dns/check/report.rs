//! What a check found: the shape of its JSON.

use std::net::SocketAddr;

use netfault_model::{Asn, Finding, Outcome, Prefix, Role, Transport};
use serde::{Deserialize, Serialize};

use crate::dns::resolver::Resolver;
use crate::dns::validate::Security;
use crate::dns::walk::{End, WalkFinding};

/// What a check says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    Degraded,
    Out,
    /// Nothing can be said from here.
    Unknown,
}

impl Verdict {
    /// Exit code of `netfault dns check`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Ok => 0,
            Verdict::Degraded => 1,
            Verdict::Out => 2,
            Verdict::Unknown => 3,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Degraded => "degraded",
            Verdict::Out => "out",
            Verdict::Unknown => "unknown",
        }
    }
}

/// Its JSON is `netfault dns check --format json`; fields are added, never changed.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub name: String,
    pub verdict: Verdict,
    pub finding: Finding,
    /// Apex of the zone that the name is in, where known.
    pub zone: Option<String>,
    /// How the walk to the name ended; `None` if authorities were given.
    pub walk: Option<End>,
    /// What is wrong with the delegation, as far as the walk saw it.
    pub findings: Vec<WalkFinding>,
    /// Authorities first, then resolvers, each in the order asked.
    pub probes: Vec<CheckProbe>,
    /// The resolvers again, as an application sees them.
    pub application: Vec<CheckProbe>,
}

impl CheckReport {
    /// Those that were judged, then those that are shown beside them.
    pub fn all_probes(&self) -> impl Iterator<Item = &CheckProbe> {
        self.probes.iter().chain(&self.application)
    }
}

/// Who answered, or to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckRole {
    Authority,
    Resolver,
    /// A resolver again, through a stub resolver: what an application gets of it. Shown, not judged.
    Application,
}

impl CheckRole {
    pub fn name(self) -> &'static str {
        match self {
            CheckRole::Authority => "authority",
            CheckRole::Resolver => "resolver",
            CheckRole::Application => "application",
        }
    }
}

impl From<Role> for CheckRole {
    fn from(role: Role) -> Self {
        if role.is_authority() {
            CheckRole::Authority
        } else {
            CheckRole::Resolver
        }
    }
}

/// One question to one address.
#[derive(Clone, Debug, Serialize)]
pub struct CheckProbe {
    pub role: CheckRole,
    pub server: SocketAddr,
    /// How a resolver was asked, as it was written, where that is not UDP.
    pub via: Option<Resolver>,
    pub outcome: Outcome,
    /// `NOERROR`, `NXDOMAIN`, …; `None` if nothing came back.
    pub rcode: Option<String>,
    pub latency_ms: f64,
    pub ttl: Option<u32>,
    pub ede: Option<ExtendedError>,
    pub qname: String,
    pub qtype: String,
    pub authoritative: bool,
    pub nsid: Option<String>,
    pub answers: Vec<String>,
    /// Of an application: how it began. Its stub does not say whether it went over to TCP.
    pub transport: Transport,
    /// Of an application: 0, its stub does not say.
    pub packets_sent: u8,
    /// What broke an assertion, what validation found, or how an exchange broke off.
    pub detail: Option<String>,
    /// What our own validation found, if it was asked for.
    pub dnssec: Option<Security>,
    /// The longest prefix that covers the server's address, and its origin, where the caller knows routes.
    pub prefix: Option<Prefix>,
    pub origin: Option<Asn>,
}

/// RFC 8914.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtendedError {
    pub code: u16,
    pub text: String,
}
