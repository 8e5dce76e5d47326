//! The sender thread: from the spool to ClickHouse.
//!
//! One small tokio runtime on one thread. Two inserts are in flight, so that one is on the wire while the
//! server writes the other. A failed one goes back to its place and everything waits, longer each time,
//! with jitter, so that many collectors do not come back at once. Nothing is given up but what the server
//! will never take ([`crate::retry`]). Cancelling at any point is safe: the segment is still on disk, and
//! its token makes a second insert of it harmless, and where a token cannot be trusted its keys do.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::error::StoreError;
use crate::retry::{Verdict, verdict};
use crate::segment::Segment;
use crate::writer::Shared;

/// Inserts at once. A third gains nothing: the server is busy with two.
const IN_FLIGHT: usize = 2;
const PIECE: usize = 256 << 10;
/// For a piece of the body to be taken, and for the answer after the last one.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Tells the sender that there is something to send.
#[derive(Clone)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

pub(crate) struct Sender {
    thread: JoinHandle<()>,
    wake: Wake,
    /// Once set: end when the spool is empty, or at this moment (`Some(None)` is never).
    end: watch::Sender<Option<Option<Instant>>>,
}

impl Sender {
    pub fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StoreError::io("runtime of the sender"))?;
        let wake = Wake(Arc::new(Notify::new()));
        let (end, ended) = watch::channel(None);
        let notify = wake.0.clone();
        let thread = std::thread::Builder::new()
            .name("store-send".to_owned())
            .spawn(move || runtime.block_on(run(&shared, &notify, ended)))
            .map_err(StoreError::io("thread store-send"))?;
        Ok(Sender { thread, wake, end })
    }

    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Waits until the spool is empty, at most until then.
    pub fn finish(self, until: Option<Instant>) {
        // The receiver is gone only if the thread has ended already.
        let _ = self.end.send(Some(until));
        if self.thread.join().is_err() {
            tracing::error!("the sender thread panicked");
        }
    }
}

