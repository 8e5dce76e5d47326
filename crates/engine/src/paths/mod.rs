//! AS paths of a few routes per prefix: those of up to eight reference peer ASes, and of every session for watched prefixes.
//! The leak rule reads them, and so will the rules that find the link that many losses have in common.
//!
//! **References are chosen for all prefixes at once**, not per prefix. Then most messages (those of other sessions) cost
//! one look into a small array, a route's path stands in a plain column, and the paths of two prefixes can be compared peer
//! by peer. The first eight peer ASes to be heard begin; once an hour those whose table is no full feed (any more)
//! make room for others that have one, from the collectors with the fewest references first.

mod before;
pub mod interned;

use std::collections::BTreeMap;

use netfault_model::{Asn, Collector, Time};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::peers::Peers;
use crate::table::Row;
use crate::table::bits::Slot;
use before::Before;
use interned::{Interned, NONE, PathId};

/// DESIGN section 5: eight reference peer ASes.
pub const REFERENCES: usize = 8;
/// A table of this share of the largest one makes a reference, and it stays one down to the second share. The same as
/// full feeds (DESIGN section 5).
const ENTER: f64 = 0.75;
const LEAVE: f64 = 0.70;
/// Longer paths than this are cut: the longest of the Internet have some 40 different ASes, prepending aside.
const LONGEST: usize = 255;

/// A route whose path is another one now.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    pub row: Row,
    pub path: PathId,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Paths {
    interned: Interned,
    references: [Option<Slot>; REFERENCES],
    /// Column of each session, one more than that; 0 for those that are no reference.
    columns: Vec<u8>,
    /// Paths of the references, `REFERENCES` in a row.
    routes: Vec<PathId>,
    /// Of the other sessions, for watched rows.
    watched: FxHashMap<(Row, Slot), PathId>,
    /// The path of the present message: all its prefixes share it.
    present: Option<PathId>,
    /// Routes as they were before they began to change.
    before: Before,
    scratch: Vec<Asn>,
}

impl Paths {
    /// Engine time is `now`: what changed long ago is forgotten.
    pub fn advance(&mut self, now: Time) {
        self.before.advance(now, &mut self.interned);
    }

    /// The reference paths of a row as they were before it began to change, some minutes ago; as they are, if it did not.
    pub fn before(&self, row: Row) -> impl Iterator<Item = &[Asn]> {
        let ids = self.before.of(row).unwrap_or_else(|| self.ids(row));
        ids.into_iter()
            .filter(|&id| id != NONE)
            .map(|id| self.interned.asns(id))
    }

    /// The paths of all references to a row.
    fn ids(&self, row: Row) -> [PathId; REFERENCES] {
        let start = row as usize * REFERENCES;
        let ids = self.routes.get(start..start + REFERENCES);
        ids.and_then(|ids| ids.try_into().ok())
            .unwrap_or([NONE; REFERENCES])
    }

    /// A message begins.
    pub fn message(&mut self) {
        if let Some(id) = self.present.take() {
            self.interned.idle(id);
        }
    }

    fn column(&self, slot: Slot) -> Option<usize> {
        let column = *self.columns.get(slot as usize)?;
        usize::from(column).checked_sub(1)
    }

    /// The session's route to the row has this AS_PATH now. Returns the path, and whether the path is new as such; `None` if it is
    /// not kept, or the same as before.
    pub fn announced(
        &mut self,
        row: Row,
        slot: Slot,
        watched: bool,
        asns: &[Asn],
    ) -> Option<(Changed, bool)> {
        let column = self.column(slot);
        if column.is_none() && !watched {
            return None;
        }
        let (path, new) = self.of_message(asns);
        let before = match column {
            Some(column) => {
                let place = row as usize * REFERENCES + column;
                if place >= self.routes.len() {
                    self.routes.resize((row as usize + 1) * REFERENCES, NONE);
                }
                self.keep_before(row, place, path);
                std::mem::replace(&mut self.routes[place], path)
            }
            None => self.watched.insert((row, slot), path).unwrap_or(NONE),
        };
        if before == path {
            return None;
        }
        self.interned.hold(path);
        self.interned.release(before);
        Some((Changed { row, path }, new))
    }

    /// The route at `place` changes to `path`: what there was is kept, if this is the first change in a while.
    fn keep_before(&mut self, row: Row, place: usize, path: PathId) {
        let known = self.routes.get(place).copied().unwrap_or(NONE);
        if known != NONE && known != path && !self.before.has(row) {
            let ids = self.ids(row);
            self.before.keep(row, ids, &mut self.interned);
        }
    }

