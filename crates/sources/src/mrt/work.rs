//! The worker threads of a stream.
//!
//! A file is two tasks: inflating it to pieces, and decoding pieces to batches. A worker takes the first
//! task that can go on, in order of need: files that the merge waits for first, then the ones behind them.
//! Tasks do not belong to threads, so one large file keeps two cores busy, many files keep all of them busy,
//! and no number of files that must be open at once can block the few threads there are.
//!
//! Memory: at most [`PIECES_AHEAD`] pieces and a share of [`BATCHES_AHEAD`] batches a file; files are opened
//! only as far ahead as there are threads. Nothing is dropped here: a full queue makes its task wait.
//! Workers live as long as their [`Pool`]; dropping it lets them finish the step they are at.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use netfault_model::Input;

use super::decode::Decoder;
use super::inflate::Inflater;
use super::origin::Origin;
use super::progress::Progress;

/// Pieces of 256 kB between inflating and decoding one file: a block of bzip2 comes as three or four.
const PIECES_AHEAD: usize = 6;
/// Batches of all files together: some 60 MB of inputs with the default batch.
const BATCHES_AHEAD: usize = 96;

/// A file for the pool to read.
pub(super) struct Job {
    pub path: std::path::PathBuf,
    pub origin: Origin,
    pub batch: usize,
}

struct Slot {
    job: Job,
    /// `None` while a worker has it, before it is opened, and after its end.
    inflater: Option<Inflater>,
    decoder: Option<Box<Decoder>>,
    inflating: Phase,
    decoding: Phase,
    pieces: VecDeque<Vec<u8>>,
    /// Why the file ended too early.
    cut: Option<String>,
    batches: VecDeque<Vec<Input>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Busy,
    Done,
}

struct State {
    /// Files in the order of need. A file is a number that stays; see [`Pool::add`].
    slots: Vec<(usize, Slot)>,
    next_id: usize,
    spare: Vec<Vec<u8>>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Something for a worker to do.
    work: Condvar,
    /// Something for the reader.
    ready: Condvar,
    progress: Progress,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(threads: usize, progress: Progress) -> io::Result<Self> {
        let state = State {
            slots: Vec::new(),
            next_id: 0,
            spare: Vec::new(),
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            ready: Condvar::new(),
            progress,
        });
        let mut pool = Pool {
            shared,
            workers: Vec::new(),
        };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let worker = thread::Builder::new()
                .name(format!("mrt-{number}"))
                .spawn(move || work(&shared))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Takes a file on, behind those that are there.
    pub(super) fn add(&self, job: Job) -> usize {
        let mut state = self.shared.lock();
        let id = state.next_id;
        state.next_id += 1;
        let decoder = Some(Box::new(Decoder::new(job.origin.clone(), job.batch)));
        let slot = Slot {
            job,
            inflater: None,
            decoder,
            inflating: Phase::Idle,
            decoding: Phase::Idle,
            pieces: VecDeque::new(),
            cut: None,
            batches: VecDeque::new(),
        };
        state.slots.push((id, slot));
        self.shared.work.notify_one();
        id
    }

    /// The file that the merge waits for most from now on.
    pub(super) fn prefer(&self, id: usize) {
        let mut state = self.shared.lock();
        if let Some(place) = state.slots.iter().position(|(slot, _)| *slot == id) {
            let slot = state.slots.remove(place);
            state.slots.insert(0, slot);
        }
    }

