//! The scheduler: jobs that are due, questions in flight, probes to hand on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use netfault_model::{Gap, GapSource, Input, Role, Time};
use tokio::time::Instant;

use super::jobs::{Job, Jobs};
use super::limit::Limiter;
use super::names::{Target, Watched};
use super::phase;
use super::{Clock, Counters, Plan};
use crate::dns::check::Verdict;
use crate::dns::probe::{Question, Reply, ask};
use crate::dns::walk::{self, Walk};

/// Inputs that wait for the pipeline. Some seconds of the largest plan; what is beyond is dropped and counted.
const MAX_BUFFERED: usize = 20_000;
/// After a walk that found nothing at all.
const RETRY_WALK: Duration = Duration::from_secs(30);
/// At the same time; a walk sends a few packets at a time, and takes seconds in an outage.
const MAX_WALKS: usize = 16;

/// Something in flight that has ended.
pub(super) enum Done {
    Asked {
        target: Target,
        step: usize,
        question: Question,
        reply: Box<Reply>,
        at: Time,
    },
    Walked {
        name: usize,
        walk: Box<Walk>,
    },
}

type InFlight = Pin<Box<dyn Future<Output = Done> + Send>>;

pub(super) struct Scheduler {
    plan: Plan,
    clock: Clock,
    start: Instant,
    names: Vec<Watched>,
    jobs: Jobs,
    limiter: Limiter,
    in_flight: FuturesUnordered<InFlight>,
    /// Walks among these.
    walks: usize,
    /// Servers that do not keep letter case.
    plain_case: BTreeSet<SocketAddr>,
    output: Vec<Input>,
    skipped: BTreeMap<&'static str, u64>,
    reported: Time,
    counters: Counters,
}

impl Scheduler {
    pub fn new(mut plan: Plan, clock: Clock) -> Self {
        let start = Instant::now();
        let names: Vec<Watched> = std::mem::take(&mut plan.names)
            .into_iter()
            .map(Watched::new)
            .collect();
        let mut jobs = Jobs::default();
        for (n, name) in names.iter().enumerate() {
            let due = start + phase::due(n, &name.label, 0, plan.interval);
            if name.is_automatic() {
                jobs.add(due, Job::Refresh(n));
            }
            jobs.add(due, Job::Round(n));
        }
        jobs.add(start + plan.interval, Job::Report);
        let reported = clock();
        Scheduler {
            plan,
            clock,
            start,
            names,
            jobs,
            limiter: Limiter::default(),
            in_flight: FuturesUnordered::new(),
            walks: 0,
            plain_case: BTreeSet::new(),
            output: Vec::new(),
            skipped: BTreeMap::new(),
            reported,
            counters: Counters::default(),
        }
    }

    pub fn next_wake(&self) -> Instant {
        self.jobs.next_at()
    }

    /// `None` while nothing is in flight.
    pub async fn next_done(&mut self) -> Option<Done> {
        self.in_flight.next().await
    }

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub fn take_output(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.output)
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn run_due(&mut self) {
        let now = Instant::now();
        while let Some(job) = self.jobs.pop_due(now) {
            match job {
                Job::Refresh(name) => self.refresh(name, now),
                Job::Round(name) => self.round(name, now),
                Job::Ask(target, step) => self.ask(target, step),
                Job::Report => self.report(now),
            }
        }
    }

    fn round(&mut self, n: usize, now: Instant) {
        let name = &mut self.names[n];
        name.round += 1;
        let next = self.start + phase::due(n, &name.label, name.round, self.plan.interval);
        // After a pause of the whole host the rounds missed are not made up for.
        let next = if next > now {
            next
        } else {
            now + self.plan.interval
        };
        self.jobs.add(next, Job::Round(n));
        for (role, server) in self.names[n].servers() {
            if self.names[n].take((role, server)) {
                self.book(
                    Target {
                        name: n,
                        role,
                        server,
                    },
                    0,
                    now,
                );
            } else {
                self.skip("the last round of this server has not ended");
            }
        }
    }

    /// Asks now, or when the server's limit allows it; not at all if that is too late.
    fn book(&mut self, target: Target, step: usize, now: Instant) {
        let rate = self.rate(target.role);
        match self
            .limiter
            .reserve(target.server, rate, now, self.plan.interval / 2)
        {
            Some(slot) if slot <= now => self.ask(target, step),
            Some(slot) => self.jobs.add(slot, Job::Ask(target, step)),
            None => self.drop_question(target, "more questions than this server may be asked"),
        }
    }

