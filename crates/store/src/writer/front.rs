//! The open batches, one per table, and which of their rows are not safe on disk yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use netfault_model::{Delegation, Hint, Incident, Notable, Peer, Probe, Time, Transition, Update};
use rustc_hash::FxHashMap;

use crate::rows::feed::FeedRow;
use crate::rows::{Batch, Table, hints};

/// More sessions than all public collectors have together; beyond it the numbering of messages within one
/// instant starts anew, which costs order among equal time stamps and nothing else.
const MAX_PEERS: usize = 100_000;

/// A batch that left the front, with what it stands for in the journal.
pub(crate) struct Cut {
    pub batch: Batch,
    /// What [`Front::done`] wants back once the batch is safe.
    pub ticket: u64,
    /// Everything before this offset is in this batch or an earlier one.
    pub journal_offset: u64,
}

struct Open {
    batch: Batch,
    since: Instant,
    /// The journal offset when its first row came.
    first_offset: u64,
}

pub(crate) struct Front {
    open: [Option<Open>; Table::ALL.len()],
    max_rows: usize,
    max_bytes: usize,
    /// Per session: the last time stamp, and how many messages had it.
    seen: FxHashMap<Peer, (Time, u32)>,
    offset: u64,
    next_ticket: u64,
    /// Cut and not safe yet: ticket → offset of the first row.
    unsafe_yet: BTreeMap<u64, u64>,
}

impl Front {
    pub fn new(max_rows: usize, max_bytes: usize, offset: u64) -> Self {
        Front {
            open: [const { None }; Table::ALL.len()],
            max_rows: max_rows.max(1),
            max_bytes,
            seen: FxHashMap::default(),
            offset,
            next_ticket: 0,
            unsafe_yet: BTreeMap::new(),
        }
    }

    pub fn update(&mut self, update: &Update) -> Option<Cut> {
        if update.nlri.is_empty() {
            return None;
        }
        let seq = self.seq(update.peer, update.at);
        if let Batch::Updates(batch) = self.batch(Table::BgpUpdates) {
            batch.push(update, seq);
        }
        self.cut_if_full(Table::BgpUpdates)
    }

    pub fn skip_update(&mut self, update: &Update) {
        if !update.nlri.is_empty() {
            self.seq(update.peer, update.at);
        }
    }

    pub fn transition(&mut self, transition: Transition) -> Option<Cut> {
        if let Batch::Transitions(rows) = self.batch(Table::Transitions) {
            rows.push(transition);
        }
        self.cut_if_full(Table::Transitions)
    }

    pub fn incident(&mut self, incident: Incident) -> Option<Cut> {
        if let Batch::Incidents(rows) = self.batch(Table::Incidents) {
            rows.push(incident);
        }
        self.cut_if_full(Table::Incidents)
    }

    pub fn notable(&mut self, notable: Notable) -> Option<Cut> {
        if let Batch::Notables(rows) = self.batch(Table::Notables) {
            rows.push(notable);
        }
        self.cut_if_full(Table::Notables)
    }

    pub fn probe(&mut self, probe: Probe) -> Option<Cut> {
        if let Batch::Probes(rows) = self.batch(Table::DnsProbes) {
            rows.push(probe);
        }
        self.cut_if_full(Table::DnsProbes)
    }

    pub fn delegation(&mut self, delegation: Delegation) -> Option<Cut> {
        if let Batch::Delegations(rows) = self.batch(Table::Delegations) {
            rows.push(delegation);
        }
        self.cut_if_full(Table::Delegations)
    }

    pub fn hint(&mut self, hint: Hint) -> Option<Cut> {
        let table = match hints::is_report(&hint) {
            true => Table::Reports,
            false => Table::Hints,
        };
        if let Batch::Reports(rows) | Batch::Hints(rows) = self.batch(table) {
            rows.push(hint);
        }
        self.cut_if_full(table)
    }

    pub fn feed(&mut self, row: FeedRow) -> Option<Cut> {
        if let Batch::Feed(rows) = self.batch(Table::FeedStatus) {
            rows.push(row);
        }
        self.cut_if_full(Table::FeedStatus)
    }

    fn seq(&mut self, peer: Peer, at: Time) -> u32 {
        if self.seen.len() >= MAX_PEERS {
            self.seen.clear();
        }
        let last = self.seen.entry(peer).or_insert((at, u32::MAX));
        *last = if last.0 == at {
            (at, last.1.wrapping_add(1))
        } else {
            (at, 0)
        };
        last.1
    }

    fn batch(&mut self, table: Table) -> &mut Batch {
        let first_offset = self.offset;
        let open = self.open[usize::from(table.code())].get_or_insert_with(|| Open {
            batch: Batch::empty(table),
            since: Instant::now(),
            first_offset,
        });
        &mut open.batch
    }

    fn cut_if_full(&mut self, table: Table) -> Option<Cut> {
        let batch = &self.open[usize::from(table.code())].as_ref()?.batch;
        if batch.rows() < self.max_rows && batch.size() < self.max_bytes {
            return None;
        }
        self.cut(table)
    }

    fn cut(&mut self, table: Table) -> Option<Cut> {
        let open = self.open[usize::from(table.code())].take()?;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.unsafe_yet.insert(ticket, open.first_offset);
        Some(Cut {
            batch: open.batch,
            ticket,
            journal_offset: self.offset,
        })
    }

