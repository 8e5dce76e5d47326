//! What is due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use super::names::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Look up the authorities of a name.
    Refresh(usize),
    /// Ask everybody about a name.
    Round(usize),
    /// Ask one server its question number `step`, held back until now by the server's limit.
    Ask(Target, usize),
    /// Say what was skipped.
    Report,
}

#[derive(Debug, Default)]
pub(super) struct Jobs {
    heap: BinaryHeap<Reverse<(Instant, Job)>>,
}

impl Jobs {
    pub fn add(&mut self, at: Instant, job: Job) {
        self.heap.push(Reverse((at, job)));
    }

    pub fn next_at(&self) -> Instant {
        match self.heap.peek() {
            Some(Reverse((at, _))) => *at,
            None => Instant::now() + Duration::from_secs(3600),
        }
    }

    pub fn pop_due(&mut self, now: Instant) -> Option<Job> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, job))| job)
    }
}
