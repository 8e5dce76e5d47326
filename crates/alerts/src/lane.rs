//! The task of one receiver. It owns the receiver's outbox and everything about its retries.
//!
//! ```text
//!   Alerts::send ──[queue]──► lane ──► outbox file (synced) ──► ack to the sender
//!                               └────► one attempt at a time ──► receiver
//! ```
//!
//! The queue is read while an attempt is under way, so a hanging receiver never delays `send`. Dropping the
//! task at any await is safe: what is not marked as accepted in the file is sent again after a restart.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::notice::{Notice, NoticeState};
use crate::outbox::{Ledger, Log, Put, Record};
use crate::receiver::{Receiver, To};
use crate::retry::{self, Verdict};
use crate::webhook::{Failure, Poster};

/// Notices that go to disk together, and the sender that waits for it.
pub(crate) struct Batch {
    pub notices: Vec<Notice>,
    pub saved: oneshot::Sender<()>,
}

/// What happened to the notices of one receiver since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub accepted: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Dropped because the receiver will never take them.
    pub refused: u64,
    /// Dropped because the outbox was full.
    pub overflowed: u64,
    /// Kept in memory only, because the outbox could not be written.
    pub unsaved: u64,
    /// Waiting now.
    pub pending: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
    unsaved: AtomicU64,
    pending: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        Counts {
            accepted: self.accepted.load(Relaxed),
            retried: self.retried.load(Relaxed),
            refused: self.refused.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            unsaved: self.unsaved.load(Relaxed),
            pending: self.pending.load(Relaxed),
        }
    }
}

struct Attempt {
    id: String,
    state: NoticeState,
    result: Result<(), Failure>,
}

type InFlight = Pin<Box<dyn Future<Output = Attempt> + Send>>;

/// Failures of one notice in a row, and when it may be tried again.
#[derive(Default)]
struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

pub(crate) struct Lane {
    receiver: Arc<Receiver>,
    poster: Poster,
    ledger: Ledger,
    log: Arc<Mutex<Log>>,
    counters: Arc<Counters>,
    /// Of the receiver as a whole.
    backoff: Backoff,
    /// Of single notices that the receiver does not take while it takes others.
    stuck: HashMap<String, Backoff>,
}

impl Lane {
    pub(crate) fn new(
        receiver: Receiver,
        poster: Poster,
        (log, ledger): (Log, Ledger),
        counters: Arc<Counters>,
    ) -> Self {
        counters.pending.store(ledger.waiting_len() as u64, Relaxed);
        Lane {
            receiver: Arc::new(receiver),
            poster,
            ledger,
            log: Arc::new(Mutex::new(log)),
            counters,
            backoff: Backoff::default(),
            stuck: HashMap::new(),
        }
    }

