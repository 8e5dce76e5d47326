//! The state of an engine, to be saved and loaded: with the inputs that came after it, a loaded engine says word
//! for word what the one that was saved would have said.
//!
//! The engine does no I/O: it is `Serialize` and `Deserialize`, and whoever loads one calls [`Engine::resume`]
//! with the configuration of today. Thresholds may have changed in between; they hold from then on.

use netfault_model::{Prefix, State, Watch};

use crate::dns::DnsSettings;
use crate::table::{Interest, Row, bits};
use crate::{Engine, Settings, Watchlist};

/// Of the format. A state of another version is not read: the journal is played instead. One more with each
/// change of what is serialised; `tests/state.rs` notices when that was forgotten.
pub const STATE_VERSION: u32 = 3;

impl Engine {
    /// Makes an engine that was just deserialised whole: indexes, deadlines, and what the configuration says.
    pub fn resume(mut self, settings: Settings, dns: DnsSettings, watch: Watch) -> Self {
        self.order
            .set_window(settings.window_ms.min(3_600_000) as i64 * 1000);
        self.notables.configure(&settings);
        self.origins.configure(&settings, &watch);
        self.settings = settings;
        self.graph.configure(&watch);
        self.hints.configure(&watch);
        self.watchlist = Watchlist::new(watch);
        self.names.resume(dns);
        self.table.reindex();
        self.paths.reindex();
        for row in self.table.rows() {
            if let Some(due) = self.table.entry(row).marks.as_ref().and_then(|marks| marks.due) {
                self.deadlines.add(due, row);
            }
            self.watch_again(row);
        }
        let carriers: Vec<Prefix> = self.graph.carriers().collect();
        carriers.into_iter().for_each(|prefix| self.carry(prefix));
        self
    }

    /// The list of what is watched may be another one than when the state was saved.
    pub(crate) fn watch_again(&mut self, row: Row) {
        let entry = self.table.entry(row);
        let before = entry.interest;
        // Nobody asks for it any more: it stays as evidence, and costs what it costs.
        let wanted = self
            .watchlist
            .interest(entry.prefix, entry.origin())
            .unwrap_or(Interest::Evidence);
        if before == wanted {
            return;
        }
        let quiet = matches!(entry.state, State::Unknown | State::Normal);
        self.table.entry_mut(row).interest = wanted;
        match wanted {
            Interest::Watched => {
                let prefix = self.table.entry(row).prefix;
                self.notables.note_watched(prefix);
                self.active.insert(row);
            }
            Interest::Subject if before == Interest::Watched && quiet => drop(self.active.remove(&row)),
            Interest::Subject | Interest::Evidence => {}
        }
        if before == Interest::Evidence {
            // Evidence has no marks: who has it now counts as having it since now.
            self.hold_from_now(row);
            self.touch(row);
        }
    }

    pub(crate) fn hold_from_now(&mut self, row: Row) {
        let voters = self.peers.voters_having(self.table.has(row));
        let (now, width) = (self.now, self.table.width());
        let marks = self.table.entry_mut(row).marks_mut();
        bits::slots(&voters).for_each(|voter| marks.young.add(voter, now, width));
    }

    /// Somebody has told more versions of these incidents than this engine knows of; it goes on behind them.
    pub fn raise_versions(&mut self, versions: impl IntoIterator<Item = (netfault_model::Id, u32)>) {
        for (id, version) in versions {
            self.incidents.raise_version(id, version);
        }
    }
}
