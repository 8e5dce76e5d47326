//! Peer sessions: which of them may vote, and how several sessions of one AS make one vote.
//!
//! A session is (collector, peer address, peer AS) and has a [`Slot`], its bit in every row of the table.
//! The first slot of an AS stands for the AS in baselines.

mod silence;

use std::collections::BTreeMap;

use netfault_model::{Asn, Collector, Family, FeedState, Peer, Time};
use rustc_hash::FxHashMap;

use crate::table::bits::{self, BitSet, Slot};
pub use silence::{Gaps, Silence};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Session {
    pub peer: Peer,
    /// Slot that stands for the peer's AS.
    pub voter: Slot,
    pub status: Status,
    /// Own time of the newest message; an older one is ignored.
    pub last_at: Time,
    /// Engine time of the newest message that said something of its routes.
    pub heard_at: Time,
    /// Engine time at which `status` was set.
    pub status_at: Time,
    pub silence: Silence,
    /// Routes held, IPv4 and IPv6.
    pub routes: [u32; 2],
}

/// Whether the routes that a session is known to have can be counted on.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Status {
    Up,
    /// Abstains: silent for too long.
    Suspect,
    /// Abstains: the session is gone.
    Down,
    /// Votes only with what it has announced again (`refreshed`, row numbers).
    Syncing {
        refreshed: BitSet,
        ends: SyncEnd,
    },
}

/// What ends a resynchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SyncEnd {
    /// End-of-RIB, or quiet; what is missing then is lost.
    Table,
    /// Nothing: after a hole in the feed each route stays unknown until it is heard again.
    Never,
}

impl Session {
    pub fn feed_state(&self) -> FeedState {
        match self.status {
            Status::Up => FeedState::Up,
            Status::Suspect => FeedState::Suspect,
            Status::Down => FeedState::Down,
            Status::Syncing { .. } => FeedState::Syncing,
        }
    }

    fn votes_with(&self, row: u32) -> bool {
        match &self.status {
            Status::Up => true,
            Status::Suspect | Status::Down => false,
            Status::Syncing { refreshed, .. } => refreshed.contains(row),
        }
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Peers {
    sessions: Vec<Session>,
    slots: FxHashMap<Peer, Slot>,
    newest: Option<(Peer, Slot)>,
    voters: FxHashMap<Asn, Slot>,
    /// ASes with several sessions: their slots, by the first.
    shared: BTreeMap<Slot, Vec<Slot>>,
    /// Sessions of `Status::Syncing`.
    syncing: Vec<Slot>,
    /// Bit set: the session is Up.
    up: Vec<u64>,
    /// Bit set: the slot is the only session of its AS.
    alone: Vec<u64>,
    full_feeds: [FullFeeds; 2],
    pub collectors: BTreeMap<Collector, CollectorHealth>,
}

/// A collector as one feed.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct CollectorHealth {
    pub last_at: Time,
    pub silent: bool,
    /// Sum of its own silences so far, microseconds: they are not its peers'.
    pub silent_total: i64,
    pub sessions: Vec<Slot>,
    /// Sessions that were Up when it fell silent.
    pub muted: Vec<Slot>,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct FullFeeds {
    /// Until when the count may be used again.
    fresh_until: Option<Time>,
    peers: u32,
}

/// What the peers say of one prefix; counts of peer ASes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub eligible: u32,
    pub seen: u32,
    pub unknown: u32,
}

impl Tally {
    pub fn lost(self) -> u32 {
        self.eligible - self.seen - self.unknown
    }

    /// V↓ = (has + unknown) / B, which decides falls.
    pub fn falling(self) -> f64 {
        f64::from(self.seen + self.unknown) / f64::from(self.eligible.max(1))
    }

    /// V↑ = has / B, which decides rises.
    pub fn rising(self) -> f64 {
        f64::from(self.seen) / f64::from(self.eligible.max(1))
    }

    pub fn known(self) -> f64 {
        f64::from(self.eligible - self.unknown) / f64::from(self.eligible.max(1))
    }
}

impl Peers {
    pub fn session(&self, slot: Slot) -> &Session {
        &self.sessions[slot as usize]
    }

