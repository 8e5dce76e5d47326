//! A timing wheel: when each question has waited long enough.
//!
//! Keys are small numbers (places in the table of questions). Adding and removing cost the same however many
//! there are, which a sorted queue does not give: nearly every question is answered and leaves early.

/// Length of a tick. A timeout of seconds may be late by that much.
pub(super) const TICK_MS: u64 = 8;
/// A turn of the wheel is 8 s, above every default timeout; longer ones stay for another turn.
const SLOTS: usize = 1024;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    /// Tick at which it is due; `u64::MAX` while it is not in the wheel.
    due: u64,
}

const OUT: Link = Link {
    before: NONE,
    after: NONE,
    due: u64::MAX,
};

pub(super) struct Wheel {
    heads: Box<[u32; SLOTS]>,
    /// One bit for each slot that is not empty.
    filled: [u64; SLOTS / 64],
    links: Vec<Link>,
    /// All ticks up to this one are over.
    at: u64,
}

impl Wheel {
    pub fn new() -> Self {
        Wheel {
            heads: Box::new([NONE; SLOTS]),
            filled: [0; SLOTS / 64],
            links: Vec::new(),
            at: 0,
        }
    }

    /// `key` is due at `tick`, or at the next one if that is over. It must not be in the wheel.
    pub fn add(&mut self, key: u32, tick: u64) {
        let n = key as usize;
        if n >= self.links.len() {
            self.links.resize(n + 1, OUT);
        }
        let due = tick.max(self.at + 1);
        let slot = slot_of(due);
        let after = self.heads[slot];
        self.links[n] = Link {
            before: NONE,
            after,
            due,
        };
        if after != NONE {
            self.links[after as usize].before = key;
        }
        self.heads[slot] = key;
        self.filled[slot / 64] |= 1 << (slot % 64);
    }

    /// Takes `key` out, if it is in.
    pub fn remove(&mut self, key: u32) {
        let Some(link) = self.links.get_mut(key as usize) else {
            return;
        };
        let Link { before, after, due } = std::mem::replace(link, OUT);
        if due == u64::MAX {
            return;
        }
        if after != NONE {
            self.links[after as usize].before = before;
        }
        if before != NONE {
            self.links[before as usize].after = after;
            return;
        }
        let slot = slot_of(due);
        self.heads[slot] = after;
        if after == NONE {
            self.filled[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// The tick at which something may be due, `None` if the wheel is empty. Never later than the earliest is.
    pub fn next(&self) -> Option<u64> {
        let first = slot_of(self.at + 1);
        // The word of `first` is looked at twice: its high bits come first, its low bits last.
        (0..=SLOTS / 64).find_map(|step| {
            let word = (first / 64 + step) % (SLOTS / 64);
            let mask = match step {
                0 => u64::MAX << (first % 64),
                _ if step == SLOTS / 64 => !(u64::MAX << (first % 64)),
                _ => u64::MAX,
            };
            let bits = self.filled[word] & mask;
            let slot = word * 64 + bits.trailing_zeros() as usize;
            (bits != 0).then(|| self.at + 1 + ((slot + SLOTS - first) % SLOTS) as u64)
        })
    }

    /// Lets time go on to `tick` and takes out what is due, into `due`.
    pub fn advance(&mut self, tick: u64, due: &mut Vec<u32>) {
        if tick <= self.at {
            return;
        }
        let steps = (tick - self.at).min(SLOTS as u64);
        let from = self.at + 1;
        self.at = tick;
        for slot in (from..from + steps).map(slot_of) {
            let mut key = self.heads[slot];
            while key != NONE {
                let link = self.links[key as usize];
                if link.due <= tick {
                    self.remove(key);
                    due.push(key);
                }
                key = link.after;
            }
        }
    }
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Against a dull model: a map from key to tick.
    #[test]
    fn random_steps_end_as_in_a_sorted_map() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut wheel, mut model) = (Wheel::new(), BTreeMap::<u32, u64>::new());
        let mut now = 0;
        for _ in 0..200_000 {
            let key = random.u32(..300);
            match random.u32(..4) {
                0 | 1 if !model.contains_key(&key) => {
                    let tick = now + random.u64(..2500);
                    wheel.add(key, tick);
                    model.insert(key, tick.max(now + 1));
                }
                2 => {
                    wheel.remove(key);
                    model.remove(&key);
                }
                _ => {
                    now += if random.u32(..50) == 0 {
                        random.u64(..3000)
                    } else {
                        random.u64(..3)
                    };
                    let mut due = Vec::new();
                    wheel.advance(now, &mut due);
                    due.sort_unstable();
                    let expected: Vec<u32> = model
                        .iter()
                        .filter(|(_, tick)| **tick <= now)
                        .map(|(key, _)| *key)
                        .collect();
                    assert_eq!(due, expected);
                    model.retain(|_, tick| *tick > now);
                }
            }
            let earliest = model.values().min();
            match wheel.next() {
                None => assert_eq!(earliest, None),
                Some(next) => assert!(next > now && earliest.is_some_and(|tick| next <= *tick)),
            }
        }
    }
}
