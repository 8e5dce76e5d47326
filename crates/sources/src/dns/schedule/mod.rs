//! Every name's servers, round after round; and between them the controls, and the delegations.
//!
//! ```text
//!  due jobs ──► questions ──► UDP engine ──► ended ──► probes ──► buffer ──► out
//!   (heap)    │ (bounded)    (its thread)  (channel)             (bounded)   (channel of the pipeline)
//!             ├► TCP, where an answer is cut ──┘                     ▲
//!             └► walks to the names, every ten minutes ──► delegations ──┘
//! ```
//!
//! One task, [`run`], owns all of it; what is under way lives and dies with it, so dropping it cancels every
//! question and nothing is left behind.
//!
//! * [`jobs`] what is due when; [`phase`] when a name has its turn; [`pace`] a time that stands still while the host does
//! * [`subject`] what is asked about, and whom; [`controls`] whom a vantage asks to learn about itself
//! * [`scheduler`] the state, and what is due; [`questions`] one question; [`flights`] those under way
//! * [`load`] how much the plan asks of each server; [`super::limit`] how much it may be asked
//! * [`refresh`] walks and delegations; [`report`] what goes to the pipeline, and what is said of the rest
//!
//! The servers of one name are asked close together (a round is then one look at one moment), the names are spread evenly
//! over the interval. There are never more rounds than that, whatever fails.
//!
//! A late probe is worth less than a fresh one: what cannot be asked in its round (the last question is not
//! answered yet, the server's limit is reached, too much is in flight, the pipeline does not take more) is
//! skipped and counted, as a `Gap`.

mod controls;
mod flights;
mod jobs;
mod load;
mod pace;
pub(crate) mod phase;
mod questions;
mod refresh;
mod report;
mod scheduler;
mod subject;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use netfault_model::{Input, Time};
use tokio::sync::{mpsc, watch};

use super::expect::Expectation;
use super::probe::{AUTHORITY_TIMEOUT, RESOLVER_TIMEOUT};
use super::resolver::Resolver;
use super::transport::tls::TlsRoots;
use super::validate::Validation;
use super::walk::{Hints, Limits};
pub use controls::Controls;
use scheduler::Scheduler;

/// What time it is: the wall clock in the service, anything in a test.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// One name to watch.
#[derive(Clone, Debug)]
pub struct NamePlan {
    pub name: Name,
    /// Addresses of its authoritative servers. Empty: found by a walk from the root, again every `refresh`.
    pub authorities: BTreeSet<SocketAddr>,
    /// Resolvers that are asked for its A and AAAA. Empty: only authorities are asked.
    pub resolvers: Vec<Resolver>,
    /// What these must answer; else the probe is a `wrong_answer`.
    pub expect: Option<Arc<Expectation>>,
    /// The answers of resolvers are validated by ourselves: see `Plan::validation`.
    pub validate: bool,
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
    /// Whom the vantage asks to learn about itself. Default: nobody; the configuration has some.
    pub controls: Controls,
    /// Questions at the same time, over all names. Default 20,000: 10,000 names with eight silent servers each have some 6,000.
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
    /// Whom own validation believes, where a name wants it. Default: the keys of the root of the Internet.
    pub validation: Arc<Validation>,
    /// Whom TLS believes. `None`: the public authorities.
    pub tls: Option<Arc<TlsRoots>>,
}

impl Plan {
    pub fn new(vantage: &str, names: Vec<NamePlan>) -> Self {
        Plan {
            vantage: vantage.to_owned(),
            names,
            interval: Duration::from_secs(30),
            controls: Controls::none(),
            max_in_flight: 20_000,
            authority_per_second: 1.0,
            resolver_per_second: 50.0,
            authority_timeout: AUTHORITY_TIMEOUT,
            resolver_timeout: RESOLVER_TIMEOUT,
            refresh: Duration::from_secs(600),
            hints: Arc::new(Hints::built_in()),
            // A walk waits for the servers that others need, too.
            limits: Limits {
                time: Duration::from_secs(60),
                ..Limits::default()
            },
            validation: Arc::new(Validation::public()),
            tls: None,
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
    /// How often the host stood still, or its clock ran ahead.
    pub stood_still: u64,
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
            () = scheduler.wait() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
        scheduler.look_at_the_clock(wake);
        scheduler.take_in();
        scheduler.run_due();
    }
    scheduler.counters
}
