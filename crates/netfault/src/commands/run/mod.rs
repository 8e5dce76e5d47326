//! `netfault run`: the collector service.
//!
//! ```text
//! ris_live ──┐                                    ┌─► journal
//! dns ───────┼─► inputs (bounded channel) ─► pipeline thread ─► writer (own threads, spool)
//! clock ─────┤                                    ├─► standard output
//! the door ──┘ ─► deliveries, answered when safe  └─► alerts (own tasks, outbox)
//! ```
//! * [`work`] the pipeline thread, which owns the engine; [`restore`] what an earlier run left
//! * [`agents`] the door for vantages elsewhere, and what they sent; [`ledger`] so that it is taken once
//! * [`seeding`] the table of an archive; [`healing`] holes that it fills
//! * [`web`] what the web is asked about services; [`usual`] what is usual of what others report about them
//! * [`sources`] the tasks that send; [`lag`] how far they stay behind the clock; [`output`] a standard output that may fail
//! * [`acks`] acknowledgements that people wrote into the store
//!
//! Sources start once the pipeline has its table back. Shutdown closes the channel: sources stop first, what
//! they sent is still worked through, then the sinks are closed, each with a deadline.

mod acks;
mod agents;
mod healing;
mod lag;
mod ledger;
mod output;
pub(super) mod restore;
mod seeding;
mod sources;
mod usual;
mod web;
mod work;

pub(super) use sources::dns_plan;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netfault_alerts::{Alerts, Health, Notice, Open, Policy, Setup};
use netfault_api::Server;
use netfault_engine::Watchlist;
use netfault_engine::notables::beacons::BeaconMode;
use netfault_model::{Input, Time};
use netfault_sources::journal;
use netfault_store::{StoreTarget, Writer, WriterConfig, embedded};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::{config_file, load, runtime};
use crate::checkpoint::Keeper;
use crate::cli::RunArgs;
use crate::config::{Config, Engine};
use crate::exit::{Failure, Result, sentence};
use crate::notifier::{self, Notifier};
use crate::pipeline::{Pipeline, Recorder, Sinks};
use crate::render::{EventWriter, Format, Style};
use crate::stores::{OpenStore, store_failure};

/// Batches between the sources and the pipeline: about a second of the full feed in a burst. When it is
/// full the DNS schedule skips, and RIS Live counts a gap.
const QUEUE: usize = 64;
/// How long each sink may take to hand over what it has at the end; the rest is on disk.
const CLOSE: Duration = Duration::from_secs(10);

