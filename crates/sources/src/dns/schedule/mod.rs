//! Every name's servers, round after round.
//!
//! ```text
//!  due jobs ──► questions in flight ──► probes ──► buffer ──► out
//!   (heap)       (futures, bounded)                (bounded)   (channel of the pipeline)
//! ```
//!
//! One task, [`run`], owns all of it; its futures live and die with it, so dropping it cancels every
//! question and nothing is left behind. The servers of one name are asked close together (a round is then
//! one look at one moment), the names are spread evenly over the interval.
//!
//! A late probe is worth less than a fresh one: what cannot be asked in its round (the last question is not
//! answered yet, the server's limit is reached, too much is in flight, the pipeline does not take more) is
//! skipped and counted, as a `Gap`.

mod jobs;
mod limit;
mod names;
mod phase;
mod round;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use netfault_model::{Input, Time};
use tokio::sync::{mpsc, watch};

use super::probe::{AUTHORITY_TIMEOUT, RESOLVER_TIMEOUT};
use super::walk::{Hints, Limits};
use round::Scheduler;

/// What time it is: the wall clock in the service, anything in a test.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// One name to watch.
#[derive(Clone, Debug)]
pub struct NamePlan {
    pub name: Name,
    /// Addresses of its authoritative servers. Empty: found by a walk from the root, again every `refresh`.
    pub authorities: BTreeSet<SocketAddr>,
    /// Resolvers that are asked for its A and AAAA. Empty: only authorities are asked.
    pub resolvers: Vec<SocketAddr>,
    /// It is meant to have private addresses.
    pub private_ok: bool,
}

/// What to ask, and how fast. Every default is DESIGN section 6.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who asks, as it stands in probes.
    pub vantage: String,
    pub names: Vec<NamePlan>,
    /// From one round of a name to the next, give or take 10 %. Default 30 s.
    pub interval: Duration,
    /// Questions at the same time, over all names. Default 1,000.
    pub max_in_flight: usize,
    /// Questions a second to one authority. Default 1.
    pub authority_per_second: f64,
    /// Questions a second to one resolver. Default 50.
    pub resolver_per_second: f64,
    pub authority_timeout: Duration,
    pub resolver_timeout: Duration,
    /// How often there is a new walk to automatic authorities. Default 600 s.
    pub refresh: Duration,
    /// Where these walks begin. Default: at the root of the Internet.
    pub hints: Arc<Hints>,
    pub limits: Limits,
}

impl Plan {
    pub fn new(vantage: &str, names: Vec<NamePlan>) -> Self {
        Plan {
            vantage: vantage.to_owned(),
            names,
            interval: Duration::from_secs(30),
            max_in_flight: 1000,
            authority_per_second: 1.0,
            resolver_per_second: 50.0,
            authority_timeout: AUTHORITY_TIMEOUT,
            resolver_timeout: RESOLVER_TIMEOUT,
            refresh: Duration::from_secs(600),
            hints: Arc::new(Hints::built_in()),
            limits: Limits::default(),
        }
    }
}

/// What was done and what was not, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub probes: u64,
    pub packets: u64,
    /// Datagrams that were not the answer: forged, stray or broken.
    pub mismatched: u64,
    /// Questions that were not asked, for any reason; each is in a `Gap`, too.
    pub skipped: u64,
    /// Walks that came to the zone, and those that did not (the known servers are kept then).
    pub refreshed: u64,
    pub refresh_failed: u64,
}

/// Asks until `shutdown` turns true (or its sender is gone) or `out` is closed.
pub async fn run(
    plan: Plan,
    out: mpsc::Sender<Vec<Input>>,
    mut shutdown: watch::Receiver<bool>,
    clock: Clock,
) -> Counters {
    let mut scheduler = Scheduler::new(plan, clock);
    loop {
        let wake = scheduler.next_wake();
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            permit = out.reserve(), if scheduler.has_output() => match permit {
                Ok(permit) => permit.send(scheduler.take_output()),
                Err(_) => break,
            },
            () = tokio::time::sleep_until(wake) => scheduler.run_due(),
            Some(done) = scheduler.next_done() => scheduler.finish(done),
        }
    }
    scheduler.counters()
}
