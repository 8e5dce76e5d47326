//! The writer: takes what was said, batches it, and never waits for the network.
//!
//! ```text
//! caller ── update(), transition() … ──► open batches ──[2]──► spooler thread ──► spool (disk, synced)
//!           a mutex for some 50 ns       one per table         encodes, LZ4,           │
//!                                                              sha256, fsync           ▼
//!                                                                              sender thread ──► ClickHouse
//! ```
//!
//! The channel between holds two batches: one being encoded, one waiting. When it is full the disk is
//! behind, and [`Overflow`] decides. The spooler and the sender belong to the [`Writer`] and end with it;
//! killing the process at any moment loses only rows that were not in the spool yet, which the journal
//! or the archive has ([`Writer::committed_offset`]).

mod front;
mod spooler;

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netfault_model::{
    Delegation, Feed, Gap, GapSource, Hint, Incident, Notable, Probe, Time, Transition, Update,
};
use serde::Serialize;

use crate::client::StoreTarget;
use crate::error::StoreError;
use crate::rows::feed::FeedRow;
use crate::rows::{Batch, Table};
use crate::sender;
use crate::spool::{Spool, Torn};
use crate::stats::{Counters, Stats};
use front::{Cut, Front};

/// Rows of one table that are kept in memory while the disk is behind, where they must not be shed.
const MAX_HELD: u64 = 1_000_000;

/// What to do when the spool is full or the disk is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The producer waits: an archive can.
    Wait,
    /// Raw updates and probes are shed and counted; a live feed cannot wait.
    Shed,
}

/// How the writer behaves. [`WriterConfig::live`] and [`WriterConfig::archive`] have the defaults.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    pub spool_dir: PathBuf,
    /// Bytes of segments that may wait in all.
    pub spool_max_bytes: u64,
    /// How many of those only decisions and feed states may use.
    pub reserve_bytes: u64,
    /// A batch is cut at so many rows …
    pub max_rows: usize,
    /// … or at so many bytes of memory …
    pub max_bytes: usize,
    /// … or when its oldest row is so old (clock of this machine).
    pub max_age: Duration,
    pub overflow: Overflow,
    pub target: StoreTarget,
}

impl WriterConfig {
    /// For the service: a row is in ClickHouse about a second after it was said.
    pub fn live(spool_dir: impl Into<PathBuf>, target: StoreTarget) -> Self {
        WriterConfig {
            spool_dir: spool_dir.into(),
            spool_max_bytes: 4 << 30,
            reserve_bytes: 256 << 20,
            max_rows: 250_000,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(1),
            overflow: Overflow::Shed,
            target,
        }
    }

