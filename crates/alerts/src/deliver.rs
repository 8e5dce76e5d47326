//! The handle of all receivers: start, send, count, close.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use netfault_model::{Id, Time};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock;
use crate::failure::Failure;
use crate::health::Health;
use crate::heartbeat::{Heart, Heartbeat};
use crate::http::Poster;
use crate::lane::{Counters, Counts, Lane, Order};
use crate::notice::{Notice, NoticeState};
use crate::notices::Open;
use crate::ourselves::Ourselves;
use crate::outbox::{Log, OutboxError};
use crate::receivers::Receiver;
use crate::routing::Routing;
use crate::silences::{Maintenance, Quiet, SilenceFile, Watcher};
use crate::status;

/// A batch waits here only while the one before it is written to disk (milliseconds), so a few are plenty.
const QUEUE: usize = 16;
/// How often the file of silences and the clock are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the configuration says about alerts.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub receivers: Vec<Receiver>,
    pub routing: Routing,
    pub maintenance: Vec<Maintenance>,
    /// `None`: beside the outbox.
    pub silences: Option<SilenceFile>,
    pub heartbeats: Vec<Heartbeat>,
    /// What netfault's parts report. `None`: nobody does, and nothing is told about ourselves.
    pub health: Option<Arc<Health>>,
}

impl From<Vec<Receiver>> for Setup {
    fn from(receivers: Vec<Receiver>) -> Self {
        Setup {
            receivers,
            ..Setup::default()
        }
    }
}

/// All receivers, each with its own task. Dropping it lets the tasks send what can be sent at once, then
/// they end; [`Alerts::close`] waits for that.
#[derive(Debug)]
pub struct Alerts {
    lanes: Vec<Handle>,
    /// Follows silences, the clock and our own health.
    warden: Task,
    /// Held so that no second process uses the same outbox.
    _lock: File,
}

#[derive(Debug)]
struct Handle {
    inlet: Inlet,
    task: JoinHandle<()>,
}

/// Where a lane takes its orders.
#[derive(Clone, Debug)]
struct Inlet {
    name: String,
    queue: mpsc::Sender<Order>,
    counters: Arc<Counters>,
}

