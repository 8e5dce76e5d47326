//! What the driver owns: sockets, the table of questions, their deadlines.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::Registry;

use super::flights::{Flight, Flights, same};
use super::matching::{Match, match_answer};
use super::sockets::Sockets;
use super::sys::{self, BATCH};
use super::wheel::{TICK_MS, Wheel};
use super::{End, Exchange, Ignored, Owner, Probing, Request, Shared, UdpSettings, failure};
use crate::dns::asking::Step;
use crate::dns::outcome::Failure;
use crate::dns::probe::{Ended, Unfinished};
use crate::dns::wire;

/// After so many refusals of its own a packet is not sent. The kernel reports an ICMP error of any question at the next
/// call, whichever that is; such a refusal says nothing about this packet.
const REFUSALS: u8 = 2;
/// Errors taken off a queue in one go; it cannot hold more.
const MAX_ERRORS: usize = 1024;

pub(super) struct State {
    pub sockets: Sockets,
    flights: Flights,
    wheel: Wheel,
    shared: Arc<Shared>,
    start: Instant,
    due: Vec<u32>,
}

impl State {
    pub fn new(registry: Registry, shared: Arc<Shared>, settings: &UdpSettings) -> Self {
        State {
            sockets: Sockets::new(registry, settings.sockets, settings.socket_age),
            flights: Flights::default(),
            wheel: Wheel::new(),
            shared,
            start: Instant::now(),
            due: Vec::new(),
        }
    }

    /// Is there something to receive; is there something that could not be sent?
    pub fn unfinished(&self) -> (bool, bool) {
        let sockets = || self.sockets.indices().filter_map(|index| self.sockets.get(index));
        (
            sockets().any(|socket| socket.readable),
            sockets().any(|socket| !socket.queue.is_empty()),
        )
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// From now until something may be due.
    pub fn next_due(&self) -> Option<Duration> {
        let at = self.start + Duration::from_millis(self.wheel.next()? * TICK_MS);
        Some(at.saturating_duration_since(Instant::now()))
    }

    pub fn event(&mut self, socket: u16, is_error: bool) {
        if is_error {
            self.network_errors(socket, Instant::now());
        }
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.readable = true;
        }
    }

