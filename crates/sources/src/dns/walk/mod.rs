//! The delegation walk: from the root down to a name, asking the servers themselves.
//!
//! ```text
//!   hints ──► root ──► com ──► example.com ──► www   (CNAME, DNAME: once more, for the other name)
//!               │        │          │
//!             one good answer    every address of every name server: parent's and child's NS sets,
//!             is enough          glue and what the child says, DS and DNSKEY
//! ```
//!
//! * [`hints`] where the root is
//! * [`put`] one question to one address
//! * [`said`] what the answer means, and what of it may be believed: pure
//! * [`walker`] down from zone to zone; [`resolve`] the addresses of name servers, by further walks
//! * [`examine`] every server of a zone
//! * [`record`] what is kept of it; [`findings`] what is wrong with that: pure; [`keys`] DS and DNSKEY
//! * [`delegation`] the same for the engine: pure
//! * [`shared`] what many walks have in common
//!
//! No resolver and no cache is asked: a walk sees what is there now, also in an outage, when caches hide it. It is bounded in
//! questions, time, depth and in what it keeps of any answer ([`Limits`]), whatever servers say. Nothing is kept between walks, but
//! for those of a schedule ([`shared`]).
//!
//! Absent on purpose: QNAME minimisation, validation of signatures, and names of servers that are aliases (RFC 2181 §10.3).

mod delegation;
mod examine;
pub mod findings;
pub mod hints;
mod keys;
mod put;
pub mod record;
mod resolve;
mod said;
mod shared;
mod walker;

use std::time::Duration;

use hickory_proto::rr::Name;

pub use findings::{FindingKind, WalkFinding};
pub use hints::{BadHints, Hints};
pub use record::{Authorities, End, Walk};
pub(super) use shared::Shared;

/// How much one walk may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets and connections. Default 200: a name with eight servers elsewhere takes some 60.
    pub queries: u32,
    /// Default 30 s: a person still waits for it.
    pub time: Duration,
    /// For one packet; default 2 s, as for probes.
    pub timeout: Duration,
    /// Port of every server; `None`: that of the hints, else 53.
    pub port: Option<u16>,
    /// Ask every address at the root and at top-level domains, too. Default: there one good answer is enough.
    pub everywhere: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            queries: 200,
            time: Duration::from_secs(30),
            timeout: crate::dns::probe::AUTHORITY_TIMEOUT,
            port: None,
            everywhere: false,
        }
    }
}

/// Walks to `name`. Always ends, within the limits, with whatever was found.
pub async fn run(name: &Name, hints: &Hints, limits: &Limits) -> Walk {
    walker::walk(name, hints, limits, None).await
}

/// The same beside others: within the limits of the servers, and beginning where another has just been.
pub(super) async fn run_with(name: &Name, hints: &Hints, limits: &Limits, shared: &Shared) -> Walk {
    walker::walk(name, hints, limits, Some(shared)).await
}
