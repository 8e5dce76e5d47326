//! Fetched files on disk: `DIR/COLLECTOR/updates|ribs/NAME`.
//!
//! A file appears under its name only once it is whole. What was not used for longest goes first when there is
//! too much; a file that somebody holds a [`Pin`] on stays. Only files that could be ours are ever removed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::entry::{Entry, is_plain, is_safe_name};
use crate::mrt::FileKind;

/// A download that nobody has written to for so long was left by a run that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);
const PART: &str = ".part";

#[derive(Clone, Debug)]
pub struct CacheSettings {
    pub dir: PathBuf,
    /// Bytes of all files together. Files in use may exceed it.
    pub max_bytes: u64,
    /// Since a file was used last.
    pub max_age: Duration,
}

#[derive(Debug)]
pub(super) struct Cache {
    settings: CacheSettings,
    pinned: Pinned,
    /// One sweep at a time.
    sweeping: Mutex<()>,
}

type Pinned = Arc<Mutex<HashMap<PathBuf, usize>>>;

/// As long as it lives, the file stays.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    pinned: Pinned,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pinned.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                pinned.remove(&self.path);
            }
        }
    }
}

/// A download under way. Gone when dropped, unless it was [kept](Cache::keep).
#[derive(Debug)]
pub(super) struct Part {
    pub path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // renamed, or never written
    }
}

impl Cache {
    pub fn open(settings: CacheSettings) -> io::Result<Self> {
        fs::create_dir_all(&settings.dir)?;
        let cache = Cache {
            settings,
            pinned: Pinned::default(),
            sweeping: Mutex::new(()),
        };
        cache.sweep();
        Ok(cache)
    }

    pub fn path_of(&self, entry: &Entry) -> PathBuf {
        let kind = match entry.kind {
            FileKind::Updates => "updates",
            FileKind::Rib => "ribs",
        };
        // Both names have been checked by whoever made the entry; see `entry::is_safe_name`.
        self.settings
            .dir
            .join(entry.collector.name())
            .join(kind)
            .join(entry.name())
    }

    /// The file, if it is there; it counts as used now.
    pub fn find(&self, path: &Path) -> Option<(u64, Pin)> {
        let pin = self.pin(path);
        let meta = fs::metadata(path)
            .ok()
            .filter(|meta| meta.is_file() && meta.len() > 0)?;
        // Only the order of removal depends on it.
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        Some((meta.len(), pin))
    }

    /// A name for a download of `path` that nobody else writes to.
    pub fn part(&self, path: &Path) -> io::Result<Part> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            return Err(io::Error::other("not a file of the cache"));
        };
        fs::create_dir_all(folder)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Part {
            path: folder.join(format!(".{name}.{}.{number}{PART}", std::process::id())),
        })
    }

    /// Gives a whole download its name, and makes room.
    pub fn keep(&self, part: Part, path: &Path) -> io::Result<(u64, Pin)> {
        let file = File::open(&part.path)?;
        // Else a power failure could leave an empty file with a good name.
        file.sync_all()?;
        let size = file.metadata()?.len();
        let pin = self.pin(path);
        fs::rename(&part.path, path)?;
        self.sweep();
        Ok((size, pin))
    }

    fn pin(&self, path: &Path) -> Pin {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        *pinned.entry(path.to_owned()).or_insert(0) += 1;
        Pin {
            path: path.to_owned(),
            pinned: Arc::clone(&self.pinned),
        }
    }

    /// Removes what is too old, and the longest unused beyond the limit of bytes.
    fn sweep(&self) {
        let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = files(&self.settings.dir);
        files.sort_by_key(|file| std::cmp::Reverse(file.used));
        let now = SystemTime::now();
        let (mut kept, mut removed, mut freed) = (0u64, 0u64, 0u64);
        for file in files {
            let age = now.duration_since(file.used).unwrap_or_default();
            let is_spent = match file.is_part {
                true => age > ABANDONED,
                false => {
                    age > self.settings.max_age || kept.saturating_add(file.size) > self.settings.max_bytes
                }
            };
            if is_spent && self.remove(&file.path) {
                removed += 1;
                freed += file.size;
            } else {
                kept = kept.saturating_add(file.size);
            }
        }
        if removed > 0 {
            tracing::debug!(removed, freed, kept, dir = %self.settings.dir.display(), "archive cache swept");
        }
    }

    /// Unless somebody holds it; under the lock, so that nobody does so in between.
    pub fn remove(&self, path: &Path) -> bool {
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if pinned.contains_key(path) {
            return false;
        }
        fs::remove_file(path)
            .inspect_err(
                |error| tracing::warn!(file = %path.display(), "archive cache: cannot be removed: {error}"),
            )
            .is_ok()
    }
}

struct OnDisk {
    path: PathBuf,
    used: SystemTime,
    size: u64,
    is_part: bool,
}

/// Everything that could be ours: two folders down, with a name that we would give.
fn files(dir: &Path) -> Vec<OnDisk> {
    let mut found = Vec::new();
    for collector in folders(dir, is_plain) {
        for kind in folders(&collector, |name| matches!(name, "updates" | "ribs")) {
            let Ok(entries) = fs::read_dir(kind) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let is_part = name.starts_with('.') && name.ends_with(PART);
                if !is_part && !is_safe_name(name) {
                    continue;
                }
                let Ok(meta) = entry.metadata() else { continue };
                if let (true, Ok(used)) = (meta.is_file(), meta.modified()) {
                    found.push(OnDisk {
                        path: entry.path(),
                        used,
                        size: meta.len(),
                        is_part,
                    });
                }
            }
        }
    }
    found
}

fn folders(dir: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().is_some_and(&fits))
        .map(|entry| entry.path())
        .collect()
}
