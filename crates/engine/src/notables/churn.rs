//! Churn: far more updates of a prefix or an origin in an hour than usual, while its routes stay. Noted, never an outage.
//!
//! Usual is the median of the hourly counts of the last days, kept as a histogram in powers of two: twelve bytes a
//! prefix. Most prefixes have a median of nothing, and one change of a route is an update or two from every session; so
//! the least that counts as usual is one update of each session (and prefix) an hour.

use netfault_model::{Asn, Id, Notable, NotableKind, Output, State, Subject, Time};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::maturity::HOUR;
use crate::Engine;
use crate::settings::secs;
use crate::table::{Interest, Row};

/// Bins of the histogram: 1, 2–3, 4–7, …, 2048 and more updates in an hour.
const BINS: usize = 12;
/// Of an origin: up to 2²⁰ updates.
const ORIGIN_BINS: usize = 20;
/// Hours after which all counts are halved: a week weighs twice as much as the one before it.
const HALVE: u32 = 168;

/// Hours by how many updates they had; hours without any are what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hours<const N: usize>(#[serde(with = "bins")] [u8; N]);

mod bins {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer, const N: usize>(bins: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(bins.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        let bins = Vec::<u8>::deserialize(from)?;
        bins.try_into()
            .map_err(|bins: Vec<u8>| de::Error::invalid_length(bins.len(), &"bins of a histogram"))
    }
}

impl<const N: usize> Default for Hours<N> {
    fn default() -> Self {
        Hours([0; N])
    }
}

impl<const N: usize> Hours<N> {
    fn add(&mut self, updates: u32) {
        let bin = (updates.max(1).ilog2() as usize).min(N - 1);
        self.0[bin] = self.0[bin].saturating_add(1);
    }

    /// Upper bound of the median over `hours` hours.
    fn median(&self, hours: u32) -> u32 {
        let busy: u32 = self.0.iter().map(|&count| u32::from(count)).sum();
        let mut below = hours.saturating_sub(busy);
        if below * 2 >= hours {
            return 0;
        }
        for (bin, &count) in self.0.iter().enumerate() {
            below += u32::from(count);
            if below * 2 >= hours {
                return (2u32 << bin) - 1;
            }
        }
        0
    }

    fn halve(&mut self) {
        self.0.iter_mut().for_each(|count| *count /= 2);
    }
}

/// Updates of one origin in the hour that ends.
#[derive(Clone, Copy, Debug, Default)]
struct OfOrigin {
    updates: u32,
    prefixes: u32,
    well: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    id: Id,
    since: Time,
    usual: u32,
    watched: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Churn {
    /// Updates of each row in this hour.
    now: Vec<u32>,
    rows: Vec<Hours<BINS>>,
    origins: FxHashMap<Asn, Hours<ORIGIN_BINS>>,
    /// Hours that the histograms stand for.
    hours: u32,
    /// Churn that goes on, by (prefix or origin).
    told: BTreeMap<Subject, Told>,
}

impl Churn {
    /// One more update.
    #[inline]
    pub fn count(&mut self, row: Row) {
        match self.now.get_mut(row as usize) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.now.resize(row as usize + 1, 0);
                self.now[row as usize] = 1;
            }
        }
    }

    /// An hour more is in the histograms.
    fn turn(&mut self) {
        self.hours += 1;
        if self.hours >= 2 * HALVE {
            self.hours /= 2;
            self.rows.iter_mut().for_each(Hours::halve);
            self.origins.values_mut().for_each(Hours::halve);
            self.origins.retain(|_, hours| *hours != Hours::default());
        }
    }
}

/// What an hour of a subject was like.
struct Hour {
    subject: Subject,
    updates: u32,
    usual: u32,
    /// The least that counts as usual.
    floor: u32,
    watched: bool,
}

