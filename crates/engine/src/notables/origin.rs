//! New origins of a prefix, and new more-specifics under somebody else's route: possible hijacks.
//!
//! **Known** is every origin that was heard on the prefix in the first hour that we heard of it, every origin of a route
//! that covers it (the owner may announce a part of its own, or take it back), one whose routes pass through
//! such an origin (its customer), and one that has been there for a day. Any other origin is a [`Suspect`],
//! followed session by session until it is known or gone. It is told once enough peer ASes see it.
//!
//! **Proof.** A peer AS proves that the origin is new if it had a known one before on the same session, or if we have
//! its whole table (a table dump, or a transfer up to End-of-RIB) and the prefix was not in it. With proof by enough peer ASes
//! the change is told at once, as `held`. Without a seed nobody's table is whole: then a change of origin needs at least one
//! peer AS that proves it, a more-specific needs none but a cover that has been known for an hour, and both wait some
//! seconds for paths that explain them, and for as many peer ASes as any verdict needs (`min_peers`); they are told as
//! `inferred`. What nobody proves within minutes is old: peers that have had it all along are heard on it one by one.
//!
//! Only prefixes with a suspect, or with several known origins, cost more than four bytes.

use std::collections::BTreeSet;

use netfault_model::{Asn, Id, Prefix, Time};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::asn::is_named;
use crate::table::Row;
use crate::table::bits::{BitSet, Slot};

/// More origins than this are anycast by any measure: a further one is no news.
pub const ORIGINS: usize = 16;

/// An origin that is not known yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspect {
    pub origin: Asn,
    /// Known origins of the prefix when it came, or of the route that covers it; ascending.
    pub old: Vec<Asn>,
    pub covered_by: Option<Prefix>,
    pub first_at: Time,
    /// Sessions that see it, and whether each proves that it is new.
    pub routes: Vec<(Slot, bool)>,
    /// Since when enough peer ASes see it; `Time::MAX` while they do not.
    pub ripe_at: Time,
    /// It has been told, and since when too few peer ASes see it (`Time::MAX` while enough do).
    pub told: Option<Told>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Told {
    pub id: Id,
    pub proven: bool,
    pub faded_at: Time,
}

impl Suspect {
    /// When, after `now`, there is something to decide without anything being said.
    pub fn due(&self, times: &Times, now: Time) -> Time {
        let known = self.first_at.plus_micros(times.known_after);
        let dues = match self.told {
            Some(told) => [told.faded_at.plus_micros(times.over_after), known],
            None => [
                self.ripe_at.plus_micros(times.hold),
                self.first_at.plus_micros(times.old_after),
            ],
        };
        dues.into_iter().filter(|&due| due > now).fold(known, Time::min)
    }
}

/// Spans of time, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub hold: i64,
    pub over_after: i64,
    pub known_after: i64,
    pub old_after: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Followed {
    suspects: Vec<Suspect>,
    /// Its place in `Changes::due`; `Time::MAX` if it has none.
    due: Time,
}

/// What is known of the origins of all prefixes, as far as it is more than the majority origin of the table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Changes {
    /// When a route to the row was first heard of (seconds, one more than that; 0: never).
    heard: Vec<u32>,
    /// Rows in `suspects`: asked for with every route, so it has to be quick.
    followed: BitSet,
    suspects: FxHashMap<Row, Followed>,
    /// Known origins, of rows that have or had more than one.
    known: FxHashMap<Row, Vec<Asn>>,
    /// Rows whose suspects gained or lost a route in this instant.
    pub changed: Vec<Row>,
    pub due: BTreeSet<(Time, Row)>,
    /// Sessions whose whole table we have.
    whole: BitSet,
}

fn second(at: Time) -> u32 {
    at.secs().clamp(0, i64::from(u32::MAX) - 1) as u32 + 1
}

impl Changes {
    pub fn follows(&self, row: Row) -> bool {
        self.followed.contains(row)
    }

    /// A sign that the row is there since `at`. True if it is the first.
    pub fn hear(&mut self, row: Row, at: Time) -> bool {
        let index = row as usize;
        if index >= self.heard.len() {
            self.heard.resize(index + 1, 0);
        }
        let first = self.heard[index] == 0;
        if first {
            self.heard[index] = second(at);
        }
        first
    }

