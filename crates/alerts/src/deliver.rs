//! The handle of all receivers: start, send, count, close.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use netfault_model::Time;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::lane::{self, Batch, Counters, Counts, Lane};
use crate::notice::{Notice, NoticeState};
use crate::notices::Open;
use crate::outbox::{Log, OutboxError};
use crate::receiver::Receiver;
use crate::webhook::{Failure, Poster};

/// A batch waits here only while the one before it is written to disk (milliseconds), so a few are plenty.
const QUEUE: usize = 16;

/// All receivers, each with its own task. Dropping it lets the tasks send what can be sent at once, then
/// they end; [`Alerts::close`] waits for that.
#[derive(Debug)]
pub struct Alerts {
    lanes: Vec<Handle>,
    /// Held so that no second process uses the same outbox.
    _lock: File,
}

#[derive(Debug)]
struct Handle {
    name: String,
    queue: mpsc::Sender<Batch>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// What was left when the receivers were closed. It is on disk and is sent after the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub pending: u64,
    /// False if the deadline passed first.
    pub in_time: bool,
}

impl Alerts {
    /// Opens the outbox of each receiver under `folder` and starts its task, which first sends what an
    /// earlier run left. Also returns what is open at the receivers, for [`crate::from_incident`].
    ///
    /// Must be called inside a tokio runtime.
    pub fn start(receivers: Vec<Receiver>, folder: &Path) -> Result<(Self, Open), OutboxError> {
        let lock = lock(folder)?;
        let (mut lanes, mut open) = (Vec::new(), Open::default());
        let poster = Poster::new();
        for receiver in receivers {
            let (log, ledger) = Log::open(folder.join(format!("{}.jsonl", receiver.name)))?;
            ledger.open().for_each(|notice| open.adopt(notice));
            let counters = Arc::new(Counters::default());
            let name = receiver.name.clone();
            let lane = Lane::new(receiver, poster.clone(), (log, ledger), Arc::clone(&counters));
            let (queue, batches) = mpsc::channel(QUEUE);
            lanes.push(Handle {
                name,
                queue,
                counters,
                task: tokio::spawn(lane.run(batches)),
            });
        }
        Ok((Alerts { lanes, _lock: lock }, open))
    }

    /// Hands the notices to every receiver, and returns once they are on disk. Waits for the disk, never for
    /// a receiver.
    pub async fn send(&self, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let mut waits = Vec::new();
        for lane in &self.lanes {
            let (saved, wait) = oneshot::channel();
            // The queue closes only if the task has panicked; the other receivers are still served.
            match lane
                .queue
                .send(Batch {
                    notices: notices.to_vec(),
                    saved,
                })
                .await
            {
                Ok(()) => waits.push(wait),
                Err(_) => tracing::error!(
                    receiver = lane.name,
                    "the task of the receiver is gone, alerts are lost"
                ),
            }
        }
        for wait in waits {
            let _ = wait.await;
        }
    }

    /// Per receiver, in the order of the configuration.
    pub fn counts(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.lanes
            .iter()
            .map(|lane| (lane.name.as_str(), lane.counters.read()))
    }

    /// Sends what can be sent at once, for at most `deadline`.
    pub async fn close(self, deadline: Duration) -> Closed {
        let until = tokio::time::Instant::now() + deadline;
        let mut closed = Closed {
            pending: 0,
            in_time: true,
        };
        for Handle {
            queue,
            counters,
            mut task,
            ..
        } in self.lanes
        {
            drop(queue);
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                closed.in_time = false;
                task.abort();
                let _ = task.await;
            }
            closed.pending += counters.read().pending;
        }
        closed
    }
}

/// Makes the folder and takes its lock.
fn lock(folder: &Path) -> Result<File, OutboxError> {
    let path: PathBuf = folder.join("lock");
    let open = || -> io::Result<File> {
        fs::create_dir_all(folder)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(io::Error::other("another netfault is using it")),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    };
    open().map_err(|source| OutboxError {
        path: path.clone(),
        source,
    })
}

/// Sends a test alert and its resolve to one receiver, once each, without its outbox.
pub async fn test(receiver: &Receiver, now: Time) -> Result<(), Failure> {
    let poster = Poster::new();
    for (state, word) in [(NoticeState::Open, "opened"), (NoticeState::Resolved, "resolved")] {
        let notice = Notice {
            id: format!("test-{}", now.micros()),
            state,
            severity: 1,
            subject: None,
            title: format!(
                "This is a test: netfault {word} an alert to see whether receiver {} takes it.",
                receiver.name
            ),
            text: String::new(),
            started_at: now,
            at: now,
            incident: None,
        };
        lane::deliver(&receiver.to, &poster, &notice).await?;
    }
    Ok(())
}
