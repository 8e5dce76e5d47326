//! What the writer counts: everything that goes in comes out as sent, waiting, shed or rejected.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::rows::Table;

/// Shedding is said at first and then so often, with the number since the last time.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Rows of one table since the writer was opened. `queued` is in memory, `spooled` on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableStats {
    pub table: Table,
    pub queued: u64,
    pub spooled: u64,
    pub sent: u64,
    pub shed: u64,
    pub rejected: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub tables: Vec<TableStats>,
    pub spool_bytes: u64,
    pub spool_segments: usize,
    /// Segments that were torn when they were read.
    pub torn: u64,
    /// Inserts that failed and were tried again.
    pub retries: u64,
    /// The last thing that ClickHouse or the disk said, until a batch goes through again.
    pub last_error: Option<String>,
}

impl Stats {
    pub fn of(&self, table: Table) -> &TableStats {
        &self.tables[usize::from(table.code())]
    }
}

#[derive(Default)]
struct PerTable {
    queued: AtomicU64,
    sent: AtomicU64,
    shed: AtomicU64,
    rejected: AtomicU64,
    /// When shedding was last said, and how many rows since.
    unsaid: Mutex<(Option<Instant>, u64)>,
}

#[derive(Default)]
pub(crate) struct Counters {
    tables: [PerTable; Table::ALL.len()],
    torn: AtomicU64,
    retries: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// `Some` when the writer is ending: until when waiting is worth while.
    ending: Mutex<Option<Option<Instant>>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters {
    fn table(&self, table: Table) -> &PerTable {
        &self.tables[usize::from(table.code())]
    }

    pub fn queue(&self, table: Table, rows: u64) {
        self.table(table).queued.fetch_add(rows, Relaxed);
    }

    pub fn unqueue(&self, table: Table, rows: u64) {
        self.table(table).queued.fetch_sub(rows, Relaxed);
    }

    pub fn sent(&self, table: Table, rows: u64) {
        self.table(table).sent.fetch_add(rows, Relaxed);
    }

    pub fn rejected(&self, table: Table, rows: u64) {
        self.table(table).rejected.fetch_add(rows, Relaxed);
    }

    pub fn torn(&self) {
        self.torn.fetch_add(1, Relaxed);
    }

    pub fn retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Counts; `Some(rows since it was last said)` if it is time to say it.
    pub fn shed(&self, table: Table, rows: u64) -> Option<u64> {
        let counters = self.table(table);
        counters.shed.fetch_add(rows, Relaxed);
        let mut unsaid = held(&counters.unsaid);
        unsaid.1 += rows;
        if unsaid.0.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            return None;
        }
        unsaid.0 = Some(Instant::now());
        Some(std::mem::take(&mut unsaid.1))
    }

    /// True if this error is news: the one before was none, or another.
    pub fn error(&self, text: Option<String>) -> bool {
        let mut last = held(&self.last_error);
        let news = *last != text;
        *last = text;
        news
    }

    pub fn end(&self, until: Option<Instant>) {
        *held(&self.ending) = Some(until);
    }

    /// True if the writer is ending and its deadline is over.
    pub fn is_over(&self) -> bool {
        matches!(*held(&self.ending), Some(Some(until)) if Instant::now() >= until)
    }

    pub fn stats(&self, open: &[u64], spooled: &[u64], spool_bytes: u64, spool_segments: usize) -> Stats {
        let tables = Table::ALL
            .into_iter()
            .zip(open.iter().zip(spooled))
            .map(|(table, (open, spooled))| {
                let counters = self.table(table);
                TableStats {
                    table,
                    queued: open + counters.queued.load(Relaxed),
                    spooled: *spooled,
                    sent: counters.sent.load(Relaxed),
                    shed: counters.shed.load(Relaxed),
                    rejected: counters.rejected.load(Relaxed),
                }
            })
            .collect();
        Stats {
            tables,
            spool_bytes,
            spool_segments,
            torn: self.torn.load(Relaxed),
            retries: self.retries.load(Relaxed),
            last_error: held(&self.last_error).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_is_counted_always_and_said_once_a_minute() {
        let counters = Counters::default();
        assert_eq!(counters.shed(Table::BgpUpdates, 5), Some(5));
        assert_eq!(counters.shed(Table::BgpUpdates, 7), None);
        assert_eq!(counters.shed(Table::DnsProbes, 1), Some(1));
        let stats = counters.stats(&[0; Table::ALL.len()], &[0; Table::ALL.len()], 0, 0);
        assert_eq!(stats.of(Table::BgpUpdates).shed, 12);
    }
}
