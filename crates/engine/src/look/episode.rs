//! From the first sign of a loss until all is well again: when it begins, when it is over.

use netfault_model::{Baseline, Rule, State, Time};

use super::votes::Count;
use crate::Engine;
use crate::prefix::{Edge, Episode, Verdict, Why};
use crate::table::{Entry, Interest, Row};

/// Losses further apart than this do not belong to one episode. The same span groups incidents (DESIGN section 7).
const EPISODE_GAP: i64 = 300_000_000;

impl Engine {
    /// Unknown (or Gone) and never judged: the first quorum that sees it makes it Normal.
    pub(super) fn first_quorum(&mut self, row: Row, count: Option<Count>) -> bool {
        let Some(count) = count.filter(|count| count.quorum) else {
            if u32::from(self.table.entry(row).eligible) >= self.settings.min_peers {
                self.active.insert(row);
            }
            return false;
        };
        // Withdrawals of routes never seen prove that they had been there: the fall is judged from here on.
        let held = count.baseline == Baseline::Held;
        if held && count.tally.rising() < self.settings.normal_at {
            self.active.insert(row);
            return false;
        }
        let from = std::mem::replace(&mut self.table.entry_mut(row).state, State::Normal);
        let why = Why::at_once(
            Rule::FirstQuorum,
            held.then_some(self.settings.normal_at),
            self.now,
        );
        let edge = Edge {
            from,
            to: State::Normal,
            why,
        };
        let episode = Episode::new(self.now, self.table.entry(row).origin());
        self.tell(row, &edge, &episode, Some(count));
        self.share_with_origin(row, &edge, &episode);
        if self.table.entry(row).interest != Interest::Watched {
            self.active.remove(&row);
        }
        true
    }

    pub(super) fn needs_episode(&self, row: Row, verdict: Option<&Verdict>) -> bool {
        let entry = self.table.entry(row);
        if entry.interest == Interest::Watched || entry.state != State::Normal {
            return true;
        }
        if entry.marks.as_ref().is_some_and(|marks| marks.episode.is_some()) {
            return true;
        }
        verdict.is_some_and(|v| v.tally.falling() < self.settings.degrading_below || v.burst_until.is_some())
    }

    /// The episode of the prefix, taken out; a new one if the last is over.
    pub(super) fn open_episode(&mut self, row: Row) -> Box<Episode> {
        let settled = |entry: &Entry| {
            let episode = entry.marks.as_ref().and_then(|marks| marks.episode.as_ref());
            episode.is_none_or(|episode| entry.state == State::Normal && episode.is_quiet())
        };
        let begins = settled(self.table.entry(row)).then(|| self.first_evidence(row));
        let entry = self.table.entry_mut(row);
        let origin = entry.origin();
        let mut episode = entry
            .marks
            .as_mut()
            .and_then(|marks| marks.episode.take())
            .unwrap_or_else(|| Box::new(Episode::new(self.now, origin)));
        if let Some(first_evidence) = begins {
            episode.first_evidence = first_evidence;
            episode.origin = origin;
        }
        episode
    }

    /// Puts the episode back, unless it is over. A watched prefix always has one.
    pub(super) fn close_episode(&mut self, row: Row, state: State, episode: Box<Episode>) {
        let over = state == State::Normal && episode.is_quiet() && !episode.hidden;
        let entry = self.table.entry_mut(row);
        let done = over && entry.interest != Interest::Watched;
        entry.state = state;
        entry.listening = !done && episode.listens();
        if !done {
            entry.marks_mut().episode = Some(episode);
        }
        match done {
            true => self.active.remove(&row),
            false => self.active.insert(row),
        };
    }

    /// The first of the losses that led here: back from the newest one, as long as they are close together.
    fn first_evidence(&self, row: Row) -> Time {
        let Some(marks) = &self.table.entry(row).marks else {
            return self.now;
        };
        let mut times: Vec<Time> = marks
            .losses
            .iter()
            .map(|loss| loss.at)
            .filter(|&at| at <= self.now)
            .collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&newest) = times.first() else {
            return self.now;
        };
        let close = times
            .windows(2)
            .take_while(|pair| pair[0].since(pair[1]) <= EPISODE_GAP);
        close.last().map_or(newest, |pair| pair[1])
    }
}
