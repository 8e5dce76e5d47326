//! Acknowledgements: `netfault incidents ack` writes them into the store; here the service hears of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netfault_model::Time;
use netfault_store::query::{AckPoll, Note};
use netfault_store::{Client, StoreTarget};

/// How soon an alert knows that somebody is on it. The table is small, and what is asked for is indexed.
const EVERY: Duration = Duration::from_secs(5);
/// Those of the time while the service was down count too. Saying one twice does no harm.
const BACK_US: i64 = 24 * 3600 * 1_000_000;

/// Passes on each acknowledgement as the store takes it in, oldest first. Never ends by itself; may be dropped at any
/// await, and what was not passed on is found again at the next start.
pub async fn pass_on(target: &StoreTarget, mut tell: impl AsyncFnMut(Note)) {
    let client = Client::new(target);
    let mut poll = AckPoll::since(now().plus_micros(-BACK_US));
    let mut timer = tokio::time::interval(EVERY);
    // A store that was away for an hour is asked once.
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match poll.next(&client).await {
            Ok(acks) => {
                for ack in acks {
                    tracing::info!(incident = %ack.incident, by = ack.by, "acknowledged");
                    tell(ack).await;
                }
            }
            // That the store is away is told by the writer.
            Err(error) => tracing::debug!(%error, "the store was not asked for acknowledgements"),
        }
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
