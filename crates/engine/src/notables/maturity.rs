//! How far the baselines have been learnt, in numbers, told every hour while it changes.

use netfault_model::{Family, Id, Notable, NotableKind, Output, State, Time};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::settings::secs;
use crate::table::Interest;

pub(super) const HOUR: i64 = 3_600_000_000;

/// How mature the baselines are. Counts of prefixes that are subjects, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maturity {
    pub prefixes: u32,
    /// With a held baseline of at least `min_peers` peer ASes.
    pub mature: u32,
    /// Judged by a baseline that is inferred from withdrawals.
    pub inferred: u32,
    /// Seen by a quorum at least once.
    pub known: u32,
    /// Peer ASes with a full feed, IPv4 and IPv6.
    pub full_feeds: [u32; 2],
    /// When the first input came.
    pub since: Option<Time>,
}

impl Maturity {
    /// Share of the prefixes that are mature, 0 to 1.
    pub fn share(&self) -> f64 {
        f64::from(self.mature) / f64::from(self.prefixes.max(1))
    }

    /// One sentence for people.
    pub fn summary(&self) -> String {
        format!(
            "{} of {} prefixes ({:.0} %) have a held baseline, {} an inferred one; full feeds of {} peer ASes for IPv4, {} for IPv6",
            self.mature,
            self.prefixes,
            self.share() * 100.0,
            self.inferred,
            self.full_feeds[0],
            self.full_feeds[1],
        )
    }
}

/// What was told last, and when the next hour since the first input is full.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hourly {
    due: Option<Time>,
    /// Full hours in which something was heard.
    heard: u32,
    told: Option<Maturity>,
    /// The hour that ended last was silent.
    silent: bool,
}

impl Hourly {
    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }
}

impl Engine {
    /// Counts over the whole table: a few milliseconds, so not for every message.
    pub fn maturity(&mut self) -> Maturity {
        let mut counted = Maturity {
            full_feeds: Family::ALL.map(|family| self.peers.full_feeds(family, &self.settings, self.now)),
            since: self.notables.begun,
            ..Maturity::default()
        };
        let needed = self.settings.min_peers;
        for row in self.table.rows() {
            let entry = self.table.entry(row);
            if entry.interest == Interest::Evidence {
                continue;
            }
            counted.prefixes += 1;
            counted.known += u32::from(!matches!(entry.state, State::Unknown));
            match entry.inferred {
                true => counted.inferred += 1,
                false => counted.mature += u32::from(u32::from(entry.eligible) >= needed),
            }
        }
        counted
    }

    /// Some collector has said something in the last `span` microseconds.
    fn heard_within(&self, span: i64) -> bool {
        let last = self.peers.heard_at();
        last.is_some_and(|last| self.now.since(last) < span)
    }

    /// Enough hours were heard to know what is usual.
    pub(super) fn has_history(&self) -> bool {
        i64::from(self.notables.hourly.heard) * HOUR >= secs(self.settings.history_s)
    }

    /// Rules that have no history to compare with yet.
    fn rules_off(&self, begun: Time) -> String {
        let from = begun.plus_micros(secs(self.settings.history_s));
        match from > self.now {
            true => format!("; rules on history (leaks, churn) are off until {from}"),
            false => String::new(),
        }
    }

    pub(crate) fn count_baselines(&mut self) {
        let begun = *self.notables.begun.get_or_insert(self.now);
        let due = *self.notables.hourly.due.get_or_insert(begun.plus_micros(HOUR));
        if due > self.now {
            return;
        }
        if !self.heard_within(HOUR) {
            // Silence teaches nothing; the next input is counted in its own hour.
            self.notables.hourly.due = None;
            self.notables.hourly.silent = true;
            return;
        }
        if !std::mem::take(&mut self.notables.hourly.silent) {
            self.notables.hourly.heard += 1;
        }
        let hours = self.now.since(begun) / HOUR;
        self.notables.hourly.due = Some(begun.plus_micros((hours + 1) * HOUR));
        self.judge_churn();
        self.paths.review(&self.peers);
        let counted = self.maturity();
        if self.notables.hourly.told == Some(counted) {
            return;
        }
        self.notables.hourly.told = Some(counted);
        let (kind, hour) = (NotableKind::Baseline, begun.plus_micros(hours * HOUR));
        self.pending.push(Output::Notable(Box::new(Notable {
            id: Id::of(&["notable", kind.name(), &hour.micros().to_string()]),
            first_evidence_at: begun,
            prefixes: Some(counted.mature),
            measured: Some((counted.share() * 10_000.0).round() / 10_000.0),
            summary: counted.summary() + &self.rules_off(begun),
            ..Notable::blank(kind, self.now)
        })));
    }
}
