//! The UDP engine: thousands of questions at a time over a few shared sockets.
//!
//! ```text
//!   submit()
//!   exchange() ──► inbox ──► driver: a thread of its own ──► sockets (8 for each family)
//!       ▲      (one lock)     table of questions, their dues         │
//!       └─ callback, oneshot ◄─ (judge) ◄─ match, decode ◄───────────┘
//! ```
//!
//! * [`sys`] many datagrams in one system call; the error queue
//! * [`sockets`] opens, chooses and replaces the sockets
//! * [`flights`] what is asked and not answered yet; [`dues`] until when
//! * [`matching`] is this datagram that question's answer: pure
//! * [`state`] what happens to all of these; [`driver`] the loop around it
//!
//! A thread of its own, so that a busy runtime does not make servers look slow or silent, and so that one engine serves
//! every runtime of the process. Dropping the future of [`UdpEngine::exchange`] is safe: its place in the table is
//! given back when the answer or the timeout comes. Dropping the engine ends the thread; what waits gets `Local`.
//!
//! With many questions in flight (more than 64) the thread looks at its sockets every so often, at most a millisecond apart, and
//! not at every answer; that is also how exact latencies are then.
//!
//! Sockets are not connected, so answers are matched here: on address and port of the server, on a random id, on the
//! question in its random letter case. ICMP errors come through the sockets' error queues and are matched in the same
//! way on what they quote. Whatever matches nothing is counted, and ends no wait.

mod driver;
mod dues;
mod flights;
pub mod matching;
mod sockets;
mod state;
mod sys;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::sync::oneshot;

use super::asking::Asking;
use super::outcome::Failure;
use super::probe::{Ended, Question};
use super::wire::{Answer, Query0x20};
use driver::Driver;

/// How the engine asks. Every default is meant for the service.
#[derive(Clone, Copy, Debug)]
pub struct UdpSettings {
    /// Sockets for each address family. Default 8: more ports to guess, batches still worth a call.
    pub sockets: usize,
    /// A socket is replaced by one on another port when it is between half as old and as old as this. Default 600 s.
    pub socket_age: Duration,
    /// Questions at the same time; what is beyond ends at once, as a fault of our own. Default 50,000: some 50 MB.
    pub max_in_flight: usize,
}

impl Default for UdpSettings {
    fn default() -> Self {
        UdpSettings {
            sockets: 8,
            socket_age: Duration::from_secs(600),
            max_in_flight: 50_000,
        }
    }
}

/// How one packet ended.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub end: End,
    /// From handing the packet to the kernel to the end; zero if it was never sent.
    pub latency: Duration,
    pub ignored: Ignored,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // the large one is the usual one
pub enum End {
    Answer(Answer),
    /// Right in all but the letter case of the name.
    CaseDiffers,
    Failed(Failure),
}

/// Datagrams and messages that were not the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// All of them, whoever sent them.
    pub mismatched: u32,
    /// The ones that came from the server itself, and cannot have been meant for another question.
    pub from_server: u32,
    /// RCODE of the last one of those, if it had a header.
    pub rcode: Option<u16>,
}

impl Ignored {
    pub(super) fn count(&mut self, rcode: Option<u16>) {
        self.mismatched = self.mismatched.saturating_add(1);
        self.from_server = self.from_server.saturating_add(1);
        self.rcode = rcode.or(self.rcode);
    }

    pub(super) fn add(&mut self, other: Ignored) {
        self.mismatched = self.mismatched.saturating_add(other.mismatched);
        self.from_server = self.from_server.saturating_add(other.from_server);
        self.rcode = other.rcode.or(self.rcode);
    }
}

/// What the engine has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounters {
    /// Packets that the kernel took.
    pub sent: u64,
    pub answered: u64,
    pub timeouts: u64,
    /// Questions that ICMP, or the kernel itself, put an end to.
    pub unreachable: u64,
    /// Questions that this host could not ask.
    pub local: u64,
    /// Answers to questions that had ended in a timeout.
    pub late: u64,
    /// Datagrams with the id of a question, from another address than its server's.
    pub wrong_source: u64,
    /// Everything else that was no answer: wrong id or question, garbage, duplicates.
    pub mismatched: u64,
    /// Datagrams that came faster than they were read. The kernel dropped them.
    pub overflowed: u64,
    pub sockets_opened: u64,
}

