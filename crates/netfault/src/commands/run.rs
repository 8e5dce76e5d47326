//! `netfault run`: the collector service.
//!
//! ```text
//! ris_live ──┐                                    ┌─► journal
//! dns ───────┼─► inputs (bounded channel) ─► pipeline thread ─► writer (own threads, spool)
//! clock ─────┘                                    ├─► standard output
//!                                                 └─► alerts (own tasks, outbox)
//! ```
//! The pipeline thread owns the engine. Shutdown closes the channel: sources stop first, what they sent is
//! still worked through, then the sinks are closed, each with a deadline.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netfault_alerts::{Alerts, Notice, Open};
use netfault_engine::Watchlist;
use netfault_model::{Input, Time};
use netfault_sources::dns::schedule;
use netfault_sources::ris_live::{self, ClientConfig, Subscription, system_clock};
use netfault_sources::{journal, mrt};
use netfault_store::{Writer, WriterConfig};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{load, runtime};
use crate::cli::RunArgs;
use crate::config::{Config, Lateness, RisLive};
use crate::exit::{Failure, Result, sentence};
use crate::pipeline::{Notifier, Pipeline, Recorder, Sinks};
use crate::render::{EventWriter, Format, Style};
use crate::stores::{OpenStore, store_failure};

/// Batches between the sources and the pipeline: about a second of the full feed in a burst. When it is
/// full the DNS schedule skips, and RIS Live counts a gap.
const QUEUE: usize = 64;
/// The clock ticks every second, so far behind the wall clock that what is still under way is not late: RIS
/// Live is about a second behind the routers.
const TICK: Duration = Duration::from_secs(1);
const TICK_LAG: Duration = Duration::from_secs(5);
/// How long each sink may take to hand over what it has at the end; the rest is on disk.
const CLOSE: Duration = Duration::from_secs(10);

pub fn run(args: &RunArgs, format: Format) -> Result<ExitCode> {
    let config = load(&args.config)?;
    let runtime = runtime()?;
    for line in config.describe() {
        tracing::info!("{line}");
    }
    runtime.block_on(serve(config, args.stop_after.map(Duration::from_secs), format))
}

