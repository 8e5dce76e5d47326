//! Questions that are to be sent, or not answered yet.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::matching::{Stray, stray};
use super::{Ignored, Owner};
use crate::dns::wire::Query0x20;

/// Questions that ended in a timeout, remembered so that their late answers are known as such.
const REMEMBERED: usize = 4096;
/// How much of the table may be looked through in a second for whom a stray datagram is about (about 10 ms).
const LOOKS_PER_SECOND: usize = 2_000_000;

pub(super) struct Flight {
    pub server: SocketAddr,
    pub query: Query0x20,
    pub socket: u16,
    pub sent_at: Option<Instant>,
    /// How often the kernel refused to send it.
    pub refusals: u8,
    pub ignored: Ignored,
    pub owner: Owner,
}

impl Flight {
    /// Zero if it was never sent.
    pub fn latency(&self, now: Instant) -> Duration {
        let since = self.sent_at.map(|sent| now.saturating_duration_since(sent));
        since.unwrap_or_default()
    }

    fn on_wire(&self) -> u32 {
        on_wire(self.socket, self.query.id)
    }
}

/// What an answer is found by: the socket it comes in on, and its id.
fn on_wire(socket: u16, id: u16) -> u32 {
    u32::from(socket) << 16 | u32::from(id)
}

#[derive(Default)]
pub(super) struct Flights {
    table: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Place in the table, by [`on_wire`].
    ids: FxHashMap<u32, u32>,
    late: FxHashMap<u32, SocketAddr>,
    late_order: VecDeque<u32>,
    looks: usize,
    looks_since: Option<Instant>,
}

impl Flights {
    /// Takes a question in; its id is drawn again until nothing else on this socket has it.
    pub fn add(&mut self, mut flight: Flight) -> u32 {
        let key = self.free.pop().unwrap_or(self.table.len() as u32);
        while self.ids.contains_key(&flight.on_wire()) {
            flight.query.set_id(rand::random());
        }
        let id = flight.on_wire();
        self.ids.insert(id, key);
        if !self.late.is_empty() {
            self.late.remove(&id);
        }
        if key as usize == self.table.len() {
            self.table.push(Some(flight));
        } else {
            self.table[key as usize] = Some(flight);
        }
        key
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn get_mut(&mut self, key: u32) -> Option<&mut Flight> {
        self.table.get_mut(key as usize)?.as_mut()
    }

    pub fn get(&self, key: u32) -> Option<&Flight> {
        self.table.get(key as usize)?.as_ref()
    }

    pub fn by_id(&self, socket: u16, id: u16) -> Option<u32> {
        self.ids.get(&on_wire(socket, id)).copied()
    }

    /// What is to be sent, and where.
    pub fn packet(&self, key: u32) -> (SocketAddr, &[u8]) {
        match self.get(key) {
            Some(flight) => (flight.server, &flight.query.bytes),
            None => ((Ipv4Addr::UNSPECIFIED, 0).into(), &[]), // the kernel refuses it
        }
    }

    /// Takes a question out, before it is ended.
    pub fn remove(&mut self, key: u32) -> Option<Flight> {
        let flight = self.table.get_mut(key as usize)?.take()?;
        self.free.push(key);
        self.ids.remove(&flight.on_wire());
        Some(flight)
    }

    /// A datagram that answers nothing in flight: is it an answer that comes too late?
    pub fn was_late(&mut self, socket: u16, id: u16, from: SocketAddr) -> bool {
        let id = on_wire(socket, id);
        let is_late = self.late.get(&id).is_some_and(|server| same(*server, from));
        if is_late {
            self.late.remove(&id);
        }
        is_late
    }

    /// The question to `from` on this socket that such a datagram is about: one that it repeats, else (garbage) any.
    pub fn about(
        &mut self,
        socket: u16,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Option<&mut Flight> {
        if !self.may_look(now) {
            return None;
        }
        self.table.iter_mut().flatten().find(|flight| {
            flight.socket == socket
                && same(flight.server, from)
                && stray(&flight.query, bytes) != Stray::Other
        })
    }

    /// All questions to `server` on this socket.
    pub fn all_to(&mut self, socket: u16, server: SocketAddr, now: Instant) -> Vec<u32> {
        if !self.may_look(now) {
            return Vec::new();
        }
        let is_to = |flight: &Flight| flight.socket == socket && same(flight.server, server);
        (0..)
            .zip(&self.table)
            .filter(|(_, flight)| flight.as_ref().is_some_and(is_to))
            .map(|(key, _)| key)
            .collect()
    }

    /// Looking through the whole table is nothing that a flood of foreign datagrams may make us do all the time.
    fn may_look(&mut self, now: Instant) -> bool {
        if self
            .looks_since
            .is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1))
        {
            self.looks_since = Some(now);
            self.looks = 0;
        }
        self.looks += self.table.len();
        self.looks <= LOOKS_PER_SECOND
    }

    /// Ended in silence: its answer may still come.
    pub fn remember(&mut self, flight: &Flight) {
        let id = flight.on_wire();
        if self.late_order.len() >= REMEMBERED
            && let Some(oldest) = self.late_order.pop_front()
        {
            self.late.remove(&oldest);
        }
        self.late_order.push_back(id);
        self.late.insert(id, flight.server);
    }
}

/// Address and port; flow labels are none of our business.
pub(super) fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}
