//! The embedded store: ClickHouse itself (libchdb) behind ClickHouse's own HTTP protocol, on loopback.
//!
//! In come HTTP requests as any ClickHouse client sends them; out go the engine's answers. The rest of netfault
//! talks to it exactly as to a server. [`serve`] is what `netfault db serve` runs, as a process of its own, so that
//! the engine's memory and crashes are not the collector's; [`Supervised`] keeps such a process alive.
//!
//! * `ffi`: libchdb behind safe wrappers, the only file with `unsafe`; `find`: where the library is
//! * `engine`: the open database folder; `run`: one query on a blocking thread; `answer`, `reply`: its way back
//! * `request`, `sql`, `codec`, `blocks`: what a request says and how its bytes are packed
//! * `framing`: which output formats can be streamed, and how their pieces join
//! * `notice`: where another process finds a running server
//! * `server`: the HTTP side; `serve`: start and end; `supervise`: the child process; `args`: its command line
//!
//! Deliberately absent: HTTP sessions (`session_id` is ignored: each query has a session of its own), external
//! tables in forms, `INSERT … SELECT … FROM input()`, query ids of the client's choice inside the engine (they are
//! only echoed), any address but loopback, TLS.

mod answer;
mod args;
mod blocks;
mod codec;
mod engine;
mod error;
mod ffi;
mod find;
mod framing;
mod notice;
mod reply;
mod request;
mod run;
mod serve;
mod server;
mod sql;
mod supervise;

pub use args::{PASSWORD_ENV, parse_args};
pub use error::{EngineError, Exception};
pub use find::find;
pub use notice::serving;
pub use serve::{Bound, Ready, Running, ServeOptions, serve, start};
pub use server::Limits;
pub use supervise::{Health, Supervised, SupervisedOptions};
