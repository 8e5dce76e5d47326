//! The other end of the wire: MRT files served as RIS Live frames over a real WebSocket.
//!
//! For tests, the demo and `netfault dev ris-live-server`, where the real service cannot be reached. The files
//! are read with bgpkit-parser, not with our own decoder, so that a test over the wire checks one against
//! the other.
//!
//! ```text
//!  loader thread ──► feed task ──► buffer per session ──► session task ──► socket
//!  MRT records       pace, stamp,   bounded; full = cut     faults
//!                    JSON, filters  (at Max: wait)
//! ```
//!
//! The feed is one for all, as at RIPE: it begins with the first subscription, and who comes later has missed
//! what went before. At a given speed it never waits: a reader that falls a whole buffer behind is cut. At
//! [`Speed::Max`] it goes as fast as the slowest reader and pauses while there is none.
//!
//! **Time stamps.** A live client judges stamps by its clock, so a capture of another day would be all
//! late. At 1× use [`Stamps::Shift`]: the first record is *now*. At other speeds stamps that keep the distances
//! of the capture run away from any clock, so use [`Stamps::Keep`] and let the client trust them
//! ([`Lateness::Trust`](super::Lateness::Trust)): holds and deadlines are then those of the capture. For load
//! tests [`Stamps::Sent`] writes the moment of sending.
//!
//! * [`record`] MRT files to records; [`render`] a record as JSON, [`raw`] as a BGP message
//! * [`filter`] `ris_subscribe`
//! * [`feed`] pace and distribution; [`session`] one connection, with its faults

mod feed;
pub mod filter;
mod raw;
pub mod record;
pub mod render;
mod session;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::client::system_clock;
use crate::mrt::MrtFile;

/// One MRT file, and the collector it is from (which MRT itself does not say).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedFile {
    pub path: PathBuf,
    pub collector: String,
}

impl From<MrtFile> for ServedFile {
    fn from(file: MrtFile) -> Self {
        ServedFile {
            path: file.path,
            collector: file.collector.name().to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Files of one collector are served in the order given, those of several are merged by time.
    pub files: Vec<ServedFile>,
    pub speed: Speed,
    pub stamps: Stamps,
    /// Serve the files again and again; each round is moved behind the one before.
    pub repeat: bool,
    /// End when the files are served; else sessions stay open and silent.
    pub once: bool,
    /// Frames that one session may be behind before it is cut.
    pub buffer_frames: usize,
    pub faults: Faults,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as the capture.
    Times(f64),
    /// So many messages per second, evenly, whatever the capture says.
    PerSecond(f64),
    /// As fast as the readers take it.
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// Those of the capture.
    Keep,
    /// Moved so that the first record is now.
    Shift,
    /// The moment of sending.
    Sent,
}

/// What goes wrong on request. Counted in messages of each session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Cut the connection, without a closing frame, after so many messages.
    pub cut_after: Option<u64>,
    /// Send nothing, not even a `pong`, for so long after so many messages.
    pub stall: Option<(u64, Duration)>,
    /// Send every n-th message twice.
    pub duplicate_every: Option<u64>,
    /// After every n-th message a frame that is none: broken JSON and binary in turn.
    pub garbage_every: Option<u64>,
    /// Before every n-th message say that its peer went down, and up again.
    pub state_every: Option<u64>,
}

impl ServerConfig {
    /// Serves `files` at 1×, as of now, once.
    pub fn new(listen: SocketAddr, files: Vec<ServedFile>) -> Self {
        ServerConfig {
            listen,
            files,
            speed: Speed::Times(1.0),
            stamps: Stamps::Shift,
            repeat: false,
            once: false,
            buffer_frames: 65_536,
            faults: Faults::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        listen: SocketAddr,
        source: std::io::Error,
    },
    #[error("nothing to serve: no MRT file is given")]
    NoFiles,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

/// What was served, for the caller to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub messages: u64,
    /// MRT records that could not be read.
    pub unreadable: u64,
}

/// Serves until `shutdown` turns true or, with `once`, until the files are served. `ready` is told the
/// address, which matters with port 0.
///
/// # Errors
/// If the port cannot be had, or a file cannot be opened.
pub async fn serve(
    config: ServerConfig,
    ready: oneshot::Sender<SocketAddr>,
    mut shutdown: watch::Receiver<bool>,
) -> Result<Served, ServeError> {
    if config.files.is_empty() {
        return Err(ServeError::NoFiles);
    }
    for file in &config.files {
        let opened = std::fs::File::open(&file.path);
        opened.map_err(|source| ServeError::File {
            path: file.path.clone(),
            source,
        })?;
    }
    let listen_error = |source| ServeError::Listen {
        listen: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    // Nobody waits for the address if the receiver is gone.
    let _ = ready.send(listener.local_addr().map_err(listen_error)?);

    let hub = Arc::new(feed::Hub::default());
    let clock = system_clock();
    let mut sessions = JoinSet::new();
    let feed = feed::run(&config, &hub, &clock);
    tokio::pin!(feed);
    let mut served = None;
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return Ok(served.unwrap_or_default()),
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    sessions.spawn(session::run(stream, Arc::clone(&hub), session_config(&config)));
                }
            }
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            done = &mut feed, if served.is_none() => {
                served = Some(done);
                if config.once {
                    break;
                }
            }
        }
    }
    // Closing the hub lets every session send what it has and say goodbye.
    hub.close();
    while sessions.join_next().await.is_some() {}
    Ok(served.unwrap_or_default())
}

fn session_config(config: &ServerConfig) -> session::Config {
    let collectors = config
        .files
        .iter()
        .map(|file| record::host(&file.collector))
        .collect();
    session::Config {
        buffer_frames: config.buffer_frames,
        faults: config.faults,
        collectors,
    }
}
