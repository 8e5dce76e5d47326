//! AS paths, each kept once, for as long as a route uses it.
//!
//! Path hunting brings the same paths back within minutes, so a path that no route uses any more stays a while: the last
//! [`IDLE`] of them. Memory is bounded by routes, not by time.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault};

use hashbrown::HashTable;
use netfault_model::Asn;
use serde::{Deserialize, Serialize};

/// The number of a path. Numbers of paths that are gone are given again.
pub type PathId = u32;

/// No path; its place is never used.
pub const NONE: PathId = 0;

/// Paths without a route that are kept.
const IDLE: usize = 1 << 16;

#[derive(Debug, Serialize, Deserialize)]
struct Path {
    asns: Box<[Asn]>,
    routes: u32,
    /// It stands in `idle`.
    idle: bool,
    /// Until when (second) it counts as bringing something new, for the leak rule.
    fresh_until: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Interned {
    /// Made anew when a state is loaded.
    #[serde(skip)]
    index: HashTable<PathId>,
    paths: Vec<Path>,
    free: Vec<PathId>,
    idle: VecDeque<PathId>,
}

impl Default for Interned {
    fn default() -> Self {
        let nothing = Path {
            asns: Box::default(),
            routes: 0,
            idle: false,
            fresh_until: 0,
        };
        Interned {
            index: HashTable::new(),
            paths: vec![nothing],
            free: Vec::new(),
            idle: VecDeque::new(),
        }
    }
}

fn hash(asns: &[Asn]) -> u64 {
    BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one(asns)
}

impl Interned {
    /// The path's number, and whether it is new. The caller holds it, or gives it up with [`idle`](Self::idle).
    pub fn intern(&mut self, asns: &[Asn]) -> (PathId, bool) {
        let hash = hash(asns);
        let paths = &self.paths;
        if let Some(&id) = self.index.find(hash, |&id| *paths[id as usize].asns == *asns) {
            return (id, false);
        }
        let path = Path {
            asns: asns.into(),
            routes: 0,
            idle: false,
            fresh_until: 0,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.paths[id as usize] = path;
                id
            }
            // 2³² paths do not fit into memory; the cast cannot lose anything.
            None => {
                self.paths.push(path);
                (self.paths.len() - 1) as PathId
            }
        };
        let paths = &self.paths;
        self.index
            .insert_unique(hash, id, |&other| self::hash(&paths[other as usize].asns));
        (id, true)
    }

    pub fn asns(&self, id: PathId) -> &[Asn] {
        &self.paths[id as usize].asns
    }

    pub fn fresh_until(&self, id: PathId) -> u32 {
        self.paths[id as usize].fresh_until
    }

    pub fn set_fresh_until(&mut self, id: PathId, second: u32) {
        self.paths[id as usize].fresh_until = second;
    }

    /// One more route uses it.
    pub fn hold(&mut self, id: PathId) {
        self.paths[id as usize].routes += 1;
    }

    /// One route less uses it.
    pub fn release(&mut self, id: PathId) {
        if id == NONE {
            return;
        }
        self.paths[id as usize].routes -= 1;
        self.idle(id);
    }

    /// If no route uses the path, it goes when its turn comes.
    pub fn idle(&mut self, id: PathId) {
        let path = &mut self.paths[id as usize];
        if id == NONE || path.routes > 0 || path.idle {
            return;
        }
        path.idle = true;
        self.idle.push_back(id);
        if self.idle.len() <= IDLE {
            return;
        }
        let Some(oldest) = self.idle.pop_front() else {
            return;
        };
        let path = &mut self.paths[oldest as usize];
        path.idle = false;
        if path.routes == 0 {
            let asns = std::mem::take(&mut path.asns);
            if let Ok(entry) = self.index.find_entry(hash(&asns), |&id| id == oldest) {
                entry.remove();
            }
            self.free.push(oldest);
        }
    }

    /// Paths that some route uses.
    pub fn in_use(&self) -> impl Iterator<Item = &[Asn]> {
        self.paths
            .iter()
            .filter(|path| path.routes > 0)
            .map(|path| &*path.asns)
    }

    /// How many paths there are, used or kept.
    pub fn count(&self) -> usize {
        self.index.len()
    }

    /// After a state was loaded.
    pub fn reindex(&mut self) {
        let paths = &self.paths;
        self.index = HashTable::with_capacity(paths.len());
        let gone: rustc_hash::FxHashSet<PathId> = self.free.iter().copied().collect();
        for id in 1..paths.len() as PathId {
            if !gone.contains(&id) {
                self.index
                    .insert_unique(hash(&paths[id as usize].asns), id, |&other| {
                        hash(&paths[other as usize].asns)
                    });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn path(number: u32) -> Vec<Asn> {
        vec![Asn(number / 7), Asn(number % 7), Asn(number)]
    }

    proptest! {
        /// Against a map of counts: what is held keeps its number and its content, and nothing is kept twice.
        #[test]
        fn what_is_held_stays(steps in prop::collection::vec((0u32..40, any::<bool>()), 1..300)) {
            let (mut interned, mut held) = (Interned::default(), BTreeMap::<u32, (PathId, u32)>::new());
            for (number, take) in steps {
                if take {
                    let (id, _) = interned.intern(&path(number));
                    interned.hold(id);
                    let entry = held.entry(number).or_insert((id, 0));
                    prop_assert_eq!(entry.0, id);
                    entry.1 += 1;
                } else if let Some(entry) = held.get_mut(&number).filter(|entry| entry.1 > 0) {
                    interned.release(entry.0);
                    entry.1 -= 1;
                }
            }
            for (number, &(id, count)) in &held {
                if count > 0 {
                    let expected = path(*number);
                    prop_assert_eq!(interned.asns(id), expected.as_slice());
                }
            }
            prop_assert_eq!(interned.count(), held.len());
            prop_assert_eq!(interned.in_use().count(), held.values().filter(|(_, count)| *count > 0).count());
        }
    }

    #[test]
    fn paths_that_nobody_uses_are_bounded() {
        let mut interned = Interned::default();
        for number in 0..3 * IDLE as u32 {
            let (id, new) = interned.intern(&path(number));
            assert!(new);
            interned.hold(id);
            interned.release(id);
        }
        assert_eq!(interned.count(), IDLE);
        assert!(interned.paths.len() <= IDLE + 2);
        interned.reindex();
        assert_eq!(interned.count(), IDLE);
        assert!(!interned.intern(&path(3 * IDLE as u32 - 1)).1);
    }
}
