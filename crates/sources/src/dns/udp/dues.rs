//! Until when each question is waited for.
//!
//! A plain list, in which nearly every entry is taken back before it is due: questions are answered. So the list is looked through
//! only when the earliest entry there has been is due, about once in a timeout; with as many questions as the engine takes that
//! is some ten microseconds. A queue in order of time would cost more for each question than this costs in all.

/// Length of a tick. A timeout of seconds may be late by that much.
pub(super) const TICK_MS: u64 = 8;
const NEVER: u64 = u64::MAX;

pub(super) struct Dues {
    /// By the question's place in the table: the tick at which it is due.
    ticks: Vec<u64>,
    /// Nothing is due before this tick; what is due at it may have been taken back.
    earliest: u64,
}

impl Dues {
    pub fn new() -> Self {
        Dues {
            ticks: Vec::new(),
            earliest: NEVER,
        }
    }

    pub fn set(&mut self, key: u32, tick: u64) {
        let n = key as usize;
        if n >= self.ticks.len() {
            self.ticks.resize(n + 1, NEVER);
        }
        self.ticks[n] = tick;
        self.earliest = self.earliest.min(tick);
    }

    pub fn clear(&mut self, key: u32) {
        if let Some(tick) = self.ticks.get_mut(key as usize) {
            *tick = NEVER;
        }
    }

    /// The tick at which something may be due. Never later than the earliest is; `None` if nothing will be.
    pub fn next(&self) -> Option<u64> {
        (self.earliest != NEVER).then_some(self.earliest)
    }

    /// Takes out what is due at `now`, into `due`.
    pub fn take_due(&mut self, now: u64, due: &mut Vec<u32>) {
        if now < self.earliest {
            return;
        }
        self.earliest = NEVER;
        for (key, tick) in (0..).zip(&mut self.ticks) {
            if *tick <= now {
                *tick = NEVER;
                due.push(key);
            } else {
                self.earliest = self.earliest.min(*tick);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Against a dull model: a map from key to tick.
    #[test]
    fn random_steps_end_as_in_a_sorted_map() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut dues, mut model) = (Dues::new(), BTreeMap::<u32, u64>::new());
        let mut now = 0;
        for _ in 0..100_000 {
            let key = random.u32(..300);
            match random.u32(..4) {
                0 | 1 => {
                    let tick = now + random.u64(..2500);
                    dues.set(key, tick);
                    model.insert(key, tick);
                }
                2 => {
                    dues.clear(key);
                    model.remove(&key);
                }
                _ => {
                    now += if random.u32(..50) == 0 {
                        random.u64(..3000)
                    } else {
                        random.u64(..3)
                    };
                    let mut due = Vec::new();
                    dues.take_due(now, &mut due);
                    let is_due = |entry: &(&u32, &u64)| *entry.1 <= now;
                    let expected: Vec<u32> = model.iter().filter(is_due).map(|(key, _)| *key).collect();
                    assert_eq!(due, expected);
                    model.retain(|_, tick| *tick > now);
                }
            }
            match (dues.next(), model.values().min()) {
                (Some(next), Some(earliest)) => assert!(next <= *earliest),
                (None, earliest) => assert_eq!(earliest, None),
                (Some(_), None) => {}
            }
        }
        dues.take_due(now + 5000, &mut Vec::new());
        assert_eq!(dues.next(), None);
    }
}
