//! The scheduler: what is due, what is under way, what is handed on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use netfault_model::{Input, Role, Time};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::flights::Flights;
use super::jobs::{Job, Jobs};
use super::load::Load;
use super::pace::Pace;
use super::refresh::{Looked, Refreshes};
use super::subject::{Subject, Target};
use super::{Clock, Counters, Plan, phase};
use crate::dns::limit::Limiter;
use crate::dns::probe::{Ended, Reply};
use crate::dns::resolver::Via;
use crate::dns::udp::{OnEnd, UdpEngine};
use crate::dns::walk::{Shared, Walk};

/// What has ended that is taken at once.
const BATCH: usize = 256;

/// Something under way that has ended.
pub(super) enum Done {
    /// Over UDP: told by the engine's thread.
    Sent {
        tag: u64,
        at: Time,
        ended: Ended,
    },
    /// What went on over TCP, or never was for UDP.
    Finished {
        tag: u64,
        at: Time,
        reply: Box<Reply>,
    },
    Walked {
        subject: usize,
        walk: Box<Walk>,
    },
    Looked {
        subject: usize,
        looked: Looked,
    },
}

pub(super) type Working = Pin<Box<dyn Future<Output = Done> + Send>>;

pub(super) struct Scheduler {
    pub plan: Plan,
    pub clock: Clock,
    pub pace: Pace,
    /// How to get to those resolvers that are not asked over UDP.
    pub vias: BTreeMap<SocketAddr, Via>,
    pub subjects: Vec<Subject>,
    pub jobs: Jobs,
    pub limiter: Arc<Limiter>,
    pub load: Load,
    /// `None`: it does not start, and nothing can be asked.
    pub engine: Option<&'static UdpEngine>,
    /// What the engine calls; the other end is `ended`.
    pub on_end: OnEnd,
    ended: mpsc::Receiver<Done>,
    pub flights: Flights,
    /// What needs more than datagrams.
    pub working: FuturesUnordered<Working>,
    batch: Vec<Done>,
    pub refreshes: Refreshes,
    /// Servers that do not keep letter case.
    pub plain_case: BTreeSet<SocketAddr>,
    pub output: Vec<Input>,
    pub skipped: BTreeMap<&'static str, u64>,
    pub reported: Time,
    pub counters: Counters,
}

impl Scheduler {
    pub fn new(mut plan: Plan, clock: Clock) -> Self {
        let now = Instant::now();
        let vias = vias(&plan);
        let subjects = subjects(&mut plan);
        // Room for the end of every question in flight, so that the engine's thread never waits here.
        let (end, ended) = mpsc::channel(plan.max_in_flight.max(1));
        let engine = UdpEngine::shared()
            .inspect_err(|error| tracing::error!(%error, "cannot ask: the DNS thread does not start"));
        let limiter = Arc::new(Limiter::default());
        let shared = Shared::new(limiter.clone(), plan.authority_per_second, plan.refresh / 2);
        let reported = clock();
        let mut scheduler = Scheduler {
            on_end: on_end(end, clock.clone()),
            pace: Pace::new(now, reported),
            refreshes: Refreshes::new(shared),
            plan,
            clock,
            vias,
            subjects,
            jobs: Jobs::default(),
            limiter,
            load: Load::default(),
            engine: engine.ok(),
            ended,
            flights: Flights::default(),
            working: FuturesUnordered::new(),
            batch: Vec::new(),
            plain_case: BTreeSet::new(),
            output: Vec::new(),
            skipped: BTreeMap::new(),
            reported,
            counters: Counters::default(),
        };
        scheduler.line_up();
        scheduler
    }

    fn line_up(&mut self) {
        let interval = self.plan.interval;
        for n in 0..self.subjects.len() {
            let subject = &self.subjects[n];
            let due = phase::due(n, &subject.label, 0, interval);
            if subject.as_watched().is_some() {
                self.jobs.add(due, Job::Refresh(n));
            }
            self.jobs.add(due, Job::Round(n));
            self.count_load(n, true);
        }
        self.jobs.add(interval, Job::Report);
    }

    /// When to wake up, at the latest.
    pub fn next_wake(&self) -> Instant {
        self.pace.wake(self.jobs.next_at())
    }

    /// Waits until something has ended; [`Scheduler::take_in`] deals with it. Nothing is lost when this is dropped.
    pub async fn wait(&mut self) {
        tokio::select! {
            biased;
            _ = self.ended.recv_many(&mut self.batch, BATCH) => {}
            Some(done) = self.working.next(), if !self.working.is_empty() => self.batch.push(done),
        }
    }

