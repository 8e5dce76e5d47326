//! The listener.
//!
//! ```text
//! run ── owns ──► one task per connection (at most `Limits::connections`) ── drives ──► its requests, one after another
//! ```
//!
//! What a connection may take is bounded everywhere: the handshake, the header (and the pause before it), the body, and an answer that
//! nobody reads. A connection that is one too many is closed at once and counted. At the end each connection may finish the
//! request it is working on, for as long as [`Limits::drain`]; dropping a task cancels its request, and a batch whose answer is lost
//! that way is known when it comes again.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::callers::Callers;
use crate::heard::Heard;
use crate::names::Names;
use crate::reports::Reports;
use crate::{Clock, Doors, route};

/// How often silent agents are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// The longest header: a signed request has some 500 bytes.
const MAX_HEADER: usize = 16 << 10;

/// How much strangers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At the same time.
    pub connections: usize,
    /// From the first byte of a connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// For one header, the pause before it included.
    pub header: Duration,
    pub body: Duration,
    /// For an answer to be read.
    pub stall: Duration,
    /// For requests that are under way at the end.
    pub drain: Duration,
    /// An agent that is not heard for so long is told as a gap. Default 180 s: six rounds.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits {
            connections: 256,
            handshake: seconds(10),
            header: seconds(30),
            body: seconds(30),
            stall: seconds(60),
            drain: seconds(5),
            silence: seconds(180),
        }
    }
}

/// What all requests share.
pub(crate) struct State {
    pub callers: Callers,
    pub doors: Doors,
    pub clock: Clock,
    pub limits: Limits,
    pub heard: Heard,
    pub names: Names,
    /// Unset: reports are not taken.
    pub reports: OnceLock<Reports>,
    /// Connections that were one too many.
    turned_away: AtomicU64,
}

/// A bound listener that nobody is served by yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
}

impl Server {
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        callers: Callers,
        doors: Doors,
        clock: Clock,
        limits: Limits,
    ) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let heard = Heard::new(callers.agents(), clock());
        Ok(Server {
            listener,
            tls: tls.map(TlsAcceptor::from),
            state: Arc::new(State {
                callers,
                doors,
                clock,
                limits,
                heard,
                names: Names::default(),
                reports: OnceLock::new(),
                turned_away: AtomicU64::new(0),
            }),
        })
    }

    /// From now on reports are taken. Only the first call counts.
    pub fn take_reports(&self, reports: Reports) {
        let _ = self.state.reports.set(reports);
    }

    /// With the port that was taken where 0 was asked for.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true (or its sender is gone).
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stopping = stop.clone();
        self.state.heard.begin((self.state.clock)());
        loop {
            tokio::select! {
                () = told(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                _ = look.tick() => self.state.tell_silent(),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(&mut connections, stream, peer, &stopping),
                    Err(error) => {
                        // Out of file descriptors, or a connection that is gone already: others may come.
                        tracing::warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.state.limits.drain, drained).await.is_err() {
            tracing::warn!("requests that were under way are cut off");
        }
    }

    fn admit(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        stop: &watch::Receiver<bool>,
    ) {
        if connections.len() >= self.state.limits.connections {
            let count = self.state.turned_away.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_power_of_two() {
                tracing::warn!(%peer, count, "too many connections: turned away");
            }
            return;
        }
        let (state, tls, stop) = (self.state.clone(), self.tls.clone(), stop.clone());
        connections.spawn(async move {
            let _ = stream.set_nodelay(true); // only costs time where it cannot be set
            match tls {
                None => serve(stream, state, stop).await,
                Some(tls) => match timeout(state.limits.handshake, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, state, stop).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                    Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
                },
            }
        });
    }
}

impl State {
    fn tell_silent(&self) {
        let silent = self.heard.silent(self.limits.silence, (self.clock)());
        // A full queue drops the gap; the line in the log is there.
        if !silent.is_empty()
            && let Err(error) = self.doors.inputs.try_send(silent)
        {
            tracing::debug!(%error, "a gap was not queued");
        }
    }
}

/// Drives one connection to its end.
async fn serve<S>(stream: S, state: Arc<State>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Arc::new(Activity::default());
    let service = {
        let (state, activity) = (state.clone(), activity.clone());
        service_fn(move |request| {
            let (state, busy) = (state.clone(), Busy::begin(&activity));
            async move {
                let answer = route::answer(state, request).await;
                drop(busy);
                Ok::<_, std::convert::Infallible>(answer)
            }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.limits.header)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return ended(done),
        () = activity.stalls(state.limits.stall) => return tracing::debug!("an answer is not read"),
        () = told(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    ended(connection.await);
}

/// Comes back at the end of the service.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await; // its sender has gone: the same
}

fn ended(done: hyper::Result<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Whether a connection gets on: hyper bounds the reading of a header, and nothing bounds the writing of an answer.
#[derive(Default)]
struct Activity {
    running: AtomicUsize,
    begun: AtomicU64,
}

struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: &Arc<Activity>) -> Busy {
        activity.running.fetch_add(1, Ordering::AcqRel);
        activity.begun.fetch_add(1, Ordering::AcqRel);
        Busy(activity.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Activity {
    /// Comes back when no request has begun or was worked on for so long.
    async fn stalls(&self, patience: Duration) {
        let mut seen = self.begun.load(Ordering::Acquire);
        loop {
            tokio::time::sleep(patience).await;
            let begun = self.begun.load(Ordering::Acquire);
            if begun == seen && self.running.load(Ordering::Acquire) == 0 {
                return;
            }
            seen = begun;
        }
    }
}