impl Engine {
    /// At the end of each hour since the first input.
    pub(crate) fn judge_churn(&mut self) {
        let on = self.has_history();
        let mut churn = std::mem::take(&mut self.notables.churn);
        churn.rows.resize(churn.now.len(), Hours::default());
        let mut origins: BTreeMap<Asn, OfOrigin> = BTreeMap::new();
        let mut hours = Vec::new();
        let sessions = self.peers.count() as u32;
        let times = self.settings.churn_times;
        for (row, count) in churn.now.iter_mut().enumerate() {
            let updates = std::mem::take(count);
            if updates == 0 {
                continue;
            }
            let entry = self.table.entry(row as Row);
            let well = entry.state == State::Normal;
            if let Some(origin) = entry.origin() {
                let of = origins.entry(origin).or_default();
                of.updates += updates;
                of.prefixes += 1;
                of.well += u32::from(well);
            }
            if on && well && entry.interest != Interest::Evidence && updates > times.saturating_mul(sessions)
            {
                let old = self
                    .notables
                    .changes
                    .is_old(row as Row, self.now, secs(self.settings.history_s));
                let subject = Subject::Prefix {
                    prefix: entry.prefix,
                    origin: entry.origin(),
                };
                let usual = churn.rows[row].median(churn.hours);
                let watched = entry.interest == Interest::Watched;
                if old && !self.notables.beacons.is_beacon(entry.prefix, entry.origin()) {
                    hours.push(Hour {
                        subject,
                        updates,
                        usual,
                        floor: sessions,
                        watched,
                    });
                }
            }
            churn.rows[row].add(updates);
        }
        for (origin, of) in origins {
            let known = churn.origins.entry(origin).or_default();
            if on && f64::from(of.well) >= self.settings.normal_at * f64::from(of.prefixes) {
                hours.push(Hour {
                    subject: Subject::Origin { origin },
                    updates: of.updates,
                    usual: known.median(churn.hours),
                    floor: sessions.saturating_mul(of.prefixes),
                    watched: self.watchlist.lists_origin(origin),
                });
            }
            known.add(of.updates);
        }
        churn.turn();
        self.tell_churn(&mut churn, hours);
        self.notables.churn = churn;
    }

    fn tell_churn(&mut self, churn: &mut Churn, hours: Vec<Hour>) {
        let mut goes_on = BTreeMap::new();
        for hour in hours {
            if hour.updates
                <= self
                    .settings
                    .churn_times
                    .saturating_mul(hour.usual.max(hour.floor))
            {
                continue;
            }
            let told = match churn.told.remove(&hour.subject) {
                Some(told) => told,
                None => {
                    let (kind, what) = hour.subject.key();
                    let since = self.now.plus_micros(-HOUR);
                    let at = since.micros().to_string();
                    let id = Id::of(&["notable", NotableKind::Churn.name(), kind, &what, &at]);
                    let told = Told {
                        id,
                        since,
                        usual: hour.usual,
                        watched: hour.watched,
                    };
                    self.pending
                        .push(self.churn(&hour.subject, told, Some(hour.updates)));
                    told
                }
            };
            goes_on.insert(hour.subject, told);
        }
        for (subject, told) in std::mem::replace(&mut churn.told, goes_on) {
            let over = self.churn(&subject, told, None);
            self.pending.push(over);
        }
    }

    /// `updates`: `None` when it is over.
    fn churn(&self, subject: &Subject, told: Told, updates: Option<u32>) -> Output {
        let name = match subject {
            Subject::Origin { origin } => origin.to_string(),
            other => other.key().1,
        };
        let summary = match updates {
            Some(updates) => format!(
                "{name}: {updates} updates in an hour, usually {}; its routes stay",
                told.usual
            ),
            None => format!("{name}: updates are as usual again"),
        };
        Output::Notable(Box::new(Notable {
            id: told.id,
            subject: Some(subject.clone()),
            first_evidence_at: told.since,
            over: updates.is_none(),
            measured: updates.map(f64::from),
            usual: Some(f64::from(told.usual)),
            watched: told.watched,
            summary,
            ..Notable::blank(NotableKind::Churn, self.now)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_quiet_hours_too() {
        let mut hours = Hours::<BINS>::default();
        for updates in [3, 3, 100] {
            hours.add(updates);
        }
        assert_eq!(hours.median(3), 3);
        assert_eq!(hours.median(4), 3);
        assert_eq!(hours.median(6), 0);
        hours.add(1_000_000);
        assert_eq!(hours.0[BINS - 1], 1);
    }
}
