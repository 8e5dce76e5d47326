//! Running the server: from options to a bound address to an orderly end.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::engine::Engine;
use super::error::EngineError;
use super::ffi::Library;
use super::find::find;
use super::notice::Notice;
use super::server::{Limits, Server};

/// Open connections at a time, idle ones included. A guess, far above what a collector and a dashboard need.
const MAX_CONNECTIONS: usize = 512;

/// A client has this long to send its headers, or the next request of a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(600);

/// How long running queries get to end when the server stops.
const DRAIN: Duration = Duration::from_secs(8);

/// How long a supervised server waits for the one before it, which has the times above to stop.
const HANDOVER: Duration = Duration::from_secs(20);

/// Where the ready line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ready {
    #[default]
    Stdout,
    /// An inherited file descriptor.
    Fd(i32),
}

/// What to serve and where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    pub dir: PathBuf,
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    pub user: String,
    /// A random one where absent.
    pub password: Option<String>,
    /// Path of libchdb.so; see [`find`] for where it is looked for otherwise.
    pub libchdb: Option<PathBuf>,
    pub ready: Ready,
    /// Stop when stdin ends: how a supervised server follows its parent.
    pub stop_with_stdin: bool,
    pub limits: Limits,
}

impl ServeOptions {
    /// A server on a free port of 127.0.0.1, user `netfault`, random password, ready line on stdout.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            user: "netfault".to_owned(),
            password: None,
            libchdb: None,
            ready: Ready::Stdout,
            stop_with_stdin: false,
            limits: Limits::default(),
        }
    }
}

/// What a client needs to know; as JSON it is the ready line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bound {
    pub url: String,
    pub user: String,
    pub password: String,
    /// ClickHouse's version.
    pub version: String,
}

/// Serves until SIGTERM, SIGINT or (if asked for) the end of stdin; then lets running queries end, for a while.
/// Returns after the engine has stopped.
pub async fn serve(options: ServeOptions) -> Result<(), EngineError> {
    let stdin = options.stop_with_stdin;
    let ready = options.ready;
    let deaf = |error| EngineError::Usage(format!("signals cannot be waited for: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let running = if stdin {
        start_after(options).await?
    } else {
        start(options).await?
    };
    announce(ready, &running.bound)
        .map_err(|source| EngineError::Usage(format!("the ready line cannot be written: {source}")))?;
    let (closed_to, closed) = tokio::sync::oneshot::channel();
    if stdin {
        watch_stdin(closed_to);
    } else {
        std::mem::forget(closed_to);
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: the database server stops"),
        _ = interrupt.recv() => tracing::info!("SIGINT: the database server stops"),
        _ = closed => tracing::debug!("stdin ended: the database server stops"),
    }
    running.shutdown().await;
    Ok(())
}

/// Starts a supervised server. The one of a supervisor that was killed may still be stopping, and has the folder
/// (and the port) until then.
async fn start_after(options: ServeOptions) -> Result<Running, EngineError> {
    let until = tokio::time::Instant::now() + HANDOVER;
    let mut told = false;
    loop {
        match start(options.clone()).await {
            Err(error @ (EngineError::InUse { .. } | EngineError::Listen { .. }))
                if tokio::time::Instant::now() < until =>
            {
                if !told {
                    tracing::info!(%error, "waiting for it");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            started => return started,
        }
    }
}

fn announce(ready: Ready, bound: &Bound) -> io::Result<()> {
    let line = serde_json::to_string(bound).map_err(io::Error::other)? + "\n";
    match ready {
        Ready::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes())?;
            out.flush()
        }
        Ready::Fd(fd) => std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/dev/fd/{fd}"))?
            .write_all(line.as_bytes()),
    }
}

/// A thread of its own: stdin cannot be polled in every form it comes in. It ends with the process.
fn watch_stdin(closed: tokio::sync::oneshot::Sender<()>) {
    std::thread::spawn(move || {
        let mut sink = [0; 256];
        while io::stdin().read(&mut sink).is_ok_and(|read| read > 0) {}
        let _stopping_already = closed.send(());
    });
}

/// A server that accepts requests.
pub struct Running {
    pub bound: Bound,
    pub address: SocketAddr,
    engine: Arc<Engine>,
    server: Arc<Server>,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    notice: Option<Notice>,
}

/// Opens the engine and the port. Needs a multi-threaded tokio runtime.
pub async fn start(options: ServeOptions) -> Result<Running, EngineError> {
    if !options.listen.ip().is_loopback() {
        return Err(EngineError::NotLoopback(options.listen));
    }
    let listen = |source| EngineError::Listen {
        address: options.listen,
        source,
    };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let path = find(options.libchdb.as_deref())?;
    let password = options.password.map_or_else(random_password, Ok)?;
    let dir = options.dir.clone();
    let opened = tokio::task::spawn_blocking(move || Engine::open(Library::open(&path)?, &dir)).await;
    let engine = Arc::new(opened.map_err(|panic| EngineError::Usage(panic.to_string()))??);
    let bound = Bound {
        url: format!("http://{address}"),
        user: options.user.clone(),
        password: password.clone(),
        version: engine.version.clone(),
    };
    // Only after the engine has let us in: the folder is ours now.
    let notice = Notice::leave(&options.dir, &bound)
        .inspect_err(|error| tracing::warn!(%error, "other processes will not find this database server"))
        .ok();
    let server = Arc::new(Server::new(
        Arc::clone(&engine),
        options.user,
        &password,
        options.limits,
    ));
    let (stop, stopping) = watch::channel(false);
    let accepting = tokio::spawn(accept(listener, Arc::clone(&server), stopping));
    Ok(Running {
        bound,
        address,
        engine,
        server,
        stop,
        accepting,
        notice,
    })
}

impl Running {
    /// Stops accepting, waits for what runs (at most 8 s), cancels the rest, stops the engine.
    pub async fn shutdown(mut self) {
        drop(self.notice.take());
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN, &mut self.accepting).await.is_err() {
            tracing::warn!(
                seconds = DRAIN.as_secs(),
                "queries that still ran are cancelled, the database server stops"
            );
            self.accepting.abort();
            if tokio::time::timeout(DRAIN, self.server.idle()).await.is_err() {
                tracing::warn!("a query could not be cancelled");
            }
        }
        let engine = self.engine;
        let closing = tokio::task::spawn_blocking(move || engine.close());
        if tokio::time::timeout(DRAIN, closing).await.is_err() {
            tracing::warn!("the engine did not stop in time");
        }
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => {
                    let connection = connection(socket, Arc::clone(&server), stopping.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(_) => tracing::warn!(
                    limit = MAX_CONNECTIONS,
                    "a connection was refused: too many are open"
                ),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors: it would fail again at once.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(socket: TcpStream, server: Arc<Server>, mut stopping: watch::Receiver<bool>) {
    let _slower_without = socket.set_nodelay(true);
    let service = service_fn(move |request| Arc::clone(&server).handle(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// 128 random bits in hex.
fn random_password() -> Result<String, EngineError> {
    let mut bytes = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").map_err(EngineError::Random)?;
    source.read_exact(&mut bytes).map_err(EngineError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
