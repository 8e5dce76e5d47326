//! Looks at one prefix: who holds it for long enough to be in its baseline, what the votes are, which edges
//! that means, and when to look again.
//!
//! * `baseline`: holds mature and expire, a loss is accepted
//! * `votes`: the count, over a baseline that is held or inferred
//! * `episode`: what is remembered from the first loss until all is well again
//! * `tell`: an edge becomes a transition, with its `evidence` and its `cover`

mod baseline;
mod cover;
mod episode;
mod evidence;
mod tell;
mod votes;

use netfault_model::{State, Time};

use crate::Engine;
use crate::prefix::{self, Verdict};
use crate::table::{Interest, Row};
pub(crate) use tell::subject_order;
use votes::Count;

#[derive(Default)]
struct Due {
    at: Option<Time>,
    /// The prefix has become Normal, or Gone, by this look.
    settled: bool,
}

impl Engine {
    pub(crate) fn look(&mut self, row: Row) {
        self.table.entry_mut(row).touched = false;
        if self.table.entry(row).interest == Interest::Evidence {
            return;
        }
        self.age(row);
        let mut due = self.judge(row);
        if due.settled {
            // The baseline thaws, or begins anew, and the votes are counted over it again.
            self.age(row);
            due = self.judge(row);
        }
        self.schedule(row, due.at);
    }

    /// Takes the edges that the votes mean.
    fn judge(&mut self, row: Row) -> Due {
        let count = self.count_anew(row);
        let first = matches!(self.table.entry(row).state, State::Unknown | State::Gone);
        if first && !self.first_quorum(row, count) {
            return Due::default();
        }
        let verdict = self.verdict(row, count);
        if !self.needs_episode(row, verdict.as_ref()) {
            return Due::default();
        }
        self.watch_dip(row, verdict.as_ref());
        let mut episode = self.open_episode(row);
        let before = self.table.entry(row).state;
        let mut state = before;
        let step = prefix::step(
            &self.settings,
            &mut state,
            &mut episode,
            verdict.as_ref(),
            self.now,
        );
        for edge in &step.edges {
            self.tell(row, edge, &episode, count);
            self.share_with_origin(row, edge, &episode);
        }
        self.close_episode(row, state, episode);
        let gone = state == State::Gone && before != State::Gone;
        if gone {
            self.accept_loss(row);
        }
        Due {
            at: step.due,
            settled: gone || state == State::Normal && before != State::Normal,
        }
    }

    /// A watched prefix that is low for long enough is told of before it is Partial or Out.
    fn watch_dip(&mut self, row: Row, verdict: Option<&Verdict>) {
        let entry = self.table.entry(row);
        if entry.interest == Interest::Watched {
            let falling = verdict.map(|verdict| verdict.tally.falling());
            self.graph
                .observe(&self.settings, entry.prefix, falling, self.now);
            self.incidents
                .dips
                .observe(&self.settings, entry.prefix, falling, self.now);
        }
    }

    /// What the votes are worth: `None` without a quorum.
    fn verdict(&self, row: Row, count: Option<Count>) -> Option<Verdict> {
        let count = count.filter(|count| count.quorum)?;
        Some(Verdict {
            tally: count.tally,
            burst_until: self.burst(row, count),
        })
    }
}
