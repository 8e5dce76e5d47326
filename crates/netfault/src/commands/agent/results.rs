//! What was found and is not on disk yet.

use netfault_api::batch::{self, Hole, Item, Malformed};
use netfault_model::{Input, Time};

use super::spool::Spool;

/// In one batch: some 100 kB packed.
const BATCH: usize = 2_000;
/// In memory while the disk takes nothing.
const MAX_KEPT: usize = 20_000;

#[derive(Debug, Default)]
pub struct Results {
    items: Vec<Item>,
    /// Dropped because the disk took nothing.
    lost: u64,
    /// The disk fails, and that was said.
    failing: bool,
}

impl Results {
    pub fn add(&mut self, inputs: Vec<Input>) {
        self.items.extend(inputs.into_iter().filter_map(Item::of));
        self.bound();
    }

    pub fn hole(&mut self, hole: Hole) {
        self.items.push(Item::Gap(hole));
        self.bound();
    }

    fn bound(&mut self) {
        if self.items.len() > MAX_KEPT {
            let surplus = self.items.len() - MAX_KEPT;
            self.items.drain(..surplus);
            self.lost += surplus as u64;
        }
    }

    /// Everything into the spool, as many batches as it takes. What the disk does not take is kept for the next time.
    pub fn flush(&mut self, spool: &mut Spool, now: Time) {
        if self.lost > 0 && self.items.len() < MAX_KEPT {
            let lost = std::mem::take(&mut self.lost);
            self.hole(hole("the spool could not be written: results dropped", lost, now));
        }
        let mut size = BATCH;
        while !self.items.is_empty() {
            let part = size.min(self.items.len());
            match self.write(part, spool) {
                Ok(()) => {
                    self.items.drain(..part);
                    self.failing = false;
                }
                Err(Written::TooLong) if part > 1 => size = part / 2,
                Err(Written::TooLong) => {
                    tracing::warn!("a result is longer than a batch can be: dropped");
                    self.items[0] = Item::Gap(hole("a result was longer than a batch can be", 1, now));
                }
                Err(Written::Io(error)) => {
                    if !self.failing {
                        tracing::error!(%error, "the spool cannot be written: results are kept in memory, as far as they fit");
                    }
                    self.failing = true;
                    return;
                }
            }
        }
    }

    fn write(&self, part: usize, spool: &mut Spool) -> Result<(), Written> {
        let items = &self.items[..part];
        let packed = batch::pack(items)?;
        let times = || items.iter().map(Item::at);
        let span = times().min().zip(times().max()).unwrap_or_default();
        spool.add(part as u32, span, &packed).map_err(Written::Io)
    }
}

enum Written {
    TooLong,
    Io(std::io::Error),
}

impl From<Malformed> for Written {
    fn from(why: Malformed) -> Self {
        match why {
            Malformed::TooLong | Malformed::TooMany(_) => Written::TooLong,
            other => Written::Io(std::io::Error::other(other)),
        }
    }
}

fn hole(reason: &str, lost: u64, now: Time) -> Hole {
    Hole {
        at: now,
        from: None,
        to: None,
        reason: reason.to_owned(),
        lost: Some(lost),
    }
}

#[cfg(test)]
mod tests;
