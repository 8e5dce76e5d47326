//! libchdb (ClickHouse as a library) behind small safe wrappers.
//!
//! The only file of this crate that may use `unsafe`. It knows the C functions and their ownership rules
//! (chdb.h, 26.7) and nothing about HTTP or SQL. The library is never unloaded: its threads run on, and
//! unloading them crashes the process; so the function table is leaked and lives as long as the process.
//!
//! Thread rules, from chdb.h: a connection runs one statement at a time, so [`Connection`] is `Send` but not
//! `Sync`, and everything that runs a statement borrows it mutably. Connections are independent of each other.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::NonNull;

use super::error::{EngineError, Exception};

type Handle = *mut c_void;

/// The functions in use. Function pointers into a library that stays loaded for the life of the process.
struct Api {
    version: unsafe extern "C" fn() -> *const c_char,
    connect: unsafe extern "C" fn(c_int, *const *const c_char) -> *mut Handle,
    close: unsafe extern "C" fn(*mut Handle),
    shutdown: unsafe extern "C" fn() -> c_int,
    query: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    stream_query: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    stream_fetch: unsafe extern "C" fn(Handle, Handle) -> Handle,
    stream_cancel: unsafe extern "C" fn(Handle, Handle),
    classify:
        unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int,
    result_buffer: unsafe extern "C" fn(Handle) -> *const c_char,
    result_length: unsafe extern "C" fn(Handle) -> usize,
    result_error: unsafe extern "C" fn(Handle) -> *const c_char,
    result_rows: unsafe extern "C" fn(Handle) -> u64,
    result_read_rows: unsafe extern "C" fn(Handle) -> u64,
    result_read_bytes: unsafe extern "C" fn(Handle) -> u64,
    result_written_rows: unsafe extern "C" fn(Handle) -> u64,
    result_written_bytes: unsafe extern "C" fn(Handle) -> u64,
    result_destroy: unsafe extern "C" fn(Handle),
    insert_open: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    insert_append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(Handle) -> Handle,
    insert_error: unsafe extern "C" fn(Handle) -> *const c_char,
    insert_destroy: unsafe extern "C" fn(Handle),
}

/// `chdb_query_analysis_v1`: what a text would do, by ClickHouse's own parser. Nothing is executed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Analysis {
    struct_size: u32,
    /// Executable statements in the text, 0 when it is empty or does not parse.
    pub statements: u32,
    flags: u32,
    /// `chdb_query_class`; [`Analysis::UNKNOWN`] when the text does not parse.
    pub class: u32,
}

impl Analysis {
    /// `CHDB_QUERY_UNKNOWN`.
    pub const UNKNOWN: u32 = 4;
}

/// The loaded engine library. Cheap to copy; at most one is useful in a process.
#[derive(Clone, Copy)]
pub struct Library(&'static Api);

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library(libchdb {})", self.version())
    }
}

impl Library {
    /// Loads libchdb from `path` and turns its signal handlers off (it would sleep minutes in a crash handler).
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Load {
            path: path.to_owned(),
            source,
        };
        // SAFETY: loading runs the initialisers of a library that the operator chose or whose digest
        // `scripts/libchdb/get.sh` checked; there is no way to load native code that is safer than that.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // SAFETY: the names and signatures in `Api` are those of chdb.h 26.7; a missing name is an error.
        let api = unsafe { load(&library) }.map_err(failed)?;
        // SAFETY: `void chdb_set_signal_handlers_enabled(int)`, to be called before the first connection.
        unsafe {
            let quiet = library.get::<unsafe extern "C" fn(c_int)>(b"chdb_set_signal_handlers_enabled\0");
            quiet.map_err(failed)?(0);
        }
        std::mem::forget(library);
        Ok(Self(Box::leak(Box::new(api))))
    }

    /// The version of libchdb, such as `26.7.3` (ClickHouse's own is asked with `SELECT version()`).
    #[must_use]
    pub fn version(self) -> String {
        // SAFETY: returns a string constant of the library.
        unsafe { text((self.0.version)()) }.unwrap_or_default()
    }

    /// Opens a connection to the database in `dir`. The first one starts the engine, later ones cost about a
    /// millisecond and must name the same `dir`. The reason of a failure is only written to stderr by libchdb.
    pub fn connect(self, dir: &Path) -> Result<Connection, EngineError> {
        let refused = || EngineError::Refused { dir: dir.to_owned() };
        let mut path = b"--path=".to_vec();
        path.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(dir.as_os_str()));
        let path = CString::new(path).map_err(|_| refused())?;
        let argv = [c"clickhouse".as_ptr(), path.as_ptr()];
        // SAFETY: argv holds two NUL-terminated strings that outlive the call, which copies them.
        let outer = unsafe { (self.0.connect)(2, argv.as_ptr()) };
        let outer = NonNull::new(outer).ok_or_else(refused)?;
        // SAFETY: a non-null result points to the connection pointer, until `close`.
        let inner = NonNull::new(unsafe { *outer.as_ptr() }).ok_or_else(refused)?;
        Ok(Connection {
            api: self.0,
            outer,
            inner,
            _not_sync: PhantomData,
        })
    }

    /// Joins every thread of the engine. Only after all connections are closed; afterwards none can be opened.
    pub fn shutdown(self) {
        // SAFETY: no arguments; documented as harmless in any state (it refuses while connections are open).
        unsafe { (self.0.shutdown)() };
    }
}

