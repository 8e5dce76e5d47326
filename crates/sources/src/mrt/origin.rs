//! Whose bytes a decoder reads, and when they should be from.

use netfault_model::{Arrival, Collector, Time};

/// The span of time that a file's records belong in; outside of it a stamp is early or late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub from: Time,
    pub to: Time,
}

impl Interval {
    pub(super) fn judge(self, at: Time) -> Arrival {
        if at < self.from {
            Arrival::Late
        } else if at > self.to {
            Arrival::Early
        } else {
            Arrival::InTime
        }
    }
}

/// Whose bytes these are.
#[derive(Clone, Debug)]
pub struct Origin {
    pub collector: Collector,
    /// The file's name, for the reason of a `Gap`.
    pub file: String,
    /// When the file begins, if its name tells: the time of damage before the first good record.
    pub starts: Option<Time>,
    pub interval: Option<Interval>,
}
