//! Newest state per id, and the queue of what is due. Pure; the same records give the same ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use netfault_model::Time;

use crate::notice::{Notice, NoticeState};
use crate::outbox::entry::{Entry, SubjectKey};
use crate::outbox::{Due, Manner, Told, groups};
use crate::routing::Plan;
use crate::silences::Quiet;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(super) entries: HashMap<String, Entry>,
    /// Ids that wait, in the order in which they became due.
    pub(super) queue: BTreeMap<u64, String>,
    next: u64,
    /// Ids that become due by themselves.
    timers: BTreeSet<(Time, String)>,
    /// Open groups by key.
    pub(super) groups: BTreeMap<String, String>,
    /// Told and open: which ids say something about a subject.
    covering: HashMap<SubjectKey, BTreeSet<String>>,
    /// Entries that are told as part of the summary only, and not over.
    pub(super) summed: usize,
    /// Entries that the receiver holds as open.
    pub(super) told: usize,
}

/// What became of a new notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is newer than what was known, and to be kept on disk.
    Kept,
    /// The receiver has this state or a newer one already, or is not told of it.
    Known,
    /// Over before the receiver was told: nothing is owed.
    Forgotten,
    /// No room for another id.
    Full,
}

impl Ledger {
    /// Bounds memory and disk under a dead receiver (about 100 MB); far above any storm that people read.
    pub(crate) const MAX: usize = 100_000;

    /// Takes a newer state. Nothing is due before [`look`](Self::look).
    pub(crate) fn put(&mut self, notice: Notice, plan: Option<Plan>) -> Put {
        let id = notice.id.clone();
        if let Some(entry) = self.entries.get_mut(&id) {
            if !notice.is_newer_than(&entry.notice) {
                return Put::Known;
            }
            entry.notice = notice;
            entry.plan = plan.or_else(|| entry.plan.take());
            if entry.notice.is_over() {
                // The next member begins another group.
                self.groups.retain(|_, group| *group != id);
            }
            return self.forget_if_never_told(&id);
        }
        if notice.is_over() || plan.is_none() {
            return Put::Known;
        }
        if self.entries.len() >= Self::MAX {
            return Put::Full;
        }
        if let Some(group) = &notice.group {
            self.groups.insert(group.key.clone(), id.clone());
        }
        self.entries.insert(id, Entry::new(notice, plan));
        Put::Kept
    }

    fn forget_if_never_told(&mut self, id: &str) -> Put {
        let Some(entry) = self.entries.get(id).filter(|entry| entry.notice.is_over()) else {
            return Put::Kept;
        };
        let is_owed = entry.told.is_some() || entry.tried || (entry.place.is_some() && !entry.summed);
        if is_owed {
            return Put::Kept;
        }
        self.remove(id);
        Put::Forgotten
    }

    /// The notice of the group of `key` with `member` in it; `None`: the member is over and was in no group.
    pub(crate) fn gather(&self, key: &str, receiver: &str, member: &Notice, now: Time) -> Option<Notice> {
        let mut group = match self.group_of(key, &member.id) {
            Some(group) => groups::with(group, member),
            None if member.is_over() => return None,
            None => groups::begin(key, receiver, member, now),
        };
        if key != groups::SUMMARY && groups::is_over(&group) {
            groups::end(&mut group);
        }
        Some(group)
    }

    /// The key of the open group that `member` is in.
    pub(crate) fn group_key_of(&self, member: &str) -> Option<String> {
        let joined = self.joined(member)?;
        joined.notice.group.as_ref().map(|group| group.key.clone())
    }

    /// A member stays in the group that it joined; a new one joins the open one of its key.
    fn group_of(&self, key: &str, member: &str) -> Option<&Notice> {
        let joined = match key {
            groups::SUMMARY => None,
            _ => self.joined(member),
        };
        let of_key = || self.groups.get(key).and_then(|id| self.entries.get(id));
        joined.or_else(of_key).map(|entry| &entry.notice)
    }

