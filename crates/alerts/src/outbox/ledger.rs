//! Newest state per id. Pure; the same records give the same ledger.

use std::collections::{BTreeMap, HashMap};

use crate::notice::{Notice, NoticeState};
use crate::outbox::Record;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<String, Entry>,
    /// Ids that wait, in the order in which they came.
    queue: BTreeMap<u64, String>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    notice: Notice,
    /// Place in `queue` while it waits.
    place: Option<u64>,
    /// The receiver has accepted the open, so it is owed the resolve.
    told: bool,
}

/// What became of a new notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits to be sent, in place of an older state of the same id if there was one.
    Waits,
    /// The receiver has this state or a newer one already.
    Known,
    /// No room for another id.
    Full,
}

impl Ledger {
    /// Bounds memory and disk under a dead receiver (about 100 MB); far above any storm that people read.
    pub(crate) const MAX: usize = 100_000;

    pub(crate) fn put(&mut self, notice: Notice) -> Put {
        let id = notice.id.clone();
        let full = self.entries.len() >= Self::MAX;
        match self.entries.get_mut(&id) {
            Some(entry) if entry.notice.state >= notice.state => {
                return if entry.place.is_some() {
                    Put::Waits
                } else {
                    Put::Known
                };
            }
            Some(entry) => entry.notice = notice,
            None if full => return Put::Full,
            None => {
                self.entries.insert(
                    id.clone(),
                    Entry {
                        notice,
                        place: None,
                        told: false,
                    },
                );
            }
        }
        self.enqueue(id);
        Put::Waits
    }

