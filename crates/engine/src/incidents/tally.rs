//! Sums over the parts of an incident, kept current so that an incident of ten thousand prefixes is not counted anew
//! with each of them.

use netfault_model::State;
use serde::{Deserialize, Serialize};

use super::part::Part;
use super::severity::{CLASSES, Class, STATES, is_down, is_settled, rank, severity};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Parts by class and state.
    counts: [[u32; STATES.len()]; CLASSES.len()],
    /// Prefixes that are or were Partial or Out, and those of them that no route of the same origin covered.
    pub fell: u32,
    pub bare: u32,
    /// All prefixes that are or were part of it.
    pub prefixes: u32,
}

impl Tally {
    pub fn add(&mut self, part: &Part) {
        self.change(part, |count| *count += 1);
    }

    pub fn remove(&mut self, part: &Part) {
        self.change(part, |count| *count = count.saturating_sub(1));
    }

    fn change(&mut self, part: &Part, change: impl Fn(&mut u32)) {
        change(&mut self.counts[part.class as usize][part.known as usize]);
        if part.is_prefix() {
            change(&mut self.prefixes);
            if part.fell {
                change(&mut self.fell);
                if !part.covered {
                    change(&mut self.bare);
                }
            }
        }
    }

    fn present(&self) -> impl Iterator<Item = (Class, State, u32)> + '_ {
        let of_class =
            |class: Class| STATES.map(|state| (class, state, self.counts[class as usize][state as usize]));
        CLASSES
            .into_iter()
            .flat_map(of_class)
            .filter(|&(.., count)| count > 0)
    }

    pub fn severity(&self) -> u8 {
        self.present()
            .map(|(class, state, _)| severity(class, state))
            .max()
            .unwrap_or(0)
    }

    pub fn level(&self) -> State {
        let states = self.present().map(|(_, state, _)| state);
        states.max_by_key(|&state| rank(state)).unwrap_or(State::Normal)
    }

    pub fn is_settled(&self) -> bool {
        self.present().all(|(_, state, _)| is_settled(state))
    }

    /// Prefixes that are Partial or Out now.
    pub fn down(&self) -> u32 {
        let down = STATES.into_iter().filter(|&state| is_down(state));
        down.map(|state| self.counts[Class::Prefix as usize][state as usize])
            .sum()
    }
}
