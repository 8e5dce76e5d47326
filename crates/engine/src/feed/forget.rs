//! Sessions that are gone for good. A baseline is who held the prefix in the last 24 h; of a session that has been Down or
//! silent for so long nobody knows that. Without this, each peer that a collector loses for ever would
//! stay unknown for ever, and at last no prefix could reach the visibility that Normal asks for.

use crate::Engine;
use crate::peers::Status;
use crate::settings::secs;
use crate::table::bits::{self, Slot};
use crate::table::{Interest, Row};

use super::Alarm;

impl Engine {
    /// The session has become Down or suspect.
    pub(super) fn arm_forget(&mut self, slot: Slot) {
        self.peers.session_mut(slot).off_since = self.now;
        let due = self.now.plus_micros(secs(self.settings.held_within_s));
        self.alarms.0.insert((due, Alarm::Forget(slot)));
    }

    pub(super) fn forget_alarm(&mut self, slot: Slot) {
        let session = self.peers.session(slot);
        let down = matches!(session.status, Status::Down);
        let off_for = self.now.since(session.off_since);
        if !(down || session.suspect) || off_for < secs(self.settings.held_within_s) {
            return; // it has been back since; a later silence has an alarm of its own
        }
        if !down {
            self.set_status(
                slot,
                Status::Down,
                "silent for so long that its routes are forgotten",
            );
        }
        self.sessions_changed = true;
        if self.forget_routes(slot) {
            let due = self.now.plus_micros(secs(self.settings.held_for_s.max(60)));
            self.alarms.0.insert((due, Alarm::Forget(slot)));
        }
    }

    /// Neither a loss nor a vote any more. A baseline that is frozen keeps its own until it thaws: true if one did.
    fn forget_routes(&mut self, slot: Slot) -> bool {
        let mut left = false;
        for row in self.table.rows() {
            if !bits::get(self.table.has(row), slot) {
                continue;
            }
            if self.is_calm(row) {
                self.forget_route(row, slot);
            } else {
                left = true;
            }
        }
        left
    }

    fn forget_route(&mut self, row: Row, slot: Slot) {
        self.table.lose_all(row, slot);
        self.table.forget_origin(row, slot);
        self.paths.lost(row, slot);
        if self.notables.changes.follows(row) {
            self.notables.changes.route(row, slot, None, false);
        }
        if !self.peers.alone_on(slot, self.table.has(row)) {
            return;
        }
        let voter = self.peers.session(slot).voter;
        self.count_route(voter, self.table.entry(row).prefix.family(), -1);
        if self.table.entry(row).interest == Interest::Evidence {
            return;
        }
        self.table.leave_base(row, voter);
        if let Some(marks) = &mut self.table.entry_mut(row).marks {
            marks.young.remove(voter);
            marks.losses.retain(|loss| loss.voter != voter);
        }
    }
}