    fn joined(&self, member: &str) -> Option<&Entry> {
        let mut open = self.groups.values().filter_map(|id| self.entries.get(id));
        open.find(|entry| {
            let group = entry.notice.group.as_ref();
            group.is_some_and(|group| {
                group.key != groups::SUMMARY && group.members.iter().any(|one| one.id == member)
            })
        })
    }

    /// Decides anew what is due of `id`, and puts it where that wants it.
    pub(crate) fn look(&mut self, id: &str, now: Time, manner: Manner, quiet: &Quiet) -> Due {
        let Some(entry) = self.entries.get(id) else {
            return Due::Held;
        };
        let hidden = quiet.hides(&entry.notice).is_some();
        let covered = entry.told.is_none() && self.is_covered(entry);
        let due = entry.due(now, manner, hidden, covered);
        match due {
            Due::Now(_) => self.enqueue(id),
            Due::At(at) => {
                self.timers.insert((at, id.to_owned()));
                self.dequeue(id);
            }
            Due::Held => self.dequeue(id),
        }
        due
    }

    /// Decides anew what is due of everything that is not queued.
    pub(crate) fn look_at_all(&mut self, now: Time, manner: Manner, quiet: &Quiet) {
        let mut ids: Vec<(Time, String)> = self
            .entries
            .values()
            .filter(|entry| entry.place.is_none())
            .map(|entry| (entry.notice.opened_at, entry.notice.id.clone()))
            .collect();
        ids.sort_unstable(); // in the order in which they opened, whatever the order of the map
        for (_, id) in ids {
            self.look(&id, now, manner, quiet);
        }
    }

