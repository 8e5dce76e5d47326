//! Batches on disk, oldest first, bounded in bytes and in age.
//!
//! Each start of the agent is an epoch, each batch of it a number; nothing else has to be remembered, so nothing can be
//! remembered wrongly. What an earlier run left is sent first, under its own epoch.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netfault_api::Position;
use netfault_api::batch::Hole;
use netfault_model::Time;

use super::segment::Segment;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_bytes: u64,
    pub max_age: Duration,
}

/// Why a batch has to go.
#[derive(Clone, Copy)]
enum Surplus {
    Full,
    Old,
}

#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    limits: Limits,
    segments: VecDeque<Segment>,
    bytes: u64,
    next: Position,
    /// Held as long as we live: two agents in one folder would send each other's batches.
    _lock: File,
}

impl Spool {
    /// Makes the folder if need be; what is in it is sent first. Also what is missing: damaged batches, and the time since
    /// the last one.
    ///
    /// # Errors
    /// If the folder cannot be used, or another agent uses it.
    pub fn open(dir: &Path, limits: Limits, now: Time) -> io::Result<(Spool, Vec<Hole>)> {
        fs::create_dir_all(dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another agent uses it"),
            fs::TryLockError::Error(error) => error,
        })?;
        let (mut segments, mut holes) = find(dir, now)?;
        segments.sort_by_key(|segment| segment.position);
        let newest = segments.last();
        holes.extend(newest.map(|last| was_away(last.to, now)));
        // Higher than all of an earlier run, even if the clock was set back since.
        let started = u64::try_from(now.micros()).unwrap_or(0);
        let epoch = newest.map_or(started, |last| started.max(last.position.epoch.saturating_add(1)));
        let spool = Spool {
            dir: dir.to_owned(),
            limits,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments: segments.into(),
            next: Position { epoch, seq: 1 },
            _lock: lock,
        };
        Ok((spool, holes))
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Batches and results that wait.
    pub fn size(&self) -> (usize, u64) {
        let results = self.segments.iter().map(|segment| u64::from(segment.items)).sum();
        (self.segments.len(), results)
    }

    /// The oldest.
    pub fn front(&self) -> Option<&Segment> {
        self.segments.front()
    }

    /// Writes one batch; it is on disk when this returns.
    pub fn add(&mut self, items: u32, span: (Time, Time), packed: &[u8]) -> io::Result<()> {
        let segment = Segment::write(&self.dir, self.next, items, span, packed)?;
        self.next.seq += 1;
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
        Ok(())
    }

    /// Takes the oldest away, if it is still the one at `position`: it is safe, or lost for good.
    pub fn remove(&mut self, position: Position) -> Option<Segment> {
        self.segments.front().filter(|front| front.position == position)?;
        self.take_out(0)
    }

    /// Drops what is over the bounds, the oldest first, but not the one that is `under_way`.
    pub fn trim(&mut self, now: Time, under_way: bool) -> Vec<Hole> {
        let mut holes = Vec::new();
        let place = usize::from(under_way);
        for why in [Surplus::Full, Surplus::Old] {
            let mut dropped: Option<Hole> = None;
            while self.is_over(why, place, now) {
                let Some(segment) = self.take_out(place) else {
                    break;
                };
                let hole = dropped.get_or_insert_with(|| hole(why, &segment, now));
                hole.to = hole.to.max(Some(segment.to));
                hole.lost = hole.lost.map(|lost| lost + u64::from(segment.items));
            }
            holes.extend(dropped);
        }
        holes
    }

    fn is_over(&self, why: Surplus, place: usize, now: Time) -> bool {
        let Some(segment) = self.segments.get(place) else {
            return false;
        };
        match why {
            Surplus::Full => self.bytes > self.limits.max_bytes,
            Surplus::Old => segment.to + self.limits.max_age < now,
        }
    }

    fn take_out(&mut self, place: usize) -> Option<Segment> {
        let segment = self.segments.remove(place)?;
        self.bytes -= segment.bytes;
        if let Err(error) = fs::remove_file(&segment.path) {
            // It would be sent again at the next start, and be known then.
            tracing::warn!(path = %segment.path.display(), %error, "a batch cannot be deleted");
        }
        Some(segment)
    }

    /// The collector knows a run of ours that is later than `epoch`: everything is numbered anew behind it.
    ///
    /// # Errors
    /// If a file cannot be renamed; what was renamed stays so, and its order too.
    pub fn renumber(&mut self, epoch: u64) -> io::Result<()> {
        let mut position = Position {
            epoch: epoch.saturating_add(1),
            seq: 1,
        };
        for segment in &mut self.segments {
            segment.rename(&self.dir, position)?;
            position.seq += 1;
        }
        self.next = position;
        File::open(&self.dir)?.sync_all()
    }
}

fn find(dir: &Path, now: Time) -> io::Result<(Vec<Segment>, Vec<Hole>)> {
    let (mut segments, mut holes) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match Segment::find(&path) {
            Some(Ok(segment)) => segments.push(segment),
            Some(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "a batch of the spool is damaged");
                holes.push(Hole {
                    at: now,
                    from: None,
                    to: None,
                    reason: format!("a batch of the spool is damaged: {error}"),
                    lost: None,
                });
                fs::remove_file(&path)?;
            }
            // What a kill left in the middle of writing.
            None if path.extension().is_some_and(|extension| extension == "part") => fs::remove_file(&path)?,
            None => {}
        }
    }
    Ok((segments, holes))
}

fn was_away(last: Time, now: Time) -> Hole {
    Hole {
        at: now,
        from: Some(last),
        to: Some(now.max(last)),
        reason: "the agent was not running".to_owned(),
        lost: None,
    }
}

fn hole(why: Surplus, first: &Segment, now: Time) -> Hole {
    let why = match why {
        Surplus::Full => "the spool was full",
        Surplus::Old => "the collector was away for longer than the spool keeps",
    };
    Hole {
        at: now,
        from: Some(first.from),
        to: Some(first.to),
        reason: format!("{why}: results dropped"),
        lost: Some(0),
    }
}

#[cfg(test)]
mod tests;