async fn run(shared: &Arc<Shared>, notify: &Notify, mut ended: watch::Receiver<Option<Option<Instant>>>) {
    let client = Client::new(&shared.config.target);
    let mut flights = JoinSet::new();
    let mut backoff = Backoff::default();
    loop {
        while flights.len() < IN_FLIGHT && backoff.is_over() {
            let Some(segment) = shared.spool().take() else {
                break;
            };
            flights.spawn(send(shared.clone(), client.clone(), segment));
        }
        let end = *ended.borrow_and_update();
        if let Some(until) = end {
            let over = until.is_some_and(|until| Instant::now() >= until);
            if over || shared.spool().segments() == 0 {
                return;
            }
        }
        let deadline = end.flatten();
        tokio::select! {
            Some(answer) = flights.join_next() => {
                if let Ok((segment, result)) = answer {
                    settle(shared, segment, result, &mut backoff);
                }
            }
            () = notify.notified() => {}
            // Someone wants to go: try once more at once.
            changed = ended.changed() => {
                if changed.is_err() {
                    return;
                }
                backoff.until = None;
            }
            () = sleep_until(backoff.until) => backoff.until = None,
            () = sleep_until(deadline) => {}
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

/// What became of one insert.
enum Failure {
    Store(StoreError),
    Unreadable(String),
}

async fn send(shared: Arc<Shared>, client: Client, segment: Segment) -> (Segment, Result<(), Failure>) {
    let path = segment.path(&shared.config.spool_dir);
    let result = match Segment::load(&path) {
        Ok((_, body)) => insert(&client, &segment, body).await.map_err(Failure::Store),
        Err(error) => Err(Failure::Unreadable(format!("{}: {error}", path.display()))),
    };
    (segment, result)
}

async fn insert(client: &Client, segment: &Segment, body: Vec<u8>) -> Result<(), StoreError> {
    let table = segment.table;
    let sql = format!(
        "INSERT INTO {} ({}) FORMAT Native",
        table.name(),
        table.columns().join(", ")
    );
    let mut insert = client
        .raw()
        // The body is compressed already.
        .with_setting("decompress", "1")
        .with_setting("insert_deduplicate", "1")
        .with_setting("insert_deduplication_token", segment.insert_token())
        // A server that was killed between table and rollup has the batch in one of them only: each looks for itself.
        .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
        .with_setting("async_insert", "0")
        // Repeated rows go when parts are merged; looking for them in every batch costs a pass.
        .with_setting("optimize_on_insert", "0")
        // A batch may hold odd time stamps of any year; each day is a partition.
        .with_setting("max_partitions_per_insert_block", "0")
        .insert_formatted_with(sql)
        .with_timeouts(Some(SEND_TIMEOUT), Some(ANSWER_TIMEOUT));
    let body = Bytes::from(body);
    let mut at = 0;
    while at < body.len() {
        let end = (at + PIECE).min(body.len());
        insert
            .send(body.slice(at..end))
            .await
            .map_err(|error| client.sort(error))?;
        at = end;
    }
    insert.end().await.map_err(|error| client.sort(error))
}

fn settle(shared: &Shared, segment: Segment, result: Result<(), Failure>, backoff: &mut Backoff) {
    let Segment {
        number, table, rows, ..
    } = segment;
    match result {
        Ok(()) => {
            shared.spool().sent(number);
            shared.counters.sent(table, u64::from(rows));
            if shared.counters.error(None) {
                tracing::info!("ClickHouse takes batches again");
            }
            backoff.reset();
        }
        Err(Failure::Store(error)) if verdict(&error) == Verdict::Retry => {
            shared.spool().put_back(number);
            shared.counters.retry();
            let news = shared.counters.error(Some(error.to_string()));
            if backoff.fail() || news {
                tracing::error!(%error, "ClickHouse does not take batches; they wait in the spool");
            }
        }
        Err(Failure::Store(error)) => {
            tracing::error!(%error, table = table.name(), rows, token = segment.token(), "a batch is refused for good");
            shared.spool().reject(number);
            shared.counters.rejected(table, u64::from(rows));
            shared.gap(
                newest(&segment),
                format!("{} rows refused: {error}", table.name()),
                Some(rows.into()),
            );
        }
        Err(Failure::Unreadable(reason)) => {
            tracing::error!(reason, rows, "a segment of the spool cannot be read");
            shared.spool().reject(number);
            shared.counters.torn();
            shared.gap(newest(&segment), reason, Some(rows.into()));
        }
    }
    shared.room.notify_all();
}

fn newest(segment: &Segment) -> netfault_model::Time {
    netfault_model::Time::from_micros(segment.newest)
}

/// Exponential, with jitter of half.
#[derive(Default)]
struct Backoff {
    failures: u32,
    until: Option<Instant>,
    said: Option<Instant>,
}

impl Backoff {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until)
    }

    fn reset(&mut self) {
        *self = Backoff::default();
    }

    /// True if it is time to say that it still fails.
    fn fail(&mut self) -> bool {
        let longest = BACKOFF_MIN
            .saturating_mul(1 << self.failures.min(10))
            .min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let now = Instant::now();
        self.until = Some(now + longest.mul_f64(0.5 + fastrand::f64() / 2.0));
        if self.said.is_some_and(|said| now - said < SAY_EVERY) {
            return false;
        }
        self.said = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_grows_to_its_limit_and_says_so_once_a_minute() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_over());
        assert!(backoff.fail());
        assert!(!backoff.fail());
        for _ in 0..100 {
            backoff.fail();
            assert!(backoff.until.unwrap() <= Instant::now() + BACKOFF_MAX);
        }
        assert!(backoff.until.unwrap() > Instant::now() + BACKOFF_MAX / 3);
        backoff.reset();
        assert!(backoff.is_over());
    }
}
