//! `netfault agent`: one more vantage.
//!
//! ```text
//! dns schedule ─► results (a second of them) ─► spool (on disk, bounded) ─► one batch at a time ─► the collector
//!      task                                  one task owns all of this
//! ```
//! * [`spool`] batches on disk; [`segment`] one of them as a file
//! * [`results`] what was found and is not on disk yet, and what was lost
//! * [`courier`] sends the oldest batch until the collector itself says that it is safe; [`pace`] when to try again
//!
//! The schedule never waits for the collector: what cannot be sent is spooled, what cannot be spooled is dropped, the oldest first,
//! and told as a gap. Dropping the task cancels a request; its batch is still on disk.

mod courier;
mod pace;
mod results;
mod segment;
mod spool;

use std::process::ExitCode;
use std::time::Duration;

use netfault_model::{Input, Time};
use netfault_sources::dns::schedule;
use netfault_sources::ris_live::{Clock, system_clock};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::courier::Courier;
use self::results::Results;
use self::spool::Spool;
use super::{load, run, runtime};
use crate::cli::RunArgs;
use crate::config::{Agent, Config};
use crate::exit::{Failure, Result};

/// Batches of the schedule: it keeps 20,000 results itself before it skips.
const QUEUE: usize = 64;
/// How long a result may be in memory only: what a kill costs.
const FLUSH: Duration = Duration::from_secs(1);
/// For what is spooled, at the end.
const LAST: Duration = Duration::from_secs(5);

pub fn agent(args: &RunArgs) -> Result<ExitCode> {
    let config = load(&args.config)?;
    let Some(section) = &config.agent else {
        let message =
            "this configuration has no section 'agent' (name, collector, token): netfault run takes it";
        return Err(Failure::config(message));
    };
    for line in config.describe() {
        tracing::info!("{line}");
    }
    let stop_after = args.stop_after.map(Duration::from_secs);
    runtime()?.block_on(serve(&config, section, stop_after))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config, section: &Agent, stop_after: Option<Duration>) -> Result<()> {
    let clock = system_clock();
    let plan = run::dns_plan(config)?;
    let mut agent = Running::start(section, clock.clone())?;
    let (stop, stopping) = watch::channel(false);
    let (out, inputs) = mpsc::channel(QUEUE);
    let schedule = tokio::spawn(schedule::run(plan, out, stopping, clock));
    let ended = tokio::select! {
        ended = run::wait_for_end(stop_after) => ended,
        () = agent.work(inputs) => Err(Failure::bug("the schedule ended by itself")),
    };
    tracing::info!("stopping: what was found is spooled, and sent if the collector takes it at once");
    let _ = stop.send(true); // its receiver is gone with the schedule
    let _ = schedule.await; // it ends at its next step; a panic in it was printed
    agent.finish().await;
    ended
}

/// The one task that owns results, spool and courier.
struct Running {
    name: String,
    clock: Clock,
    results: Results,
    spool: Spool,
    courier: Courier,
}

impl Running {
    fn start(section: &Agent, clock: Clock) -> Result<Running> {
        let limits = spool::Limits {
            max_bytes: section.spool_max,
            max_age: section.spool_age,
        };
        let now = clock();
        let (spool, found) = Spool::open(&section.spool_dir, limits, now).map_err(|error| {
            let dir = section.spool_dir.display();
            Failure::unavailable(format_args!("the spool in {dir} cannot be opened: {error}"))
        })?;
        let mut results = Results::default();
        found.into_iter().for_each(|hole| results.hole(hole));
        Ok(Running {
            name: section.name.clone(),
            courier: Courier::new(section, clock.clone())?,
            clock,
            results,
            spool,
        })
    }

    /// Until the schedule ends. Cancelling it leaves everything in place.
    async fn work(&mut self, mut inputs: mpsc::Receiver<Vec<Input>>) {
        let mut flush = tokio::time::interval(FLUSH);
        flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = inputs.recv() => match batch {
                    Some(batch) => self.results.add(batch),
                    None => return,
                },
                _ = flush.tick() => self.flush(),
                sent = self.courier.step(&self.spool) => self.courier.settle(sent, &mut self.spool, &mut self.results, &self.name),
            }
        }
    }

    /// Results onto the disk, and what is too old or too much off it.
    fn flush(&mut self) {
        let now: Time = (self.clock)();
        let under_way = self.courier.is_under_way();
        self.spool
            .trim(now, under_way)
            .into_iter()
            .for_each(|hole| self.results.hole(hole));
        self.results.flush(&mut self.spool, now);
    }

    /// What is left in the spool after a last effort is sent at the next start.
    async fn finish(mut self) {
        self.flush();
        let deadline = Instant::now() + LAST;
        while !self.spool.is_empty() && !self.courier.is_waiting() {
            let step = self.courier.step(&self.spool);
            let Ok(sent) = tokio::time::timeout_at(deadline, step).await else {
                break;
            };
            self.courier
                .settle(sent, &mut self.spool, &mut self.results, &self.name);
        }
        self.flush();
        if !self.spool.is_empty() {
            let (batches, results) = self.spool.size();
            tracing::warn!(batches, results, "kept in the spool");
        }
    }
}
