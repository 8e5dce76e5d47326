//! The spool: the folder where batches wait until ClickHouse has them.
//!
//! One process owns it (a lock file says so). Segments are numbered and leave in that order. What was not
//! sent when the program ended, in whatever way, is found again at the next start.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::rows::Table;
use crate::segment::{Segment, SegmentError};

/// A segment that could not be read at the start: what the caller reports as a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub path: PathBuf,
    pub reason: String,
}

pub(crate) struct Spool {
    dir: PathBuf,
    waiting: BTreeMap<u64, Segment>,
    /// Handed to the sender and not yet answered for.
    in_flight: BTreeMap<u64, Segment>,
    next: u64,
    bytes: u64,
    committed: u64,
    _lock: File,
}

const OFFSET_FILE: &str = "journal-offset";

impl Spool {
    /// Opens the folder, creating it, and finds what was left there.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Torn>), StoreError> {
        fs::create_dir_all(dir.join("rejected")).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let committed = fs::read_to_string(dir.join(OFFSET_FILE)).ok();
        let mut spool = Spool {
            dir: dir.to_owned(),
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            next: 1,
            bytes: 0,
            committed: committed.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
            _lock: lock,
        };
        let torn = spool.scan()?;
        Ok((spool, torn))
    }

    fn scan(&mut self) -> Result<Vec<Torn>, StoreError> {
        let mut torn = Vec::new();
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(StoreError::io(&self.dir))? {
            paths.push(entry.map_err(StoreError::io(&self.dir))?.path());
        }
        paths.sort();
        for path in paths {
            let found = match path.extension().and_then(|extension| extension.to_str()) {
                Some("seg") => Segment::peek(&path),
                // Every byte of a `.part` must be there: its sync did not return.
                Some("part") => Segment::load(&path)
                    .map(|(segment, _)| segment)
                    .and_then(|segment| {
                        fs::rename(&path, segment.path(&self.dir))?;
                        Ok(segment)
                    }),
                _ => continue,
            };
            match found {
                Ok(mut segment) => {
                    segment.tried = true;
                    self.keep(segment);
                }
                Err(SegmentError::Torn(reason)) => {
                    torn.push(Torn {
                        path: path.clone(),
                        reason: reason.to_owned(),
                    });
                    self.set_aside(&path);
                }
                Err(SegmentError::Io(source)) => return Err(StoreError::Io { path, source }),
            }
        }
        Ok(torn)
    }

    fn keep(&mut self, segment: Segment) {
        self.next = self.next.max(segment.number + 1);
        self.bytes += segment.size();
        self.waiting.insert(segment.number, segment);
    }

    /// Moves a file to `rejected/`, where a person can look at it. Nothing there is counted as spool.
    fn set_aside(&self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        if let Err(error) = fs::rename(path, self.dir.join("rejected").join(name)) {
            tracing::error!(path = %path.display(), %error, "a segment cannot be set aside");
        }
    }

    /// Bytes of segments that are not sent yet.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn segments(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Rows per table that wait.
    pub fn rows(&self, table: Table) -> u64 {
        let all = self.waiting.values().chain(self.in_flight.values());
        all.filter(|segment| segment.table == table)
            .map(|segment| u64::from(segment.rows))
            .sum()
    }

    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// The number of the next segment. The caller stores it (slow, outside of any lock), then calls [`Spool::add`].
    pub fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    pub fn add(&mut self, segment: Segment) {
        self.keep(segment);
    }

    /// Remembers up to where the journal is safe in segments.
    pub fn commit(&mut self, offset: u64) {
        if offset <= self.committed {
            return;
        }
        self.committed = offset;
        // Renamed but not synced: after a power failure an older offset means more replaying, never less data.
        let path = self.dir.join(OFFSET_FILE);
        let part = path.with_extension("new");
        if let Err(error) = fs::write(&part, offset.to_string()).and_then(|()| fs::rename(&part, &path)) {
            tracing::warn!(%error, "the journal offset cannot be written");
        }
    }

    /// The oldest waiting segment, now in flight.
    pub fn take(&mut self) -> Option<Segment> {
        let (number, segment) = self.waiting.pop_first()?;
        self.in_flight.insert(number, segment);
        Some(segment)
    }

    /// The segment could not be sent: it waits again, in its old place.
    pub fn put_back(&mut self, number: u64) {
        if let Some(mut segment) = self.in_flight.remove(&number) {
            segment.tried = true;
            self.waiting.insert(number, segment);
        }
    }

    /// ClickHouse has it. Removing the file needs no sync: if it comes back, its keys make it harmless.
    pub fn sent(&mut self, number: u64) {
        let Some(segment) = self.in_flight.remove(&number) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(segment.size());
        let path = segment.path(&self.dir);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a sent segment cannot be removed");
        }
    }

    /// ClickHouse will never take it.
    pub fn reject(&mut self, number: u64) {
        let Some(segment) = self.in_flight.remove(&number) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(segment.size());
        self.set_aside(&segment.path(&self.dir));
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(StoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let source = std::io::Error::other("another netfault is using this spool");
            Err(StoreError::Io { path, source })
        }
        Err(TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(spool: &mut Spool, body: &[u8]) -> Segment {
        let segment = Segment::new(spool.take_number(), Table::Transitions, 1, 0, 0, body);
        segment.store(&spool.dir, body).unwrap();
        spool.add(segment);
        segment
    }

    #[test]
    fn what_is_left_is_found_again_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(dir.path()).unwrap();
        let all: Vec<_> = (0..3u8).map(|n| put(&mut spool, &[n])).collect();
        let first = spool.take().unwrap();
        spool.sent(first.number);
        spool.take().unwrap();
        spool.commit(17);
        drop(spool);
        let (mut spool, torn) = Spool::open(dir.path()).unwrap();
        assert!(torn.is_empty());
        assert_eq!(spool.committed(), 17);
        let left =
            [spool.take(), spool.take(), spool.take()].map(|segment| segment.map(|it| (it.number, it.tried)));
        assert_eq!(
            left,
            [Some((all[1].number, true)), Some((all[2].number, true)), None]
        );
        assert!(spool.take_number() > all[2].number);
    }

    #[test]
    fn a_part_is_kept_when_whole_and_a_gap_when_torn() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(dir.path()).unwrap();
        let (one, two) = (put(&mut spool, b"one"), put(&mut spool, b"two"));
        drop(spool);
        for segment in [one, two] {
            let path = segment.path(dir.path());
            fs::rename(&path, path.with_extension("part")).unwrap();
        }
        let part = two.path(dir.path()).with_extension("part");
        File::options()
            .write(true)
            .open(&part)
            .unwrap()
            .set_len(two.size() - 1)
            .unwrap();
        let (mut spool, torn) = Spool::open(dir.path()).unwrap();
        // Nobody knows whether the earlier run had sent it.
        let mut left = one;
        left.tried = true;
        assert_eq!((spool.take(), spool.take()), (Some(left), None));
        assert_eq!(torn.len(), 1);
        assert!(
            dir.path()
                .join("rejected")
                .join(part.file_name().unwrap())
                .exists()
        );
    }

    #[test]
    fn two_processes_cannot_share_a_spool() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Spool::open(dir.path()).unwrap();
        assert!(matches!(Spool::open(dir.path()), Err(StoreError::Io { .. })));
    }
}
