//! The last stage of an instant: what was decided about single prefixes and names is put together, first to
//! origins and countries, then to incidents. It runs once all deadlines and inputs of the instant are settled, so
//! that their order within it means nothing (DESIGN section 3).

use netfault_model::Time;

use crate::table::bits;
use crate::{Engine, look};

impl Engine {
    /// When this stage has something to do of its own accord.
    pub(crate) fn correlation_due(&self) -> Option<Time> {
        let due = [
            self.origins.next_deadline(),
            self.notables.next_deadline(),
            self.incidents.next_deadline(),
        ];
        // What is due at this very instant is done at its end.
        due.into_iter().flatten().filter(|&due| due > self.now).min()
    }

    pub(crate) fn correlate(&mut self) {
        self.notice();
        self.sort_pending();
        let (table, peers, needed) = (&self.table, &self.peers, self.settings.cover_peers);
        let announced = |row| {
            let has = table.has(row);
            (bits::count(&peers.voters_having(has)) >= needed).then(|| table.entry(row).prefix)
        };
        self.origins
            .settle(&self.settings, self.now, &mut self.pending, &announced);
        self.notables.settle(&self.settings, self.now, &mut self.pending);
        self.incidents.settle(&self.settings, self.now, &mut self.pending);
    }

    /// The outputs of one instant leave in order of (at, kind, subject).
    pub(crate) fn sort_pending(&mut self) {
        if self.pending.len() > 1 {
            self.pending.sort_by(|a, b| {
                a.at()
                    .cmp(&b.at())
                    .then_with(|| a.kind().cmp(b.kind()))
                    .then_with(|| look::subject_order(a, b))
            });
        }
    }
}