    pub fn take_in(&mut self) {
        for done in std::mem::take(&mut self.batch) {
            match done {
                Done::Sent { tag, at, ended } => self.sent(tag, at, ended),
                Done::Finished { tag, at, reply } => self.finished(tag, at, *reply),
                Done::Walked { subject, walk } => self.walked(subject, &walk),
                Done::Looked { subject, looked } => self.looked(subject, &looked),
            }
        }
    }

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub fn take_output(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.output)
    }

    /// After every sleep until `wake`, or sooner.
    pub fn look_at_the_clock(&mut self, wake: Instant) {
        let stood = self.pace.look(wake, Instant::now(), (self.clock)());
        if let Some(stood) = stood {
            self.stood_still(stood);
        }
    }

    pub fn run_due(&mut self) {
        let now = self.pace.at(Instant::now());
        while let Some(job) = self.jobs.pop_due(now) {
            match job {
                Job::Refresh(subject) => self.refresh(subject),
                Job::Round(subject) => self.round(subject, now),
                Job::Book(target, step) => self.book(target, step),
                Job::Ask(target, step) => self.ask(target, step),
                Job::Report => self.report(now),
            }
        }
    }

    fn round(&mut self, n: usize, now: Duration) {
        let subject = &mut self.subjects[n];
        subject.round += 1;
        let next = phase::due(n, &subject.label, subject.round, self.plan.interval);
        self.jobs.add(next.max(now), Job::Round(n));
        let mut busy = 0;
        let servers: Vec<_> = subject.servers().collect();
        for (role, server, after) in servers {
            let target = Target {
                subject: n,
                role,
                server,
            };
            if !self.subjects[n].take((role, server)) {
                busy += 1;
            } else if after.is_zero() {
                self.book(target, 0);
            } else {
                self.jobs.add(now + after, Job::Book(target, 0));
            }
        }
        (0..busy).for_each(|_| self.skip("the last round of this server has not ended"));
    }

    pub fn rate(&self, role: Role) -> f64 {
        match role.is_authority() {
            true => self.plan.authority_per_second,
            false => self.plan.resolver_per_second,
        }
    }

    /// Counts what a subject asks of its servers in a round, or takes it back.
    pub fn count_load(&mut self, n: usize, adds: bool) {
        let subject = &self.subjects[n];
        for (role, server, _) in subject.servers() {
            let questions = (0..).take_while(|step| subject.question(*step, role).is_some());
            let questions = u32::try_from(questions.count()).unwrap_or(u32::MAX);
            match adds {
                true => self.load.add(server, questions),
                false => self.load.remove(server, questions),
            }
        }
    }
}

/// Called on the engine's thread: stamps the end, and sends it on. There is room: see `Scheduler::new`.
fn on_end(end: mpsc::Sender<Done>, clock: Clock) -> OnEnd {
    Arc::new(move |tag, ended| {
        let at = clock();
        // Closed: the schedule has ended, and nobody wants to know.
        if let Err(mpsc::error::TrySendError::Full(_)) = end.try_send(Done::Sent { tag, at, ended }) {
            tracing::error!("more questions have ended than were asked");
        }
    })
}

fn vias(plan: &Plan) -> BTreeMap<SocketAddr, Via> {
    let resolvers = plan.names.iter().flat_map(|name| &name.resolvers);
    let others = resolvers.filter(|resolver| resolver.via != Via::Udp);
    others
        .map(|resolver| (resolver.addr, resolver.via.clone()))
        .collect()
}

/// The watched names, then the controls.
fn subjects(plan: &mut Plan) -> Vec<Subject> {
    let interval = plan.interval;
    let names = std::mem::take(&mut plan.names);
    let resolvers = names.iter().flat_map(|name| &name.resolvers);
    let resolvers: BTreeSet<SocketAddr> = resolvers.map(|resolver| resolver.addr).collect();
    let mut subjects: Vec<Subject> = names
        .into_iter()
        .map(|name| Subject::watched(name, interval))
        .collect();
    let canaries = plan.controls.names.iter().filter(|_| !resolvers.is_empty());
    subjects.extend(canaries.map(|name| Subject::control_name(name, &resolvers, interval)));
    let zones = plan.controls.authorities.iter();
    subjects.extend(zones.map(|(zone, servers)| Subject::control_zone(zone, servers, interval)));
    subjects
}