    /// True if the row had been heard of `span` microseconds before `now`.
    pub fn is_old(&self, row: Row, now: Time, span: i64) -> bool {
        match self.heard.get(row as usize) {
            None | Some(0) => false,
            Some(&heard) => heard <= second(now.plus_micros(-span)),
        }
    }

    /// Known origins of a row whose majority origin is `majority`; ascending.
    pub fn known(&self, row: Row, majority: Option<Asn>) -> Vec<Asn> {
        match self.known.get(&row) {
            Some(known) => known.clone(),
            None => majority.into_iter().filter(is_named).collect(),
        }
    }

    pub fn is_known(&self, row: Row, majority: Option<Asn>, origin: Asn) -> bool {
        match self.known.get(&row) {
            Some(known) => known.binary_search(&origin).is_ok() || known.len() >= ORIGINS,
            None => majority == Some(origin),
        }
    }

    /// From now on the origin is known, beside those that were (`majority`, if no others are written down).
    pub fn learn(&mut self, row: Row, majority: Option<Asn>, origin: Asn) {
        if majority == Some(origin) && !self.known.contains_key(&row) {
            return;
        }
        self.pin(row, majority);
        if let Some(known) = self.known.get_mut(&row)
            && let Err(place) = known.binary_search(&origin)
            && known.len() < ORIGINS
        {
            known.insert(place, origin);
        }
    }

    /// The majority may change under a suspect, so what was known is written down.
    pub fn pin(&mut self, row: Row, majority: Option<Asn>) {
        self.known
            .entry(row)
            .or_insert_with(|| majority.into_iter().filter(is_named).collect());
    }

    pub fn suspect(&mut self, row: Row, majority: Option<Asn>, suspect: Suspect) {
        self.pin(row, majority);
        self.followed.insert(row);
        self.changed.push(row);
        let nothing = || Followed {
            suspects: Vec::new(),
            due: Time::MAX,
        };
        self.suspects
            .entry(row)
            .or_insert_with(nothing)
            .suspects
            .push(suspect);
    }

    pub fn suspects(&self, row: Row) -> &[Suspect] {
        self.suspects
            .get(&row)
            .map(|followed| followed.suspects.as_slice())
            .unwrap_or_default()
    }

    /// The session sees `origin` (`None`: nothing any more). True if `origin` is a suspect of this row.
    pub fn route(&mut self, row: Row, slot: Slot, origin: Option<Asn>, proves: bool) -> bool {
        let Some(followed) = self.suspects.get_mut(&row) else {
            return false;
        };
        let mut found = false;
        for suspect in &mut followed.suspects {
            let place = suspect.routes.iter().position(|&(session, _)| session == slot);
            let seen = origin == Some(suspect.origin);
            found |= seen;
            match place {
                None if seen => suspect.routes.push((slot, proves)),
                Some(place) if !seen => drop(suspect.routes.remove(place)),
                _ => continue,
            }
            self.changed.push(row);
        }
        found
    }

    /// Takes the suspects of a row out, to be judged and given back.
    pub fn take(&mut self, row: Row) -> Vec<Suspect> {
        let Some(followed) = self.suspects.remove(&row) else {
            return Vec::new();
        };
        self.due.remove(&(followed.due, row));
        followed.suspects
    }

    pub fn give_back(&mut self, row: Row, suspects: Vec<Suspect>, times: &Times, now: Time) {
        let Some(due) = suspects.iter().map(|suspect| suspect.due(times, now)).min() else {
            self.followed.remove(row);
            return;
        };
        if due != Time::MAX {
            self.due.insert((due, row));
        }
        self.suspects.insert(row, Followed { suspects, due });
    }

    pub fn session_is_whole(&mut self, slot: Slot) {
        self.whole.insert(u32::from(slot));
    }

    pub fn session_is_torn(&mut self, slot: Slot) {
        self.whole.remove(u32::from(slot));
    }

    pub fn is_whole(&self, slot: Slot) -> bool {
        self.whole.contains(u32::from(slot))
    }
}
