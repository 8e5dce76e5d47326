//! Peer sessions: which of them may vote, and how several sessions of one AS make one vote.
//!
//! A session is (collector, peer address, peer AS) and has a [`Slot`], its bit in every row of the table.
//! The first slot of an AS stands for the AS in baselines.

mod full_feeds;
mod silence;
mod tally;
mod weights;

use std::collections::BTreeMap;

use netfault_model::{Asn, Collector, Family, FeedState, Peer, Time};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::table::bits::{self, BitSet, Slot};
use full_feeds::FullFeeds;
pub use silence::{Gaps, Silence};
pub use tally::{Tally, Votes};
pub use weights::{UNIT, Weights};

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
    /// Sum of its collector's silences by then.
    pub status_silent: i64,
    /// While it sends its table, by family: engine time of the newest route that it had not sent yet, and the silences by
    /// then. `None`: that family has not begun, or it has ended.
    pub grew: [Option<(Time, i64)>; 2],
    pub silence: Silence,
    /// Of a voter: IPv4 and IPv6 prefixes that its AS has by any session.
    pub routes: [u32; 2],
    /// Silent for too long, itself or its collector: it abstains, and resumes what it was.
    pub suspect: bool,
    /// Since when it has been Down or suspect, if it is.
    pub off_since: Time,
}

/// Whether the routes that a session is known to have can be counted on, unless it is `suspect`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Status {
    Up,
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
            Status::Down => FeedState::Down,
            _ if self.suspect => FeedState::Suspect,
            Status::Up => FeedState::Up,
            Status::Syncing { .. } => FeedState::Syncing,
        }
    }

    /// The moment from which its silence is counted: its last message, or the reset after which none has come.
    pub fn spoke_or_changed_at(&self) -> Time {
        let waited_for = matches!(self.status, Status::Syncing { .. }) || self.heard_at == Time::MIN;
        if waited_for {
            self.heard_at.max(self.status_at)
        } else {
            self.heard_at
        }
    }

    /// It resynchronises, and has begun to send its table of this family.
    pub fn sends_table(&self, family: Family) -> bool {
        let syncs = matches!(
            &self.status,
            Status::Syncing {
                ends: SyncEnd::Table,
                ..
            }
        );
        syncs && self.grew[family as usize].is_some()
    }

    fn votes_with(&self, row: u32) -> bool {
        match &self.status {
            _ if self.suspect => false,
            Status::Up => true,
            Status::Down => false,
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
    /// Bit set: the session is Up and not suspect.
    up: Vec<u64>,
    /// Bit set: the slot is the first of its AS, and some session of the AS is neither Down nor suspect.
    live: Vec<u64>,
    /// Bit set: the slot is the only session of its AS.
    alone: Vec<u64>,
    full_feeds: [FullFeeds; 2],
    weights: [Weights; 2],
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
    /// Sessions that became suspect when it fell silent.
    pub muted: Vec<Slot>,
}

impl Peers {
    pub fn session(&self, slot: Slot) -> &Session {
        &self.sessions[slot as usize]
    }

    pub fn session_mut(&mut self, slot: Slot) -> &mut Session {
        &mut self.sessions[slot as usize]
    }

    /// When any collector was last heard.
    pub fn heard_at(&self) -> Option<Time> {
        self.collectors.values().map(|health| health.last_at).max()
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
        self.live.resize(words, 0);
        bits::set(&mut self.up, slot);
        bits::set(&mut self.live, voter);
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
            grew: [None; 2],
            status_silent: 0,
            silence: Silence::default(),
            routes: [0; 2],
            suspect: false,
            off_since: at,
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
        self.syncing.retain(|&other| other != slot);
        if matches!(status, Status::Syncing { .. }) {
            self.syncing.push(slot);
            self.syncing.sort_unstable();
        }
        self.sessions[slot as usize].status = status;
        self.mark_up(slot);
    }

    pub fn set_suspect(&mut self, slot: Slot, suspect: bool) {
        self.sessions[slot as usize].suspect = suspect;
        self.mark_up(slot);
    }

    fn mark_up(&mut self, slot: Slot) {
        let session = &self.sessions[slot as usize];
        match matches!(session.status, Status::Up) && !session.suspect {
            true => bits::set(&mut self.up, slot),
            false => bits::clear(&mut self.up, slot),
        };
        let voter = session.voter;
        let live = self.sessions_of(voter).iter().any(|&mate| {
            let session = &self.sessions[mate as usize];
            !session.suspect && !matches!(session.status, Status::Down)
        });
        match live {
            true => bits::set(&mut self.live, voter),
            false => bits::clear(&mut self.live, voter),
        };
    }

    /// The sessions of an AS.
    pub fn sessions_of(&self, voter: Slot) -> SmallVec<[Slot; 1]> {
        match self.shared.get(&voter) {
            Some(mates) => SmallVec::from_slice(mates),
            None => SmallVec::from_slice(&[voter]),
        }
    }

    /// The session has said something of this row. True if it votes on it again by that.
    pub fn refresh(&mut self, slot: Slot, row: u32) -> bool {
        if !self.syncing.is_empty()
            && let Status::Syncing { refreshed, .. } = &mut self.sessions[slot as usize].status
        {
            return refreshed.insert(row);
        }
        false
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
}
