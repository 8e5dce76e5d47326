//! The loop: what is asked goes out, what comes in is matched, who has waited too long is told so.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::state::State;
use super::sys::{BATCH, Received};
use super::{Request, Shared, UdpSettings};

pub(super) const WAKE: Token = Token(usize::MAX);
/// Batches that one socket may deliver before it is another's turn.
const TURN: usize = 4;
/// The kernel takes no more packets now: again after this.
const CROWDED: Duration = Duration::from_millis(1);
/// With more questions than this in flight, and something to do, the sockets are looked at only now and then: being woken for every single answer
/// would cost more than all else. The pause is as long as it takes a fast server to answer all that is in flight (250,000 a second), but no more than
/// a millisecond.
const BUSY: usize = 64;
const PAUSE_FOR_EACH: Duration = Duration::from_micros(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
/// How often the kernel is asked what it dropped.
const LOOK_AT_DROPS: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    poll: Poll,
    shared: Arc<Shared>,
    state: State,
    received: Box<Received>,
    requests: Vec<Request>,
    drops_seen: Instant,
    /// The last turn had something to do.
    worked: bool,
}

impl Driver {
    pub fn new(poll: Poll, shared: Arc<Shared>, settings: &UdpSettings) -> io::Result<Driver> {
        let registry = poll.registry().try_clone()?;
        Ok(Driver {
            poll,
            state: State::new(registry, shared.clone(), settings),
            shared,
            received: Box::new(Received::new()),
            requests: Vec::new(),
            drops_seen: Instant::now(),
            worked: false,
        })
    }

    pub fn run(&mut self) {
        let _closing = Closing(self.shared.clone());
        let mut events = Events::with_capacity(64);
        loop {
            let wait = self.wait();
            self.worked = false;
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the DNS thread ends");
                return;
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.state.event(event.token().0 as u16, event.is_error());
            }
            if !self.take_requests() {
                return;
            }
            self.receive();
            self.state.flush();
            self.state.expire(Instant::now());
            self.look_at_drops();
        }
    }

    /// How long the driver may sleep. From here on it must be woken for a request.
    fn wait(&mut self) -> Option<Duration> {
        let (readable, crowded) = self.state.unfinished();
        let in_flight = self.state.in_flight();
        if in_flight > BUSY && self.worked {
            if !readable {
                let pause = PAUSE_FOR_EACH * u32::try_from(in_flight).unwrap_or(u32::MAX);
                let pause = pause.min(LONGEST_PAUSE);
                std::thread::park_timeout(pause);
            }
            return Some(Duration::ZERO);
        }
        let mut inbox = self.shared.inbox();
        if readable || !inbox.requests.is_empty() || inbox.closed {
            return Some(Duration::ZERO);
        }
        inbox.asleep = true;
        drop(inbox);
        let due = self.state.next_due();
        if crowded {
            return Some(due.map_or(CROWDED, |due| due.min(CROWDED)));
        }
        due
    }

    /// False: the engine is dropped.
    fn take_requests(&mut self) -> bool {
        {
            let mut inbox = self.shared.inbox();
            inbox.asleep = false;
            if inbox.closed {
                return false;
            }
            std::mem::swap(&mut inbox.requests, &mut self.requests);
        }
        if !self.requests.is_empty() {
            self.worked = true;
            let now = Instant::now();
            self.requests
                .drain(..)
                .for_each(|request| self.state.admit(request, now));
        }
        true
    }

    fn receive(&mut self) {
        for index in self.state.sockets.indices() {
            for _ in 0..TURN {
                if !self.receive_batch(index) {
                    break;
                }
            }
        }
    }

    /// Hears one batch on a socket. True: there may be more.
    fn receive_batch(&mut self, index: u16) -> bool {
        let Some(socket) = self.state.sockets.get_mut(index).filter(|socket| socket.readable) else {
            return false;
        };
        match self.received.receive(socket.socket.as_fd()) {
            Ok(count) => {
                // Short of a batch the queue is empty; what comes from now on is a new event, an error, too.
                socket.readable = count == BATCH;
                let more = socket.readable;
                self.worked |= count > 0;
                let now = Instant::now();
                for n in 0..count {
                    if let Some((from, bytes)) = self.received.get(n) {
                        self.state.datagram(index, from, bytes, now);
                    }
                }
                more
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.readable = false;
                false
            }
            // An ICMP error of some question; the error queue says of which.
            Err(_) => {
                self.state.network_errors(index, Instant::now());
                true
            }
        }
    }

    fn look_at_drops(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.drops_seen) < LOOK_AT_DROPS {
            return;
        }
        self.drops_seen = now;
        let dropped = self.state.sockets.dropped();
        let before = self.shared.tally.overflowed.swap(dropped, Relaxed);
        if dropped > before {
            tracing::warn!(
                dropped = dropped - before,
                "DNS answers came faster than they were read: their questions will look unanswered"
            );
        }
    }
}

/// However the thread ends: nobody shall wait for it.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        let mut inbox = self.0.inbox();
        inbox.closed = true;
        inbox.requests.clear();
    }
}