    fn of_message(&mut self, asns: &[Asn]) -> (PathId, bool) {
        if let Some(present) = self.present {
            return (present, false);
        }
        let mut path = std::mem::take(&mut self.scratch);
        path.clear();
        path.extend(asns.iter().copied().take(4096));
        path.dedup();
        path.truncate(LONGEST);
        let (id, new) = self.interned.intern(&path);
        self.scratch = path;
        self.present = Some(id);
        (id, new)
    }

    /// The session has no route to the row any more.
    pub fn lost(&mut self, row: Row, slot: Slot) {
        let before = match self.column(slot) {
            Some(column) => {
                let place = row as usize * REFERENCES + column;
                self.keep_before(row, place, NONE);
                self.routes
                    .get_mut(place)
                    .map(|path| std::mem::replace(path, NONE))
            }
            None if self.watched.is_empty() => None,
            None => self.watched.remove(&(row, slot)),
        };
        self.interned.release(before.unwrap_or(NONE));
    }

    /// Path of a session's route, prepending taken out; AS_SETs in the order of the message.
    pub fn path(&self, row: Row, slot: Slot) -> Option<&[Asn]> {
        let id = match self.column(slot) {
            Some(column) => *self.routes.get(row as usize * REFERENCES + column)?,
            None => *self.watched.get(&(row, slot))?,
        };
        (id != NONE).then(|| self.interned.asns(id))
    }

    /// The reference paths of a row.
    pub fn of_row(&self, row: Row) -> impl Iterator<Item = &[Asn]> {
        let start = row as usize * REFERENCES;
        let ids = self.routes.get(start..start + REFERENCES).unwrap_or_default();
        ids.iter()
            .filter(|&&id| id != NONE)
            .map(|&id| self.interned.asns(id))
    }

    pub fn interned(&self) -> &Interned {
        &self.interned
    }

    pub fn interned_mut(&mut self) -> &mut Interned {
        &mut self.interned
    }

    /// After a state was loaded.
    pub fn reindex(&mut self) {
        self.interned.reindex();
    }

    /// A session was added; it is a reference if there is room, and none of its AS yet.
    pub fn session_added(&mut self, slot: Slot, peers: &Peers) {
        if self.columns.len() <= slot as usize {
            self.columns.resize(slot as usize + 1, 0);
        }
        if peers.session(slot).voter == slot {
            self.refer(slot);
        }
    }

    fn refer(&mut self, slot: Slot) {
        if let Some(column) = self.references.iter().position(Option::is_none) {
            self.references[column] = Some(slot);
            self.columns[slot as usize] = column as u8 + 1;
            let (watched, interned) = (&mut self.watched, &mut self.interned);
            watched.retain(|&(_, session), path| {
                let stays = session != slot;
                if !stays {
                    interned.release(*path);
                }
                stays
            });
        }
    }

    /// Once an hour: references without a full feed make room for others that have one.
    pub fn review(&mut self, peers: &Peers) {
        let size = |slot: Slot| f64::from(peers.session(slot).routes.iter().sum::<u32>());
        let slots = 0..(self.columns.len().min(peers.count()) as Slot);
        let largest = slots.clone().map(size).fold(0.0, f64::max);
        for column in 0..REFERENCES {
            if let Some(slot) = self.references[column]
                && size(slot) < LEAVE * largest
            {
                self.dismiss(column, slot);
            }
        }
        while self.references.iter().any(Option::is_none) {
            let mut of_collector: BTreeMap<Collector, usize> = BTreeMap::new();
            let mut voters = Vec::new();
            for &slot in self.references.iter().flatten() {
                let session = peers.session(slot);
                *of_collector.entry(session.peer.collector).or_default() += 1;
                voters.push(session.voter);
            }
            let candidates = slots
                .clone()
                .filter(|&slot| size(slot) >= ENTER * largest && size(slot) > 0.0)
                .filter(|&slot| !voters.contains(&peers.session(slot).voter));
            let crowd = |slot: Slot| {
                of_collector
                    .get(&peers.session(slot).peer.collector)
                    .copied()
                    .unwrap_or(0)
            };
            let Some(best) = candidates.min_by(|&a, &b| {
                crowd(a)
                    .cmp(&crowd(b))
                    .then(size(b).total_cmp(&size(a)))
                    .then(a.cmp(&b))
            }) else {
                return;
            };
            self.refer(best);
        }
    }

    fn dismiss(&mut self, column: usize, slot: Slot) {
        self.references[column] = None;
        self.columns[slot as usize] = 0;
        for place in (column..self.routes.len()).step_by(REFERENCES) {
            let before = std::mem::replace(&mut self.routes[place], NONE);
            self.interned.release(before);
        }
    }
}
