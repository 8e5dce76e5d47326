//! The route table: for each prefix one row of bits (which sessions have it), one row of baseline, the
//! majority origin, and [`marks::Marks`] for what changed lately.
//!
//! A row is found by exact match in a hash table of row numbers; less-specifics are found by asking for
//! shorter and shorter prefixes, which only happens when a transition is written.

pub mod bits;
pub mod marks;
mod origin;

use hashbrown::HashTable;
use netfault_model::{Asn, Family, Nlri, Prefix, State, Time};
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::net::IpAddr;

use bits::{BitRows, Slot};
use marks::Marks;

pub type Row = u32;

/// How a prefix is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Interest {
    /// Kept as evidence (cover, more-specifics); never a subject.
    Evidence,
    /// Goes through the states.
    Subject,
    /// A subject that the user listed by name.
    Watched,
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Entry {
    pub prefix: Prefix,
    pub interest: Interest,
    /// State by the rules, whatever the quorum; `Unknown` until the first quorum.
    pub state: State,
    /// Waits to be looked at, at the end of this instant.
    pub touched: bool,
    /// Some session sees another origin than the majority's.
    mixed: bool,
    /// Its episode wants to know who says something of it.
    pub listening: bool,
    /// Judged by a baseline that is inferred from withdrawals.
    pub inferred: bool,
    /// Peer ASes in the baseline.
    pub eligible: u16,
    /// Majority origin; 0 (reserved by RFC 7607) while none is known.
    origin: Asn,
    pub marks: Option<Box<Marks>>,
}

impl Entry {
    pub fn origin(&self) -> Option<Asn> {
        (self.origin.0 != 0).then_some(self.origin)
    }

