//! The pipeline thread: what an earlier run left, the seed, then everything the sources send.
//!
//! What decides something is written to the journal before anybody is told: a kill at any moment leaves a
//! journal that decides the same again (see [`super::restore`]). A power failure may cost a second of it.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netfault_alerts::Health;
use netfault_api::Delivery;
use netfault_model::{HintKind, Input, Output, Time};
use netfault_sources::archive::Archive;
use netfault_sources::{journal, mrt};
use netfault_store::Writer;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::agents::Agents;
use super::restore;
use crate::checkpoint::Keeper;
use crate::config::Config;
use crate::exit::{Failure, Result, sentence};
use crate::heal::Healer;
use crate::notifier;
use crate::pipeline::Pipeline;

/// What a power failure may cost (DESIGN section 3).
const SYNC: Duration = Duration::from_secs(1);

/// How long the spool may take for the last rows. Without them the last checkpoint is not valid, and more of the
/// journal is played at the next start.
const SPOOLED: Duration = Duration::from_secs(5);

pub struct Worker<W: Write> {
    pub pipeline: Pipeline<W>,
    pub journal: Option<journal::Writer>,
    pub keeper: Keeper,
    /// `None` without an archive.
    pub healer: Option<Healer>,
    pub agents: Agents,
    pub synced: Instant,
    /// Told of every turn, and of what came.
    pub health: Arc<Health>,
}

/// What the thread is given.
pub struct Tasks {
    pub queue: mpsc::Receiver<Vec<Input>>,
    /// Told once the table is as it was, with the time of the last thing in it: then the sources may begin.
    pub ready: oneshot::Sender<Option<Time>>,
    pub stop: watch::Receiver<bool>,
    pub runtime: Handle,
    /// What the table is seeded from, besides the files of the configuration.
    pub archive: Option<Arc<Archive>>,
}

enum Next {
    Batch(Vec<Input>),
    Delivery(Delivery),
    Quiet,
    End,
}

async fn next(queue: &mut mpsc::Receiver<Vec<Input>>, agents: &mut Agents) -> Next {
    tokio::select! {
        batch = queue.recv() => batch.map_or(Next::End, Next::Batch),
        Some(delivery) = agents.next() => Next::Delivery(delivery),
        () = tokio::time::sleep(SYNC) => Next::Quiet,
    }
}

impl<W: Write> Worker<W> {
    pub fn work(mut self, config: &Config, tasks: Tasks) -> Result<Option<Writer>> {
        let Tasks {
            mut queue,
            ready,
            stop,
            runtime,
            archive,
        } = tasks;
        let restored = restore::restore(&mut self.pipeline, config, &stop)?;
        let mut seeded = self.seed(&config.seed, restored, &stop)?;
        if let Some(archive) = &archive {
            seeded = seeded.max(self.seed_from(archive, config, restored, &stop, &runtime));
        }
        if *stop.borrow() {
            return Ok(self.pipeline.into_writer());
        }
        self.sync();
        self.offset();
        let _ = ready.send(restored.max(seeded)); // nobody waits for it any more: the queue will be closed
        loop {
            match runtime.block_on(next(&mut queue, &mut self.agents)) {
                Next::Batch(batch) => {
                    self.hear(&batch);
                    self.take(batch)?;
                }
                Next::Delivery(delivery) => self.take_deliveries(delivery)?,
                Next::End => break,
                Next::Quiet => {} // what is pending is synced all the same
            }
            let now = notifier::now();
            self.health.turned(now);
            if self.synced.elapsed() >= SYNC {
                self.sync();
                self.report_store(config, now);
            }
            self.offset();
            self.heal(config)?;
            self.checkpoint();
        }
        self.close(&runtime)
    }

    /// One of our own sources is alive. What agents send says nothing about those.
    fn hear(&self, batch: &[Input]) {
        if let Some(source) = batch.first().and_then(heard_from) {
            self.health.heard(source, notifier::now());
        }
    }

    fn report_store(&self, config: &Config, now: Time) {
        let (Some(writer), Some(section)) = (self.pipeline.writer(), &config.store) else {
            return;
        };
        let stats = writer.stats();
        let report = netfault_alerts::health::Store {
            error: stats.last_error,
            spool_bytes: stats.spool_bytes,
            spool_max: section.spool_max,
        };
        self.health.store(report, now);
    }

    fn checkpoint(&mut self) {
        if self.keeper.is_due() {
            let offset = self.journal.as_ref().map_or(0, journal::Writer::offset);
            self.keeper.save(self.pipeline.engine(), offset);
        }
        self.keeper.settle(self.safe_offset());
    }