    pub fn cut_all(&mut self) -> Vec<Cut> {
        Table::ALL
            .into_iter()
            .filter_map(|table| self.cut(table))
            .collect()
    }

    /// The batches whose oldest row is at least `age` old.
    pub fn cut_older(&mut self, age: Duration) -> Vec<Cut> {
        let old = |open: &Option<Open>| open.as_ref().is_some_and(|open| open.since.elapsed() >= age);
        Table::ALL
            .into_iter()
            .filter_map(|table| {
                if old(&self.open[usize::from(table.code())]) {
                    self.cut(table)
                } else {
                    None
                }
            })
            .collect()
    }

    /// The spooler has no room for a batch that must not be shed: it becomes the beginning of the open one.
    pub fn restore(&mut self, cut: Cut) {
        let first_offset = self.unsafe_yet.remove(&cut.ticket).unwrap_or(self.offset);
        let slot = &mut self.open[usize::from(cut.batch.table().code())];
        let newer = slot.take();
        let mut batch = cut.batch;
        match (&mut batch, newer.map(|open| open.batch)) {
            (Batch::Transitions(rows), Some(Batch::Transitions(newer))) => rows.extend(newer),
            (Batch::Feed(rows), Some(Batch::Feed(newer))) => rows.extend(newer),
            (Batch::Incidents(rows), Some(Batch::Incidents(newer))) => rows.extend(newer),
            (Batch::Notables(rows), Some(Batch::Notables(newer))) => rows.extend(newer),
            (Batch::Delegations(rows), Some(Batch::Delegations(newer))) => rows.extend(newer),
            _ => {}
        }
        *slot = Some(Open {
            batch,
            since: Instant::now(),
            first_offset,
        });
    }

    pub fn offset(&mut self, offset: u64) {
        self.offset = self.offset.max(offset);
    }

    /// A cut batch is safe on disk, or given up and counted.
    pub fn done(&mut self, ticket: u64) {
        self.unsafe_yet.remove(&ticket);
    }

    pub fn committed(&self) -> u64 {
        let open = self.open.iter().flatten().map(|open| open.first_offset);
        open.chain(self.unsafe_yet.values().copied())
            .min()
            .unwrap_or(self.offset)
    }

    pub fn open_rows(&self) -> [u64; Table::ALL.len()] {
        Table::ALL.map(|table| {
            self.open[usize::from(table.code())]
                .as_ref()
                .map_or(0, |open| open.batch.rows() as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::{Announcement, Arrival, Asn, Collector, Feed, FeedState, Nlri};

    fn feed(at: i64) -> FeedRow {
        let (collector, reason) = (Collector::new("rrc00"), String::new());
        FeedRow::Feed(Feed {
            at: Time::from_secs(at),
            collector,
            peer: None,
            state: FeedState::Up,
            reason,
        })
    }

    fn update(at: i64) -> Update {
        let peer = Peer {
            collector: Collector::new("rrc00"),
            addr: [192, 0, 2, 1].into(),
            asn: Asn(64500),
        };
        let nlri = Nlri {
            prefix: "10.0.0.0/8".parse().unwrap(),
            path_id: 0,
        };
        Update {
            at: Time::from_secs(at),
            peer,
            arrival: Arrival::InTime,
            nlri: [nlri].into(),
            announced_from: 0,
            announcement: Some(Announcement {
                origin: None,
                path: [].into(),
            }),
        }
    }

    #[test]
    fn the_journal_is_committed_up_to_the_oldest_row_that_is_not_safe() {
        let mut front = Front::new(2, usize::MAX, 5);
        assert_eq!(front.committed(), 5);
        front.offset(10);
        assert!(front.feed(feed(1)).is_none());
        front.offset(20);
        assert_eq!(front.committed(), 10);
        let full = front.feed(feed(2)).unwrap();
        front.offset(30);
        assert!(front.update(&update(3)).is_none());
        assert_eq!((front.committed(), full.journal_offset), (10, 20));
        front.done(full.ticket);
        assert_eq!(front.committed(), 30);
        for cut in front.cut_all() {
            front.done(cut.ticket);
        }
        assert_eq!(front.committed(), 30);
        front.offset(7);
        assert_eq!(front.committed(), 30, "it never goes back");
    }

    #[test]
    fn a_batch_that_found_no_room_comes_first_again() {
        let mut front = Front::new(2, usize::MAX, 0);
        front.offset(1);
        front.feed(feed(1));
        let full = front.feed(feed(2)).unwrap();
        front.offset(2);
        front.feed(feed(3));
        front.restore(full);
        assert_eq!(front.committed(), 1);
        let again = front.feed(feed(4)).unwrap();
        let Batch::Feed(rows) = &again.batch else {
            panic!("another table")
        };
        let times: Vec<_> = rows.iter().map(|row| row.at().secs()).collect();
        assert_eq!(times, [1, 2, 3, 4]);
    }

    #[test]
    fn messages_of_one_peer_and_instant_are_numbered() {
        let mut front = Front::new(usize::MAX, usize::MAX, 0);
        let peer = update(1).peer;
        let at = |secs| Time::from_secs(secs);
        let numbers = [1, 1, 1, 2, 2, 3].map(|secs| front.seq(peer, at(secs)));
        assert_eq!(numbers, [0, 1, 2, 0, 1, 0]);
    }
}