    pub fn marks_mut(&mut self) -> &mut Marks {
        self.marks.get_or_insert_default()
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Table {
    /// Made anew when a state is loaded.
    #[serde(skip)]
    index: HashTable<Row>,
    entries: Vec<Entry>,
    /// Which sessions have the prefix.
    has: BitRows,
    /// Which ASes (by their first slot) make up the baseline.
    base: BitRows,
    /// Routes whose origin is not the majority's, of the rows that are `mixed`.
    other_origins: FxHashMap<Row, Vec<(Slot, Asn)>>,
    /// Path ids of (row, session) where ADD-PATH is in use.
    paths: FxHashMap<(Row, Slot), Vec<u32>>,
}

type Hasher = BuildHasherDefault<rustc_hash::FxHasher>;

fn hash(prefix: &Prefix) -> u64 {
    let (high, low) = match prefix.addr() {
        IpAddr::V4(addr) => (0, u64::from(u32::from(addr))),
        IpAddr::V6(addr) => ((u128::from(addr) >> 64) as u64, u128::from(addr) as u64),
    };
    let family = (prefix.family() as u64) << 8;
    Hasher::default().hash_one((high, low, family | u64::from(prefix.len())))
}

impl Table {
    /// A table that was loaded gets its index.
    pub fn reindex(&mut self) {
        let entries = &self.entries;
        self.index = HashTable::with_capacity(entries.len());
        for (row, entry) in entries.iter().enumerate() {
            self.index
                .insert_unique(hash(&entry.prefix), row as Row, |&other| {
                    hash(&entries[other as usize].prefix)
                });
        }
    }

    /// How many prefixes there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    pub fn rows(&self) -> std::ops::Range<Row> {
        0..self.entries.len() as Row
    }

    pub fn find(&self, prefix: Prefix) -> Option<Row> {
        self.index
            .find(hash(&prefix), |&row| self.entries[row as usize].prefix == prefix)
            .copied()
    }

    /// Adds a prefix that is not there yet. `None` when there are 2³² of them.
    pub fn add(&mut self, prefix: Prefix, interest: Interest) -> Option<Row> {
        let row = Row::try_from(self.entries.len()).ok()?;
        let entries = &self.entries;
        self.index
            .insert_unique(hash(&prefix), row, |&other| hash(&entries[other as usize].prefix));
        self.entries.push(Entry {
            prefix,
            interest,
            state: State::Unknown,
            touched: false,
            mixed: false,
            listening: false,
            inferred: false,
            eligible: 0,
            origin: Asn(0),
            marks: None,
        });
        self.has.push_row();
        self.base.push_row();
        Some(row)
    }

    pub fn entry(&self, row: Row) -> &Entry {
        &self.entries[row as usize]
    }

    pub fn entry_mut(&mut self, row: Row) -> &mut Entry {
        &mut self.entries[row as usize]
    }

    pub fn has(&self, row: Row) -> &[u64] {
        self.has.row(row)
    }

    pub fn base(&self, row: Row) -> &[u64] {
        self.base.row(row)
    }

    pub fn width(&self) -> usize {
        self.has.width()
    }

    /// Makes room for a session.
    pub fn widen(&mut self, sessions: usize) {
        self.has.widen(sessions, self.entries.len());
        self.base.widen(sessions, self.entries.len());
    }

    /// The session has a route to the prefix. True if it had none before.
    pub fn gain(&mut self, row: Row, slot: Slot, path_id: u32) -> bool {
        if path_id != 0 {
            let ids = self.paths.entry((row, slot)).or_default();
            if !ids.contains(&path_id) {
                ids.push(path_id);
            }
        }
        bits::set(self.has.row_mut(row), slot)
    }

    /// The session has withdrawn a route. True if it had one and has none now.
    pub fn lose(&mut self, row: Row, slot: Slot, path_id: u32) -> bool {
        if path_id != 0
            && let Some(ids) = self.paths.get_mut(&(row, slot))
        {
            ids.retain(|&id| id != path_id);
            if !ids.is_empty() {
                return false;
            }
            self.paths.remove(&(row, slot));
        }
        bits::clear(self.has.row_mut(row), slot)
    }

    /// Drops all routes of a session to the prefix, whatever their path ids.
    pub fn lose_all(&mut self, row: Row, slot: Slot) -> bool {
        self.paths.remove(&(row, slot));
        bits::clear(self.has.row_mut(row), slot)
    }

    pub fn enter_base(&mut self, row: Row, voter: Slot) -> bool {
        let entered = bits::set(self.base.row_mut(row), voter);
        self.entries[row as usize].eligible += u16::from(entered);
        entered
    }

    pub fn leave_base(&mut self, row: Row, voter: Slot) {
        let left = bits::clear(self.base.row_mut(row), voter);
        self.entries[row as usize].eligible -= u16::from(left);
    }

    pub fn clear_base(&mut self, row: Row) {
        self.base.row_mut(row).fill(0);
        self.entries[row as usize].eligible = 0;
    }

    /// The nearest less-specific prefix that `accept` takes; default routes do not count.
    pub fn cover(&self, prefix: Prefix, accept: impl Fn(Row) -> bool) -> Option<Row> {
        let mut shorter = prefix.parent();
        while let Some(candidate) = shorter.filter(|candidate| candidate.len() > 0) {
            if let Some(row) = self.find(candidate)
                && accept(row)
            {
                return Some(row);
            }
            shorter = candidate.parent();
        }
        None
    }

    /// Notes the origin of a session's route. True if the majority origin changed.
    pub fn note_origin(&mut self, row: Row, slot: Slot, origin: Option<Asn>) -> bool {
        let Some(origin) = origin.filter(|origin| origin.0 != 0) else {
            return false;
        };
        let (entry, others) = (&mut self.entries[row as usize], &mut self.other_origins);
        origin::note(entry, others, row, self.has.row(row), slot, origin)
    }

    /// The session has no route any more.
    pub fn forget_origin(&mut self, row: Row, slot: Slot) {
        origin::forget(
            &mut self.entries[row as usize],
            &mut self.other_origins,
            row,
            slot,
        );
    }
}

/// True if this NLRI takes part at all: default routes do not.
pub fn counts(nlri: &Nlri) -> bool {
    nlri.prefix.len() > 0
}

/// True if this prefix counts in what is summed up of an origin or a country: neither shorter than /8 (IPv6: /16),
/// which would outweigh everything else, nor longer than /24 (/48), which is evidence only.
pub fn aggregates(prefix: Prefix) -> bool {
    match prefix.family() {
        Family::V4 => (8..=24).contains(&prefix.len()),
        Family::V6 => (16..=48).contains(&prefix.len()),
    }
}

/// The earliest of several moments.
pub fn earliest(moments: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    moments.into_iter().flatten().min()
}