/// Counted by the driver's thread, except for `refused`; read by everybody.
#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    answered: AtomicU64,
    timeouts: AtomicU64,
    unreachable: AtomicU64,
    local: AtomicU64,
    late: AtomicU64,
    wrong_source: AtomicU64,
    mismatched: AtomicU64,
    overflowed: AtomicU64,
    sockets_opened: AtomicU64,
    /// What the driver never saw.
    refused: AtomicU64,
}

/// Adds to a counter that only this thread writes to, for which there need be no lock on the memory.
fn bump(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}

/// A question on its way to the driver.
enum Request {
    Exchange(Box<Packet>),
    Probe {
        question: Arc<Question>,
        tag: u64,
        to: OnEnd,
    },
}

/// One packet of [`UdpEngine::exchange`].
struct Packet {
    server: SocketAddr,
    query: Query0x20,
    wait: Duration,
    reply: oneshot::Sender<Exchange>,
}

/// Who is told how a packet ended.
enum Owner {
    Exchange(oneshot::Sender<Exchange>),
    Probe(Probing),
}

impl Owner {
    /// The name that a probe is about. Its answers are only judged; those of an exchange are handed out whole.
    fn asked(&self) -> Option<&Name> {
        match self {
            Owner::Exchange(_) => None,
            Owner::Probe(probing) => Some(&probing.asking.question.name),
        }
    }
}

/// A probe that the driver takes through all its packets.
struct Probing {
    asking: Asking,
    tag: u64,
    to: OnEnd,
}

/// Called on the engine's thread with the tag of a probe and how it ended; it must not block.
pub type OnEnd = Arc<dyn Fn(u64, Ended) + Send + Sync>;

#[derive(Default)]
struct Inbox {
    /// At most `max_in_flight` (see [`UdpEngine::exchange`]).
    requests: Vec<Request>,
    /// The driver waits for sockets or time, and must be woken.
    asleep: bool,
    /// No more requests: the engine is dropped, or its thread has ended.
    closed: bool,
}

struct Shared {
    inbox: Mutex<Inbox>,
    waker: mio::Waker,
    in_flight: AtomicUsize,
    tally: Tally,
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Nothing that happens under this lock leaves it half done.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine takes no more questions now.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("too many DNS questions in flight")]
pub struct Busy;

/// The handle of a running engine.
pub struct UdpEngine {
    shared: Arc<Shared>,
    max_in_flight: usize,
}