    /// Until the queue is closed and nothing is left that could be sent without waiting.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Batch>) {
        let mut open = true;
        let mut in_flight: Option<InFlight> = None;
        loop {
            let mut wake = None;
            if in_flight.is_none() {
                match self.next(Instant::now()) {
                    Next::Send(notice) => in_flight = Some(self.attempt(*notice)),
                    Next::Wait(until) => wake = Some(until),
                    Next::Idle => {}
                }
            }
            if !open && in_flight.is_none() {
                return;
            }
            tokio::select! {
                batch = queue.recv(), if open => match batch {
                    Some(batch) => self.take(batch).await,
                    None => open = false,
                },
                attempt = maybe(&mut in_flight), if in_flight.is_some() => {
                    in_flight = None;
                    self.conclude(attempt).await;
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Saves a batch, then lets the sender go on.
    async fn take(&mut self, batch: Batch) {
        let mut records = Vec::new();
        for notice in batch.notices {
            let id = notice.id.clone();
            match self.ledger.put(notice.clone()) {
                Put::Waits => {
                    self.stuck.remove(&id);
                    records.push(Record::Put(notice));
                }
                Put::Known => {}
                Put::Full => self.overflowed(&notice),
            }
        }
        self.save(records).await;
        // The sender may have given up waiting; the notices are saved all the same.
        let _ = batch.saved.send(());
    }

    fn overflowed(&self, notice: &Notice) {
        self.counters.overflowed.fetch_add(1, Relaxed);
        tracing::error!(
            receiver = self.receiver.name,
            id = notice.id,
            state = notice.state.name(),
            max = Ledger::MAX,
            "the alert outbox is full, the notice is dropped: {}",
            notice.title
        );
    }

    async fn save(&mut self, records: Vec<Record>) {
        self.counters
            .pending
            .store(self.ledger.waiting_len() as u64, Relaxed);
        if records.is_empty() {
            return;
        }
        let count = records.len() as u64;
        let log = Arc::clone(&self.log);
        let written = tokio::task::spawn_blocking(move || {
            log.lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .append(&records)
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.counters.unsaved.fetch_add(count, Relaxed);
                tracing::error!(receiver = self.receiver.name, %error, "alerts are kept in memory only");
            }
            // Only when the runtime is being shut down: what was not written was not promised either.
            Err(_) => {}
        }
        self.tidy().await;
    }

    async fn tidy(&mut self) {
        let log = Arc::clone(&self.log);
        if !log
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_stale(self.ledger.len())
        {
            return;
        }
        let records = self.ledger.snapshot();
        let written = tokio::task::spawn_blocking(move || {
            log.lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .rewrite(&records)
        });
        if let Ok(Err(error)) = written.await {
            tracing::error!(receiver = self.receiver.name, %error, "the alert outbox keeps growing");
        }
    }

    /// The first notice that may be sent at `now`, else when one may be.
    fn next(&self, now: Instant) -> Next {
        if self.ledger.waiting_len() == 0 {
            return Next::Idle;
        }
        if let Some(until) = self.backoff.not_before.filter(|&until| until > now) {
            return Next::Wait(until);
        }
        let mut soonest: Option<Instant> = None;
        for notice in self.ledger.waiting() {
            match self
                .stuck
                .get(&notice.id)
                .and_then(|backoff| backoff.not_before)
                .filter(|&until| until > now)
            {
                None => return Next::Send(Box::new(notice.clone())),
                Some(until) => soonest = Some(soonest.map_or(until, |soonest| soonest.min(until))),
            }
        }
        soonest.map_or(Next::Idle, Next::Wait)
    }

    fn attempt(&self, notice: Notice) -> InFlight {
        let (receiver, poster) = (Arc::clone(&self.receiver), self.poster.clone());
        Box::pin(async move {
            let result = deliver(&receiver.to, &poster, &notice).await;
            Attempt {
                id: notice.id,
                state: notice.state,
                result,
            }
        })
    }

    async fn conclude(&mut self, attempt: Attempt) {
        let Attempt { id, state, result } = attempt;
        let Err(failure) = result else {
            self.backoff = Backoff::default();
            self.stuck.remove(&id);
            self.counters.accepted.fetch_add(1, Relaxed);
            self.ledger.accepted(&id, state);
            return self.save(vec![Record::Accepted { id, state }]).await;
        };
        match failure.verdict() {
            // Not reached: an error is never accepted.
            Verdict::Accepted => {}
            Verdict::RetryReceiver { after } => {
                let pause = self.backoff.fail(after);
                self.say_retry(&id, state, &failure, pause);
            }
            Verdict::RetryNotice => {
                self.backoff = Backoff::default();
                let pause = self.stuck.entry(id.clone()).or_default().fail(None);
                self.say_retry(&id, state, &failure, pause);
            }
            // The receiver holds it as open and is owed the end, so somebody must mend the receiver first.
            Verdict::Refused if state == NoticeState::Resolved && self.ledger.told(&id) => {
                let pause = self
                    .stuck
                    .entry(id.clone())
                    .or_default()
                    .fail(Some(retry::LONGEST));
                self.say_retry(&id, state, &failure, pause);
            }
            Verdict::Refused => {
                self.backoff = Backoff::default();
                self.stuck.remove(&id);
                self.counters.refused.fetch_add(1, Relaxed);
                tracing::error!(
                    receiver = self.receiver.name, id, state = state.name(), %failure,
                    "the receiver refuses the alert for good, it is dropped"
                );
                self.ledger.refused(&id, state);
                self.save(vec![Record::Refused { id, state }]).await;
            }
        }
    }

    fn say_retry(&self, id: &str, state: NoticeState, failure: &Failure, pause: Duration) {
        self.counters.retried.fetch_add(1, Relaxed);
        tracing::warn!(
            receiver = self.receiver.name, id, state = state.name(), %failure, pause_s = pause.as_secs_f64(),
            pending = self.ledger.waiting_len(), "the alert was not accepted and is sent again"
        );
    }
}

enum Next {
    Send(Box<Notice>),
    Wait(Instant),
    Idle,
}

impl Backoff {
    /// Counts a failure; returns the pause before the next attempt.
    fn fail(&mut self, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = asked.unwrap_or_else(|| retry::pause(self.failures, fastrand::f64()));
        self.not_before = Some(Instant::now() + pause);
        pause
    }
}

async fn maybe(in_flight: &mut Option<InFlight>) -> Attempt {
    match in_flight {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

/// One attempt at one notice.
pub(crate) async fn deliver(to: &To, poster: &Poster, notice: &Notice) -> Result<(), Failure> {
    match to {
        To::Stdout => print(notice.to_string()).await,
        To::Webhook(webhook) => poster.post(webhook, notice).await,
    }
}

/// A pipe that nobody reads must not hold up the task, so the write is made elsewhere.
async fn print(line: String) -> Result<(), Failure> {
    let write = move || -> std::io::Result<()> {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(result) => result.map_err(Failure::Stdout),
        Err(_) => Err(Failure::Stdout(std::io::Error::other("shutting down"))),
    }
}