    fn ask(&mut self, target: Target, step: usize) {
        if self.in_flight.len() >= self.plan.max_in_flight {
            return self.drop_question(target, "too many questions in flight");
        }
        let Target { name, role, server } = target;
        let Some((qname, qtype)) = self.names[name].question(role, step) else {
            return;
        };
        let (base, timeout) = match role {
            Role::Authority | Role::ControlAuthority => (
                Question::to_authority(server, qname, qtype),
                self.plan.authority_timeout,
            ),
            Role::Resolver | Role::ControlResolver => (
                Question::to_resolver(server, qname, qtype),
                self.plan.resolver_timeout,
            ),
        };
        let question = Question {
            timeout,
            plain_case: self.plain_case.contains(&server),
            private_ok: self.names[name].plan.private_ok,
            ..base
        };
        let clock = self.clock.clone();
        self.in_flight.push(Box::pin(async move {
            let reply = Box::new(ask(&question).await);
            Done::Asked {
                target,
                step,
                question,
                reply,
                at: clock(),
            }
        }));
    }

    fn refresh(&mut self, n: usize, now: Instant) {
        if self.in_flight.len() >= self.plan.max_in_flight || self.walks >= MAX_WALKS {
            return self.jobs.add(now + Duration::from_secs(1), Job::Refresh(n));
        }
        self.walks += 1;
        let name = self.names[n].plan.name.clone();
        let (hints, limits) = (self.plan.hints.clone(), self.plan.limits);
        self.in_flight.push(Box::pin(async move {
            let walk = Box::new(walk::run(&name, &hints, &limits).await);
            Done::Walked { name: n, walk }
        }));
    }

    pub fn finish(&mut self, done: Done) {
        match done {
            Done::Asked {
                target,
                step,
                question,
                reply,
                at,
            } => self.asked(target, step, &question, *reply, at),
            Done::Walked { name, walk } => self.walked(name, &walk),
        }
    }

    fn asked(&mut self, target: Target, step: usize, question: &Question, reply: Reply, at: Time) {
        let now = Instant::now();
        let name = &mut self.names[target.name];
        self.counters.probes += 1;
        self.counters.packets += u64::from(reply.packets_sent);
        self.counters.mismatched += u64::from(reply.mismatched);
        let extra = u32::from(reply.packets_sent.saturating_sub(1));
        if reply.mangles_case {
            self.plain_case.insert(target.server);
        }
        if target.role == Role::Authority {
            name.learn(&reply);
        }
        let probe = reply.into_probe(question, at, &self.plan.vantage, &name.label);
        let more = name.question(target.role, step + 1).is_some();
        if !more {
            name.release((target.role, target.server));
        }
        self.hand_on(Input::Probe(Box::new(probe)));
        if extra > 0 {
            self.limiter
                .charge(target.server, self.rate(target.role), extra, now);
        }
        if more {
            self.book(target, step + 1, now);
        }
    }

    /// What was known before an outage is kept through it; what is found in the middle of one is better than nothing.
    fn walked(&mut self, n: usize, walk: &Walk) {
        self.walks -= 1;
        let name = &mut self.names[n];
        let is_whole = matches!(walk.verdict, Verdict::Ok | Verdict::Degraded);
        let kept = name.has_servers();
        if let Some(found) = walk.authorities().filter(|_| is_whole || !kept) {
            name.adopt(found);
        }
        if is_whole {
            self.counters.refreshed += 1;
        } else {
            self.counters.refresh_failed += 1;
            tracing::warn!(name = %name.label, end = ?walk.end, kept, "the walk to the name failed");
        }
        let wait = if name.has_servers() {
            self.plan.refresh
        } else {
            RETRY_WALK
        };
        self.jobs.add(Instant::now() + wait, Job::Refresh(n));
    }

    fn drop_question(&mut self, target: Target, why: &'static str) {
        self.names[target.name].release((target.role, target.server));
        self.skip(why);
    }

    fn skip(&mut self, why: &'static str) {
        self.counters.skipped += 1;
        *self.skipped.entry(why).or_default() += 1;
    }

    fn hand_on(&mut self, input: Input) {
        if self.output.len() < MAX_BUFFERED {
            self.output.push(input);
        } else {
            self.skip("the pipeline takes no more");
        }
    }

    /// One gap for each reason, once an interval.
    fn report(&mut self, now: Instant) {
        self.jobs.add(now + self.plan.interval, Job::Report);
        let (from, to) = (self.reported, (self.clock)());
        self.reported = to;
        for (why, lost) in std::mem::take(&mut self.skipped) {
            tracing::warn!(lost, why, "questions not asked");
            self.output.push(Input::Gap(Box::new(Gap {
                at: to,
                source: GapSource::Dns,
                collector: None,
                peer: None,
                from: Some(from),
                to: Some(to),
                offset: None,
                reason: Cow::Borrowed(why),
                lost: Some(lost),
            })));
        }
    }

    fn rate(&self, role: Role) -> f64 {
        match role {
            Role::Authority | Role::ControlAuthority => self.plan.authority_per_second,
            Role::Resolver | Role::ControlResolver => self.plan.resolver_per_second,
        }
    }
}
