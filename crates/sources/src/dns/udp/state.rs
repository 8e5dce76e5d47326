//! What the driver owns: sockets, the table of questions, their deadlines.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::Registry;

use super::dues::{Dues, TICK_MS};
use super::flights::{Flight, Flights, same};
use super::matching::{Matched, match_into};
use super::sockets::Sockets;
use super::sys::{self, BATCH};
use super::{End, Exchange, Ignored, Owner, Probing, Request, Shared, UdpSettings, bump, failure};
use crate::dns::asking::{Asking, Step};
use crate::dns::outcome::Failure;
use crate::dns::probe::{Ended, Unfinished};
use crate::dns::wire::{self, Answer, Query0x20};

/// After so many refusals of its own a packet is not sent. The kernel reports an ICMP error of any question at the next
/// call, whichever that is; such a refusal says nothing about this packet.
const REFUSALS: u8 = 2;
/// Errors taken off a queue in one go; it cannot hold more.
const MAX_ERRORS: usize = 1024;

pub(super) struct State {
    pub sockets: Sockets,
    flights: Flights,
    dues: Dues,
    shared: Arc<Shared>,
    start: Instant,
    due: Vec<u32>,
    /// The answer at hand.
    answer: Answer,
}

impl State {
    pub fn new(registry: Registry, shared: Arc<Shared>, settings: &UdpSettings) -> Self {
        State {
            sockets: Sockets::new(registry, settings.sockets, settings.socket_age),
            flights: Flights::default(),
            dues: Dues::new(),
            shared,
            start: Instant::now(),
            due: Vec::new(),
            answer: Answer::default(),
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
        let at = self.start + Duration::from_millis(self.dues.next()? * TICK_MS);
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

    /// Takes a question in.
    pub fn admit(&mut self, request: Request, now: Instant) {
        match request {
            // Whoever asked may have gone.
            Request::Exchange(packet) if packet.reply.is_closed() => {}
            Request::Exchange(packet) => {
                let owner = Owner::Exchange(packet.reply);
                self.launch(packet.server, packet.query, packet.wait, owner, now);
            }
            Request::Probe { question, tag, to } => {
                let (asking, step) = Asking::begin(question);
                self.go_on(Probing { asking, tag, to }, step, now);
            }
        }
    }

    /// Sends what a probe wants sent next, or tells who asked how it ended.
    fn go_on(&mut self, probing: Probing, step: Step, now: Instant) {
        let Probing { asking, tag, to } = probing;
        let ended = match step {
            Step::Send(query) => {
                let (server, wait) = (asking.question.server, asking.question.timeout);
                let owner = Owner::Probe(Probing { asking, tag, to });
                return self.launch(server, query, wait, owner, now);
            }
            Step::Tcp(query) => Ended::NeedsTcp(Unfinished {
                asking: Box::new(asking),
                query,
            }),
            Step::Done(reply) => Ended::Done(reply),
        };
        self.shared.in_flight.fetch_sub(1, Relaxed);
        to(tag, ended);
    }

    /// Puts a packet into the queue of a socket chosen at random.
    fn launch(&mut self, server: SocketAddr, query: Query0x20, wait: Duration, owner: Owner, now: Instant) {
        let picked = self.sockets.pick(server, now);
        let opened = &self.shared.tally.sockets_opened;
        opened.store(self.sockets.opened, Relaxed);
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
        self.dues.set(key, self.tick(now + wait) + 1);
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
                bump(&self.shared.tally.sent, sent as u64);
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
            bump(&tally.wrong_source, 1);
            return;
        }
        match match_into(&mut self.answer, &flight.query, flight.owner.asked(), bytes) {
            Matched::Exact => self.answered(key, now),
            Matched::CaseDiffers => self.end(key, End::CaseDiffers, now),
            Matched::No { rcode } => {
                flight.ignored.count(rcode);
                bump(&tally.mismatched, 1);
            }
        }
    }

    /// A datagram with no question's id: late, or put down to the question that it seems to be about.
    fn stray(&mut self, socket: u16, from: SocketAddr, bytes: &[u8], now: Instant) {
        let tally = &self.shared.tally;
        if wire::id_of(bytes).is_some_and(|id| self.flights.was_late(socket, id, from)) {
            bump(&tally.late, 1);
            return;
        }
        bump(&tally.mismatched, 1);
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
            bump(&self.shared.tally.mismatched, 1);
        }
        for key in keys {
            self.end(key, End::Failed(failure(&said.error, said.to)), now);
        }
    }

    /// Ends what has waited long enough.
    pub fn expire(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.dues.take_due(self.tick(now), &mut due);
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

    /// [`State::answer`] is the answer.
    fn answered(&mut self, key: u32, now: Instant) {
        bump(&self.shared.tally.answered, 1);
        let Some(flight) = self.take(key) else {
            return;
        };
        let latency = flight.latency(now);
        match flight.owner {
            Owner::Probe(mut probing) => {
                let (asking, answer) = (&mut probing.asking, &mut self.answer);
                let step = asking.heard_answer(&flight.query, answer, latency, flight.ignored);
                self.go_on(probing, step, now);
            }
            Owner::Exchange(reply) => {
                let exchange = Exchange {
                    end: End::Answer(std::mem::take(&mut self.answer)),
                    latency,
                    ignored: flight.ignored,
                };
                let _ = reply.send(exchange); // whoever asked may have gone: then nobody needs to know
            }
        }
    }

    /// A question has ended without an answer, or with one that [`State::answered`] does not take.
    fn end(&mut self, key: u32, end: End, now: Instant) {
        let tally = &self.shared.tally;
        let counter = match &end {
            End::Answer(_) | End::CaseDiffers => &tally.answered,
            End::Failed(Failure::Timeout) => &tally.timeouts,
            End::Failed(Failure::Local) => &tally.local,
            End::Failed(_) => &tally.unreachable,
        };
        bump(counter, 1);
        let Some(flight) = self.take(key) else {
            return;
        };
        if matches!(end, End::Failed(Failure::Timeout)) {
            self.flights.remember(&flight);
        }
        let exchange = Exchange {
            end,
            latency: flight.latency(now),
            ignored: flight.ignored,
        };
        match flight.owner {
            Owner::Probe(mut probing) => {
                let step = probing.asking.heard(flight.query, exchange);
                self.go_on(probing, step, now);
            }
            Owner::Exchange(reply) => {
                let _ = reply.send(exchange);
            }
        }
    }

    /// Takes a question out of everything that knows of it.
    fn take(&mut self, key: u32) -> Option<Flight> {
        self.dues.clear(key);
        let flight = self.flights.remove(key)?;
        if flight.sent_at.is_none()
            && let Some(socket) = self.sockets.get_mut(flight.socket)
        {
            socket.queue.retain(|waiting| *waiting != key);
        }
        self.sockets.leave(flight.socket);
        Some(flight)
    }

    fn tick(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX) / TICK_MS
    }
}

fn is_crowded(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