    /// Takes a question in, to be sent over a socket chosen at random.
    pub fn admit(&mut self, request: Request, now: Instant) {
        if request.owner.is_gone() {
            return;
        }
        let Request {
            server,
            query,
            wait,
            owner,
        } = request;
        let picked = self.sockets.pick(server, now);
        self.shared
            .tally
            .sockets_opened
            .store(self.sockets.opened, Relaxed);
        let flight = Flight {
            server,
            query,
            socket: *picked.as_ref().unwrap_or(&u16::MAX),
            sent_at: None,
            refusals: 0,
            ignored: Ignored::default(),
            owner,
        };
        let key = self.flights.add(flight);
        let index = match picked {
            Ok(index) => index,
            Err(error) => return self.end(key, End::Failed(failure(&error, server)), now),
        };
        self.wheel.add(key, self.tick(now + wait) + 1);
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.queue.push_back(key);
            socket.open += 1;
        }
    }

    pub fn flush(&mut self) {
        for index in self.sockets.indices() {
            while self.send_batch(index) {}
        }
    }

    /// Sends one batch of a socket's queue. True: there is more to send.
    fn send_batch(&mut self, index: u16) -> bool {
        let Some(socket) = self.sockets.get_mut(index) else {
            return false;
        };
        let count = socket.queue.len().min(BATCH);
        let Some(&first) = socket.queue.front() else {
            return false;
        };
        let now = Instant::now();
        let packets = (0..count).map(|n| self.flights.packet(socket.queue[n]));
        match sys::send(socket.socket.as_fd(), packets) {
            Ok(sent) => {
                for key in socket.queue.drain(..sent.min(count)) {
                    if let Some(flight) = self.flights.get_mut(key) {
                        flight.sent_at = Some(now);
                    }
                }
                self.shared.tally.sent.fetch_add(sent as u64, Relaxed);
                sent > 0
            }
            // Too much at once for this host: again in a millisecond, until it is too late.
            Err(error) if is_crowded(&error) => false,
            Err(error) => {
                let was_of_another = self.network_errors(index, now) > 0;
                if let Some(flight) = self.flights.get_mut(first)
                    && !was_of_another
                {
                    flight.refusals += 1;
                    if flight.refusals >= REFUSALS {
                        let end = End::Failed(failure(&error, flight.server));
                        self.end(first, end, now);
                    }
                }
                true
            }
        }
    }

    /// One datagram from anybody.
    pub fn datagram(&mut self, socket: u16, from: SocketAddr, bytes: &[u8], now: Instant) {
        let tally = &self.shared.tally;
        let key = wire::id_of(bytes).and_then(|id| self.flights.by_id(socket, id));
        let Some((key, flight)) = key.and_then(|key| Some((key, self.flights.get_mut(key)?))) else {
            return self.stray(socket, from, bytes, now);
        };
        if !same(flight.server, from) {
            flight.ignored.mismatched = flight.ignored.mismatched.saturating_add(1);
            tally.wrong_source.fetch_add(1, Relaxed);
            return;
        }
        match match_answer(&flight.query, bytes) {
            Match::Exact(answer) => self.end(key, End::Answer(answer), now),
            Match::CaseDiffers(_) => self.end(key, End::CaseDiffers, now),
            Match::No { rcode } => {
                flight.ignored.count(rcode);
                tally.mismatched.fetch_add(1, Relaxed);
            }
        }
    }

    /// A datagram with no question's id: late, or put down to the question that it seems to be about.
    fn stray(&mut self, socket: u16, from: SocketAddr, bytes: &[u8], now: Instant) {
        let tally = &self.shared.tally;
        if wire::id_of(bytes).is_some_and(|id| self.flights.was_late(socket, id, from)) {
            tally.late.fetch_add(1, Relaxed);
            return;
        }
        tally.mismatched.fetch_add(1, Relaxed);
        if let Some(flight) = self.flights.about(socket, from, bytes, now) {
            flight.ignored.count(None);
        }
    }

    /// Empties the error queue of a socket; says how many errors there were.
    pub fn network_errors(&mut self, index: u16, now: Instant) -> usize {
        for count in 0..MAX_ERRORS {
            let Some(socket) = self.sockets.get(index) else {
                return count;
            };
            match sys::network_error(socket.socket.as_fd()) {
                Ok(Some(error)) => self.network_error(index, &error, now),
                Ok(None) => {}
                Err(_) => return count,
            }
        }
        MAX_ERRORS
    }

    fn network_error(&mut self, socket: u16, said: &sys::NetworkError, now: Instant) {
        if said.error.raw_os_error() == Some(libc::EMSGSIZE) {
            return; // a hint for the kernel, which fragments from now on
        }
        let keys = match said.quoted() {
            [high, low, ..] => {
                let key = self.flights.by_id(socket, u16::from_be_bytes([*high, *low]));
                let is_it = |key: &u32| {
                    self.flights
                        .get(*key)
                        .is_some_and(|flight| same(flight.server, said.to))
                };
                key.filter(is_it).into_iter().collect()
            }
            _ => self.flights.all_to(socket, said.to, now),
        };
        if keys.is_empty() {
            self.shared.tally.mismatched.fetch_add(1, Relaxed);
        }
        for key in keys {
            self.end(key, End::Failed(failure(&said.error, said.to)), now);
        }
    }

    /// Ends what has waited long enough.
    pub fn expire(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(self.tick(now), &mut due);
        for key in due.drain(..) {
            // What could not even be sent says nothing about the server.
            let was_sent = self
                .flights
                .get(key)
                .is_some_and(|flight| flight.sent_at.is_some());
            let why = if was_sent {
                Failure::Timeout
            } else {
                Failure::Local
            };
            self.end(key, End::Failed(why), now);
        }
        self.due = due;
    }

    fn end(&mut self, key: u32, end: End, now: Instant) {
        let tally = &self.shared.tally;
        let count = match &end {
            End::Answer(_) | End::CaseDiffers => &tally.answered,
            End::Failed(Failure::Timeout) => &tally.timeouts,
            End::Failed(Failure::Local) => &tally.local,
            End::Failed(_) => &tally.unreachable,
        };
        count.fetch_add(1, Relaxed);
        self.wheel.remove(key);
        let Some(flight) = self.flights.remove(key) else {
            return;
        };
        if flight.sent_at.is_none()
            && let Some(socket) = self.sockets.get_mut(flight.socket)
        {
            socket.queue.retain(|waiting| *waiting != key);
        }
        if matches!(end, End::Failed(Failure::Timeout)) {
            self.flights.remember(&flight);
        }
        self.sockets.leave(flight.socket);
        self.finish(flight, end, now);
    }

    /// Tells who asked how it ended, or sends what a probe wants sent next.
    fn finish(&mut self, flight: Flight, end: End, now: Instant) {
        let exchange = Exchange {
            end,
            latency: flight
                .sent_at
                .map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent)),
            ignored: flight.ignored,
        };
        let Probing { mut asking, tag, to } = match flight.owner {
            Owner::Probe(probing) => probing,
            Owner::Exchange(reply) => {
                // Whoever asked may have gone: then nobody needs to know.
                let _ = reply.send(exchange);
                return;
            }
        };
        let ended = match asking.heard(flight.query, exchange) {
            Step::Send(query) => {
                let (server, wait) = (asking.question.server, asking.question.timeout);
                let owner = Owner::Probe(Probing { asking, tag, to });
                let request = Request {
                    server,
                    query,
                    wait,
                    owner,
                };
                return self.admit(request, now);
            }
            Step::Tcp(query) => Ended::NeedsTcp(Unfinished { asking, query }),
            Step::Done(reply) => Ended::Done(reply),
        };
        self.shared.in_flight.fetch_sub(1, Relaxed);
        to(tag, ended);
    }

    fn tick(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX) / TICK_MS
    }
}

fn is_crowded(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
