//! Pace and distribution: one feed for all sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use netfault_model::Time;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::filter::Filter;
use super::record::{Record, Records};
use super::{Served, ServerConfig, Speed, Stamps, render};
use crate::ris_live::client::Clock;

/// Records from the loader in one piece, and pieces that may wait: enough that reading a file never
/// holds up the feed.
const CHUNK: usize = 512;
const CHUNKS: usize = 16;

/// One message as it is sent.
#[derive(Debug)]
pub struct Message {
    pub record: Record,
    pub at: Time,
    pub text: Utf8Bytes,
    raw: OnceLock<Utf8Bytes>,
}

impl Message {
    /// The frame with `raw` at its end, made once for whoever wants it.
    pub fn text_with_raw(&self) -> Utf8Bytes {
        self.raw
            .get_or_init(|| render::with_raw(&self.text, &self.record).into())
            .clone()
    }
}

/// What goes to a session: the message, and whether with `raw`.
pub type Delivery = (Arc<Message>, bool);

/// A session as the feed sees it. Dropping it closes the session's channel.
#[derive(Debug)]
pub struct Subscriber {
    pub id: u64,
    pub filters: Vec<Filter>,
    pub out: mpsc::Sender<Delivery>,
}

/// The sessions there are.
#[derive(Debug, Default)]
pub struct Hub {
    subscribers: Mutex<Vec<Subscriber>>,
    next_id: AtomicU64,
    /// Told at every new subscription.
    subscribed: Notify,
    closed: tokio::sync::watch::Sender<bool>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.subscribers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn join(&self, out: mpsc::Sender<Delivery>) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        if !*self.closed.borrow() {
            self.lock().push(Subscriber {
                id,
                filters: Vec::new(),
                out,
            });
        }
        id
    }

    pub fn leave(&self, id: u64) {
        self.lock().retain(|subscriber| subscriber.id != id);
    }

    pub fn subscribe(&self, id: u64, filter: Filter) {
        if let Some(subscriber) = self.lock().iter_mut().find(|subscriber| subscriber.id == id) {
            subscriber.filters.push(filter);
        }
        self.subscribed.notify_one();
    }

    pub fn unsubscribe(&self, id: u64) {
        if let Some(subscriber) = self.lock().iter_mut().find(|subscriber| subscriber.id == id) {
            subscriber.filters.clear();
        }
    }

    /// No session joins any more; those there are end when they have sent what they have.
    pub fn close(&self) {
        self.closed.send_replace(true);
        self.lock().clear();
    }

    async fn wait_for_subscription(&self) {
        loop {
            let told = self.subscribed.notified();
            if self
                .lock()
                .iter()
                .any(|subscriber| !subscriber.filters.is_empty())
            {
                return;
            }
            told.await;
        }
    }

    /// To every subscription that lets it through: overlapping ones deliver a message twice, as the service
    /// does. Sessions whose buffer is full are returned if `wait`, else cut.
    fn deliver(&self, message: &Arc<Message>, wait: bool) -> Vec<(mpsc::Sender<Delivery>, Delivery)> {
        let mut blocked = Vec::new();
        self.lock().retain(|subscriber| {
            for filter in subscriber
                .filters
                .iter()
                .filter(|filter| filter.matches(&message.record))
            {
                let delivery = (Arc::clone(message), filter.include_raw);
                match subscriber.out.try_send(delivery) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(delivery)) if wait => {
                        blocked.push((subscriber.out.clone(), delivery));
                    }
                    Err(_) => return false,
                }
            }
            true
        });
        blocked
    }
}

/// Serves all records, once or for ever. Cancel it to stop.
pub async fn run(config: &ServerConfig, hub: &Hub, clock: &Clock) -> Served {
    let mut served = Served::default();
    hub.wait_for_subscription().await;
    let mut pace = Pace::new(config.speed, config.stamps, clock);
    loop {
        let before = served.messages;
        let (mut chunks, unreadable) = load(config);
        while let Some(chunk) = chunks.recv().await {
            for record in chunk {
                serve_one(record, &mut pace, hub, config).await;
                served.messages += 1;
            }
        }
        served.unreadable += unreadable.load(Ordering::Relaxed);
        // A round without a message would be repeated without end and without pause.
        if !config.repeat || served.messages == before {
            return served;
        }
        pace.next_round();
    }
}

async fn serve_one(record: Record, pace: &mut Pace<'_>, hub: &Hub, config: &ServerConfig) {
    let at = pace.wait_for(record.at).await;
    let text = render::frame(&record, at, pace.sequence()).into();
    let message = Arc::new(Message {
        record,
        at,
        text,
        raw: OnceLock::new(),
    });
    let max = config.speed == Speed::Max;
    if max {
        hub.wait_for_subscription().await;
    }
    for (out, delivery) in hub.deliver(&message, max) {
        // An error means that the session is gone: nobody misses it.
        let _ = out.send(delivery).await;
    }
}

/// Reads the files in a thread of its own, which ends when the receiver is dropped.
fn load(config: &ServerConfig) -> (mpsc::Receiver<Vec<Record>>, Arc<AtomicU64>) {
    let (chunks, receiver) = mpsc::channel(CHUNKS);
    let unreadable = Arc::new(AtomicU64::new(0));
    let (files, count) = (config.files.clone(), Arc::clone(&unreadable));
    std::thread::spawn(move || {
        let mut records = Records::new(&files);
        loop {
            let chunk: Vec<Record> = records.by_ref().take(CHUNK).collect();
            count.store(records.unreadable, Ordering::Relaxed);
            if chunk.is_empty() || chunks.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    (receiver, unreadable)
}

/// When a record is due, and which stamp it gets.
struct Pace<'a> {
    speed: Speed,
    stamps: Stamps,
    clock: &'a Clock,
    /// The first record, when it was sent, and the clock then.
    start: Option<(Time, Instant, Time)>,
    count: u64,
    latest: Time,
    /// Added to the stamps of repeated rounds.
    moved: i64,
}

impl<'a> Pace<'a> {
    fn new(speed: Speed, stamps: Stamps, clock: &'a Clock) -> Self {
        Pace {
            speed,
            stamps,
            clock,
            start: None,
            count: 0,
            latest: Time::MIN,
            moved: 0,
        }
    }

    /// Waits until the record is due; its stamp.
    async fn wait_for(&mut self, recorded: Time) -> Time {
        let at = recorded.plus_micros(self.moved);
        self.latest = self.latest.max(at);
        let (first, begun, clock_then) = *self
            .start
            .get_or_insert_with(|| (at, Instant::now(), (self.clock)()));
        let offset = at.since(first);
        let due = match self.speed {
            Speed::Max => None,
            Speed::Times(times) => seconds(offset as f64 / 1e6 / times),
            Speed::PerSecond(rate) => seconds(self.count as f64 / rate),
        };
        self.count += 1;
        if let Some(due) = due.map(|due| begun + due)
            && due > Instant::now()
        {
            sleep_until(due).await;
        }
        match self.stamps {
            Stamps::Keep => at,
            Stamps::Shift => clock_then.plus_micros(offset),
            Stamps::Sent => (self.clock)(),
        }
    }

    /// The next round begins a second after the last record of this one.
    fn next_round(&mut self) {
        if let Some((first, ..)) = self.start {
            self.moved = self.latest.since(first).saturating_add(1_000_000);
        }
    }

    fn sequence(&self) -> u16 {
        (self.count % 65_536) as u16
    }
}

/// `None` for what is no time to wait: before the first record, or a speed of zero or less.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
