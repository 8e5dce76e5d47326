//! Checkpoints: the engine's state on disk, so that a restart forgets no baseline and no open incident, and needs the
//! journal only from there on.
//!
//! ```text
//! <data_dir>/state/<when it was written, microseconds>.nfstate
//! file = magic, version of the format, offset in the journal, engine time │ zstd(postcard engine), with a check sum
//! ```
//!
//! [`format`] is the bytes, [`Keeper`] decides when to save and what to keep. A checkpoint is *written* at once but
//! *valid* (renamed) only when the journal and the store are safe up to its offset: it must not vouch for inputs whose
//! rows could still be lost. One that cannot be read (another version, damage) is passed over with a warning, in favour
//! of the one before it or of the journal: it is never an error.

pub mod format;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netfault_engine::Engine;

pub use format::Saved;

/// How often a running service saves: playing five minutes of the full feed again takes about a second.
pub const EVERY: Duration = Duration::from_secs(300);
/// The newest one, and the one before it in case of damage.
const KEPT: usize = 2;
const EXTENSION: &str = "nfstate";
/// Written, not valid yet.
const PENDING: &str = "pending";

/// Saves now and then. Packing happens on the caller's thread, in memory (the engine must not change meanwhile); the
/// disk is a thread of its own.
pub struct Keeper {
    dir: PathBuf,
    every: Duration,
    saved: Instant,
    /// Packed and on its way to the disk, or there; not valid yet.
    pending: Option<Pending>,
}

struct Pending {
    offset: u64,
    written: mpsc::Receiver<io::Result<PathBuf>>,
    thread: JoinHandle<()>,
    path: Option<PathBuf>,
}

impl Keeper {
    pub fn new(data_dir: &Path, every: Duration) -> Self {
        Keeper {
            dir: dir(data_dir),
            every,
            saved: Instant::now(),
            pending: None,
        }
    }

    /// Time for another one.
    pub fn is_due(&self) -> bool {
        self.pending.is_none() && self.saved.elapsed() >= self.every
    }

    /// Packs the state as it is; `offset` is that of the journal behind the last input the engine was given.
    pub fn save(&mut self, engine: &Engine, offset: u64) {
        self.saved = Instant::now();
        let begun = Instant::now();
        let packed = match format::pack(engine, offset) {
            Ok(packed) => packed,
            Err(error) => return tracing::error!(%error, "the state cannot be saved"),
        };
        tracing::debug!(
            bytes = packed.len(),
            milliseconds = begun.elapsed().as_millis(),
            "state packed"
        );
        let (done, written) = mpsc::sync_channel(1); // one answer
        let dir = self.dir.clone();
        let thread = std::thread::spawn(move || {
            let _ = done.send(write(&dir, &packed)); // nobody waits any more: the service has ended
        });
        self.pending = Some(Pending {
            offset,
            written,
            thread,
            path: None,
        });
    }

    /// Makes the pending one valid once everything before its offset is `safe`.
    pub fn settle(&mut self, safe: u64) {
        let Some(pending) = &mut self.pending else { return };
        match pending.written.try_recv() {
            Ok(Ok(path)) => pending.path = Some(path),
            Ok(Err(error)) => {
                tracing::error!(%error, dir = %self.dir.display(), "the state cannot be saved");
                self.pending = None;
                return;
            }
            Err(_) => {}
        }
        if pending.offset > safe {
            return;
        }
        let Some(path) = &pending.path else { return };
        if let Err(error) = make_valid(&self.dir, path) {
            tracing::error!(%error, dir = %self.dir.display(), "the state cannot be saved");
        }
        self.pending = None;
    }

    /// Waits for the disk. For the end of the service.
    pub fn finish(mut self, safe: u64) {
        if let Some(pending) = &mut self.pending
            && let Ok(Ok(path)) = pending.written.recv()
        {
            pending.path = Some(path);
        }
        self.settle(safe);
        if let Some(pending) = self.pending {
            let _ = pending.thread.join(); // it has answered above
        }
    }
}

/// The newest checkpoint that can be read.
pub fn newest(data_dir: &Path) -> Option<Saved> {
    let mut paths = valid(&dir(data_dir)).unwrap_or_default();
    while let Some(path) = paths.pop() {
        match fs::read(&path)
            .map_err(format::Unreadable::Io)
            .and_then(|bytes| format::unpack(&bytes))
        {
            Ok(saved) => return Some(saved),
            Err(reason) => tracing::warn!("{}: not used: {reason}", path.display()),
        }
    }
    None
}

fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("state")
}

/// Valid checkpoints, oldest first.
fn valid(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    paths.sort(); // by name: all have the same number of digits
    Ok(paths)
}

fn write(dir: &Path, packed: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = dir.join(format!("{:020}.{PENDING}", since.as_micros()));
    let mut file = fs::File::create(&path)?;
    io::Write::write_all(&mut file, packed)?;
    file.sync_all()?;
    Ok(path)
}

fn make_valid(dir: &Path, path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension(EXTENSION))?;
    fs::File::open(dir)?.sync_all()?;
    let mut paths = valid(dir)?;
    paths.truncate(paths.len().saturating_sub(KEPT));
    paths.iter().try_for_each(fs::remove_file)?;
    // Those of runs that were killed.
    for entry in fs::read_dir(dir)?.flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == PENDING)
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