    /// The next batch of a file, waiting for it. `None` after its last; the file is forgotten then.
    pub(super) fn next_batch(&self, id: usize) -> Option<Vec<Input>> {
        let mut state = self.shared.lock();
        loop {
            let place = state.slots.iter().position(|(slot, _)| *slot == id)?;
            let slot = &mut state.slots[place].1;
            if let Some(batch) = slot.batches.pop_front() {
                self.shared.work.notify_one();
                return Some(batch);
            }
            if slot.decoding == Phase::Done {
                state.slots.remove(place);
                return None;
            }
            state = self
                .shared
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on stderr; there is nothing left to do about it here.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Task {
    Inflate {
        id: usize,
        inflater: Option<Inflater>,
        path: std::path::PathBuf,
        piece: Vec<u8>,
    },
    Decode {
        id: usize,
        decoder: Box<Decoder>,
        piece: Option<Vec<u8>>,
        cut: Option<String>,
    },
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if state.closed {
            return;
        }
        let Some(task) = state.next_task() else {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(state);
        state = match task {
            Task::Inflate {
                id,
                inflater,
                path,
                piece,
            } => inflate(shared, id, inflater, &path, piece),
            Task::Decode {
                id,
                decoder,
                piece,
                cut,
            } => decode(shared, id, decoder, piece, cut),
        };
    }
}

fn inflate<'s>(
    shared: &'s Shared,
    id: usize,
    inflater: Option<Inflater>,
    path: &std::path::Path,
    mut piece: Vec<u8>,
) -> MutexGuard<'s, State> {
    piece.clear();
    let opened = match inflater {
        Some(inflater) => Ok(inflater),
        None => {
            Inflater::open(path, &shared.progress).map_err(|error| format!("file cannot be opened ({error})"))
        }
    };
    let (inflater, ended, cut) = match opened {
        Ok(mut inflater) => match inflater.fill(&mut piece) {
            Ok(()) => (Some(inflater), piece.len() < super::inflate::PIECE, None),
            Err(error) => (
                None,
                true,
                Some(format!("compressed stream is cut or corrupt ({error})")),
            ),
        },
        Err(reason) => (None, true, Some(reason)),
    };
    let mut state = shared.lock();
    if let Some(slot) = state.slot(id) {
        slot.inflating = if ended || slot.decoding == Phase::Done {
            Phase::Done
        } else {
            Phase::Idle
        };
        slot.inflater = inflater.filter(|_| !ended);
        slot.cut = cut;
        if !piece.is_empty() {
            slot.pieces.push_back(piece);
        }
        shared.work.notify_one();
    }
    state
}

fn decode<'s>(
    shared: &'s Shared,
    id: usize,
    mut decoder: Box<Decoder>,
    piece: Option<Vec<u8>>,
    cut: Option<String>,
) -> MutexGuard<'s, State> {
    // A panic here is a bug of ours or of a library. It must not leave the reader waiting for a file that
    // nobody decodes any more: the file ends with a gap that says so.
    let step = panic::catch_unwind(AssertUnwindSafe(|| match &piece {
        Some(piece) => decoder.feed(piece),
        None => decoder.finish(cut),
    }));
    let ended = piece.is_none() || step.is_err();
    if step.is_err() {
        decoder.abandon();
    }
    shared.progress.add_counts(decoder.take_counts());
    let batches = decoder.take_batches();
    let mut state = shared.lock();
    state.spare.extend(piece);
    if let Some(slot) = state.slot(id) {
        slot.batches.extend(batches);
        slot.decoding = if ended { Phase::Done } else { Phase::Idle };
        if ended {
            slot.inflating = Phase::Done;
        }
        slot.decoder = Some(decoder).filter(|_| !ended);
        shared.work.notify_one();
        shared.ready.notify_one();
    }
    state
}

impl State {
    fn slot(&mut self, id: usize) -> Option<&mut Slot> {
        self.slots
            .iter_mut()
            .find(|(slot, _)| *slot == id)
            .map(|(_, slot)| slot)
    }

    /// The first thing that can be done, in order of need.
    fn next_task(&mut self) -> Option<Task> {
        let share = (BATCHES_AHEAD / self.slots.len().max(1)).max(2);
        for (id, slot) in &mut self.slots {
            let has_input = !slot.pieces.is_empty() || slot.inflating == Phase::Done;
            let may_decode = slot.decoding == Phase::Idle && has_input && slot.batches.len() < share;
            if may_decode && let Some(decoder) = slot.decoder.take() {
                slot.decoding = Phase::Busy;
                return Some(Task::Decode {
                    id: *id,
                    decoder,
                    piece: slot.pieces.pop_front(),
                    cut: slot.cut.clone(),
                });
            }
            if slot.inflating == Phase::Idle && slot.pieces.len() < PIECES_AHEAD {
                slot.inflating = Phase::Busy;
                let piece = self.spare.pop().unwrap_or_default();
                return Some(Task::Inflate {
                    id: *id,
                    inflater: slot.inflater.take(),
                    path: slot.job.path.clone(),
                    piece,
                });
            }
        }
        None
    }
}
