//! What can go wrong: the engine refuses a query ([`Exception`]), or there is no engine ([`EngineError`]).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper::StatusCode;

/// A ClickHouse exception, as its HTTP interface reports it: a code and the exact text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Exception {
    /// ClickHouse's error code (`system.errors`).
    pub code: i32,
    /// `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`, without the version.
    pub text: String,
}

impl Exception {
    /// An exception of our own, in ClickHouse's form. `name` is the name of `code` in `system.errors`.
    #[must_use]
    pub fn new(code: i32, name: &str, message: impl std::fmt::Display) -> Self {
        Self {
            code,
            text: format!("Code: {code}. DB::Exception: {message}. ({name})"),
        }
    }

    /// From a text of the engine. Texts without a code get 1002 (UNKNOWN_EXCEPTION).
    #[must_use]
    pub fn from_text(text: String) -> Self {
        let code = text
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split('.').next()?.parse().ok());
        match code {
            Some(code) => Self { code, text },
            None => Self::unexplained(&text),
        }
    }

    /// Something that ClickHouse has no code for.
    #[must_use]
    pub fn unexplained(message: &str) -> Self {
        Self::new(1002, "UNKNOWN_EXCEPTION", message.trim_end_matches('.'))
    }

    /// 36, BAD_ARGUMENTS.
    #[must_use]
    pub fn bad_arguments(message: impl std::fmt::Display) -> Self {
        Self::new(36, "BAD_ARGUMENTS", message)
    }

    /// 394, the text ClickHouse gives a query that was killed.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(394, "QUERY_WAS_CANCELLED", "Query was cancelled")
    }

    /// The HTTP status that ClickHouse answers with (`exceptionCodeToHTTPStatus.cpp`).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 497 | 516 => StatusCode::FORBIDDEN,
            6 | 8 | 15 | 25 | 26 | 27 | 38 | 41 | 44 | 53 | 62 | 72 | 76 | 117 | 118 | 167 | 168 | 321
            | 427 | 441 | 675 | 676 => StatusCode::BAD_REQUEST,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 83 | 115 | 139 | 392 | 511 => StatusCode::NOT_FOUND,
            381 => StatusCode::LENGTH_REQUIRED,
            48 => StatusCode::NOT_IMPLEMENTED,
            209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of an error answer: the text, the version when it is not in it yet, and a newline.
    #[must_use]
    pub fn body(&self, version: &str) -> String {
        match self.text.contains("(version ") {
            true => format!("{}\n", self.text),
            false => format!("{} (version {version} (official build))\n", self.text),
        }
    }
}

/// Why there is no engine, or no server. Each is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "libchdb, the embedded ClickHouse engine, was not found (looked at {tried}); get it with `make libchdb`, or \
         set LIBCHDB to the path of a libchdb.so"
    )]
    Missing { tried: String },
    #[error("libchdb at {path} cannot be loaded: {source}")]
    Load {
        path: PathBuf,
        source: libloading::Error,
    },
    #[error("another process{} already uses the database in {dir}; stop it, or choose another folder", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    InUse { dir: PathBuf, pid: Option<u32> },
    #[error("the database folder {dir} cannot be written: {source}")]
    Folder { dir: PathBuf, source: io::Error },
    #[error("the embedded engine refused to open {dir}; its own message stands above on stderr")]
    Refused { dir: PathBuf },
    #[error("the embedded engine does not answer: {0}")]
    Engine(#[from] Exception),
    #[error("{0} is not a loopback address; the embedded engine only listens on 127.0.0.0/8 and ::1")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("no random numbers for a password: {0}")]
    Random(io::Error),
    #[error("cannot start {program}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("the database process ended before it was ready ({0}); its messages stand above on stderr")]
    Ended(String),
    /// The database process ended before it was ready, and this is why.
    #[error("{0}")]
    Said(String),
    #[error("the database process was not ready after {0} s")]
    NotReady(u64),
    #[error("{0}")]
    Usage(String),
}