pub fn run(args: &RunArgs, format: Format) -> Result<ExitCode> {
    let mut config = load(&args.config)?;
    if let Some(agent) = &config.agent {
        let message = format_args!(
            "this is the configuration of the agent '{}': run it with netfault agent",
            agent.name
        );
        return Err(Failure::config(message));
    }
    if config_file(&args.config).is_none() {
        go_without_engine(&mut config);
    }
    let runtime = runtime()?;
    for line in config.describe() {
        tracing::info!("{line}");
    }
    let served = runtime.block_on(serve(config, args.stop_after.map(Duration::from_secs), format));
    // A lookup by the system's resolver cannot be cancelled, and may take half a minute.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// The built-in configuration wants the embedded engine, but nobody asked for it.
fn go_without_engine(config: &mut Config) {
    let Some(store) = &config.store else { return };
    if let Engine::Embedded { libchdb, .. } = &store.engine
        && let Err(error) = embedded::find(libchdb.as_deref())
    {
        tracing::warn!("nothing is stored: {}", sentence(&error));
        config.store = None;
    }
}

async fn serve(config: Config, stop_after: Option<Duration>, format: Format) -> Result<ExitCode> {
    let store = match &config.store {
        Some(section) => Some(OpenStore::open(section).await?),
        None => None,
    };
    let served = match &store {
        Some(open) => match open.migrated_if_up().await {
            Ok(client) => serve_with(&config, Some(open), client.is_some(), stop_after, format).await,
            Err(failure) => Err(failure),
        },
        None => serve_with(&config, None, true, stop_after, format).await,
    };
    if let Some(store) = store {
        store.close().await;
    }
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve_with(
    config: &Config,
    store: Option<&OpenStore>,
    store_is_ready: bool,
    stop_after: Option<Duration>,
    format: Format,
) -> Result<()> {
    let health = Arc::new(Health::new(notifier::now()));
    let setup = Setup {
        health: Some(Arc::clone(&health)),
        ..config.alerts.setup().map_err(Failure::config)?
    };
    let (alerts, open) = Alerts::start(setup, &config.alerts.outbox)
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    let alerts = Arc::new(alerts);
    let notifier = notifier(config, &alerts, open, &health);
    let sinks = sinks(config, store, notifier, format)?;
    let archive = match &config.archive {
        Some(section) if !section.collectors.is_empty() => Some(super::archives::open(section)?),
        _ => None,
    };
    let (healer, healing) = sources::healer(config, archive.as_ref());
    let journal = open_journal(config)?;
    let (inputs, queue) = mpsc::channel(QUEUE);
    let (door, agents) = agents::open(config, &inputs, journal.as_ref()).await?;
    let worker = work::Worker {
        journal,
        pipeline: Pipeline::new(config, sinks),
        keeper: Keeper::new(&config.data_dir, config.checkpoint_every),
        healer,
        agents,
        synced: Instant::now(),
        health: Arc::clone(&health),
    };
    let (stop, stopping) = watch::channel(false);
    let (ready, restored) = oneshot::channel();
    let tasks = work::Tasks {
        queue,
        ready,
        stop: stopping.clone(),
        runtime: tokio::runtime::Handle::current(),
        archive,
    };
    let owned = config.clone();
    let mut worker = tokio::task::spawn_blocking(move || worker.work(&owned, tasks));
    let mut sources = JoinSet::new();

    let feeds = Feeds {
        config,
        store: store.map(|store| &store.target),
        health: &health,
        inputs,
        door,
        healing,
    };
    let started = async {
        // Gone without a word: the worker has failed, which is seen below.
        if let Ok(last) = restored.await {
            sources = feeds.start(last, &stopping)?;
        }
        std::future::pending().await
    };
    let ended = tokio::select! {
        ended = wait_for_end(stop_after) => ended,
        failed = started => failed,
        failed = attend(store, store_is_ready, &alerts) => failed,
        failed = &mut worker => return finish(joined(failed)?),
    };
    tracing::info!("stopping: sources first, then what they sent is worked through");
    let _ = stop.send(true); // no receiver left means that all sources have ended
    while sources.join_next().await.is_some() {}
    finish(joined(worker.await)?)?;
    close(alerts).await;
    ended
}

/// Whatever sends inputs.
struct Feeds<'a> {
    config: &'a Config,
    store: Option<&'a StoreTarget>,
    health: &'a Health,
    inputs: mpsc::Sender<Vec<Input>>,
    door: Option<Server>,
    healing: Option<sources::Healing>,
}

impl Feeds<'_> {
    /// `last` is the time of the last thing that the table knows of.
    fn start(self, last: Option<Time>, stop: &watch::Receiver<bool>) -> Result<JoinSet<()>> {
        let mut tasks = sources::start(self.config, last, self.inputs.clone(), stop, self.health)?;
        if let Some(healing) = self.healing {
            tasks.spawn(healing.run(stop.clone()));
        }
        if let Some(door) = self.door {
            let inputs = lag::behind(lag::of(self.config), self.inputs, stop.clone(), &mut tasks);
            tasks.spawn(usual::take_reports(self.config, self.store, &door, inputs));
            tasks.spawn(door.run(stop.clone()));
        }
        Ok(tasks)
    }
}

