//! Route leaks: many prefixes that suddenly pass through three ASes in a row which nobody has seen in that order.
//!
//! Paths are those of the reference peer ASes and of watched prefixes (`paths`). A triplet is *seen* while a route uses it, and for the span of
//! history after; that is noted once when a path is new and once a day for all paths in use, so a path that comes back costs nothing here.
//! Until there is as much history the rule is off.

use netfault_model::{Asn, Id, Notable, NotableKind, Output, Time};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::paths::{Changed, Paths};
use crate::settings::secs;
use crate::table::{Interest, Row};

/// Three ASes as they follow each other in a path; the origin is nearer to the last.
type Triplet = [Asn; 3];

/// More triplets than this are not kept: some ten times what eight full feeds show. Without them the rule would take old for new, so
/// it pauses.
const TRIPLETS: usize = 8_000_000;
/// Leaks that are followed at a time.
const OPEN: usize = 64;
/// Parts of the history, at the end of which it is noted what is in use. With seven days of history a part is a day.
const DAYS: u32 = 7;

/// Prefixes that gained a new triplet.
#[derive(Debug, Serialize, Deserialize)]
struct Gain {
    since: Time,
    rows: FxHashSet<Row>,
}

/// A leak that has been told.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    pub id: Id,
    pub triplet: Triplet,
    pub since: Time,
    pub rows: FxHashSet<Row>,
    /// It is one with another that was told: the same paths, one AS further.
    pub silent: bool,
}

/// Spans in microseconds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    pub prefixes: usize,
    pub within: i64,
    pub history: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Leaks {
    /// The day (a seventh of the history) in which each triplet was last seen.
    seen: FxHashMap<Triplet, u32>,
    gains: FxHashMap<Triplet, Gain>,
    open: Vec<Open>,
    /// When the next day begins, and open leaks are counted again.
    day_ends: Option<Time>,
    day: u32,
    count_at: Option<Time>,
    /// Triplets with more rows than the limit, to be told at the end of the instant.
    ripe: Vec<Triplet>,
}

fn triplets(path: &[Asn]) -> impl Iterator<Item = Triplet> + '_ {
    path.windows(3)
        .filter_map(|three| <Triplet>::try_from(three).ok())
}

impl Leaks {
    pub fn next_deadline(&self) -> Option<Time> {
        self.count_at.into_iter().chain(self.day_ends).min()
    }

    /// True once the history is long enough, and whole.
    fn is_on(&self, begun: Option<Time>, now: Time, limits: &Limits) -> bool {
        begun.is_some_and(|begun| now.since(begun) >= limits.history) && self.seen.len() < TRIPLETS
    }

    /// A path that was not there before. True if it holds a triplet that is new; `on`: the rule is on.
    fn learn(&mut self, path: &[Asn], now: Time, on: bool) -> bool {
        let mut fresh = false;
        for triplet in triplets(path) {
            let room = self.seen.len() < TRIPLETS;
            match self.seen.get_mut(&triplet) {
                Some(day) => *day = self.day,
                None if room => {
                    self.seen.insert(triplet, self.day);
                    if on {
                        self.gains.insert(
                            triplet,
                            Gain {
                                since: now,
                                rows: FxHashSet::default(),
                            },
                        );
                    }
                }
                None => {}
            }
            fresh |= on && self.gains.contains_key(&triplet);
        }
        fresh
    }

    /// A route took a path with new triplets.
    fn gain(&mut self, row: Row, path: &[Asn], now: Time, limits: &Limits) {
        for triplet in triplets(path) {
            if let Some(open) = self.open.iter_mut().find(|open| open.triplet == triplet) {
                open.rows.insert(row);
                continue;
            }
            let Some(gain) = self.gains.get_mut(&triplet) else {
                continue;
            };
            if now.since(gain.since) > limits.within {
                self.gains.remove(&triplet);
                continue;
            }
            if gain.rows.insert(row) && gain.rows.len() == limits.prefixes + 1 {
                self.ripe.push(triplet);
            }
        }
    }

    /// The leaks of this instant (places in `open`), each told once: of triplets that share a link the one with the most
    /// prefixes, and of equals the one nearest to the origins, where the leak is.
    fn ripen(&mut self) -> Vec<usize> {
        let ripe = std::mem::take(&mut self.ripe);
        let mut ripe: Vec<(usize, Triplet)> = ripe
            .into_iter()
            .filter_map(|triplet| Some((self.gains.get(&triplet)?.rows.len(), triplet)))
            .collect();
        let goes_on = |&(size, triplet): &(usize, Triplet), all: &[(usize, Triplet)]| {
            all.iter()
                .any(|(other, next)| *other == size && triplet[1..] == next[..2])
        };
        let all = ripe.clone();
        ripe.sort_unstable_by_key(|it| (std::cmp::Reverse(it.0), goes_on(it, &all), it.1));
        let mut told = Vec::new();
        while !ripe.is_empty() && self.open.len() < OPEN {
            let akin = ripe.iter().position(|(_, triplet)| self.is_akin(triplet));
            let (_, triplet) = ripe.remove(akin.unwrap_or(0));
            let Some(gain) = self.gains.remove(&triplet) else {
                continue;
            };
            let since = gain.since.micros().to_string();
            let text = triplet.map(|asn| asn.0.to_string());
            let id = Id::of(&[
                "notable",
                NotableKind::Leak.name(),
                &text[0],
                &text[1],
                &text[2],
                &since,
            ]);
            let silent = akin.is_some();
            self.open.push(Open {
                id,
                triplet,
                since: gain.since,
                rows: gain.rows,
                silent,
            });
            if !silent {
                told.push(self.open.len() - 1);
            }
        }
        told
    }

