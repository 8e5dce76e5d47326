//! One question: booked, asked, ended.

use std::sync::Arc;

use netfault_model::{Input, Outcome, Role, Time};
use tokio::time::Instant;

use super::flights::Flight;
use super::jobs::Job;
use super::scheduler::{Done, Scheduler};
use super::subject::Target;
use crate::dns::probe::{Ended, Question, Reply, ask};
use crate::dns::resolver::Via;

/// Share of a server's limit that the questions of the plan and a retry of each may take. At the limit itself they would
/// queue up, and rounds be lost.
const RETRY_ROOM: f64 = 0.75;

/// What own validation costs a resolver: DS and DNSKEY of the root, a top-level domain and the zone; some names take more.
const CHAIN: u32 = 6;

impl Scheduler {
    /// Asks now, or when the server's limit allows it; not at all if that is too late.
    pub fn book(&mut self, target: Target, step: usize) {
        let (rate, now) = (self.rate(target.role), Instant::now());
        let patience = self.plan.interval / 2;
        match self.limiter.reserve(target.server, rate, now, patience) {
            Some(slot) if slot <= now => self.ask(target, step),
            Some(slot) => self.jobs.add(self.pace.at(slot), Job::Ask(target, step)),
            None => self.drop_question(target, "more questions than this server may be asked"),
        }
    }

    pub fn ask(&mut self, target: Target, step: usize) {
        if self.flights.len() >= self.plan.max_in_flight {
            return self.drop_question(target, "too many questions in flight");
        }
        let Some(engine) = self.engine else {
            return self.drop_question(target, "the DNS thread does not run");
        };
        let Some(question) = self.question(target, step) else {
            return self.subjects[target.subject].release((target.role, target.server));
        };
        let question = Arc::new(question);
        let tag = self.flights.add(Flight {
            target,
            step,
            question: question.clone(),
            stalls: self.pace.stalls(),
        });
        if question.validate.is_some() {
            return self.ask_and_validate(tag, question);
        }
        if engine.submit(question, tag, &self.on_end).is_err() {
            self.flights.remove(tag);
            self.drop_question(target, "too many questions in flight");
        }
    }

    /// The answer is worth little before the whole chain of keys is there: several connections, which are charged when it ends.
    fn ask_and_validate(&mut self, tag: u64, question: Arc<Question>) {
        let clock = self.clock.clone();
        self.working.push(Box::pin(async move {
            let reply = Box::new(ask(&question).await);
            let at = clock();
            Done::Finished { tag, at, reply }
        }));
    }

    fn question(&self, target: Target, step: usize) -> Option<Question> {
        let Target {
            subject,
            role,
            server,
        } = target;
        let subject = &self.subjects[subject];
        let (qname, qtype) = subject.question(step, role)?;
        let (base, timeout) = match role.is_authority() {
            true => (
                Question::to_authority(server, qname, qtype),
                self.plan.authority_timeout,
            ),
            false => (
                Question::to_resolver(server, qname, qtype),
                self.plan.resolver_timeout,
            ),
        };
        Some(Question {
            role,
            timeout,
            retries: if self.may_retry(target) { base.retries } else { 0 },
            plain_case: self.plain_case.contains(&server),
            private_ok: subject.private_ok(),
            expect: subject.expect(role),
            validate: subject.validates(role).then(|| self.plan.validation.clone()),
            tls: self.plan.tls.clone(),
            via: match role.is_authority() {
                true => Via::Udp,
                false => self.vias.get(&server).cloned().unwrap_or_default(),
            },
            ..base
        })
    }

    /// A server with so many names that its limit has no room for a second packet each is asked without retries: when it is
    /// silent the names vouch for each other, and no round is lost.
    fn may_retry(&self, target: Target) -> bool {
        let limit = self.rate(target.role) * self.plan.interval.as_secs_f64();
        f64::from(self.load.of(&target.server)) * 2.0 <= limit * RETRY_ROOM
    }

    /// The engine is done with it.
    pub fn sent(&mut self, tag: u64, at: Time, ended: Ended) {
        let unfinished = match ended {
            Ended::Done(reply) => return self.finished(tag, at, *reply),
            Ended::NeedsTcp(unfinished) => unfinished,
        };
        let clock = self.clock.clone();
        self.working.push(Box::pin(async move {
            let reply = Box::new(unfinished.finish().await);
            let at = clock();
            Done::Finished { tag, at, reply }
        }));
    }

    pub fn finished(&mut self, tag: u64, at: Time, reply: Reply) {
        let Some(flight) = self.flights.remove(tag) else {
            return;
        };
        let (target, now) = (flight.target, Instant::now());
        let subject = &mut self.subjects[target.subject];
        self.counters.probes += 1;
        self.counters.packets += u64::from(reply.packets_sent);
        self.counters.mismatched += u64::from(reply.mismatched);
        let chain = if reply.validated.is_some() { CHAIN } else { 0 };
        let extra = u32::from(reply.packets_sent.saturating_sub(1)) + chain;
        if reply.mangles_case {
            self.plain_case.insert(target.server);
        }
        if target.role == Role::Authority {
            subject.learn(&reply);
        }
        let more = subject.question(flight.step + 1, target.role).is_some();
        if !more {
            subject.release((target.role, target.server));
        }
        // Silence while this host stood still is our own.
        if reply.outcome == Outcome::Timeout && flight.stalls != self.pace.stalls() {
            self.skip("the probe host stood still");
        } else {
            let label = &self.subjects[target.subject].label;
            let probe = reply.into_probe(&flight.question, at, &self.plan.vantage, label);
            self.hand_on(Input::Probe(Box::new(probe)));
        }
        if extra > 0 {
            self.limiter
                .charge(target.server, self.rate(target.role), extra, now);
        }
        if more {
            self.book(target, flight.step + 1);
        }
    }

    pub fn drop_question(&mut self, target: Target, why: &'static str) {
        self.subjects[target.subject].release((target.role, target.server));
        self.skip(why);
    }
}
