//! One attempt at a time: which one, and what follows from how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::failure::Failure;
use crate::lane::{Counters, Lane, TOGETHER};
use crate::message::Message;
use crate::notice::{Notice, NoticeState};
use crate::outbox::{Due, Record};
use crate::retry::{self, Verdict};

pub(super) type InFlight = Pin<Box<dyn Future<Output = Done> + Send>>;

/// How an attempt ended.
pub(super) enum Done {
    One {
        id: String,
        state: NoticeState,
        version: u32,
        result: Result<Option<String>, Failure>,
    },
    /// What is open was sent again.
    Again(Result<(), Failure>),
}

pub(super) enum Next {
    Send(InFlight),
    Wait(Instant),
    Idle,
}

/// Failures in a row, and when the next attempt may be made.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    pub not_before: Option<Instant>,
}

/// Alerts in one request, where a receiver takes many.
const CHUNK: usize = 200;

impl Backoff {
    /// Counts a failure; returns the pause before the next attempt.
    fn fail(&mut self, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = asked.unwrap_or_else(|| retry::pause(self.failures, fastrand::f64()));
        self.not_before = Some(Instant::now() + pause);
        pause
    }
}

pub(super) async fn maybe(in_flight: &mut Option<InFlight>) -> Done {
    match in_flight {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

impl Lane {
    /// The first thing that may be sent now, else when something may be. `refresh`: also what is only said again.
    pub(super) fn next(&mut self, refresh: bool) -> Next {
        let now = Instant::now();
        if let Some(until) = self.backoff.not_before.filter(|&until| until > now) {
            return Next::Wait(until);
        }
        let next = self.next_waiting(now);
        let Some(at) = self.refresh_at.filter(|_| refresh) else {
            return next;
        };
        match next {
            Next::Send(attempt) => Next::Send(attempt),
            _ if at <= now => self.refresh(now),
            Next::Wait(until) => Next::Wait(until.min(at)),
            Next::Idle => Next::Wait(at),
        }
    }

    fn next_waiting(&mut self, now: Instant) -> Next {
        let mut soonest: Option<Instant> = None;
        let mut is_free = |id: &str| {
            let not_before = self.stuck.get(id).and_then(|backoff| backoff.not_before);
            let Some(until) = not_before.filter(|&until| until > now) else {
                return true;
            };
            soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
            false
        };
        let first = {
            let mut waiting = self.ledger.waiting().map(|entry| &entry.notice.id);
            waiting.find(|id| is_free(id)).cloned()
        };
        let Some(id) = first else {
            return soonest.map_or(Next::Idle, Next::Wait);
        };
        match self.begin(&id) {
            Some(attempt) => Next::Send(attempt),
            // It is not due any more; what comes behind it is looked at at once.
            None => Next::Wait(now),
        }
    }

    fn begin(&mut self, id: &str) -> Option<InFlight> {
        let due = {
            let quiet = self.quiet.borrow();
            self.ledger.look(id, clock::now(), self.manner, &quiet)
        };
        let Due::Now(state) = due else { return None };
        if self.counts_for_the_cap(id, state)
            && let Some(bucket) = &mut self.bucket
            && !bucket.take(clock::now())
        {
            self.hold_back(id);
            return None;
        }
        if self.ledger.release(id) {
            // Written before the attempt is first polled.
            self.unwritten.push(Record::Due { id: id.to_owned() });
        }
        let entry = self.ledger.get(id)?;
        let version = entry.notice.version;
        let mut message = self.receiver.message(entry.said(state));
        if let Some(told) = &entry.told {
            message.repeats = told.repeats;
            message.receipt = told.receipt.clone();
        }
        let (receiver, poster, id) = (Arc::clone(&self.receiver), self.poster.clone(), id.to_owned());
        Some(Box::pin(async move {
            let result = receiver.deliver(&poster, &message).await;
            Done::One {
                id,
                state,
                version,
                result,
            }
        }))
    }

    /// Ends and acknowledgements are bounded by what was opened, and summaries are what the cap says.
    fn counts_for_the_cap(&self, id: &str, state: NoticeState) -> bool {
        let is_free = matches!(state, NoticeState::Resolved | NoticeState::Acknowledged);
        let is_summary = self.ledger.get(id).is_some_and(|entry| is_summary(&entry.notice));
        !is_free && !is_summary
    }

    /// Sends again what the receiver holds as open.
    fn refresh(&mut self, now: Instant) -> Next {
        let Some(every) = self.receiver.refresh() else {
            return Next::Idle;
        };
        self.refresh_at = Some(now + every);
        let open = self.ledger.open().filter(|entry| entry.told.is_some());
        let mut messages: Vec<Message> = open
            .map(|entry| self.receiver.message(entry.said(NoticeState::Repeat)))
            .collect();
        if messages.is_empty() {
            return Next::Wait(now + every);
        }
        messages.sort_by(|a, b| a.notice.id.cmp(&b.notice.id));
        let (receiver, poster) = (Arc::clone(&self.receiver), self.poster.clone());
        Next::Send(Box::pin(async move {
            for chunk in messages.chunks(CHUNK) {
                if let Err(failure) = receiver.deliver_again(&poster, chunk).await {
                    return Done::Again(Err(failure));
                }
            }
            Done::Again(Ok(()))
        }))
    }

    pub(super) fn conclude(&mut self, done: Done) {
        match done {
            Done::Again(Ok(())) => self.backoff = Backoff::default(),
            Done::Again(Err(failure)) => {
                let pause = self.backoff.fail(None);
                // The end of the pause, and not of the next interval: what it holds as open may end meanwhile.
                self.refresh_at = Some(Instant::now() + pause);
                self.counters.failed(clock::now(), &failure.to_string());
                tracing::warn!(receiver = self.receiver.name, %failure, "open alerts could not be sent again");
            }
            Done::One {
                id,
                state,
                version,
                result: Ok(receipt),
            } => self.accepted(id, state, version, receipt),
            Done::One {
                id,
                state,
                version,
                result: Err(failure),
            } => self.failed(id, state, version, &failure),
        }
        self.count();
    }

    fn accepted(&mut self, id: String, state: NoticeState, version: u32, receipt: Option<String>) {
        self.backoff = Backoff::default();
        self.stuck.remove(&id);
        self.counters.worked();
        let at = clock::now();
        self.ledger.accepted(&id, state, version, at, receipt.clone());
        self.look(&id);
        if state == NoticeState::Resolved {
            self.look_at.get_or_insert(Instant::now() + TOGETHER);
        }
        self.unwritten.push(Record::Accepted {
            id,
            state,
            version,
            at,
            receipt,
        });
        self.end_summary();
    }

    fn failed(&mut self, id: String, state: NoticeState, version: u32, failure: &Failure) {
        self.counters.failed(clock::now(), &failure.to_string());
        if let Some(bucket) = self.bucket.as_mut().filter(|_| state != NoticeState::Resolved) {
            bucket.give_back();
        }
        let pause = match failure.verdict() {
            // Not reached: an error is never accepted.
            Verdict::Accepted => return,
            Verdict::RetryReceiver { after } => self.backoff.fail(after),
            Verdict::RetryNotice => {
                self.backoff = Backoff::default();
                self.stuck.entry(id.clone()).or_default().fail(None)
            }
            // The receiver holds it as open and is owed the end, so somebody must mend the receiver first.
            Verdict::Refused if state == NoticeState::Resolved && self.ledger.told(&id) => self
                .stuck
                .entry(id.clone())
                .or_default()
                .fail(Some(retry::LONGEST)),
            Verdict::Refused => return self.refused(id, state, version, failure),
        };
        Counters::add(&self.counters.retried, 1);
        tracing::warn!(
            receiver = self.receiver.name, id, state = state.name(), %failure, pause_s = pause.as_secs_f64(),
            pending = self.ledger.waiting_len(), "the alert was not accepted and is sent again"
        );
    }

    fn refused(&mut self, id: String, state: NoticeState, version: u32, failure: &Failure) {
        self.backoff = Backoff::default();
        self.stuck.remove(&id);
        Counters::add(&self.counters.refused, 1);
        tracing::error!(
            receiver = self.receiver.name, id, state = state.name(), %failure,
            "the receiver refuses the alert for good, it is dropped"
        );
        self.ledger.refused(&id, state, version);
        self.look(&id);
        self.unwritten.push(Record::Refused { id, state, version });
    }

    /// When the lane has something to do by itself.
    pub(super) fn wake_at(&self, wait: Option<Instant>) -> Option<Instant> {
        let due = self
            .ledger
            .next_wake()
            .map(|at| Instant::now() + clock::until(at));
        [wait, due, self.look_at].into_iter().flatten().min()
    }

    pub(super) fn wake(&mut self) {
        {
            let quiet = self.quiet.borrow();
            self.ledger.wake(clock::now(), self.manner, &quiet);
        }
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_at = None;
            self.look_at_all();
        }
    }
}

fn is_summary(notice: &Notice) -> bool {
    notice
        .group
        .as_ref()
        .is_some_and(|group| group.key == crate::outbox::SUMMARY)
}