async fn serve(config: Config, stop_after: Option<Duration>, format: Format) -> Result<ExitCode> {
    let store = match &config.store {
        Some(section) => Some(OpenStore::open(section).await?),
        None => None,
    };
    let served = serve_with(&config, store.as_ref(), stop_after, format).await;
    if let Some(store) = store {
        store.close().await;
    }
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve_with(
    config: &Config,
    store: Option<&OpenStore>,
    stop_after: Option<Duration>,
    format: Format,
) -> Result<()> {
    let receivers = config.receivers().map_err(Failure::config)?;
    let (alerts, open) = Alerts::start(receivers, &config.alerts.outbox)
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    let alerts = Arc::new(alerts);
    let sinks = Sinks {
        printer: Some(EventWriter::new(std::io::stdout(), format, Style::stdout())),
        recorder: store.map(|store| recorder(config, store)).transpose()?,
        notifier: Some(notifier(&alerts, open)),
    };
    let journal = open_journal(config)?;
    let pipeline = Pipeline::new(config, sinks);
    let (inputs, queue) = mpsc::channel(QUEUE);
    let (stop, stopping) = watch::channel(false);
    let seeds = config.seed.clone();
    let worker = tokio::task::spawn_blocking(move || work(pipeline, queue, journal, &seeds));
    let mut sources = start_sources(config, inputs, &stopping)?;

    let ended = tokio::select! {
        ended = wait_for_end(stop_after) => ended,
        failed = migrate(store) => failed,
    };
    tracing::info!("stopping: sources first, then what they sent is worked through");
    let _ = stop.send(true); // no receiver left means that all sources have ended
    while sources.join_next().await.is_some() {}
    let worked = worker
        .await
        .map_err(|error| Failure::bug(format_args!("the pipeline ended badly: {error}")))?;
    if let Some(writer) = worked? {
        let report = writer.finish(CLOSE).map_err(store_failure)?;
        if !report.drained {
            tracing::warn!(
                segments = report.segments_left,
                bytes = report.bytes_left,
                "kept in the spool"
            );
        }
    }
    if let Ok(alerts) = Arc::try_unwrap(alerts) {
        let closed = alerts.close(CLOSE).await;
        if closed.pending > 0 {
            tracing::warn!(alerts = closed.pending, "not delivered yet, kept in the outbox");
        }
    }
    ended
}

/// Brings the tables up to date as soon as the store answers. Only comes back with a failure.
async fn migrate(store: Option<&OpenStore>) -> Result<()> {
    if let Some(store) = store {
        store.migrated_when_up().await?;
        tracing::info!("the store is ready");
    }
    std::future::pending().await
}

async fn wait_for_end(stop_after: Option<Duration>) -> Result<()> {
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

fn notifier(alerts: &Arc<Alerts>, open: Open) -> Notifier {
    let (alerts, runtime) = (Arc::downgrade(alerts), tokio::runtime::Handle::current());
    let send = move |notices: Vec<Notice>| {
        if let Some(alerts) = alerts.upgrade() {
            // Returns once they are on disk; never waits for a receiver.
            runtime.block_on(alerts.send(&notices));
        }
    };
    Notifier {
        open,
        send: Box::new(send),
    }
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

fn start_sources(
    config: &Config,
    out: mpsc::Sender<Vec<Input>>,
    stop: &watch::Receiver<bool>,
) -> Result<JoinSet<()>> {
    let mut sources = JoinSet::new();
    if let Some(section) = &config.ris_live {
        let client = ris_live_client(config, section);
        let stats = Arc::new(ris_live::Stats::default());
        sources.spawn(ris_live::run(
            client,
            out.clone(),
            system_clock(),
            stop.clone(),
            stats,
        ));
    }
    if !config.names.is_empty() {
        let plan = dns_plan(config)?;
        let (out, stop) = (out.clone(), stop.clone());
        sources.spawn(async move {
            let counters = schedule::run(plan, out, stop, system_clock()).await;
            tracing::debug!(?counters, "dns schedule ended");
        });
    }
    // An old capture brings its own time; a clock of today beside it would make all of it late.
    let trusted = config
        .ris_live
        .as_ref()
        .is_some_and(|section| section.lateness == Lateness::Trust);
    if !trusted {
        sources.spawn(tick(out, stop.clone()));
    }
    Ok(sources)
}

fn ris_live_client(config: &Config, section: &RisLive) -> ClientConfig {
    // An AS cannot be subscribed to: the path of a withdrawal is empty. So origins need the whole feed.
    let everything = section.everything || config.watch.all || !config.watch.origins.is_empty();
    let subscription = match everything {
        true => Subscription::Everything,
        false => Subscription::Prefixes {
            prefixes: config.watch.prefixes.iter().copied().collect(),
            less_specific: true,
        },
    };
    let mut client = ClientConfig::new(&section.url, subscription);
    client.client_id = section.client.clone();
    client.lateness = match section.lateness {
        Lateness::Judge => ris_live::Lateness::Judge,
        Lateness::Trust => ris_live::Lateness::Trust,
    };
    client
}

fn dns_plan(config: &Config) -> Result<schedule::Plan> {
    let names = config.names.iter().map(|name| {
        Ok(schedule::NamePlan {
            name: netfault_sources::dns::wire::parse_name(&name.name)
                .map_err(|error| Failure::config(sentence(&error)))?,
            authorities: name.authorities.iter().copied().collect(),
            resolvers: config.resolvers_of(name).to_vec(),
            private_ok: false,
        })
    });
    let mut plan = schedule::Plan::new(&config.dns.vantage, names.collect::<Result<_>>()?);
    plan.interval = config.dns.interval;
    plan.authority_timeout = config.dns.authority_timeout;
    plan.resolver_timeout = config.dns.resolver_timeout;
    Ok(plan)
}

async fn tick(out: mpsc::Sender<Vec<Input>>, mut stop: watch::Receiver<bool>) {
    let clock = system_clock();
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = every.tick() => {}
        }
        // A full queue brings time along by itself.
        if let Err(mpsc::error::TrySendError::Closed(_)) = out.try_send(vec![Input::Tick(clock() - TICK_LAG)])
        {
            return;
        }
    }
}

/// The pipeline thread: seeds, then everything the sources send, until they have all ended.
fn work<W: Write>(
    mut pipeline: Pipeline<W>,
    mut queue: mpsc::Receiver<Vec<Input>>,
    mut journal: Option<journal::Writer>,
    seeds: &[String],
) -> Result<Option<Writer>> {
    if !seeds.is_empty() {
        seed(&mut pipeline, &mut journal, seeds)?;
    }
    let mut synced = Instant::now();
    while let Some(batch) = queue.blocking_recv() {
        keep(&mut journal, &batch, &mut synced);
        pipeline.take(batch)?;
        pipeline.flush()?;
        if let Some(writer) = pipeline.writer() {
            if let Some(journal) = &journal {
                writer.journal_offset(journal.offset());
            }
            for gap in writer.take_gaps() {
                tracing::warn!(lost = gap.lost, "store: {}", gap.reason);
            }
        }
    }
    if let Some(journal) = journal {
        journal
            .close()
            .map_err(|error| Failure::unavailable(sentence(&error)))?;
    }
    pipeline.finish(None).map(|(_, writer)| writer)
}

fn seed<W: Write>(
    pipeline: &mut Pipeline<W>,
    journal: &mut Option<journal::Writer>,
    seeds: &[String],
) -> Result<()> {
    let files = mrt::discover(seeds).map_err(|error| Failure::config(sentence(&error)))?;
    let stream = mrt::Stream::open(files, mrt::Options::default())
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    let mut synced = Instant::now();
    for batch in stream {
        keep(journal, &batch, &mut synced);
        pipeline.take(batch)?;
    }
    let at: Option<Time> = pipeline.counts.last;
    tracing::info!(routes = pipeline.counts.routes, updates = pipeline.counts.updates, until = ?at.map(|t| t.to_string()), "seeded");
    Ok(())
}

/// Detection goes on without a journal: what it cannot keep is counted there and told by its reader.
fn keep(journal: &mut Option<journal::Writer>, batch: &[Input], synced: &mut Instant) {
    let Some(journal) = journal else { return };
    let mut done = journal.append(batch);
    if done.is_ok() && synced.elapsed() >= Duration::from_secs(1) {
        done = journal.sync();
        *synced = Instant::now();
    }
    if let Err(error) = done {
        tracing::error!(lost = journal.lost(), "journal: {}", sentence(&error));
    }
}