    /// For a replay: batches are cut by rows alone, so the same input makes the same batches with the same
    /// tokens, and storing a day twice stores it once.
    pub fn archive(spool_dir: impl Into<PathBuf>, target: StoreTarget) -> Self {
        WriterConfig {
            max_age: Duration::MAX,
            overflow: Overflow::Wait,
            ..WriterConfig::live(spool_dir, target)
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// True if everything that was written is in ClickHouse (or was shed or rejected, see `stats`).
    pub drained: bool,
    /// Segments and bytes that wait in the spool for the next start.
    pub segments_left: usize,
    pub bytes_left: u64,
    pub stats: Stats,
}

/// Takes rows from any thread.
pub struct Writer {
    shared: Arc<Shared>,
    to_spooler: SyncSender<Cut>,
    overflow: Overflow,
    spooler: Option<JoinHandle<()>>,
    sender: Option<sender::Sender>,
}

/// What the three threads share. `front` and `spool` are never locked together.
pub(crate) struct Shared {
    pub front: Mutex<Front>,
    pub spool: Mutex<Spool>,
    /// Notified when a segment has left the spool, or when the program ends.
    pub room: Condvar,
    pub counters: Counters,
    pub gaps: Mutex<Vec<Gap>>,
    pub config: WriterConfig,
}

impl Shared {
    /// A poisoned lock means that a thread of ours panicked: what it guards is still whole.
    pub fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts rows that were shed, and says so at first and then every minute.
    pub fn shed(&self, batch: &Batch, why: &'static str) {
        let (table, rows) = (batch.table(), batch.rows() as u64);
        let Some(lost) = self.counters.shed(table, rows) else {
            return;
        };
        tracing::error!(table = table.name(), rows = lost, why, "rows are shed");
        self.gap(
            batch.newest().unwrap_or_default(),
            format!("{} rows shed: {why}", table.name()),
            Some(lost),
        );
    }

    pub fn gap(&self, at: Time, reason: String, lost: Option<u64>) {
        let gap = Gap {
            at,
            source: GapSource::Store,
            collector: None,
            peer: None,
            from: None,
            to: None,
            offset: None,
            reason: reason.into(),
            lost,
        };
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody has asked for a long time: the counters have the sum.
        if gaps.len() < 10_000 {
            gaps.push(gap);
        }
    }
}

impl Writer {
    /// Opens the spool and starts sending what an earlier run has left there. ClickHouse need not be up.
    pub fn open(config: WriterConfig) -> Result<Self, StoreError> {
        let (spool, torn) = Spool::open(&config.spool_dir)?;
        let overflow = config.overflow;
        let committed = spool.committed();
        let shared = Arc::new(Shared {
            front: Mutex::new(Front::new(config.max_rows, config.max_bytes, committed)),
            spool: Mutex::new(spool),
            room: Condvar::new(),
            counters: Counters::default(),
            gaps: Mutex::new(Vec::new()),
            config,
        });
        report_torn(&shared, &torn);
        let sender = sender::Sender::start(shared.clone())?;
        let (to_spooler, cuts) = sync_channel(2);
        let theirs = (shared.clone(), sender.wake());
        let spooler = std::thread::Builder::new()
            .name("store-spool".to_owned())
            .spawn(move || spooler::run(&theirs.0, &cuts, &theirs.1))
            .map_err(StoreError::io("thread store-spool"))?;
        Ok(Writer {
            shared,
            to_spooler,
            overflow,
            spooler: Some(spooler),
            sender: Some(sender),
        })
    }

    /// One row per prefix of the message.
    pub fn update(&self, update: &Update) {
        let cut = self.shared.front().update(update);
        self.hand_over(cut);
    }

    /// Numbers a message that is in the store already (see `seq` of `bgp_updates`), and stores nothing.
    pub fn skip_update(&self, update: &Update) {
        self.shared.front().skip_update(update);
    }

    pub fn transition(&self, transition: &Transition) {
        let cut = self.shared.front().transition(transition.clone());
        self.hand_over(cut);
    }

    /// One row per version.
    pub fn incident(&self, incident: &Incident) {
        let cut = self.shared.front().incident(incident.clone());
        self.hand_over(cut);
    }

    pub fn notable(&self, notable: &Notable) {
        let cut = self.shared.front().notable(notable.clone());
        self.hand_over(cut);
    }

    pub fn probe(&self, probe: &Probe) {
        let cut = self.shared.front().probe(probe.clone());
        self.hand_over(cut);
    }

    pub fn delegation(&self, delegation: &Delegation) {
        let cut = self.shared.front().delegation(delegation.clone());
        self.hand_over(cut);
    }

    /// User reports have a table of their own; all other hints share one.
    pub fn hint(&self, hint: &Hint) {
        let cut = self.shared.front().hint(hint.clone());
        self.hand_over(cut);
    }

    pub fn feed(&self, feed: &Feed) {
        let cut = self.shared.front().feed(FeedRow::Feed(feed.clone()));
        self.hand_over(cut);
    }

    pub fn gap(&self, gap: &Gap) {
        let cut = self.shared.front().feed(FeedRow::Gap(gap.clone()));
        self.hand_over(cut);
    }

    /// What was written so far came from before this offset of the journal.
    pub fn journal_offset(&self, offset: u64) {
        self.shared.front().offset(offset);
    }

    /// Everything from before this offset of the journal is synced to the spool or in ClickHouse: after a
    /// crash, the journal is played again from here. Repeated rows do no harm.
    pub fn committed_offset(&self) -> u64 {
        self.shared.front().committed()
    }

    /// Cuts every open batch now, full or not, and hands it to the spooler. Waits for the disk at most.
    pub fn flush(&self) {
        let cuts = self.shared.front().cut_all();
        for cut in cuts {
            self.shared
                .counters
                .queue(cut.batch.table(), cut.batch.rows() as u64);
            let _ = self.to_spooler.send(cut);
        }
    }

    fn hand_over(&self, cut: Option<Cut>) {
        let Some(cut) = cut else { return };
        let (table, rows) = (cut.batch.table(), cut.batch.rows() as u64);
        self.shared.counters.queue(table, rows);
        if self.overflow == Overflow::Wait {
            let _ = self.to_spooler.send(cut);
            return;
        }
        match self.to_spooler.try_send(cut) {
            Ok(()) => {}
            Err(TrySendError::Full(cut) | TrySendError::Disconnected(cut))
                if table.may_be_shed() || rows > MAX_HELD =>
            {
                self.shared.counters.unqueue(table, rows);
                self.shared.front().done(cut.ticket);
                self.shared.shed(&cut.batch, "the disk is behind");
            }
            Err(TrySendError::Full(cut) | TrySendError::Disconnected(cut)) => {
                self.shared.counters.unqueue(table, rows);
                self.shared.front().restore(cut);
            }
        }
    }

    /// Holes that this writer knows of: torn segments found at the start, rows shed. Each is given once.
    pub fn take_gaps(&self) -> Vec<Gap> {
        std::mem::take(&mut *self.shared.gaps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn stats(&self) -> Stats {
        stats(&self.shared)
    }

    /// Writes everything out and waits until ClickHouse has it, at most `deadline` long. What is left then
    /// stays in the spool for the next start.
    pub fn finish(mut self, deadline: Duration) -> Result<Report, StoreError> {
        let until = Instant::now().checked_add(deadline);
        self.shut_down(until);
        let stats = stats(&self.shared);
        let spool = self.shared.spool();
        let (segments_left, bytes_left) = (spool.segments(), spool.bytes());
        let unspooled: u64 = stats.tables.iter().map(|table| table.queued).sum();
        Ok(Report {
            drained: segments_left == 0 && unspooled == 0,
            segments_left,
            bytes_left,
            stats,
        })
    }

    fn shut_down(&mut self, until: Option<Instant>) {
        let Some(spooler) = self.spooler.take() else {
            return;
        };
        self.flush();
        // The closed channel is the signal: the spooler writes what it still has, then ends.
        let (closed, _) = sync_channel(0);
        drop(std::mem::replace(&mut self.to_spooler, closed));
        self.shared.counters.end(until);
        self.shared.room.notify_all();
        if spooler.join().is_err() {
            tracing::error!("the spooler thread panicked");
        }
        if let Some(sender) = self.sender.take() {
            sender.finish(until);
        }
    }
}

impl Drop for Writer {
    /// Without [`Writer::finish`], rows reach the spool, and nobody waits for ClickHouse.
    fn drop(&mut self) {
        self.shut_down(Some(Instant::now()));
    }
}

fn stats(shared: &Shared) -> Stats {
    let spool = shared.spool();
    let waiting: Vec<u64> = Table::ALL.iter().map(|table| spool.rows(*table)).collect();
    let (bytes, segments) = (spool.bytes(), spool.segments());
    drop(spool);
    let open = shared.front().open_rows();
    shared.counters.stats(&open, &waiting, bytes, segments)
}

fn report_torn(shared: &Shared, torn: &[Torn]) {
    for torn in torn {
        let path = torn.path.display();
        tracing::error!(%path, reason = torn.reason, "a torn segment is set aside");
        shared.counters.torn();
        // How many rows it had, and of when, stood in what is gone.
        shared.gap(
            Time::default(),
            format!("torn segment {path}: {}", torn.reason),
            None,
        );
    }
}
