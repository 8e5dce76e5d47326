//! What happened to the notices of one receiver: read from anywhere.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use netfault_model::Time;
use serde::{Deserialize, Serialize};

/// Since the start, unless something else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub accepted: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Dropped because the receiver will never take them.
    pub refused: u64,
    /// Dropped because the outbox was full.
    pub overflowed: u64,
    /// Kept in memory only, because the outbox could not be written.
    pub unsaved: u64,
    /// Held back by the rate cap.
    pub suppressed: u64,
    /// Waiting now.
    pub pending: u64,
    /// When what has waited longest was decided.
    pub oldest: Option<Time>,
    /// Open now, as far as the receiver knows.
    pub open: u64,
    /// Since when every attempt has failed.
    pub failing_since: Option<Time>,
    /// What the receiver said last, while it fails.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub accepted: AtomicU64,
    pub retried: AtomicU64,
    pub refused: AtomicU64,
    pub overflowed: AtomicU64,
    pub unsaved: AtomicU64,
    pub suppressed: AtomicU64,
    pub pending: AtomicU64,
    pub open: AtomicU64,
    /// Microseconds; 0: none.
    pub oldest: AtomicI64,
    failing_since: AtomicI64,
    last_error: Mutex<Option<String>>,
}

fn moment(at: &AtomicI64) -> Option<Time> {
    Some(at.load(Relaxed))
        .filter(|&at| at != 0)
        .map(Time::from_micros)
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        Counts {
            accepted: self.accepted.load(Relaxed),
            retried: self.retried.load(Relaxed),
            refused: self.refused.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            unsaved: self.unsaved.load(Relaxed),
            suppressed: self.suppressed.load(Relaxed),
            pending: self.pending.load(Relaxed),
            oldest: moment(&self.oldest),
            open: self.open.load(Relaxed),
            failing_since: moment(&self.failing_since),
            last_error: self.said().clone(),
        }
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub(crate) fn worked(&self) {
        Self::add(&self.accepted, 1);
        self.is_well();
    }

    pub(crate) fn is_well(&self) {
        self.failing_since.store(0, Relaxed);
        *self.said() = None;
    }

    pub(crate) fn failed(&self, now: Time, error: &str) {
        let _ = self
            .failing_since
            .compare_exchange(0, now.micros(), Relaxed, Relaxed);
        *self.said() = Some(error.to_owned());
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_error
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
