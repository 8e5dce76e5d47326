//! What is due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::subject::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Look up the delegation of a name.
    Refresh(usize),
    /// Ask everybody about a name.
    Round(usize),
    /// Ask one server its question number `step`, as soon as the server's limit allows it.
    Book(Target, usize),
    /// The same, where the limit has been seen to.
    Ask(Target, usize),
    /// Say what was skipped.
    Report,
}

/// Moments are those of [`super::pace::Pace`].
#[derive(Debug, Default)]
pub(super) struct Jobs {
    heap: BinaryHeap<Reverse<(Duration, Job)>>,
}

impl Jobs {
    pub fn add(&mut self, at: Duration, job: Job) {
        self.heap.push(Reverse((at, job)));
    }

    pub fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub fn pop_due(&mut self, now: Duration) -> Option<Job> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, job))| job)
    }
}