fn sinks(
    config: &Config,
    store: Option<&OpenStore>,
    notifier: Notifier,
    format: Format,
) -> Result<Sinks<output::Forgiving>> {
    Ok(Sinks {
        printer: Some(EventWriter::new(
            output::Forgiving::stdout(),
            format,
            Style::stdout(),
        )),
        recorder: store.map(|store| recorder(config, store)).transpose()?,
        notifier: Some(notifier),
        observer: None,
    })
}

/// What no receiver takes in time stays in the outbox.
async fn close(alerts: Arc<Alerts>) {
    if let Ok(alerts) = Arc::try_unwrap(alerts) {
        let closed = alerts.close(CLOSE).await;
        if closed.pending > 0 {
            tracing::warn!(alerts = closed.pending, "not delivered yet, kept in the outbox");
        }
    }
}

fn joined(
    worker: std::result::Result<Result<Option<Writer>>, tokio::task::JoinError>,
) -> Result<Option<Writer>> {
    worker.map_err(|error| Failure::bug(format_args!("the pipeline ended badly: {error}")))?
}

/// Hands the last rows to the store. What it does not take in time stays in the spool.
fn finish(writer: Option<Writer>) -> Result<()> {
    let Some(writer) = writer else { return Ok(()) };
    let report = writer.finish(CLOSE).map_err(store_failure)?;
    if !report.drained {
        tracing::warn!(
            segments = report.segments_left,
            bytes = report.bytes_left,
            "kept in the spool"
        );
    }
    Ok(())
}

/// Brings the tables up to date as soon as the store answers, then hears what people write into it. Only comes back
/// with a failure.
async fn attend(store: Option<&OpenStore>, is_ready: bool, alerts: &Alerts) -> Result<()> {
    if let Some(store) = store {
        if !is_ready {
            store.migrated_when_up().await?;
            tracing::info!("the store is ready");
        }
        let tell = async |ack: netfault_store::query::Note| alerts.ack(ack.incident, &ack.by, ack.at).await;
        acks::pass_on(&store.target, tell).await;
    }
    std::future::pending().await
}

pub(super) async fn wait_for_end(stop_after: Option<Duration>) -> Result<()> {
    let unavailable = |error| Failure::unavailable(format_args!("signals cannot be received: {error}"));
    let kind = tokio::signal::unix::SignalKind::terminate();
    let mut terminate = tokio::signal::unix::signal(kind).map_err(unavailable)?;
    let timer = async {
        match stop_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(unavailable),
        _ = terminate.recv() => Ok(()),
        () = timer => Ok(()),
    }
}

fn recorder(config: &Config, store: &OpenStore) -> Result<Recorder> {
    let section = crate::stores::section(config)?;
    let mut settings = WriterConfig::live(&section.spool_dir, store.target.clone());
    settings.spool_max_bytes = section.spool_max;
    Ok(Recorder {
        writer: Writer::open(settings).map_err(store_failure)?,
        updates: section.updates,
        watchlist: Watchlist::new(config.watch.clone()),
    })
}

fn notifier(config: &Config, alerts: &Arc<Alerts>, open: Open, health: &Arc<Health>) -> Notifier {
    let (alerts, runtime) = (Arc::downgrade(alerts), tokio::runtime::Handle::current());
    let send = move |notices: Vec<Notice>| {
        if let Some(alerts) = alerts.upgrade() {
            // Returns once they are on disk; never waits for a receiver.
            runtime.block_on(alerts.send(&notices));
        }
    };
    let policy = Policy {
        beacons: config.detect.beacons.mode == BeaconMode::Report,
    };
    Notifier::new(policy, open, Arc::clone(health), send)
}

fn open_journal(config: &Config) -> Result<Option<journal::Writer>> {
    let Some(section) = &config.journal else {
        return Ok(None);
    };
    let limits = journal::Limits {
        max_bytes: section.max_size,
        max_age: section.max_age,
        ..journal::Limits::default()
    };
    journal::Writer::open(&section.dir, limits)
        .map(Some)
        .map_err(|error| {
            Failure::unavailable(format_args!("the journal cannot be opened: {}", sentence(&error)))
        })
}