/// SAFETY: the caller promises that `library` is libchdb, whose functions have these signatures.
unsafe fn load(library: &libloading::Library) -> Result<Api, libloading::Error> {
    macro_rules! symbol {
        // SAFETY: see the function; the pointer is copied out and the library is never unloaded.
        ($name:literal) => {
            unsafe { *library.get(concat!($name, "\0").as_bytes())? }
        };
    }
    Ok(Api {
        version: symbol!("chdb_version"),
        connect: symbol!("chdb_connect"),
        close: symbol!("chdb_close_conn"),
        shutdown: symbol!("chdb_shutdown"),
        query: symbol!("chdb_query_n"),
        stream_query: symbol!("chdb_stream_query_n"),
        stream_fetch: symbol!("chdb_stream_fetch_result"),
        stream_cancel: symbol!("chdb_stream_cancel_query"),
        classify: symbol!("chdb_classify_query_n"),
        result_buffer: symbol!("chdb_result_buffer"),
        result_length: symbol!("chdb_result_length"),
        result_error: symbol!("chdb_result_error"),
        result_rows: symbol!("chdb_result_rows_read"),
        result_read_rows: symbol!("chdb_result_storage_rows_read"),
        result_read_bytes: symbol!("chdb_result_storage_bytes_read"),
        result_written_rows: symbol!("chdb_result_rows_written"),
        result_written_bytes: symbol!("chdb_result_bytes_written"),
        result_destroy: symbol!("chdb_destroy_query_result"),
        insert_open: symbol!("chdb_stream_insert_n"),
        insert_append: symbol!("chdb_stream_append"),
        insert_done: symbol!("chdb_stream_done"),
        insert_error: symbol!("chdb_stream_insert_error"),
        insert_destroy: symbol!("chdb_destroy_insert_stream"),
    })
}

/// SAFETY: `pointer` is null or a NUL-terminated string that stays as it is during the call.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// One session of the engine: its own settings, current database and temporary tables.
pub struct Connection {
    api: &'static Api,
    outer: NonNull<Handle>,
    inner: NonNull<c_void>,
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

// SAFETY: chdb binds nothing to the thread that opened a connection (every entry point sets up its own
// ThreadStatus); it only asks that a connection runs one statement at a time, which `&mut self` ensures.
unsafe impl Send for Connection {}

impl Connection {
    fn handle(&self) -> Handle {
        self.inner.as_ptr()
    }

    /// Runs statements to the end and returns the whole output. Not for large results.
    pub fn query(&mut self, sql: &[u8], format: &str) -> Result<Output, Exception> {
        let (sql, format) = (bytes(sql), bytes(format.as_bytes()));
        // SAFETY: both texts are valid for their length during the call, which copies them.
        let raw = unsafe { (self.api.query)(self.handle(), sql.0, sql.1, format.0, format.1) };
        Output::new(self.api, raw)
    }

    /// Starts a SELECT whose output is fetched piece by piece. Other statements are refused with code 36 before
    /// anything of them has run.
    pub fn select(&mut self, sql: &[u8], format: &str) -> Result<Select<'_>, Exception> {
        let (sql, format) = (bytes(sql), bytes(format.as_bytes()));
        // SAFETY: as in `query`.
        let raw = unsafe { (self.api.stream_query)(self.handle(), sql.0, sql.1, format.0, format.1) };
        let stream = Output::new(self.api, raw)?;
        Ok(Select {
            connection: self,
            stream,
            done: false,
        })
    }

    /// Starts an INSERT without its data; `sql` has no FORMAT clause.
    pub fn insert(&mut self, sql: &[u8], format: &str) -> Result<Insert<'_>, Exception> {
        let (sql, format) = (bytes(sql), bytes(format.as_bytes()));
        // SAFETY: as in `query`.
        let raw = unsafe { (self.api.insert_open)(self.handle(), sql.0, sql.1, format.0, format.1) };
        let Some(raw) = NonNull::new(raw) else {
            return Err(Exception::unexplained("libchdb opened no insert stream"));
        };
        let insert = Insert {
            connection: self,
            raw,
        };
        insert.error().map_or(Ok(insert), Err)
    }

    /// What `sql` would do, without running it.
    pub fn classify(&mut self, sql: &[u8]) -> Analysis {
        let size = u32::try_from(size_of::<Analysis>()).unwrap_or(16);
        let mut out = Analysis {
            struct_size: size,
            class: Analysis::UNKNOWN,
            ..Analysis::default()
        };
        let sql = bytes(sql);
        // SAFETY: the text is valid for its length; no target database; `out` has the size that it states.
        unsafe { (self.api.classify)(self.handle(), sql.0, sql.1, std::ptr::null(), 0, &raw mut out) };
        out
    }
}