    /// Everything before it is in the journal for good, and its rows are in the store or its spool.
    fn safe_offset(&self) -> u64 {
        let synced = self
            .journal
            .as_ref()
            .map_or(u64::MAX, journal::Writer::synced_offset);
        let committed = self.pipeline.writer().map_or(u64::MAX, Writer::committed_offset);
        if self.journal.is_some() {
            synced.min(committed)
        } else {
            u64::MAX
        }
    }

    /// Settles what is held, and saves the state behind it.
    fn close(mut self, runtime: &Handle) -> Result<Option<Writer>> {
        self.sync();
        self.pipeline.end(None)?;
        self.offset();
        let offset = self.journal.as_ref().map_or(0, journal::Writer::offset);
        self.keeper.save(self.pipeline.engine(), offset);
        if let Some(writer) = self.pipeline.writer() {
            writer.flush();
        }
        let begun = Instant::now();
        while self.safe_offset() < offset && begun.elapsed() < SPOOLED {
            runtime.block_on(tokio::time::sleep(Duration::from_millis(5))); // the spooler syncs a few files
        }
        let safe = self.safe_offset();
        self.keeper.finish(safe);
        if let Some(journal) = self.journal {
            journal
                .close()
                .map_err(|error| Failure::unavailable(sentence(&error)))?;
        }
        self.pipeline.close().map(|(_, writer)| writer)
    }

    pub(super) fn take(&mut self, batch: Vec<Input>) -> Result<()> {
        self.look_for_holes(&batch);
        self.keep(&batch);
        self.pipeline.push(batch);
        if self.pipeline.has_decided()
            && let Some(journal) = &mut self.journal
        {
            let flushed = journal.flush();
            complain(flushed, journal);
        }
        self.pipeline.deliver()?;
        self.pipeline.flush()
    }

    /// Table dumps and updates; what is older than the journal's end is in the table already.
    fn seed(
        &mut self,
        seeds: &[String],
        restored: Option<Time>,
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<Time>> {
        if seeds.is_empty() {
            return Ok(None);
        }
        let files = mrt::discover(seeds).map_err(|error| Failure::config(sentence(&error)))?;
        let stream = mrt::Stream::open(files, mrt::Options::default())
            .map_err(|error| Failure::unavailable(sentence(&error)))?;
        let (mut routes, mut older, mut last) = (0u64, 0u64, None);
        for mut batch in stream {
            if *stop.borrow() {
                break;
            }
            let all = batch.len();
            batch.retain(|input| restored.is_none_or(|restored| input.at() > restored));
            older += (all - batch.len()) as u64;
            routes += batch.len() as u64;
            last = batch.last().map(Input::at).or(last);
            self.take(batch)?;
        }
        let until = last.map(|at: Time| at.to_string()).unwrap_or_default();
        tracing::info!(inputs = routes, older_than_the_journal = older, until, "seeded");
        Ok(last)
    }

    /// Detection goes on without a journal: what it cannot keep is counted there and told by its reader.
    fn keep(&mut self, batch: &[Input]) {
        if let Some(journal) = &mut self.journal {
            let appended = journal.append(batch);
            complain(appended, journal);
        }
    }

    pub(super) fn sync(&mut self) {
        if let Some(journal) = &mut self.journal {
            let synced = journal.sync();
            complain(synced, journal);
        }
        self.synced = Instant::now();
    }

    /// Tells the writer up to where the journal is safe, and passes on what it complains about.
    fn offset(&self) {
        let Some(writer) = self.pipeline.writer() else {
            return;
        };
        if let Some(journal) = &self.journal {
            writer.journal_offset(journal.synced_offset());
        }
        for gap in writer.take_gaps() {
            tracing::warn!(lost = gap.lost, "store: {}", gap.reason);
            self.health.output(&Output::Gap(gap), notifier::now());
        }
    }
}

/// Which source of [`super::sources`] a batch comes from. Ticks and gaps are no sign of life.
fn heard_from(first: &Input) -> Option<&'static str> {
    match first {
        Input::Update(_) | Input::Rib(_) | Input::Peer(_) | Input::EndOfRib { .. } => {
            Some(super::sources::RIS_LIVE)
        }
        Input::Probe(_) => Some(super::sources::DNS),
        Input::Hint(hint) => match hint.what {
            HintKind::Http { .. } | HintKind::Status { .. } => Some(super::sources::HINTS),
            HintKind::Reports { .. } | HintKind::Traffic { .. } => None, // others push them, or not
        },
        Input::Delegation(_) | Input::Gap(_) | Input::Tick(_) => None,
    }
}

fn complain(done: Result<(), journal::WriteError>, journal: &journal::Writer) {
    if let Err(error) = done {
        tracing::error!(lost = journal.lost(), "journal: {}", sentence(&error));
    }
}