    /// It shares a link with a leak that is open.
    fn is_akin(&self, triplet: &Triplet) -> bool {
        let links = [&triplet[..2], &triplet[1..]];
        self.open
            .iter()
            .any(|open| links.contains(&&open.triplet[..2]) || links.contains(&&open.triplet[1..]))
    }

    /// A day has ended: what is in use was seen in it, and what was not seen for the whole history is forgotten.
    fn turn(&mut self, paths: &Paths) {
        self.day += 1;
        for path in paths.interned().in_use() {
            for triplet in triplets(path) {
                if let Some(day) = self.seen.get_mut(&triplet) {
                    *day = self.day;
                }
            }
        }
        let day = self.day;
        self.seen.retain(|_, &mut seen| day - seen <= DAYS);
    }
}

impl Engine {
    fn leak_limits(&self) -> Limits {
        Limits {
            prefixes: self.settings.leak_prefixes as usize,
            within: secs(self.settings.leak_within_s),
            history: secs(self.settings.history_s).max(DAYS.into()),
        }
    }

    /// A route of a reference, or of a watched prefix, has another path now.
    pub(crate) fn path_changed(&mut self, changed: Changed, new: bool) {
        let limits = self.leak_limits();
        let leaks = &mut self.notables.leaks;
        let second = |at: Time| at.secs().clamp(0, u32::MAX.into()) as u32;
        if new {
            let on = leaks.is_on(self.notables.begun, self.now, &limits);
            if leaks.learn(self.paths.interned().asns(changed.path), self.now, on) {
                let until = second(self.now.plus_micros(limits.within));
                self.paths.interned_mut().set_fresh_until(changed.path, until);
                leaks.count_at.get_or_insert(self.now.plus_micros(limits.within));
            }
        }
        if self.paths.interned().fresh_until(changed.path) > second(self.now) {
            leaks.gain(
                changed.row,
                self.paths.interned().asns(changed.path),
                self.now,
                &limits,
            );
        }
    }

    pub(crate) fn judge_leaks(&mut self) {
        let limits = self.leak_limits();
        let day = limits.history / i64::from(DAYS);
        let leaks = &mut self.notables.leaks;
        let day_ends = *leaks.day_ends.get_or_insert(self.now.plus_micros(day));
        if day_ends <= self.now {
            leaks.day_ends = Some(self.now.plus_micros(day));
            leaks.turn(&self.paths);
        }
        if !leaks.ripe.is_empty() {
            for place in leaks.ripen() {
                let open = &self.notables.leaks.open[place];
                let text =
                    "gained within minutes; nobody has seen these ASes in that order before: possible leak";
                let told = self.leak(open, open.rows.len(), false, text);
                self.pending.push(told);
            }
        }
        if self.notables.leaks.count_at.is_some_and(|at| at <= self.now) {
            self.count_leaks(&limits);
        }
    }

    /// Now and then: forgets what came to nothing, and ends leaks that most prefixes have left.
    fn count_leaks(&mut self, limits: &Limits) {
        let now = self.now;
        let mut leaks = std::mem::take(&mut self.notables.leaks);
        leaks
            .gains
            .retain(|_, gain| now.since(gain.since) <= limits.within);
        let open = std::mem::take(&mut leaks.open);
        leaks.open = open
            .into_iter()
            .filter(|open| {
                let passes = |path: &[Asn]| triplets(path).any(|triplet| triplet == open.triplet);
                let left = open
                    .rows
                    .iter()
                    .filter(|&&row| self.paths.of_row(row).any(passes))
                    .count();
                let over = left * 2 <= limits.prefixes;
                if over && !open.silent {
                    let told = self.leak(open, left, true, "have it still: over");
                    self.pending.push(told);
                }
                !over
            })
            .collect();
        let more = !leaks.open.is_empty() || !leaks.gains.is_empty();
        leaks.count_at = more.then(|| now.plus_micros(limits.within));
        self.notables.leaks = leaks;
    }

    fn leak(&self, open: &Open, prefixes: usize, over: bool, text: &str) -> Output {
        let [from, by, to] = open.triplet;
        let watched = open
            .rows
            .iter()
            .any(|&row| self.table.entry(row).interest == Interest::Watched);
        Output::Notable(Box::new(Notable {
            id: open.id,
            first_evidence_at: open.since,
            over,
            triplet: Some(open.triplet),
            prefixes: Some(prefixes as u32),
            watched,
            summary: format!("{from} {by} {to}: {prefixes} prefixes {text}"),
            ..Notable::blank(NotableKind::Leak, self.now)
        }))
    }
}
