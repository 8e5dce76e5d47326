//! How far engine time stays behind the clock.
//!
//! RIS Live is up to a second behind the routers (FIELD-FACTS). Whoever stamped inputs with the clock beside it would move
//! engine time past its messages and make all of them late. So where such a feed runs, everybody keeps its distance: ticks are
//! stamped so much earlier, and what is of now (probes, hints, batches of agents) waits as long before it enters the pipeline.

use std::time::Duration;

use netfault_model::{Input, Time};
use netfault_sources::ris_live::system_clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::sources::is_live;
use crate::config::Config;

/// Four ticks a second: what the order window holds back waits for one of them where nothing else comes.
const TICK: Duration = Duration::from_millis(250);
/// Batches that wait; a full queue stops the source, which then makes its next batch larger.
const QUEUE: usize = 64;

const BEHIND_RIS_LIVE: Duration = Duration::from_secs(1);

/// No further than the feed that is the furthest behind.
pub fn of(config: &Config) -> Duration {
    match &config.ris_live {
        Some(_) if is_live(config) => BEHIND_RIS_LIVE,
        _ => Duration::ZERO,
    }
}

/// A sender that hands on to `out` what is sent, `lag` after the newest time in it. What waits is handed on at once when
/// everything stops.
pub fn behind(
    lag: Duration,
    out: mpsc::Sender<Vec<Input>>,
    mut stop: watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> mpsc::Sender<Vec<Input>> {
    if lag.is_zero() {
        return out;
    }
    let (send, mut queue) = mpsc::channel::<Vec<Input>>(QUEUE);
    tasks.spawn(async move {
        while let Some(batch) = queue.recv().await {
            tokio::select! {
                () = tokio::time::sleep(wait(&batch, lag, system_clock()())) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            if out.send(batch).await.is_err() {
                return;
            }
        }
    });
    send
}

/// How long a batch has to wait. Never longer than `lag`, whatever its stamps say.
pub fn wait(batch: &[Input], lag: Duration, now: Time) -> Duration {
    let newest = batch.iter().map(Input::at).max().unwrap_or(Time::MIN);
    let age = now.micros().saturating_sub(newest.micros()).max(0);
    lag.saturating_sub(Duration::from_micros(age.unsigned_abs()))
}

/// The clock, as an input.
pub async fn tick(lag: Duration, out: mpsc::Sender<Vec<Input>>, mut stop: watch::Receiver<bool>) {
    let clock = system_clock();
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = every.tick() => {}
        }
        // A full queue brings time along by itself.
        if let Err(mpsc::error::TrySendError::Closed(_)) = out.try_send(vec![Input::Tick(clock() - lag)]) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_of_now_waits_and_what_is_old_does_not() {
        let now = Time::from_secs(1_000);
        let ticks = |micros: &[i64]| -> Vec<Input> {
            let at = |ago: &i64| Input::Tick(now.plus_micros(-ago));
            micros.iter().map(at).collect()
        };
        let millis = |batch: &[Input]| wait(batch, LAG, now).as_millis();
        assert_eq!(millis(&ticks(&[0])), 1_000);
        assert_eq!(millis(&ticks(&[5_000_000, 300_000])), 700, "by the newest");
        assert_eq!(millis(&ticks(&[1_000_000])), 0);
        assert_eq!(millis(&ticks(&[i64::from(u32::MAX)])), 0);
        assert_eq!(
            millis(&ticks(&[-60_000_000])),
            1_000,
            "the future waits no longer"
        );
        assert_eq!(millis(&[]), 0);
    }

    /// With a lag that no test waits for.
    #[tokio::test]
    async fn what_is_old_passes_and_what_is_of_now_passes_when_all_stops() {
        let lag = Duration::from_secs(86_400);
        let (stop, stopping) = watch::channel(false);
        let (out, mut inputs) = mpsc::channel(4);
        let mut tasks = JoinSet::new();
        let send = behind(lag, out, stopping, &mut tasks);
        let now = system_clock()();
        for input in [Input::Tick(now - lag), Input::Tick(now)] {
            send.send(vec![input]).await.unwrap();
        }
        assert_eq!(inputs.recv().await.unwrap()[0].at(), now - lag);
        assert!(inputs.try_recv().is_err());
        stop.send(true).unwrap();
        assert_eq!(inputs.recv().await.unwrap()[0].at(), now);
        drop(send);
        assert!(inputs.recv().await.is_none());
    }
}
