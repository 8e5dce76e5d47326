//! How far a stream is, for another thread to look at.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What has been read, and what was there but says nothing about unicast routes. Everything that is not
/// delivered is counted here or is a `Gap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were read whole.
    pub records: u64,
    /// UPDATE messages.
    pub updates: u64,
    pub rib_routes: u64,
    pub state_changes: u64,
    /// State changes whose stamp lies outside of the file's interval: put aside, like updates of that kind.
    pub state_changes_mistimed: u64,
    /// OPEN, KEEPALIVE, NOTIFICATION, ROUTE-REFRESH, and Zebra's records without addresses.
    pub other_messages: u64,
    /// Messages that the collector itself sent.
    pub local_messages: u64,
    /// RIB records and multiprotocol attributes of other families than unicast IPv4 and IPv6.
    pub other_families: u64,
    pub gaps: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.records += other.records;
        self.updates += other.updates;
        self.rib_routes += other.rib_routes;
        self.state_changes += other.state_changes;
        self.state_changes_mistimed += other.state_changes_mistimed;
        self.other_messages += other.other_messages;
        self.local_messages += other.local_messages;
        self.other_families += other.other_families;
        self.gaps += other.gaps;
    }
}

/// Shared between a stream and whoever shows its progress.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
    counts: Mutex<Counts>,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        let progress = Progress::default();
        progress.0.total.store(total, Ordering::Relaxed);
        progress
    }

    /// Bytes read from the files, as they are on disk.
    pub fn bytes_done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Bytes of all files on disk, when the stream was opened.
    pub fn bytes_total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        *self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_counts(&self, counts: Counts) {
        *self.0.counts.lock().unwrap_or_else(PoisonError::into_inner) += counts;
    }
}
