//! Route leaks: many prefixes that suddenly pass through three ASes in a row which nobody has seen in that order.
//!
//! Paths are those of the reference peer ASes and of watched prefixes (`paths`). A triplet is *seen* while a route uses it, and for the span of
//! history after; that is noted once when a path is new and once a day for all paths in use, so a path that comes back costs nothing here.
//! Until there is as much history the rule is off.

use netfault_model::{Asn, Id, NotableKind, Time};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;
use crate::paths::interned::PathId;
use crate::table::Row;

/// Three ASes as they follow each other in a path; the origin is nearer to the last.
pub type Triplet = [Asn; 3];

/// More triplets than this are not kept: some ten times what eight full feeds show. Without them the rule would take old for new, so
/// it pauses.
const TRIPLETS: usize = 8_000_000;
/// Leaks that are followed at a time.
const OPEN: usize = 64;

/// Prefixes that gained a new triplet.
#[derive(Debug, Serialize, Deserialize)]
struct Gain {
    since: Time,
    rows: FxHashSet<Row>,
}

/// A leak that has been told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open {
    pub id: Id,
    pub triplet: Triplet,
    pub since: Time,
    pub rows: FxHashSet<Row>,
    /// It is one with another that was told: the same paths, one AS further.
    pub silent: bool,
}

/// Spans in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub prefixes: usize,
    pub within: i64,
    pub history: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Leaks {
    /// The day (an eighth of the history) in which each triplet was last seen.
    seen: FxHashMap<Triplet, u32>,
    gains: FxHashMap<Triplet, Gain>,
    pub open: Vec<Open>,
    /// When the next day begins, and open leaks are counted again.
    day_ends: Option<Time>,
    day: u32,
    count_at: Option<Time>,
    /// Triplets with more rows than the limit, to be told at the end of the instant.
    ripe: Vec<Triplet>,
}

fn triplets(path: &[Asn]) -> impl Iterator<Item = Triplet> + '_ {
    path.windows(3).filter_map(|three| <Triplet>::try_from(three).ok())
}

impl Leaks {
    pub fn next_deadline(&self) -> Option<Time> {
        self.count_at.into_iter().chain(self.day_ends).min()
    }

    /// True once the history is long enough, and whole.
    pub fn is_on(&self, begun: Option<Time>, now: Time, limits: &Limits) -> bool {
        begun.is_some_and(|begun| now.since(begun) >= limits.history) && self.seen.len() < TRIPLETS
    }

    /// A path that was not there before. True if it holds a triplet that is new; `on`: the rule is on.
    pub fn learn(&mut self, path: &[Asn], now: Time, on: bool) -> bool {
        let mut fresh = false;
        for triplet in triplets(path) {
            let room = self.seen.len() < TRIPLETS;
            match self.seen.get_mut(&triplet) {
                Some(day) => *day = self.day,
                None if room => {
                    self.seen.insert(triplet, self.day);
                    if on {
                        self.gains.insert(triplet, Gain { since: now, rows: FxHashSet::default() });
                    }
                }
                None => {}
            }
            fresh |= on && self.gains.contains_key(&triplet);
        }
        fresh
    }

    /// A route took a path with new triplets.
    pub fn gain(&mut self, row: Row, path: &[Asn], now: Time, limits: &Limits) {
        for triplet in triplets(path) {
            if let Some(open) = self.open.iter_mut().find(|open| open.triplet == triplet) {
                open.rows.insert(row);
                continue;
            }
            let Some(gain) = self.gains.get_mut(&triplet) else { continue };
            if now.since(gain.since) > limits.within {
                self.gains.remove(&triplet);
                continue;
            }
            if gain.rows.insert(row) && gain.rows.len() == limits.prefixes + 1 {
                self.ripe.push(triplet);
            }
        }
    }

    /// The leaks of this instant, each told once: of triplets that follow from each other, the one with the most prefixes, and
    /// of equals the one nearest to the origins.
    pub fn ripen(&mut self) -> Vec<usize> {
        let mut ripe = std::mem::take(&mut self.ripe);
        let size = |leaks: &Leaks, triplet: &Triplet| leaks.gains.get(triplet).map_or(0, |gain| gain.rows.len());
        ripe.sort_unstable_by(|a, b| size(self, b).cmp(&size(self, a)).then(a.cmp(b)));
        let mut told = Vec::new();
        while !ripe.is_empty() && self.open.len() < OPEN {
            let mut best = 0;
            while let Some(next) = (0..ripe.len()).find(|&next| {
                next != best && size(self, &ripe[next]) == size(self, &ripe[best]) && ripe[best][1..] == ripe[next][..2]
                    && ripe[next][1..] != ripe[best][..2]
            }) {
                ripe.swap(best, next);
                ripe.remove(next);
                best = ripe.len().min(best);
                if best >= ripe.len() {
                    break;
                }
            }
            if best >= ripe.len() {
                break;
            }
            let triplet = ripe.remove(best);
            let Some(gain) = self.gains.remove(&triplet) else { continue };
            let silent = self.open.iter().any(|open| overlap(&open.triplet, &triplet));
            let since = gain.since.micros().to_string();
            let text = triplet.map(|asn| asn.0.to_string());
            let id = Id::of(&["notable", NotableKind::Leak.name(), &text[0], &text[1], &text[2], &since]);
            self.open.push(Open { id, triplet, since: gain.since, rows: gain.rows, silent });
            if !silent {
                told.push(self.open.len() - 1);
            }
        }
        told
    }
}