    /// At the end of the queue, or where it waits already.
    fn enqueue(&mut self, id: String) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.place.is_none() {
            entry.place = Some(self.next);
            self.queue.insert(self.next, id);
            self.next += 1;
        }
    }

    fn dequeue(&mut self, id: &str) {
        if let Some(place) = self.entries.get_mut(id).and_then(|entry| entry.place.take()) {
            self.queue.remove(&place);
        }
    }

    /// The receiver took `state` of `id`. A newer state that came in meanwhile still waits.
    pub(crate) fn accepted(&mut self, id: &str, state: NoticeState) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.told = true;
        if entry.notice.state != state {
            return;
        }
        self.dequeue(id);
        if state == NoticeState::Resolved {
            self.entries.remove(id);
        }
    }

    /// The receiver will never take `state` of `id`.
    pub(crate) fn refused(&mut self, id: &str, state: NoticeState) {
        if self
            .entries
            .get(id)
            .is_some_and(|entry| entry.notice.state == state)
        {
            self.dequeue(id);
            self.entries.remove(id);
        }
    }

    /// True if the receiver holds `id` as open.
    pub(crate) fn told(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.told)
    }

    /// What waits, first come first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Notice> {
        self.queue
            .values()
            .filter_map(|id| self.entries.get(id))
            .map(|entry| &entry.notice)
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The alerts that are open as far as this receiver was, or will be, told.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Notice> {
        self.entries
            .values()
            .map(|entry| &entry.notice)
            .filter(|notice| notice.state == NoticeState::Open)
    }

    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Put(notice) => {
                self.put(notice);
            }
            Record::Accepted { id, state } => self.accepted(&id, state),
            Record::Refused { id, state } => self.refused(&id, state),
            Record::Entry {
                notice,
                pending,
                told,
            } => {
                let id = notice.id.clone();
                self.entries.insert(
                    id.clone(),
                    Entry {
                        notice,
                        place: None,
                        told,
                    },
                );
                if pending {
                    self.enqueue(id);
                }
            }
        }
    }

    /// The records that make this ledger again: what waits in its order, then the rest by id.
    pub(crate) fn snapshot(&self) -> Vec<Record> {
        let mut rest: Vec<&Entry> = self
            .entries
            .values()
            .filter(|entry| entry.place.is_none())
            .collect();
        rest.sort_by(|a, b| a.notice.id.cmp(&b.notice.id));
        let waiting = self.queue.values().filter_map(|id| self.entries.get(id));
        waiting
            .chain(rest)
            .map(|entry| Record::Entry {
                notice: entry.notice.clone(),
                pending: entry.place.is_some(),
                told: entry.told,
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use netfault_model::Time;

    pub(crate) fn notice(id: &str, state: NoticeState) -> Notice {
        Notice {
            id: id.to_owned(),
            state,
            severity: 2,
            subject: Some(netfault_model::Subject::Name { name: id.to_owned() }),
            title: format!("{id} is {}.", state.name()),
            text: String::new(),
            started_at: Time::from_secs(1),
            at: Time::from_secs(2),
            incident: None,
        }
    }

    fn open(id: &str) -> Notice {
        notice(id, NoticeState::Open)
    }

    fn resolved(id: &str) -> Notice {
        notice(id, NoticeState::Resolved)
    }

    fn waiting(ledger: &Ledger) -> Vec<(&str, NoticeState)> {
        ledger
            .waiting()
            .map(|notice| (notice.id.as_str(), notice.state))
            .collect()
    }

    #[test]
    fn the_newest_state_keeps_the_place_of_the_older_one() {
        let mut ledger = Ledger::default();
        for notice in [open("a"), open("b"), resolved("a"), open("a")] {
            assert_eq!(ledger.put(notice), Put::Waits);
        }
        assert_eq!(
            waiting(&ledger),
            [("a", NoticeState::Resolved), ("b", NoticeState::Open)]
        );
    }

    #[test]
    fn a_resolve_that_came_while_the_open_was_in_flight_still_waits() {
        let mut ledger = Ledger::default();
        ledger.put(open("a"));
        ledger.put(resolved("a"));
        ledger.accepted("a", NoticeState::Open);
        assert!(ledger.told("a"));
        assert_eq!(waiting(&ledger), [("a", NoticeState::Resolved)]);
        ledger.accepted("a", NoticeState::Resolved);
        assert_eq!((ledger.len(), ledger.waiting_len()), (0, 0));
    }

    #[test]
    fn what_the_receiver_has_is_not_sent_again() {
        let mut ledger = Ledger::default();
        ledger.put(open("a"));
        ledger.accepted("a", NoticeState::Open);
        assert_eq!(ledger.put(open("a")), Put::Known);
        assert_eq!(ledger.waiting_len(), 0);
        assert_eq!(ledger.open().count(), 1);
    }

    #[test]
    fn a_refused_notice_is_forgotten() {
        let mut ledger = Ledger::default();
        ledger.put(open("a"));
        ledger.refused("a", NoticeState::Open);
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn a_full_ledger_takes_no_new_id_but_every_resolve_it_owes() {
        let mut ledger = Ledger::default();
        for n in 0..Ledger::MAX {
            ledger.put(open(&n.to_string()));
        }
        assert_eq!(ledger.put(open("one more")), Put::Full);
        assert_eq!(ledger.put(resolved("7")), Put::Waits);
        assert_eq!(ledger.len(), Ledger::MAX);
    }

    /// Random records against the ledger that is built from its own snapshot at every step.
    #[test]
    fn a_snapshot_makes_the_same_ledger() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut ledger = Ledger::default();
        for _ in 0..2_000 {
            let id = random.u8(0..12).to_string();
            let state = if random.bool() {
                NoticeState::Open
            } else {
                NoticeState::Resolved
            };
            match random.u8(0..4) {
                0 | 1 => drop(ledger.put(notice(&id, state))),
                2 => ledger.accepted(&id, state),
                _ => ledger.refused(&id, state),
            }
            let mut again = Ledger::default();
            ledger
                .snapshot()
                .into_iter()
                .for_each(|record| again.apply(record));
            assert_eq!(again.snapshot(), ledger.snapshot());
            assert_eq!(waiting(&again), waiting(&ledger));
        }
    }
}
