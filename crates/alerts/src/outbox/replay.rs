//! A ledger from its records, and back. Pure.

use netfault_model::Time;

use crate::notice::Notice;
use crate::outbox::entry::Entry;
use crate::outbox::{Ledger, Put, Record, Told, WasTold};
use crate::routing::Plan;

impl Ledger {
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Put(notice) => {
                let id = notice.id.clone();
                let is_kept = self.put(notice, Some(Plan::PLAIN)) == Put::Kept;
                // What is on disk may have been sent, unless a later line says that it was held.
                if is_kept && self.get(&id).is_some_and(|entry| !entry.held) {
                    self.tried(&id);
                }
            }
            Record::Accepted {
                id,
                state,
                version,
                at,
                receipt,
            } => self.accepted(&id, state, version, at, receipt),
            Record::Refused { id, state, version } => self.refused(&id, state, version),
            Record::Acked { id, by } => {
                self.ack(&id, &by);
            }
            Record::Held { id } => {
                self.untried(&id);
                self.hold(&id);
            }
            Record::Due { id } => {
                self.release(&id);
            }
            Record::Summed { id } => {
                self.sum_up(&id, Time::MIN);
                self.untried(&id);
            }
            Record::Entry {
                notice,
                pending,
                tried,
                told,
                acked,
                summed,
            } => {
                let id = notice.id.clone();
                let entry = Entry {
                    acked,
                    summed,
                    // An older netfault did not write it.
                    tried: tried || pending,
                    ..Entry::new(notice, Some(Plan::PLAIN))
                };
                self.restore(entry, told);
                if pending {
                    self.enqueue(&id);
                }
            }
        }
    }

    fn untried(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.tried = false;
        }
    }

    fn restore(&mut self, mut entry: Entry, told: WasTold) {
        let notice = &entry.notice;
        let id = notice.id.clone();
        entry.told = match told {
            WasTold::Plain(false) => None,
            WasTold::Plain(true) => Some(Told {
                version: notice.version,
                at: notice.at,
                acked: false,
                repeats: 0,
                size: 0,
                receipt: None,
            }),
            WasTold::Told(told) => Some(told),
        };
        entry.held = !entry.tried && entry.told.is_none();
        self.remove(&id);
        if let Some(group) = notice.group.as_ref().filter(|_| !notice.is_over()) {
            self.groups.insert(group.key.clone(), id.clone());
        }
        self.summed += usize::from(entry.summed);
        self.told += usize::from(entry.told.is_some());
        self.entries.insert(id.clone(), entry);
        if self.told(&id) {
            self.cover(&id);
        }
    }

    /// After the last record: what was played is matched with the routes of today.
    pub(crate) fn plan_anew(&mut self, plan: impl Fn(&Notice) -> Option<Plan>) {
        for entry in self.entries.values_mut() {
            entry.plan = plan(&entry.notice);
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
        self.waiting()
            .chain(rest)
            .map(|entry| Record::Entry {
                notice: entry.notice.clone(),
                pending: entry.place.is_some(),
                tried: entry.tried || entry.place.is_some(),
                told: entry.told.clone().map_or(WasTold::Plain(false), WasTold::Told),
                acked: entry.acked.clone(),
                summed: entry.summed,
            })
            .collect()
    }
}
