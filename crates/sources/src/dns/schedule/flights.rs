//! Questions under way, each with a number of its own.

use std::sync::Arc;

use super::subject::Target;
use crate::dns::probe::Question;

#[derive(Debug)]
pub(super) struct Flight {
    pub target: Target,
    pub step: usize,
    pub question: Arc<Question>,
    /// How often the host had stood still when it was sent.
    pub stalls: u32,
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<usize>,
}

impl Flights {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Its number, which is free again after [`Flights::remove`].
    pub fn add(&mut self, flight: Flight) -> u64 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(flight);
                slot
            }
            None => {
                self.slots.push(Some(flight));
                self.slots.len() - 1
            }
        };
        slot as u64
    }

    pub fn remove(&mut self, tag: u64) -> Option<Flight> {
        let slot = usize::try_from(tag).ok()?;
        let flight = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(flight)
    }
}
