//! The task of one receiver. It owns the receiver's outbox and everything about its retries.
//!
//! ```text
//!   Alerts::send ──[queue]──► lane ──► outbox file (synced) ──► ack to the sender
//!   silences ──[watch]────────►└────► one attempt at a time ──► receiver
//! ```
//!
//! The queue is read while an attempt is under way, so a hanging receiver never delays `send`. Dropping the
//! task at any await is safe: what is not marked as accepted in the file is sent again after a restart.

mod attempt;
mod counters;

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use netfault_model::Time;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub(crate) use counters::Counters;
pub use counters::Counts;

use crate::clock;
use crate::http::Poster;
use crate::lane::attempt::{Backoff, InFlight, Next};
use crate::notice::Notice;
use crate::outbox::{Ledger, Log, Manner, OutboxError, Put, Record, SUMMARY};
use crate::rate::Bucket;
use crate::receivers::Receiver;
use crate::routing::{Plan, Routing};
use crate::silences::Quiet;

/// What a lane is told.
pub(crate) enum Order {
    /// Notices that go to disk together, and the sender that waits for it.
    Put {
        notices: Vec<Notice>,
        saved: oneshot::Sender<()>,
    },
    /// Somebody looks after an incident.
    Ack { incident: String, by: String, at: Time },
}

pub(crate) struct Lane {
    receiver: Arc<Receiver>,
    manner: Manner,
    routing: Arc<Routing>,
    poster: Poster,
    ledger: Ledger,
    log: Arc<Mutex<Log>>,
    counters: Arc<Counters>,
    /// The silences in force.
    quiet: watch::Receiver<Quiet>,
    bucket: Option<Bucket>,
    /// Of the receiver as a whole.
    backoff: Backoff,
    /// Of single notices that the receiver does not take while it takes others.
    stuck: HashMap<String, Backoff>,
    /// When what is open is sent again, for receivers that forget.
    refresh_at: Option<Instant>,
    /// Something ended: what it covered may be due. Looked at together, a moment later.
    look_at: Option<Instant>,
    /// To be written before the next wait.
    unwritten: Vec<Record>,
}

/// Endings come in hundreds.
const TOGETHER: Duration = Duration::from_millis(200);

impl Lane {
    pub(crate) fn new(
        receiver: Receiver,
        routing: Arc<Routing>,
        poster: Poster,
        (log, mut ledger): (Log, Ledger),
        quiet: watch::Receiver<Quiet>,
        counters: Arc<Counters>,
    ) -> Self {
        let now = clock::now();
        ledger.plan_anew(|notice| match &notice.group {
            Some(group) => Some(routing.plan_of_group(&group.key)),
            None => routing.plan(&receiver.name, notice),
        });
        let mut lane = Lane {
            manner: receiver.manner(),
            bucket: receiver.rate.map(|rate| Bucket::new(rate, now)),
            refresh_at: receiver.refresh().map(|_| Instant::now()),
            receiver: Arc::new(receiver),
            routing,
            poster,
            ledger,
            log: Arc::new(Mutex::new(log)),
            counters,
            quiet,
            backoff: Backoff::default(),
            stuck: HashMap::new(),
            look_at: None,
            unwritten: Vec::new(),
        };
        lane.look_at_all();
        lane.count();
        lane
    }

