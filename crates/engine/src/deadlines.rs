//! When something has to be looked at again: a calendar of one-second slots.
//!
//! Nearly all deadlines lie within the next hour or so, and there are millions of them (every route that is on its
//! way into a baseline has one), so adding one is a push into the slot of its second. A slot is sorted
//! when its second comes. Deadlines beyond the calendar wait in a map.

use std::collections::BTreeMap;

use netfault_model::Time;

/// Seconds that the calendar spans; past the hour that a baseline takes.
const SLOTS: i64 = 4096;

/// Deadlines of things numbered by `u32`. The same thing may have several; whoever is called looks whether there is
/// still something to do.
pub struct Deadlines {
    /// Second of the slot that is being served.
    second: i64,
    /// What is due in the served second, latest first, so that the next one is popped from the end.
    due: Vec<(Time, u32)>,
    /// `due` has grown since it was sorted.
    unsorted: bool,
    slots: Vec<Vec<(Time, u32)>>,
    in_slots: usize,
    later: BTreeMap<i64, Vec<(Time, u32)>>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            second: i64::MIN,
            due: Vec::new(),
            unsorted: false,
            slots: vec![Vec::new(); SLOTS as usize],
            in_slots: 0,
            later: BTreeMap::new(),
        }
    }
}

impl Deadlines {
    /// Wakes `thing` at `at`. A moment in the past counts as due at once.
    pub fn add(&mut self, at: Time, thing: u32) {
        let second = at.secs();
        if self.second == i64::MIN {
            self.second = second;
        }
        if second <= self.second {
            self.due.push((at, thing));
            self.unsorted = true;
        } else if second - self.second < SLOTS {
            self.slots[second.rem_euclid(SLOTS) as usize].push((at, thing));
            self.in_slots += 1;
        } else {
            self.later.entry(second).or_default().push((at, thing));
        }
    }

    /// How many are waiting.
    pub fn count(&self) -> usize {
        self.due.len() + self.in_slots + self.later.values().map(Vec::len).sum::<usize>()
    }

    /// The earliest deadline, if it is not after `limit`.
    pub fn peek(&mut self, limit: Time) -> Option<Time> {
        loop {
            if let Some(&(at, _)) = self.sorted().last() {
                return (at <= limit).then_some(at);
            }
            if self.second >= limit.secs() || !self.turn(limit.secs()) {
                return None;
            }
        }
    }

    /// Takes the earliest deadline, if it is not after `limit`.
    pub fn pop(&mut self, limit: Time) -> Option<(Time, u32)> {
        self.peek(limit)?;
        self.due.pop()
    }

    fn sorted(&mut self) -> &[(Time, u32)] {
        if self.unsorted {
            self.due.sort_unstable_by(|a, b| b.cmp(a));
            self.unsorted = false;
        }
        &self.due
    }

    /// Moves on to the next second that may hold something, at most to `limit`. False if there is nothing left.
    fn turn(&mut self, limit: i64) -> bool {
        let next = if self.in_slots > 0 {
            self.second + 1
        } else if let Some((&second, _)) = self.later.first_key_value() {
            second
        } else {
            return false;
        };
        self.second = next.min(limit);
        let slot = &mut self.slots[self.second.rem_euclid(SLOTS) as usize];
        self.in_slots -= slot.len();
        self.due.append(slot);
        while let Some(entry) = self.later.first_entry()
            && *entry.key() <= self.second
        {
            self.due.append(&mut entry.remove());
        }
        self.unsorted = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against a sorted set: the same things come out in the same order, whatever the steps.
        #[test]
        fn behaves_like_a_sorted_set(steps in prop::collection::vec((0u8..3, 0i64..9_000_000_000, 0u32..50), 1..200)) {
            let (mut calendar, mut model, mut now) = (Deadlines::default(), BTreeSet::new(), 0i64);
            for (what, ahead, thing) in steps {
                let at = Time::from_micros(now + ahead);
                if what < 2 {
                    if model.insert((at, thing)) {
                        calendar.add(at, thing);
                    }
                    continue;
                }
                now = at.micros();
                let mut expected: Vec<_> = model.iter().copied().take_while(|(due, _)| *due <= at).collect();
                expected.iter().for_each(|entry| { model.remove(entry); });
                let mut got = Vec::new();
                while let Some(entry) = calendar.pop(at) {
                    got.push(entry);
                }
                expected.sort();
                prop_assert_eq!(got, expected);
            }
        }
    }
}