    pub fn session_mut(&mut self, slot: Slot) -> &mut Session {
        &mut self.sessions[slot as usize]
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// The slot of a session, and whether it is new. `None` when there are 65,535 of them.
    pub fn slot(&mut self, peer: &Peer, at: Time) -> Option<(Slot, bool)> {
        if let Some((known, slot)) = &self.newest
            && known == peer
        {
            return Some((*slot, false));
        }
        let (slot, new) = match self.slots.get(peer) {
            Some(&slot) => (slot, false),
            None => (self.add(peer, at)?, true),
        };
        self.newest = Some((*peer, slot));
        Some((slot, new))
    }

    fn add(&mut self, peer: &Peer, at: Time) -> Option<Slot> {
        let slot = Slot::try_from(self.sessions.len())
            .ok()
            .filter(|&slot| slot < Slot::MAX)?;
        let voter = *self.voters.entry(peer.asn).or_insert(slot);
        let words = self.sessions.len() / 64 + 1;
        self.up.resize(words, 0);
        self.alone.resize(words, 0);
        bits::set(&mut self.up, slot);
        if voter == slot {
            bits::set(&mut self.alone, slot);
        } else {
            bits::clear(&mut self.alone, voter);
            self.shared.entry(voter).or_insert_with(|| vec![voter]).push(slot);
        }
        self.sessions.push(Session {
            peer: *peer,
            voter,
            status: Status::Up,
            last_at: Time::MIN,
            heard_at: Time::MIN,
            status_at: at,
            silence: Silence::default(),
            routes: [0; 2],
        });
        self.slots.insert(*peer, slot);
        let health = self
            .collectors
            .entry(peer.collector)
            .or_insert_with(|| CollectorHealth {
                last_at: at,
                silent: false,
                silent_total: 0,
                sessions: Vec::new(),
                muted: Vec::new(),
            });
        health.sessions.push(slot);
        Some(slot)
    }

    pub fn set_status(&mut self, slot: Slot, status: Status) {
        match status {
            Status::Up => bits::set(&mut self.up, slot),
            _ => bits::clear(&mut self.up, slot),
        };
        self.syncing.retain(|&other| other != slot);
        if matches!(status, Status::Syncing { .. }) {
            self.syncing.push(slot);
            self.syncing.sort_unstable();
        }
        self.sessions[slot as usize].status = status;
    }

    /// The session has said something of this row.
    pub fn refresh(&mut self, slot: Slot, row: u32) {
        if !self.syncing.is_empty()
            && let Status::Syncing { refreshed, .. } = &mut self.sessions[slot as usize].status
        {
            refreshed.insert(row);
        }
    }

    /// True if no other session of this session's AS has the row. `has` are the row's bits.
    pub fn alone_on(&self, slot: Slot, has: &[u64]) -> bool {
        let voter = self.sessions[slot as usize].voter;
        if bits::get(&self.alone, voter) {
            return true;
        }
        let mates = self.shared.get(&voter).map(Vec::as_slice).unwrap_or_default();
        !mates.iter().any(|&mate| mate != slot && bits::get(has, mate))
    }

    /// True if any session of this AS has the row.
    pub fn voter_has(&self, voter: Slot, has: &[u64]) -> bool {
        if bits::get(&self.alone, voter) {
            return bits::get(has, voter);
        }
        self.shared
            .get(&voter)
            .is_some_and(|mates| mates.iter().any(|&mate| bits::get(has, mate)))
    }

    /// Counts the votes of the ASes in `base` on one row.
    pub fn tally(&self, row: u32, has: &[u64], base: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for (((&base, &has), &up), &alone) in base.iter().zip(has).zip(&self.up).zip(&self.alone) {
            let held = base & has & alone;
            tally.eligible += base.count_ones();
            tally.seen += (held & up).count_ones();
            tally.unknown += (held & !up).count_ones();
        }
        for &slot in &self.syncing {
            let single = bits::get(&self.alone, slot) && bits::get(base, slot) && bits::get(has, slot);
            if single && self.session(slot).votes_with(row) {
                tally.seen += 1;
                tally.unknown -= 1;
            }
        }
        for (&voter, mates) in &self.shared {
            if !bits::get(base, voter) {
                continue;
            }
            let mut holders = mates.iter().filter(|&&mate| bits::get(has, mate)).peekable();
            if holders.peek().is_none() {
                continue;
            }
            if holders.any(|&mate| self.session(mate).votes_with(row)) {
                tally.seen += 1;
            } else {
                tally.unknown += 1;
            }
        }
        tally
    }

    /// The ASes that have the row, as bits of their first slots.
    pub fn voters_having(&self, has: &[u64]) -> Vec<u64> {
        let mut voters: Vec<u64> = has
            .iter()
            .zip(&self.alone)
            .map(|(has, alone)| has & alone)
            .collect();
        for (&voter, mates) in &self.shared {
            if mates.iter().any(|&mate| bits::get(has, mate)) {
                bits::set(&mut voters, voter);
            }
        }
        voters
    }

    /// How many Up peer ASes give a full feed of `family`: a table of at least 75 % of the median of the
    /// largest tenth of tables. Counted anew at most once a minute of engine time.
    pub fn full_feeds(&mut self, family: Family, now: Time) -> u32 {
        let index = family as usize;
        if self.full_feeds[index]
            .fresh_until
            .is_none_or(|until| until <= now)
        {
            self.full_feeds[index] = FullFeeds {
                fresh_until: Some(now.plus_micros(60_000_000)),
                peers: self.count_full_feeds(index),
            };
        }
        self.full_feeds[index].peers
    }

    fn count_full_feeds(&self, family: usize) -> u32 {
        let mut tables: BTreeMap<Slot, u32> = BTreeMap::new();
        for session in self
            .sessions
            .iter()
            .filter(|session| matches!(session.status, Status::Up))
        {
            let table = tables.entry(session.voter).or_default();
            *table = (*table).max(session.routes[family]);
        }
        let mut sizes: Vec<u32> = tables.into_values().filter(|&size| size > 0).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let top = sizes.len().div_ceil(10);
        if top == 0 {
            return 0;
        }
        let needed = f64::from(sizes[top / 2]) * 0.75;
        sizes
            .iter()
            .take_while(|&&size| f64::from(size) >= needed)
            .count() as u32
    }
}
