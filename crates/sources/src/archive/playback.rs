//! A plan as batches of inputs, merged by time like [`mrt::Stream`](crate::mrt::Stream) merges files.
//!
//! ```text
//! per collector:  feed task ─► [fetch task, fetch task, …] (bounded, in order) ─► Lane ─► merge ─► next()
//! ```
//!
//! A feed task starts a fetch as soon as there is room ahead of the reader; a full queue makes it wait. The tasks
//! live as long as the playback: dropping it closes the queues and aborts what is under way, which leaves only
//! temporary files that remove themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netfault_model::{Input, Time};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::fetch::{Archive, Held};
use super::lane::{Fetched, Fetching, Lane};
use super::plan::{LanePlan, Piece, Plan, lost};

/// Inputs in one batch.
const BATCH: usize = 2048;

/// How far a playback is, for another thread to look at.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    files: AtomicU64,
    done: AtomicU64,
    missing: AtomicU64,
}

impl Progress {
    /// Files to be read, table dumps included.
    pub fn files(&self) -> u64 {
        self.0.files.load(Ordering::Relaxed)
    }

    pub fn files_done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Files that could not be had, each a `Gap`.
    pub fn files_missing(&self) -> u64 {
        self.0.missing.load(Ordering::Relaxed)
    }
}

/// An iterator over batches of inputs. For a thread that may wait: not for async code.
pub struct Playback {
    lanes: Vec<Lane>,
    runtime: Handle,
    stop: watch::Receiver<bool>,
    progress: Progress,
}

impl Playback {
    /// Starts fetching on `runtime`. `stop` turning true (or its sender going) ends the sequence early.
    pub fn start(archive: &Arc<Archive>, plan: Plan, runtime: &Handle, stop: watch::Receiver<bool>) -> Self {
        let progress = Progress::default();
        let ribs = plan.lanes.iter().filter(|lane| lane.rib.is_some()).count();
        progress
            .0
            .files
            .store((plan.files() + ribs) as u64, Ordering::Relaxed);
        let mut lanes = Vec::new();
        let to = plan.to;
        for lane in plan.lanes {
            if let Some(rib) = &lane.rib {
                lanes.push(Lane::new(
                    ready(rib.clone(), runtime),
                    Time::MIN,
                    to.max(lane.starts).plus_micros(1),
                ));
            }
            let (sender, receiver) = mpsc::channel(archive.limits().ahead.max(1));
            let starts = lane.starts;
            let feeding = feed(
                Arc::clone(archive),
                lane,
                to,
                sender,
                stop.clone(),
                progress.clone(),
            );
            runtime.spawn(feeding);
            lanes.push(Lane::new(receiver, starts, to));
        }
        Playback {
            lanes,
            runtime: runtime.clone(),
            stop,
            progress,
        }
    }

    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// False at the end of the lane. A file that this machine has no thread for ends it too, and is said.
    fn refill(&mut self, lane: usize) -> bool {
        let progress = &self.progress.0;
        let done = || {
            progress.done.fetch_add(1, Ordering::Relaxed);
        };
        match self.lanes[lane].refill(&self.runtime, &mut self.stop, done) {
            Ok(more) => more,
            Err(error) => {
                tracing::error!("reading ends: {error}");
                false
            }
        }
    }

    /// Takes inputs of the lane that is first, as long as it stays first. False once a lane has run dry: what it
    /// has next may be earlier than anything else.
    fn merge_into(&mut self, out: &mut Vec<Input>) -> bool {
        let mut heads = Vec::with_capacity(self.lanes.len());
        for (index, lane) in self.lanes.iter().enumerate() {
            let Some(input) = lane.head.as_slice().first() else {
                return false;
            };
            heads.push((input.at(), index));
        }
        heads.sort_unstable();
        let Some(&(_, first)) = heads.first() else {
            return false;
        };
        let limit = heads.get(1).copied();
        let head = &mut self.lanes[first].head;
        while out.len() < BATCH {
            match head.as_slice().first() {
                Some(input) if limit.is_none_or(|limit| (input.at(), first) < limit) => {
                    out.extend(head.next())
                }
                _ => break,
            }
        }
        true
    }
}

impl Iterator for Playback {
    type Item = Vec<Input>;

    /// Waits for files only while there is nothing to give.
    fn next(&mut self) -> Option<Vec<Input>> {
        let mut lane = 0;
        while lane < self.lanes.len() {
            if self.lanes[lane].head.as_slice().is_empty() && !self.refill(lane) {
                self.lanes.remove(lane);
            } else {
                lane += 1;
            }
        }
        let mut out = Vec::new();
        while out.len() < BATCH && self.merge_into(&mut out) {}
        (!out.is_empty()).then_some(out)
    }
}

/// A file that is here already.
fn ready(held: Held, runtime: &Handle) -> mpsc::Receiver<Fetching> {
    let (sender, receiver) = mpsc::channel(1);
    let task = runtime.spawn(async move { Fetched::File(held) });
    let _ = sender.try_send(Fetching(task)); // a new channel has room
    receiver
}

/// Starts the fetches of one collector, in order, no further ahead than the queue is deep.
async fn feed(
    archive: Arc<Archive>,
    lane: LanePlan,
    to: Time,
    out: mpsc::Sender<Fetching>,
    mut stop: watch::Receiver<bool>,
    progress: Progress,
) {
    let starts = lane.starts;
    for piece in lane.pieces {
        let permit = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            permit = out.reserve() => permit,
        };
        let Ok(permit) = permit else { return };
        let (archive, progress) = (Arc::clone(&archive), progress.clone());
        let task = tokio::spawn(async move {
            let entry = match piece {
                Piece::Hole(gap) => return Fetched::Hole(gap),
                Piece::File(entry) => entry,
            };
            match archive.fetch(&entry).await {
                Ok(held) => Fetched::File(held),
                Err(error) => {
                    let gap = lost(&entry, &error, starts, to);
                    if gap.is_some() {
                        progress.0.missing.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!("{error}");
                    }
                    Fetched::Missing(gap.map(Box::new))
                }
            }
        });
        permit.send(Fetching(task));
    }
}
