//! What the client counts. Read it from anywhere; it never goes back.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows (or, for [`Stats::connected`], is set).
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one client.
#[derive(Debug, Default)]
pub struct Stats {
    /// 1 while connected and subscribed.
    pub connected: Counter,
    pub connects: Counter,
    pub connect_failures: Counter,
    pub breaks: Counter,
    /// Frames and bytes from the socket.
    pub frames: Counter,
    pub bytes: Counter,
    /// Frames dropped because the queue was full.
    pub overflow: Counter,
    /// Frames that are no RIS Live JSON, and frames with a part that cannot be read.
    pub garbage: Counter,
    pub binary: Counter,
    pub oversize: Counter,
    /// `ris_error` messages.
    pub errors: Counter,
    pub pongs: Counter,
    pub acknowledged: Counter,
    pub duplicates: Counter,
    /// Messages by what became of them.
    pub updates: Counter,
    pub states: Counter,
    pub end_of_rib: Counter,
    /// OPEN, KEEPALIVE, NOTIFICATION and kinds that we do not know.
    pub ignored: Counter,
    /// UPDATEs that neither announce nor withdraw (other address families).
    pub empty: Counter,
    pub late: Counter,
    pub early: Counter,
    /// Gaps sent.
    pub gaps: Counter,
    /// Time stamp of the last message in time, microseconds since 1970; 0 before the first.
    pub last_message_at: Counter,
}

impl Stats {
    /// Every counter with its name, for metrics.
    pub fn all(&self) -> [(&'static str, u64); 23] {
        [
            ("connected", self.connected.get()),
            ("connects", self.connects.get()),
            ("connect_failures", self.connect_failures.get()),
            ("breaks", self.breaks.get()),
            ("frames", self.frames.get()),
            ("bytes", self.bytes.get()),
            ("overflow", self.overflow.get()),
            ("garbage", self.garbage.get()),
            ("binary", self.binary.get()),
            ("oversize", self.oversize.get()),
            ("errors", self.errors.get()),
            ("pongs", self.pongs.get()),
            ("acknowledged", self.acknowledged.get()),
            ("duplicates", self.duplicates.get()),
            ("updates", self.updates.get()),
            ("states", self.states.get()),
            ("end_of_rib", self.end_of_rib.get()),
            ("ignored", self.ignored.get()),
            ("empty", self.empty.get()),
            ("late", self.late.get()),
            ("early", self.early.get()),
            ("gaps", self.gaps.get()),
            ("last_message_at", self.last_message_at.get()),
        ]
    }
}
