//! Who is in the baseline of a prefix: the peer ASes that held it for an unbroken hour in the last 24 h.

use netfault_model::{State, Time};

use crate::Engine;
use crate::settings::secs;
use crate::table::bits::{self, Slot};
use crate::table::marks::Marks;
use crate::table::{Row, earliest};

impl Engine {
    /// Nothing is wrong: the baseline grows and shrinks.
    pub(crate) fn is_calm(&self, row: Row) -> bool {
        matches!(
            self.table.entry(row).state,
            State::Unknown | State::Normal | State::Gone
        )
    }

    /// A baseline does not grow while something is wrong by its own count. While it is another, inferred one that
    /// counts, the held one has to grow, or it could never take over.
    pub(crate) fn frozen(&self, row: Row) -> bool {
        !self.is_calm(row) && !self.table.entry(row).inferred
    }

    /// Lets holds mature into the baseline and old ones expire from it. What falls due while it is frozen is
    /// done when it thaws.
    pub(super) fn age(&mut self, row: Row) {
        let (calm, frozen) = (self.is_calm(row), self.frozen(row));
        if frozen {
            return;
        }
        let Some(mut marks) = self.table.entry_mut(row).marks.take() else {
            return;
        };
        let grown_before = self.now.plus_micros(-secs(self.settings.held_for_s));
        marks.young.mature(grown_before, |voter| {
            marks.losses.retain(|loss| loss.voter != voter);
            self.table.enter_base(row, voter);
        });
        if calm {
            self.expire(row, &mut marks);
        }
        if !marks.is_empty() || marks.due.is_some() {
            self.table.entry_mut(row).marks = Some(marks);
        }
    }

    fn expire(&mut self, row: Row, marks: &mut Marks) {
        let expired_before = self.now.plus_micros(-secs(self.settings.held_within_s));
        marks.losses.retain(|loss| {
            let expired = loss.counts_from() <= expired_before;
            if expired {
                self.table.leave_base(row, loss.voter);
            } else if loss.matured != Time::MIN {
                self.table.enter_base(row, loss.voter);
            }
            !expired
        });
    }

    /// The loss has lasted so long that it is the new normal: the baseline begins anew.
    pub(super) fn accept_loss(&mut self, row: Row) {
        self.table.clear_base(row);
        let voters = self.peers.voters_having(self.table.has(row));
        let entry = self.table.entry_mut(row);
        entry.inferred = false;
        if let Some(marks) = &mut entry.marks {
            marks.losses.clear();
            marks.episode = None;
        }
        let young = entry.marks.as_ref().map(|marks| &marks.young);
        let held: Vec<Slot> = bits::slots(&voters)
            .filter(|&voter| young.is_none_or(|young| !young.contains(voter)))
            .collect();
        held.into_iter().for_each(|voter| {
            self.table.enter_base(row, voter);
        });
    }

    /// Makes sure that the row is looked at when its next hold, maturity or expiry is due.
    pub(super) fn schedule(&mut self, row: Row, hold: Option<Time>) {
        let (calm, frozen) = (self.is_calm(row), self.frozen(row));
        let (held_for, held_within) = (secs(self.settings.held_for_s), secs(self.settings.held_within_s));
        let now = self.now;
        let entry = self.table.entry_mut(row);
        let Some(marks) = &mut entry.marks else { return };
        let (mut matures, mut expires) = (None, None);
        if !frozen {
            matures = marks.young.oldest().map(|since| since.plus_micros(held_for));
        }
        if calm {
            let ends = marks
                .losses
                .iter()
                .map(|loss| loss.counts_from().plus_micros(held_within));
            expires = ends.min();
        }
        let next = earliest([matures, expires, hold]).filter(|&next| next > now && next != Time::MAX);
        if let Some(next) = next
            && marks.due.is_none_or(|due| next < due)
        {
            marks.due = Some(next);
            self.deadlines.add(next, row);
        } else if marks.is_empty() && marks.due.is_none() {
            entry.marks = None;
        }
    }
}