/// Ends when it is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
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
    pub fn start(setup: impl Into<Setup>, folder: &Path) -> Result<(Self, Open), OutboxError> {
        let setup = setup.into();
        let lock = lock(folder)?;
        let (mut lanes, mut open) = (Vec::new(), Open::default());
        let poster = Poster::new();
        let routing = Arc::new(setup.routing);
        let silences = setup
            .silences
            .unwrap_or_else(|| SilenceFile::new(folder.join("silences.json")));
        let mut watcher = Watcher::new(silences, setup.maintenance);
        let (now_quiet, quiet) = watch::channel(watcher.look(clock::now()));
        let mut ourselves = Ourselves::default();
        for receiver in setup.receivers {
            let (log, ledger) = Log::open(folder.join(format!("{}.jsonl", receiver.name)))?;
            for entry in ledger.open() {
                open.adopt(&entry.notice);
                ourselves.adopt(&entry.notice, clock::now());
            }
            let (queue, orders) = mpsc::channel(QUEUE);
            let inlet = Inlet {
                name: receiver.name.clone(),
                queue,
                counters: Arc::new(Counters::default()),
            };
            let (routing, poster, counters) =
                (Arc::clone(&routing), poster.clone(), Arc::clone(&inlet.counters));
            let lane = Lane::new(receiver, routing, poster, (log, ledger), quiet.clone(), counters);
            lanes.push(Handle {
                inlet,
                task: tokio::spawn(lane.run(orders)),
            });
        }
        let warden = Warden {
            inlets: lanes.iter().map(|lane| lane.inlet.clone()).collect(),
            watcher,
            quiet: now_quiet,
            health: setup.health,
            ourselves,
            heart: Heart::new(setup.heartbeats, poster),
            status: status::path(folder),
            written: None,
        };
        let alerts = Alerts {
            lanes,
            warden: Task(tokio::spawn(warden.run())),
            _lock: lock,
        };
        Ok((alerts, open))
    }

    /// Hands the notices to every receiver, and returns once they are on disk. Waits for the disk, never for
    /// a receiver.
    pub async fn send(&self, notices: &[Notice]) {
        send(self.lanes.iter().map(|lane| &lane.inlet), notices).await;
    }

    /// Somebody has looked after `incident` since `at`: it is not repeated any more, and PagerDuty is told. What opened
    /// again later is not meant. Saying it twice does no harm.
    pub async fn ack(&self, incident: Id, by: &str, at: Time) {
        for lane in &self.lanes {
            let order = Order::Ack {
                incident: incident.to_string(),
                by: by.to_owned(),
                at,
            };
            let _ = lane.inlet.queue.send(order).await; // said in `send`, where it loses something
        }
    }

    /// Per receiver, in the order of the configuration.
    pub fn counts(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.lanes
            .iter()
            .map(|lane| (lane.inlet.name.as_str(), lane.inlet.counters.read()))
    }

    /// Sends what can be sent at once, for at most `deadline`.
    pub async fn close(self, deadline: Duration) -> Closed {
        let until = tokio::time::Instant::now() + deadline;
        let mut closed = Closed {
            pending: 0,
            in_time: true,
        };
        // It holds the queues, too.
        let mut warden = self.warden;
        warden.0.abort();
        let _ = (&mut warden.0).await;
        for Handle { inlet, mut task } in self.lanes {
            let Inlet { queue, counters, .. } = inlet;
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

async fn send(inlets: impl Iterator<Item = &Inlet>, notices: &[Notice]) {
    if notices.is_empty() {
        return;
    }
    let mut waits = Vec::new();
    for inlet in inlets {
        let (saved, wait) = oneshot::channel();
        let order = Order::Put {
            notices: notices.to_vec(),
            saved,
        };
        // The queue closes only if the task has panicked; the other receivers are still served.
        match inlet.queue.send(order).await {
            Ok(()) => waits.push(wait),
            Err(_) => tracing::error!(
                receiver = inlet.name,
                "the task of the receiver is gone, alerts are lost"
            ),
        }
    }
    for wait in waits {
        let _ = wait.await;
    }
}

/// Looks once a second: what is silenced now, how the receivers fare, whether we are well.
struct Warden {
    inlets: Vec<Inlet>,
    watcher: Watcher,
    quiet: watch::Sender<Quiet>,
    health: Option<Arc<Health>>,
    ourselves: Ourselves,
    heart: Heart,
    status: PathBuf,
    written: Option<Vec<(String, Counts)>>,
}

impl Warden {
    async fn run(mut self) {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let now = self.watcher.look(clock::now());
            self.quiet.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
            let counts: Vec<(String, Counts)> = self
                .inlets
                .iter()
                .map(|inlet| (inlet.name.clone(), inlet.counters.read()))
                .collect();
            self.look_at_ourselves(&counts).await;
            if self.written.as_ref() != Some(&counts) {
                status::write(&self.status, &counts);
                self.written = Some(counts);
            }
        }
    }

    async fn look_at_ourselves(&mut self, counts: &[(String, Counts)]) {
        let Some(health) = &self.health else { return };
        let now = clock::now();
        let counts = counts
            .iter()
            .map(|(name, counts)| (name.as_str(), counts.clone()));
        let troubles = health.judge(now, counts);
        self.heart.step(&troubles, now);
        let notices = self.ourselves.step(&troubles, now);
        for notice in &notices {
            tracing::warn!(
                trouble = notice.trouble,
                state = notice.state.name(),
                "{}",
                notice.title
            );
        }
        send(self.inlets.iter(), &notices).await;
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
    let mut receipt = None;
    for (state, word) in [(NoticeState::Open, "opened"), (NoticeState::Resolved, "resolved")] {
        let notice = Notice {
            state,
            title: format!(
                "This is a test: netfault {word} an alert to see whether receiver {} takes it.",
                receiver.name
            ),
            ..Notice::blank(format!("test-{}", now.micros()), now)
        };
        let mut message = receiver.message(notice);
        message.receipt = receipt;
        receipt = receiver.deliver(&poster, &message).await?;
    }
    Ok(())
}
