//! The live client: one task for the socket, one for decoding.
//!
//! ```text
//!  run ─┬─ socket loop (in the caller's task)      owns the WebSocket, writes the queue
//!       └─ decoder task (ends with `run`)          owns the Decoder, reads the queue, writes `out`
//! ```
//!
//! Cancelling is safe at every await: a frame is either in the queue or still in the socket. `run` ends
//! when `shutdown` turns true (or its sender is gone) or when `out` is closed; then the decoder has
//! [`DRAIN`] to hand over what it has. If the future of `run` is dropped, the decoder task is aborted.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netfault_model::{Input, Time};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::config::ClientConfig;
use super::decode::Decoder;
use super::queue::{Bad, Item, Queue};
use super::socket;
use super::stats::Stats;

/// Where inputs go. Bounded by its maker: when it is full the decoder waits, the queue behind it fills,
/// and what does not fit there is counted as a gap.
pub type Sink = mpsc::Sender<Vec<Input>>;

/// The clock that time stamps are judged by, injected so that a test can hold it still.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How long the decoder may take to hand over what it has, after shutdown.
const DRAIN: Duration = Duration::from_secs(2);
/// How often gaps that wait for company are looked at.
const TICK: Duration = Duration::from_millis(250);

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(netfault_model::time::micros(since))
    })
}

/// Connects, subscribes and delivers until told to stop. Never fails: what goes wrong is a gap, a counter
/// and a log line, and the next attempt follows after a wait.
pub async fn run(
    config: ClientConfig,
    out: Sink,
    clock: Clock,
    mut shutdown: watch::Receiver<bool>,
    stats: Arc<Stats>,
) {
    let queue = Arc::new(Queue::new(config.limits.queue_frames, config.limits.queue_bytes));
    let decoder = Decoder::new(config.lateness, config.limits.seen, Arc::clone(&stats));
    let mut tasks = JoinSet::new();
    tasks.spawn(decode(
        Arc::clone(&queue),
        decoder,
        out.clone(),
        clock,
        config.limits.batch,
    ));

    tokio::select! {
        () = stopped(&mut shutdown) => {}
        () = out.closed() => {}
        () = socket::keep_connected(&config, &queue, &stats) => {}
    }
    stats.connected.set(0);
    queue.close();
    if tokio::time::timeout(DRAIN, tasks.join_next()).await.is_err() {
        tracing::warn!("RIS Live: the pipeline did not take the last messages in time");
    }
}

/// Returns when the flag is true or nobody can set it any more.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which says the same.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn decode(queue: Arc<Queue>, mut decoder: Decoder, out: Sink, clock: Clock, batch: usize) {
    let mut items = Vec::with_capacity(batch);
    let mut open = true;
    while open {
        let mut inputs = Vec::new();
        if decoder.is_waiting() {
            // A timeout only means that no frame came: there are gaps to tell.
            if let Ok(more) = tokio::time::timeout(TICK, queue.take(batch, &mut items)).await {
                open = more;
            }
        } else {
            tokio::select! {
                more = queue.take(batch, &mut items) => open = more,
                () = out.closed() => return,
            }
        }
        let now = clock();
        inputs.reserve(items.len());
        for item in items.drain(..) {
            decode_item(&mut decoder, item, now, &mut inputs);
        }
        match queue.take_dropped() {
            0 => {}
            lost => decoder.dropped(lost, now),
        }
        decoder.tick(now, &mut inputs);
        if !open {
            decoder.finish(now, &mut inputs);
        }
        if !inputs.is_empty() && out.send(inputs).await.is_err() {
            return;
        }
    }
}

fn decode_item(decoder: &mut Decoder, item: Item, now: Time, inputs: &mut Vec<Input>) {
    match item {
        Item::Frame { text, dropped } => {
            if dropped > 0 {
                decoder.dropped(dropped, now);
            }
            decoder.text(&text, now, inputs);
        }
        Item::Bad(Bad::Binary) => decoder.binary(now, inputs),
        Item::Bad(Bad::TooLong) => decoder.too_long(now, inputs),
        Item::Broken { reason, dropped } => {
            if dropped > 0 {
                decoder.dropped(dropped, now);
            }
            decoder.broken(&reason, now, inputs);
        }
    }
}