    /// Until the queue is closed and nothing is left that could be sent without waiting.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        let mut open = true;
        let mut in_flight: Option<InFlight> = None;
        loop {
            let mut wake = None;
            if in_flight.is_none() {
                match self.next(open) {
                    Next::Send(attempt) => in_flight = Some(attempt),
                    Next::Wait(until) => wake = Some(until),
                    Next::Idle => {}
                }
            }
            self.write().await;
            if !open && in_flight.is_none() {
                return;
            }
            let wake = self.wake_at(wake);
            tokio::select! {
                order = queue.recv(), if open => match order {
                    Some(order) => self.take(order).await,
                    None => open = false,
                },
                done = attempt::maybe(&mut in_flight), if in_flight.is_some() => {
                    in_flight = None;
                    self.conclude(done);
                }
                // Closed only when everything ends.
                Ok(()) = self.quiet.changed() => self.look_at_all(),
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.wake(),
            }
        }
    }

    async fn take(&mut self, order: Order) {
        match order {
            Order::Put { notices, saved } => {
                for notice in notices {
                    self.put(notice);
                }
                self.end_summary();
                self.write().await;
                // The sender may have given up waiting; the notices are saved all the same.
                let _ = saved.send(());
            }
            Order::Ack { incident, by, at } => {
                for id in self.ledger.of_incident(&incident, at) {
                    if self.ledger.ack(&id, &by) {
                        self.unwritten.push(Record::Acked {
                            id: id.clone(),
                            by: by.clone(),
                        });
                        self.look(&id);
                    }
                }
            }
        }
    }

    fn put(&mut self, notice: Notice) {
        let plan = self.routing.plan(&self.receiver.name, &notice);
        let group = match &plan {
            Some(plan) => plan.group.clone(),
            None => self.ledger.group_key_of(&notice.id),
        };
        let Some(key) = group else {
            return self.keep(notice, plan);
        };
        if let Some(group) = self
            .ledger
            .gather(&key, &self.receiver.name, &notice, clock::now())
        {
            let plan = plan.unwrap_or_else(|| self.routing.plan_of_group(&key));
            self.keep(group, Some(plan));
        }
    }

    fn keep(&mut self, notice: Notice, plan: Option<Plan>) {
        let id = notice.id.clone();
        match self.ledger.put(notice.clone(), plan) {
            Put::Kept => {
                self.stuck.remove(&id);
                self.look(&id);
                self.unwritten.push(Record::Put(notice));
                if self.ledger.hold(&id) {
                    self.unwritten.push(Record::Held { id });
                }
            }
            Put::Forgotten => {
                self.stuck.remove(&id);
                self.unwritten.push(Record::Put(notice));
            }
            Put::Known => {}
            Put::Full => self.overflowed(&notice),
        }
    }

    fn overflowed(&self, notice: &Notice) {
        Counters::add(&self.counters.overflowed, 1);
        tracing::error!(
            receiver = self.receiver.name,
            id = notice.id,
            state = notice.state.name(),
            max = Ledger::MAX,
            "the alert outbox is full, the notice is dropped: {}",
            notice.title
        );
    }

    fn look(&mut self, id: &str) {
        let quiet = self.quiet.borrow();
        self.ledger.look(id, clock::now(), self.manner, &quiet);
    }

    fn look_at_all(&mut self) {
        let quiet = self.quiet.borrow_and_update();
        self.ledger.look_at_all(clock::now(), self.manner, &quiet);
    }

    /// A rate cap holds `id` back.
    fn hold_back(&mut self, id: &str) {
        Counters::add(&self.counters.suppressed, 1);
        let Some(entry) = self.ledger.get(id) else { return };
        let (notice, is_open) = (entry.notice.clone(), entry.told.is_none());
        self.ledger.sum_up(id, clock::now());
        if !is_open {
            return self.look(id); // a repetition or an update: left out
        }
        self.unwritten.push(Record::Summed { id: id.to_owned() });
        tracing::warn!(
            receiver = self.receiver.name,
            id,
            "held back by the rate cap: {}",
            notice.title
        );
        if let Some(summary) = self
            .ledger
            .gather(SUMMARY, &self.receiver.name, &notice, clock::now())
        {
            self.keep(summary, Some(Plan::PLAIN));
        }
    }

    fn end_summary(&mut self) {
        if let Some(end) = self.ledger.ended_summary() {
            self.keep(end, Some(Plan::PLAIN));
        }
    }

    fn count(&self) {
        let oldest = self.ledger.waiting().next().map(|entry| entry.notice.at);
        self.counters
            .pending
            .store(self.ledger.waiting_len() as u64, Relaxed);
        self.counters
            .oldest
            .store(oldest.map_or(0, Time::micros), Relaxed);
        self.counters.open.store(self.ledger.told_len() as u64, Relaxed);
    }

    /// Writes what is not written; returns once it is safe.
    async fn write(&mut self) {
        self.counters
            .pending
            .store(self.ledger.waiting_len() as u64, Relaxed);
        if self.unwritten.is_empty() {
            return;
        }
        self.count();
        let records = std::mem::take(&mut self.unwritten);
        let count = records.len() as u64;
        let must_last = records
            .iter()
            .any(|record| !matches!(record, Record::Accepted { .. }));
        let written = self.on_disk(move |log| match must_last {
            true => log.append(&records),
            false => log.note(&records),
        });
        if let Some(Err(error)) = written.await {
            Counters::add(&self.counters.unsaved, count);
            tracing::error!(receiver = self.receiver.name, %error, "alerts are kept in memory only");
        }
        if held(&self.log).is_stale(self.ledger.len()) {
            let records = self.ledger.snapshot();
            let written = self.on_disk(move |log| log.rewrite(&records));
            if let Some(Err(error)) = written.await {
                tracing::error!(receiver = self.receiver.name, %error, "the alert outbox keeps growing");
            }
        }
    }

    /// `None` only when the runtime is being shut down: what was not written was not promised either.
    async fn on_disk(
        &self,
        work: impl FnOnce(&mut Log) -> Result<(), OutboxError> + Send + 'static,
    ) -> Option<Result<(), OutboxError>> {
        let log = Arc::clone(&self.log);
        tokio::task::spawn_blocking(move || work(&mut held(&log)))
            .await
            .ok()
    }
}

fn held(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
