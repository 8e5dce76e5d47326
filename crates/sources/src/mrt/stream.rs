//! Files of several collectors as one sequence of inputs.
//!
//! A lane is what one collector delivers of one kind: its updates, or its table dumps, file after file.
//! Lanes are merged by the time of their next input; of equal times the collector whose name sorts first
//! goes first, and its dump before its updates. Within a file the order of the file stands: the engine
//! sorts what a collector wrote a little out of order.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use netfault_model::{Collector, Input, Time};

use super::discover::{MrtError, MrtFile};
use super::name::FileKind;
use super::origin::{Interval, Origin};
use super::progress::Progress;
use super::work::{Job, Pool};

/// Inputs in one batch.
const DEFAULT_BATCH: usize = 2048;
/// How far outside of its file's interval a record may be before its stamp is called early or late. Names
/// and contents of real archives are minutes apart, and some old names are in local time.
const TOLERANCE: Duration = Duration::from_secs(3 * 3600);
/// An update file whose successor is not there is taken to span a day: nobody makes longer ones.
const LONGEST_FILE: Duration = Duration::from_secs(86_400);

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Worker threads; the reader's own thread comes on top.
    pub threads: usize,
    /// Inputs in one batch.
    pub batch: usize,
}

impl Default for Options {
    /// As many threads as there are cores.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Options {
            threads,
            batch: DEFAULT_BATCH,
        }
    }
}

/// An iterator over batches of inputs, in order.
pub struct Stream {
    pool: Pool,
    progress: Progress,
    lanes: Vec<Lane>,
    batch: usize,
    /// How many files of a lane are being read at once.
    ahead: usize,
}

struct Lane {
    waiting: VecDeque<Job>,
    /// Being read, in order.
    open: VecDeque<usize>,
    head: std::vec::IntoIter<Input>,
}

impl Stream {
    /// Starts reading. `files` may come in any order.
    ///
    /// # Errors
    /// [`MrtError::Thread`]. A file that cannot be read is a `Gap` in the stream.
    pub fn open(files: Vec<MrtFile>, options: Options) -> Result<Self, MrtError> {
        let progress = Progress::new(files.iter().map(|file| file.size).sum());
        let lanes = lanes(files, options.batch);
        let threads = options.threads.max(1);
        let ahead = (threads + 1).div_ceil(lanes.len().max(1)).max(1);
        let pool = Pool::start(threads, progress.clone()).map_err(|source| MrtError::Thread { source })?;
        let mut stream = Stream {
            pool,
            progress,
            lanes,
            batch: options.batch.max(1),
            ahead,
        };
        for lane in 0..stream.lanes.len() {
            stream.open_ahead(lane);
        }
        for lane in 0..stream.lanes.len() {
            stream.refill(lane);
        }
        stream.lanes.retain(|lane| !lane.head.as_slice().is_empty());
        Ok(stream)
    }

    /// How far reading is; can be kept and looked at in another thread.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn open_ahead(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        while lane.open.len() < self.ahead
            && let Some(job) = lane.waiting.pop_front()
        {
            lane.open.push_back(self.pool.add(job));
        }
    }

    /// Gets the lane's next batch, of its next file if need be. False at the end of the lane.
    fn refill(&mut self, index: usize) -> bool {
        loop {
            let Some(&file) = self.lanes[index].open.front() else {
                return false;
            };
            if let Some(batch) = self.pool.next_batch(file) {
                self.lanes[index].head = batch.into_iter();
                return true;
            }
            self.lanes[index].open.pop_front();
            self.open_ahead(index);
            if let Some(&next) = self.lanes[index].open.front() {
                self.pool.prefer(next);
            }
        }
    }

    /// Takes inputs of the lane that is first, as long as it stays first.
    fn merge_into(&mut self, out: &mut Vec<Input>) -> bool {
        let Some((first, limit)) = self.first_lane() else {
            return false;
        };
        let room = self.batch - out.len();
        let head = &mut self.lanes[first].head;
        for _ in 0..room {
            // Lanes before the first one win ties, so it must be strictly earlier than those.
            match head.as_slice().first() {
                Some(input) if limit.is_none_or(|(at, lane)| (input.at(), first) < (at, lane)) => {}
                _ => break,
            }
            out.extend(head.next());
        }
        if head.as_slice().is_empty() && !self.refill(first) {
            self.lanes.remove(first);
        }
        true
    }

    /// The lane with the earliest input, and the (time, lane) that it must stay before.
    fn first_lane(&self) -> Option<(usize, Option<(Time, usize)>)> {
        let mut heads: Vec<(Time, usize)> = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(index, lane)| Some((lane.head.as_slice().first()?.at(), index)))
            .collect();
        heads.sort_unstable();
        let (_, first) = *heads.first()?;
        Some((first, heads.get(1).copied()))
    }
}

impl Iterator for Stream {
    type Item = Vec<Input>;

    fn next(&mut self) -> Option<Vec<Input>> {
        if let [lane] = self.lanes.as_mut_slice() {
            // One lane needs no merging: its batches go through as they are.
            let batch: Vec<Input> = std::mem::take(&mut lane.head).collect();
            if !self.refill(0) {
                self.lanes.clear();
            }
            return Some(batch);
        }
        let mut out = Vec::with_capacity(if self.lanes.is_empty() { 0 } else { self.batch });
        while out.len() < self.batch && self.merge_into(&mut out) {}
        (!out.is_empty()).then_some(out)
    }
}

fn lanes(files: Vec<MrtFile>, batch: usize) -> Vec<Lane> {
    let mut by_lane: BTreeMap<(Collector, FileKind), Vec<MrtFile>> = BTreeMap::new();
    for file in files {
        by_lane.entry((file.collector, file.kind)).or_default().push(file);
    }
    let mut lanes = Vec::new();
    for mut files in by_lane.into_values() {
        files.sort_by(|a, b| (a.starts, &a.path).cmp(&(b.starts, &b.path)));
        let intervals: Vec<_> = (0..files.len()).map(|index| interval(&files, index)).collect();
        let waiting = files
            .into_iter()
            .zip(intervals)
            .map(|(file, interval)| job(file, interval, batch))
            .collect();
        lanes.push(Lane {
            waiting,
            open: VecDeque::new(),
            head: Vec::new().into_iter(),
        });
    }
    lanes
}

/// From the time in the name to that of the next file, with tolerance. Dumps and files without a time in
/// their name have none.
fn interval(files: &[MrtFile], index: usize) -> Option<Interval> {
    let file = files.get(index)?;
    let starts = file
        .starts
        .filter(|_| file.is_named && file.kind == FileKind::Updates)?;
    let longest = starts + LONGEST_FILE;
    let next = files
        .get(index + 1)
        .and_then(|next| next.starts)
        .unwrap_or(longest);
    Some(Interval {
        from: starts - TOLERANCE,
        to: next.min(longest) + TOLERANCE,
    })
}

fn job(file: MrtFile, interval: Option<Interval>, batch: usize) -> Job {
    let name = file
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let origin = Origin {
        collector: file.collector,
        file: name,
        starts: file.starts,
        interval,
    };
    Job {
        path: file.path,
        origin,
        batch,
    }
}