fn bytes(text: &[u8]) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: `outer` came from `connect` and is closed once; results and streams borrow the connection, or
        // own their memory.
        unsafe { (self.api.close)(self.outer.as_ptr()) };
    }
}

/// Figures of a finished statement or of one piece of a streamed one, to be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub result_rows: u64,
    pub read_rows: u64,
    pub read_bytes: u64,
    pub written_rows: u64,
    pub written_bytes: u64,
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.result_rows += other.result_rows;
        self.read_rows += other.read_rows;
        self.read_bytes += other.read_bytes;
        self.written_rows += other.written_rows;
        self.written_bytes += other.written_bytes;
    }
}

/// A result buffer that the engine allocated; frees it when dropped.
pub struct Output {
    api: &'static Api,
    raw: NonNull<c_void>,
}

// SAFETY: a result is a plain object owned by whoever holds it; nothing in the engine refers to it any more.
unsafe impl Send for Output {}

impl Output {
    fn new(api: &'static Api, raw: Handle) -> Result<Self, Exception> {
        let raw = NonNull::new(raw).ok_or_else(|| Exception::unexplained("libchdb returned no result"))?;
        let output = Self { api, raw };
        // SAFETY: `raw` is a live result; the error text lives as long as it.
        match unsafe { text((api.result_error)(raw.as_ptr())) } {
            Some(message) => Err(Exception::from_text(message)),
            None => Ok(output),
        }
    }

    /// The figures that came with it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let raw = self.raw.as_ptr();
        // SAFETY: `raw` is a live result; these read a number each.
        unsafe {
            Stats {
                result_rows: (self.api.result_rows)(raw),
                read_rows: (self.api.result_read_rows)(raw),
                read_bytes: (self.api.result_read_bytes)(raw),
                written_rows: (self.api.result_written_rows)(raw),
                written_bytes: (self.api.result_written_bytes)(raw),
            }
        }
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: buffer and length belong to a live result and change no more once it was returned.
        unsafe {
            let length = (self.api.result_length)(self.raw.as_ptr());
            let buffer = (self.api.result_buffer)(self.raw.as_ptr());
            if buffer.is_null() || length == 0 {
                &[]
            } else {
                std::slice::from_raw_parts(buffer.cast(), length)
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: destroyed once.
        unsafe { (self.api.result_destroy)(self.raw.as_ptr()) };
    }
}

/// A running SELECT. Dropped before its end, it is cancelled.
pub struct Select<'c> {
    connection: &'c mut Connection,
    stream: Output,
    done: bool,
}

impl Select<'_> {
    /// The next piece of output (about half a megabyte), or `None` at the end.
    pub fn fetch(&mut self) -> Result<Option<Output>, Exception> {
        if self.done {
            return Ok(None);
        }
        let api = self.connection.api;
        // SAFETY: the connection and its stream are alive, and only this thread uses them.
        let raw = unsafe { (api.stream_fetch)(self.connection.handle(), self.stream.raw.as_ptr()) };
        let piece = Output::new(api, raw);
        self.done = piece.as_ref().map_or(true, |piece| piece.as_ref().is_empty());
        Ok(Some(piece?).filter(|_| !self.done))
    }
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        if !self.done {
            // SAFETY: as in `fetch`; the handle itself is freed by `Output`.
            unsafe {
                (self.connection.api.stream_cancel)(self.connection.handle(), self.stream.raw.as_ptr())
            };
        }
    }
}

/// An open INSERT. Dropped before [`Insert::finish`], it is cancelled (blocks that were flushed already stay, as in
/// ClickHouse).
pub struct Insert<'c> {
    connection: &'c mut Connection,
    raw: NonNull<c_void>,
}

impl Insert<'_> {
    fn error(&self) -> Option<Exception> {
        // SAFETY: the stream is alive, and the text is copied at once.
        unsafe { text((self.connection.api.insert_error)(self.raw.as_ptr())) }.map(Exception::from_text)
    }

    /// Hands over some bytes of the data, cut anywhere. Waits while the engine is behind.
    pub fn append(&mut self, data: &[u8]) -> Result<(), Exception> {
        // SAFETY: the stream is alive; the call copies `data`.
        let state = unsafe {
            (self.connection.api.insert_append)(self.raw.as_ptr(), data.as_ptr().cast(), data.len())
        };
        match state {
            0 => Ok(()),
            _ => Err(self
                .error()
                .unwrap_or_else(|| Exception::unexplained("the engine closed the insert"))),
        }
    }

    /// Ends the data and waits until it is written.
    pub fn finish(self) -> Result<Stats, Exception> {
        let api = self.connection.api;
        // SAFETY: the stream is alive; it is only destroyed after this.
        let raw = unsafe { (api.insert_done)(self.raw.as_ptr()) };
        Output::new(api, raw).map(|result| result.stats())
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once; a stream that was not finished is cancelled by this, and its thread joined.
        unsafe { (self.connection.api.insert_destroy)(self.raw.as_ptr()) };
    }
}
