//! The last stage of an instant: what was decided about single prefixes and names is put together, first to
//! origins and countries, then to incidents. It runs once all deadlines and inputs of the instant are settled, so
//! that their order within it means nothing (DESIGN section 3).

use netfault_model::Time;

use crate::origins::View;
use crate::table::bits;
use crate::{Engine, cause, incidents, look};

impl Engine {
    /// When this stage has something to do of its own accord.
    pub(crate) fn correlation_due(&self) -> Option<Time> {
        let due = [
            self.origins.next_deadline(),
            self.notables.next_deadline(),
            self.incidents.next_deadline(),
            self.graph.next_deadline(),
            self.hints.next_deadline(&self.settings, self.now),
        ];
        // What is due at this very instant is done at its end.
        due.into_iter().flatten().filter(|&due| due > self.now).min()
    }

    pub(crate) fn correlate(&mut self) {
        self.notice();
        let said = self.names.take_said().into_iter();
        self.pending
            .extend(said.map(|it| netfault_model::Output::Notable(Box::new(it))));
        self.sort_pending();
        let (table, paths, settings) = (&self.table, &self.paths, &self.settings);
        let having = |row| bits::count(&self.peers.voters_having(table.has(row)));
        let view = View {
            announced: &|row| (having(row) >= settings.cover_peers).then(|| table.entry(row).prefix),
            covered: &|row| {
                let entry = table.entry(row);
                let needed =
                    settings.recovering_at * f64::from(u32::from(entry.eligible).max(settings.min_peers));
                let stands = |cover| f64::from(having(cover)) >= needed;
                table
                    .cover(entry.prefix, stands)
                    .is_some_and(|cover| table.entry(cover).origin() == entry.origin())
            },
            carries: &|asn| {
                let passes = |path: &&[_]| path.last() != Some(&asn) && path.contains(&asn);
                let paths = paths.interned().in_use().filter(passes);
                paths.take(settings.cover_peers as usize).count() >= settings.cover_peers as usize
            },
            heard_at: &|| self.peers.heard_at(),
        };
        self.origins.settle(settings, self.now, &mut self.pending, view);
        self.notables.settle(&self.settings, self.now, &mut self.pending);
        self.explain();
    }

    /// Which losses belong together, and why.
    fn explain(&mut self) {
        let count = (self.peers.collectors.len(), self.names.vantages());
        self.monitor.settle(self.now, count, &mut self.pending);
        let low = self.graph.settle(self.now, &self.pending);
        let (table, paths) = (&self.table, &self.paths);
        let in_common = |prefix| match table.find(prefix) {
            Some(row) => cause::transit::in_common(paths.before(row)),
            None => Default::default(),
        };
        let world = cause::World {
            graph: &self.graph,
            names: &self.names,
            hints: &self.hints,
        };
        let instant = incidents::Instant {
            now: self.now,
            settings: &self.settings,
            world,
            low: &low,
            in_common: &in_common,
        };
        self.incidents.settle(instant, &mut self.pending);
        if self.hints.is_empty() {
            return;
        }
        let concerned = self.incidents.concerned();
        let known = (&self.graph, &self.names);
        self.hints
            .settle(&self.settings, self.now, known, &concerned, &mut self.pending);
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
