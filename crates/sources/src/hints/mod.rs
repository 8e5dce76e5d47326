//! Hints that are fetched: HTTP(S) probes of a service's URLs, and what its public status page says.
//!
//! ```text
//!  due jobs ──► requests in flight ──► hints ──► buffer ──► out
//!   (heap)      (futures, bounded)              (bounded)   (channel of the pipeline)
//! ```
//!
//! One task, [`run`], owns all of it; dropping it cancels every request. Jobs are spread evenly over the interval and jittered
//! like the names of the DNS schedule. What cannot be asked in its round (the last request has not ended, too much is in flight)
//! is skipped and counted, and so is what the pipeline does not take in time: a late hint is worth less than a fresh one. None of
//! it is a `Gap`: hints decide nothing, and the next round is a minute away.
//!
//! * [`target`] URLs; [`exchange`] one request, phase by phase
//! * [`probe`] a probe of a URL; [`status_page`] a status page

mod exchange;
mod probe;
mod status_page;
mod target;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use netfault_model::{Arrival, Hint, HintKind, Input, Time};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use exchange::{Asker, Limits};
pub use target::{BadTarget, Target, summary_url};

use crate::dns::schedule::phase;
use status_page::Said;

/// What time it is: the wall clock in the service, anything in a test.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Hints that wait for the pipeline.
const BUFFER: usize = 4096;

/// What a URL is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether and how it answers.
    Probe,
    /// What the status page says.
    StatusPage,
}

/// One URL of one service.
#[derive(Clone, Debug)]
pub struct Job {
    pub service: String,
    pub kind: Kind,
    pub target: Target,
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// Who asks, as it stands in hints.
    pub vantage: String,
    pub jobs: Vec<Job>,
    /// From one request of a job to the next, give or take 10 %.
    pub interval: Duration,
    /// Requests at the same time.
    pub max_in_flight: usize,
    pub asker: Asker,
}

/// What was done and what was not, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub requests: u64,
    pub hints: u64,
    /// Rounds of a job that were left out.
    pub skipped: u64,
    /// Status pages that said nothing, or what nobody understands.
    pub unreadable: u64,
    /// Hints that the pipeline did not take.
    pub dropped: u64,
}

/// Asks until `stop` turns true (or its sender is gone) or `out` is closed.
pub async fn run(
    plan: Plan,
    out: mpsc::Sender<Vec<Input>>,
    mut stop: watch::Receiver<bool>,
    clock: Clock,
) -> Counters {
    let mut poller = Poller::new(plan, clock);
    loop {
        let wake = poller.next_wake();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            permit = out.reserve(), if !poller.buffer.is_empty() => match permit {
                Ok(permit) => permit.send(poller.buffer.drain(..).collect()),
                Err(_) => break,
            },
            () = tokio::time::sleep_until(wake) => poller.begin_due(),
            Some(done) = poller.flights.next() => poller.finish(done),
        }
    }
    poller.counters
}

struct Poller {
    plan: Plan,
    clock: Clock,
    start: Instant,
    states: Vec<State>,
    /// When each job is due next: time since the start, and its place in the plan.
    heap: BinaryHeap<Reverse<(Duration, usize)>>,
    flights: FuturesUnordered<BoxFuture<'static, Done>>,
    buffer: VecDeque<Input>,
    counters: Counters,
}

#[derive(Default)]
struct State {
    round: u64,
    in_flight: bool,
    said: Option<Said>,
    /// Times in a row that a status page said nothing.
    silent: u64,
}

struct Done {
    job: usize,
    /// When it was over.
    at: Time,
    what: Result<(HintKind, Option<Said>), String>,
}

impl Poller {
    fn new(plan: Plan, clock: Clock) -> Self {
        let due = |n: usize| Reverse((phase::due(n, plan.jobs[n].target.url(), 0, plan.interval), n));
        Poller {
            heap: (0..plan.jobs.len()).map(due).collect(),
            states: plan.jobs.iter().map(|_| State::default()).collect(),
            plan,
            clock,
            start: Instant::now(),
            flights: FuturesUnordered::new(),
            buffer: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    fn next_wake(&self) -> Instant {
        let idle = self.start + Duration::from_secs(365 * 86_400); // nothing to ask at all
        self.heap
            .peek()
            .map_or(idle, |Reverse((due, _))| self.start + *due)
    }

    fn begin_due(&mut self) {
        let now = self.start.elapsed();
        while let Some(&Reverse((due, job))) = self.heap.peek()
            && due <= now
        {
            self.heap.pop();
            self.begin(job);
            let next = self.next_round(job, now);
            self.heap.push(Reverse((next, job)));
        }
    }

    fn begin(&mut self, job: usize) {
        if self.states[job].in_flight || self.flights.len() >= self.plan.max_in_flight {
            self.counters.skipped += 1;
            if self.counters.skipped.is_power_of_two() {
                tracing::warn!(
                    skipped = self.counters.skipped,
                    url = self.plan.jobs[job].target.url(),
                    "not asked: too much is in flight"
                );
            }
            return;
        }
        self.states[job].in_flight = true;
        self.counters.requests += 1;
        let Job { kind, target, .. } = self.plan.jobs[job].clone();
        let (asker, vantage) = (self.plan.asker.clone(), self.plan.vantage.clone());
        let (said, clock) = (self.states[job].said.clone(), self.clock.clone());
        self.flights.push(Box::pin(async move {
            let what = match kind {
                Kind::Probe => Ok((probe::probe(&asker, &target, &vantage).await, None)),
                Kind::StatusPage => status_page::ask(&asker, &target, said).await,
            };
            Done {
                job,
                at: clock(),
                what,
            }
        }));
    }

    /// Rounds that went by while the host stood still are not made up for.
    fn next_round(&mut self, job: usize, now: Duration) -> Duration {
        let (url, interval) = (self.plan.jobs[job].target.url(), self.plan.interval);
        let state = &mut self.states[job];
        let over = (now.as_secs_f64() / interval.as_secs_f64()) as u64;
        state.round = (state.round + 1).max(over);
        phase::due(job, url, state.round, interval)
    }

    fn finish(&mut self, done: Done) {
        let (job, state) = (&self.plan.jobs[done.job], &mut self.states[done.job]);
        state.in_flight = false;
        let what = match done.what {
            Ok((what, said)) => {
                state.said = said;
                state.silent = 0;
                what
            }
            Err(why) => {
                state.silent += 1;
                self.counters.unreadable += 1;
                if state.silent == 1 {
                    tracing::warn!("the status page {} {why}", job.target.url());
                }
                return;
            }
        };
        if self.buffer.len() >= BUFFER {
            self.counters.dropped += 1;
            if self.counters.dropped.is_power_of_two() {
                tracing::warn!(dropped = self.counters.dropped, "the pipeline takes no hints");
            }
            return;
        }
        self.counters.hints += 1;
        self.buffer.push_back(Input::Hint(Box::new(Hint {
            at: done.at,
            arrival: Arrival::InTime,
            service: job.service.clone(),
            source: job.target.url().to_owned(),
            what,
        })));
    }
}
