//! The one engine of this process: opened on a folder, asked for connections, told to kill queries.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{EngineError, Exception};
use super::ffi::{Connection, Library};
use super::sql::quote;

/// An open database folder. Every query gets a connection of its own (about a millisecond), so that settings,
/// databases and temporary tables of one never reach another.
pub struct Engine {
    library: Library,
    dir: PathBuf,
    /// Kept open so that the engine does not stop between queries; `None` after [`Engine::close`].
    anchor: Mutex<Option<Connection>>,
    next: AtomicU64,
    pub version: String,
    pub timezone: String,
    pub host: String,
}

impl Engine {
    /// Opens `dir`, creating it where needed. Blocks for 0.1–0.3 s, longer with many tables.
    pub fn open(library: Library, dir: &Path) -> Result<Self, EngineError> {
        let folder = |source| EngineError::Folder {
            dir: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(folder)?;
        let dir = fs::canonicalize(dir).map_err(folder)?;
        check_unused(&dir)?;
        check_writable(&dir).map_err(folder)?;
        let mut anchor = library.connect(&dir)?;
        let facts = anchor.query(b"SELECT version(), timezone(), hostName()", "TabSeparatedRaw")?;
        let facts = String::from_utf8_lossy(facts.as_ref()).into_owned();
        let mut facts = facts.trim_end().split('\t').map(str::to_owned);
        let mut fact = || facts.next().unwrap_or_default();
        let (version, timezone, host) = (fact(), fact(), fact());
        let anchor = Mutex::new(Some(anchor));
        Ok(Self {
            library,
            dir,
            anchor,
            next: AtomicU64::new(1),
            version,
            timezone,
            host,
        })
    }

    /// A new session. Refused once the engine is closed, because it would start it again.
    pub fn connect(&self) -> Result<Connection, Exception> {
        let anchor = self
            .anchor
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if anchor.is_none() {
            return Err(Exception::unexplained("The server is shutting down"));
        }
        self.library
            .connect(&self.dir)
            .map_err(|error| Exception::unexplained(&error.to_string()))
    }

    /// A mark by which a query can be found again; it travels in the setting `log_comment`.
    pub fn next_mark(&self) -> String {
        format!("netfault-db {}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks the engine to stop the query with this mark, if it runs by now.
    pub fn kill(&self, mark: &str) {
        let Ok(mut connection) = self.connect() else {
            return;
        };
        let sql = format!("KILL QUERY WHERE Settings['log_comment'] = {} ASYNC", quote(mark));
        if let Err(error) = connection.query(sql.as_bytes(), "Null") {
            tracing::warn!(%error, mark, "a query could not be killed");
        }
    }

    /// Closes the engine; to be called when no query runs any more (with one running, it only lets go).
    pub fn close(&self) {
        let anchor = self
            .anchor
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if anchor.is_some() {
            drop(anchor);
            self.library.shutdown();
        }
    }
}

/// ClickHouse locks `status` for as long as it runs. Asking first gives a clear sentence instead of its log line.
fn check_unused(dir: &Path) -> Result<(), EngineError> {
    let path = dir.join("status");
    let Ok(file) = fs::File::open(&path) else {
        return Ok(());
    };
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            let status = fs::read_to_string(&path).unwrap_or_default();
            let pid = status
                .lines()
                .find_map(|line| line.strip_prefix("PID: ")?.trim().parse().ok());
            Err(EngineError::InUse {
                dir: dir.to_owned(),
                pid,
            })
        }
        _ => Ok(()),
    }
}

/// Writes and syncs a small file, which a read-only folder or a full disk refuses.
fn check_writable(dir: &Path) -> io::Result<()> {
    let path = dir.join(".netfault-write-check");
    let written = fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[b'\n'; 65536])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}
