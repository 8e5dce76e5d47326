//! An edge becomes a transition.

use std::cmp::Ordering;

use netfault_model::{Baseline, Output, Rule, State, Subject, Transition};

use super::votes::Count;
use crate::Engine;
use crate::origins;
use crate::prefix::{Edge, Episode};
use crate::table::{Interest, Row};

impl Engine {
    /// Writes an edge down, if it is one to be written.
    pub(super) fn tell(&mut self, row: Row, edge: &Edge, episode: &Episode, count: Option<Count>) {
        let watched = self.table.entry(row).interest == Interest::Watched;
        // Whether an untroubled prefix is known yet, or at the moment, is of interest only if it is watched.
        let learning = matches!(
            (edge.from, edge.to),
            (State::Unknown, State::Normal) | (State::Normal, State::Unknown)
        );
        if learning && !watched {
            return;
        }
        let transition = self.transition(row, edge, episode, count, watched);
        self.pending.push(Output::Transition(Box::new(transition)));
    }

    /// Tells the origin of the prefix of it, whether it is written down or not.
    pub(super) fn share_with_origin(&mut self, row: Row, edge: &Edge, episode: &Episode) {
        let entry = self.table.entry(row);
        self.origins.edge(origins::Step {
            row,
            prefix: entry.prefix,
            origin: episode.origin,
            to: edge.to,
            at: self.now,
            first_evidence: episode.first_evidence.min(self.now),
            inferred: entry.inferred,
        });
        if edge.to == State::Normal {
            self.origins.join(row, entry.prefix, entry.origin(), self.now);
        }
    }

    fn transition(
        &self,
        row: Row,
        edge: &Edge,
        episode: &Episode,
        count: Option<Count>,
        watched: bool,
    ) -> Transition {
        let entry = self.table.entry(row);
        let baseline = match entry.inferred {
            true => Baseline::Inferred,
            false => Baseline::Held,
        };
        let electorate = self.enfranchised(row, baseline, episode.zombies());
        let tally = match count {
            Some(count) => count.tally,
            None => {
                let family = entry.prefix.family();
                self.peers.tally(family, row, self.table.has(row), &electorate)
            }
        };
        let rises = matches!(edge.to, State::Normal | State::Recovering);
        let share = if rises { tally.rising() } else { tally.falling() };
        let mut evidence = self.evidence(row, edge.why, episode, &electorate);
        if edge.why.rule == Rule::QuorumLost && count.is_none() {
            evidence.threshold = None; // too few peer ASes, however many of them are known
        }
        let subject = Subject::Prefix {
            prefix: entry.prefix,
            origin: episode.origin,
        };
        Transition {
            first_evidence_at: episode.first_evidence.min(self.now),
            visibility: (tally.eligible > 0).then(|| (share * 100.0).round() / 100.0),
            peers_seen: Some(tally.seen),
            peers_lost: Some(tally.lost()),
            peers_unknown: Some(tally.unknown),
            peers_eligible: Some(tally.eligible),
            baseline: (tally.eligible > 0).then_some(baseline),
            cover: Some(self.cover(row, episode.origin)),
            watched,
            beacon: self.notables.beacons.is_beacon(entry.prefix, episode.origin),
            evidence: Some(Box::new(evidence)),
            ..Transition::plain(subject, edge.from, edge.to, self.now)
        }
    }
}

/// Order of outputs of one kind at one instant.
pub(crate) fn subject_order(a: &Output, b: &Output) -> Ordering {
    match (a, b) {
        // Several edges of one subject stay in their order: the sort is stable.
        (Output::Transition(a), Output::Transition(b)) => a.subject.cmp(&b.subject),
        (Output::Incident(a), Output::Incident(b)) => {
            (&a.subject, a.first_evidence_at, a.id).cmp(&(&b.subject, b.first_evidence_at, b.id))
        }
        (Output::Notable(a), Output::Notable(b)) => {
            (a.what, &a.subject, a.id).cmp(&(b.what, &b.subject, b.id))
        }
        (Output::Delegation(a), Output::Delegation(b)) => (&a.name, &a.vantage).cmp(&(&b.name, &b.vantage)),
        (Output::Feed(a), Output::Feed(b)) => (a.collector, a.peer).cmp(&(b.collector, b.peer)),
        (Output::Gap(a), Output::Gap(b)) => {
            (a.source, a.collector, a.peer, a.offset).cmp(&(b.source, b.collector, b.peer, b.offset))
        }
        _ => Ordering::Equal,
    }
}