    /// Looks at what has become due by time alone.
    pub(crate) fn wake(&mut self, now: Time, manner: Manner, quiet: &Quiet) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.timers.pop_first() {
                self.look(&id, now, manner, quiet);
            }
        }
    }

    /// When [`wake`](Self::wake) has something to do.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Another alert that the receiver holds as open says it already, and at least as loud.
    fn is_covered(&self, entry: &Entry) -> bool {
        let covering = entry
            .own_subjects()
            .into_iter()
            .filter_map(|key| self.covering.get(&key));
        covering.flatten().any(|id| {
            let other = self.entries.get(id);
            *id != entry.notice.id
                && other.is_some_and(|other| other.notice.severity >= entry.notice.severity)
        })
    }

    pub(super) fn cover(&mut self, id: &str) {
        self.uncover(id);
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if entry.notice.is_over() {
            return;
        }
        entry.covers = entry.covered_subjects();
        for key in &entry.covers {
            self.covering
                .entry(key.clone())
                .or_default()
                .insert(id.to_owned());
        }
    }

    fn uncover(&mut self, id: &str) {
        let covers = self
            .entries
            .get_mut(id)
            .map(|entry| std::mem::take(&mut entry.covers));
        for key in covers.into_iter().flatten() {
            if let Some(ids) = self.covering.get_mut(&key) {
                ids.remove(id);
                if ids.is_empty() {
                    self.covering.remove(&key);
                }
            }
        }
    }

    /// At the end of the queue, or where it waits already.
    pub(super) fn enqueue(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if entry.place.is_none() {
            entry.place = Some(self.next);
            self.queue.insert(self.next, id.to_owned());
            self.next += 1;
        }
    }

    fn dequeue(&mut self, id: &str) {
        if let Some(place) = self.entries.get_mut(id).and_then(|entry| entry.place.take()) {
            self.queue.remove(&place);
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.dequeue(id);
        self.uncover(id);
        let Some(entry) = self.entries.remove(id) else {
            return;
        };
        self.summed -= usize::from(entry.summed);
        self.told -= usize::from(entry.told.is_some());
        self.groups.retain(|_, group| group != id);
    }

    /// The receiver took `state` of `id`. A newer state that came in meanwhile is still due.
    pub(crate) fn accepted(
        &mut self,
        id: &str,
        state: NoticeState,
        version: u32,
        at: Time,
        receipt: Option<String>,
    ) {
        self.dequeue(id);
        if state == NoticeState::Resolved {
            return self.remove(id);
        }
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let size = entry.notice.group.as_ref().map_or(0, |group| group.size);
        let before = entry.told.take();
        self.told += usize::from(before.is_none());
        let acked = before.as_ref().is_some_and(|told| told.acked) || state == NoticeState::Acknowledged;
        let repeats =
            before.as_ref().map_or(0, |told| told.repeats) + u32::from(state == NoticeState::Repeat);
        let kept = before.as_ref().and_then(|told| told.receipt.clone());
        entry.told = Some(Told {
            version,
            // An acknowledgement is no repetition.
            at: before.map_or(at, |told| {
                if state == NoticeState::Acknowledged {
                    told.at
                } else {
                    at
                }
            }),
            acked,
            repeats,
            size,
            receipt: receipt.or(kept),
        });
        entry.tried = false;
        self.cover(id);
    }

    /// The receiver will never take `state` of `id`.
    pub(crate) fn refused(&mut self, id: &str, state: NoticeState, version: u32) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if entry.notice.is_over() && state != NoticeState::Resolved {
            return; // the end came meanwhile, and is told all the same
        }
        match &mut entry.told {
            Some(told) if state != NoticeState::Resolved => {
                told.version = version;
                told.acked |= state == NoticeState::Acknowledged;
                self.dequeue(id);
            }
            _ => self.remove(id),
        }
    }

    /// An attempt is about to be made: from now on the receiver may hold it, whatever is heard of it.
    pub(crate) fn tried(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.tried = true;
        }
    }

    /// Nothing is due of an alert that was never told: to be noted, so that after a restart nobody takes it for sent.
    pub(crate) fn hold(&mut self, id: &str) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let is_new = entry.told.is_none() && !entry.tried && !entry.held && entry.place.is_none();
        entry.held |= is_new;
        is_new
    }

    /// The first attempt of what was held is about to be made. True if that has to be noted.
    pub(crate) fn release(&mut self, id: &str) -> bool {
        self.tried(id);
        let entry = self.entries.get_mut(id);
        entry.is_some_and(|entry| std::mem::take(&mut entry.held))
    }

    /// A rate cap holds it back: an open is told as part of the summary only, anything else is left out.
    pub(crate) fn sum_up(&mut self, id: &str, now: Time) {
        self.dequeue(id);
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        match &mut entry.told {
            None if !entry.summed => {
                entry.summed = true;
                self.summed += 1;
            }
            Some(told) => (told.version, told.at) = (entry.notice.version, now),
            None => {}
        }
    }

    /// The summary, once everything in it is over and the receiver holds it as open: to be ended.
    pub(crate) fn ended_summary(&self) -> Option<Notice> {
        let entry = self.entries.get(self.groups.get(groups::SUMMARY)?)?;
        if self.summed > 0 || entry.told.is_none() || entry.notice.is_over() {
            return None;
        }
        let mut notice = entry.notice.clone();
        groups::end(&mut notice);
        Some(notice)
    }

    /// Every alert of the incident `id` that had opened by then. A group is nobody's alone.
    pub(crate) fn of_incident(&self, id: &str, by_then: Time) -> Vec<String> {
        let is_meant =
            |alert: &str| alert == id || alert.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'));
        let entries = self
            .entries
            .values()
            .filter(|entry| entry.notice.opened_at <= by_then);
        let mut ids: Vec<String> = entries
            .map(|entry| &entry.notice)
            .filter(|notice| is_meant(&notice.id))
            .map(|notice| notice.id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Somebody looks after it. False if that was known.
    pub(crate) fn ack(&mut self, id: &str, by: &str) -> bool {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.acked.is_none()) else {
            return false;
        };
        entry.acked = Some(by.to_owned());
        true
    }

    /// True if the receiver holds `id` as open.
    pub(crate) fn told(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.told.is_some())
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// What waits, first come first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.queue.values().filter_map(|id| self.entries.get(id))
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.queue.len()
    }

    /// How many the receiver holds as open.
    pub(crate) fn told_len(&self) -> usize {
        self.told
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The alerts that are open as far as this receiver was, or will be, told.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| !entry.notice.is_over())
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
pub(crate) mod tests;
