//! Measures the beacons that go by the clock: how long a scheduled withdrawal or announcement took to be seen, and which peer
//! ASes missed it.
//!
//! A peer that still has the route 90 minutes after it was withdrawn is a zombie (DESIGN section 5), so that is when
//! the count is taken and the whole is told.

use std::collections::BTreeMap;

use netfault_model::{Id, Notable, NotableKind, Output, Prefix, Subject, Time};
use serde::{Deserialize, Serialize};

use super::beacons::{Beacons, scheduled};
use crate::Engine;
use crate::table::{Interest, bits};

/// From the scheduled minute to the count of peer ASes that missed it.
const COUNT_AFTER: i64 = 90 * 60 * 1_000_000;

#[derive(Debug, Serialize, Deserialize)]
struct Event {
    announced: bool,
    subject: Subject,
    /// Microseconds from the scheduled minute until it was Out, or Recovering.
    took: i64,
    watched: bool,
}

/// Events that wait for their count, by (when, prefix).
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Measured(BTreeMap<(Time, Prefix), Event>);

impl Measured {
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.first_key_value().map(|(&(due, _), _)| due)
    }

    /// Takes note of the beacons among what was decided.
    pub fn note(&mut self, beacons: &Beacons, decided: &[Output]) {
        for output in decided {
            if let Output::Transition(transition) = output
                && let Subject::Prefix { prefix, origin } = transition.subject
                && beacons.has_schedule(prefix)
                && beacons.is_beacon(prefix, origin)
                && let Some(event) = scheduled(transition)
                && transition.at.since(event.at) < COUNT_AFTER
            {
                // The first of the kind counts; a flap in between is its own story.
                self.0
                    .entry((event.at.plus_micros(COUNT_AFTER), prefix))
                    .or_insert_with(|| Event {
                        announced: event.announced,
                        subject: transition.subject.clone(),
                        took: transition.at.since(event.at),
                        watched: transition.watched,
                    });
            }
        }
    }
}

impl Engine {
    pub(crate) fn measure_beacons(&mut self) {
        while let Some(entry) = self.notables.measured.0.first_entry()
            && entry.key().0 <= self.now
        {
            let ((due, prefix), event) = entry.remove_entry();
            let scheduled = due.plus_micros(-COUNT_AFTER);
            let missed = self.missed(prefix, event.announced);
            let seconds = event.took / 1_000_000;
            let (done, state, miss) = match event.announced {
                true => ("announcement", "seen again", "do not have it"),
                false => ("withdrawal", "Out", "still have it"),
            };
            let kind = NotableKind::Beacon;
            self.pending.push(Output::Notable(Box::new(Notable {
                id: Id::of(&["notable", kind.name(), &prefix.to_string(), done, &scheduled.micros().to_string()]),
                subject: Some(event.subject),
                first_evidence_at: scheduled,
                peers: Some(missed),
                measured: Some(event.took as f64 / 1e6),
                watched: event.watched,
                summary: format!(
                    "beacon {prefix}: {state} {seconds} s after its scheduled {done}; 90 minutes after it {missed} peer ASes {miss}"
                ),
                ..Notable::blank(kind, self.now)
            })));
        }
    }

    /// Peer ASes of the baseline that have it though it was withdrawn, or lack it though it was announced.
    fn missed(&self, prefix: Prefix, announced: bool) -> u32 {
        let Some(row) = self.table.find(prefix) else {
            return 0;
        };
        if self.table.entry(row).interest == Interest::Evidence {
            return 0;
        }
        let has = self.table.has(row);
        bits::slots(self.table.base(row))
            .filter(|&voter| self.peers.voter_has(voter, has) != announced)
            .count() as u32
    }
}