impl UdpEngine {
    /// Starts the thread. Sockets are opened when they are needed. Fails if the system has no thread or no descriptor left.
    pub fn start(settings: UdpSettings) -> io::Result<UdpEngine> {
        let poll = mio::Poll::new()?;
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            waker: mio::Waker::new(poll.registry(), driver::WAKE)?,
            in_flight: AtomicUsize::new(0),
            tally: Tally::default(),
        });
        let mut driver = Driver::new(poll, shared.clone(), &settings)?;
        std::thread::Builder::new()
            .name("dns-udp".to_owned())
            .spawn(move || driver.run())?;
        Ok(UdpEngine {
            shared,
            max_in_flight: settings.max_in_flight,
        })
    }

    /// The engine of this process, started at the first question.
    pub fn shared() -> io::Result<&'static UdpEngine> {
        static SHARED: OnceLock<UdpEngine> = OnceLock::new();
        if let Some(engine) = SHARED.get() {
            return Ok(engine);
        }
        let engine = UdpEngine::start(UdpSettings::default())?;
        Ok(SHARED.get_or_init(|| engine)) // of two that start at once one is dropped, and ends
    }

    /// Sends one packet and waits for its answer, at most `wait` (to within some milliseconds).
    ///
    /// The id may be replaced by another random one, if this one is in use.
    pub async fn exchange(&self, server: SocketAddr, query: Query0x20, wait: Duration) -> Exchange {
        let _place = Place::take(&self.shared.in_flight);
        if self.shared.in_flight.load(Relaxed) > self.max_in_flight {
            return self.refuse();
        }
        let (reply, answer) = oneshot::channel();
        let packet = Packet {
            server,
            query,
            wait,
            reply,
        };
        if self.hand_over(Request::Exchange(Box::new(packet))).is_err() {
            return self.refuse();
        }
        match answer.await {
            Ok(exchange) => exchange,
            Err(_) => self.refuse(), // the thread has ended
        }
    }

    /// Puts a question and returns at once; `to` is called with `tag` when it has ended.
    ///
    /// All packets of a probe (retry, plain letter case, CD=1) are made and judged on the engine's thread, which costs a third of
    /// what a future for each costs. What `to` is given may be wanted elsewhere: it should send it on. Questions that are
    /// in flight when the engine is dropped are forgotten.
    ///
    /// # Errors
    /// [`Busy`]: too much is in flight, or the engine has ended; `to` is not called.
    pub fn submit(&self, question: Arc<Question>, tag: u64, to: &OnEnd) -> Result<(), Busy> {
        if self.shared.in_flight.fetch_add(1, Relaxed) >= self.max_in_flight {
            self.shared.in_flight.fetch_sub(1, Relaxed);
            return Err(Busy);
        }
        let to = to.clone();
        self.hand_over(Request::Probe { question, tag, to })
            .inspect_err(|_| {
                self.shared.in_flight.fetch_sub(1, Relaxed);
            })
    }

    fn hand_over(&self, request: Request) -> Result<(), Busy> {
        let asleep = {
            let mut inbox = self.shared.inbox();
            if inbox.closed {
                return Err(Busy);
            }
            inbox.requests.push(request);
            std::mem::take(&mut inbox.asleep)
        };
        if asleep && let Err(error) = self.shared.waker.wake() {
            tracing::error!(%error, "cannot wake the DNS thread");
        }
        Ok(())
    }

    fn refuse(&self) -> Exchange {
        self.shared.tally.refused.fetch_add(1, Relaxed);
        Exchange {
            end: End::Failed(Failure::Local),
            latency: Duration::ZERO,
            ignored: Ignored::default(),
        }
    }

    pub fn counters(&self) -> UdpCounters {
        let tally = &self.shared.tally;
        UdpCounters {
            sent: tally.sent.load(Relaxed),
            answered: tally.answered.load(Relaxed),
            timeouts: tally.timeouts.load(Relaxed),
            unreachable: tally.unreachable.load(Relaxed),
            local: tally.local.load(Relaxed) + tally.refused.load(Relaxed),
            late: tally.late.load(Relaxed),
            wrong_source: tally.wrong_source.load(Relaxed),
            mismatched: tally.mismatched.load(Relaxed),
            overflowed: tally.overflowed.load(Relaxed),
            sockets_opened: tally.sockets_opened.load(Relaxed),
        }
    }
}

impl Drop for UdpEngine {
    fn drop(&mut self) {
        self.shared.inbox().closed = true;
        let _ = self.shared.waker.wake();
    }
}

/// One of `max_in_flight`, given back when the question has ended or its asker has gone.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Place(count)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Why a call of the kernel failed, or what an ICMP message said (the kernel makes the same errors of both).
pub(super) fn failure(error: &io::Error, server: SocketAddr) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset | Kind::ConnectionAborted => Failure::ConnRefused,
        // No address of this family here, or a packet filter of our own, is no way to the server either.
        Kind::NetworkUnreachable
        | Kind::HostUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied => Failure::NetUnreachable,
        Kind::UnexpectedEof | Kind::BrokenPipe => Failure::ConnRefused,
        Kind::TimedOut => Failure::Timeout,
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Failure::NetUnreachable,
        _ => {
            tracing::warn!(%server, %error, "cannot ask: the fault is on this host");
            Failure::Local
        }
    }
}
