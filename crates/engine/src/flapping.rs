//! Entries into an outage, close behind each other: the third one is told, and it alone.

use netfault_model::Time;
use serde::{Deserialize, Serialize};

/// Of one subject, oldest first: the last few only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Entries {
    at: Vec<Time>,
    told: bool,
}

impl Entries {
    /// One more, `needed` of which within so many microseconds are flapping. Returns the first of them and how many there are,
    /// once until it has been quiet for as long.
    pub fn enter(&mut self, at: Time, needed: u32, within: i64) -> Option<(Time, usize)> {
        if self.is_quiet(at, within) {
            *self = Entries::default();
        }
        self.at.retain(|&entry| at.since(entry) <= within);
        self.at.push(at);
        let needed = needed.max(2) as usize;
        if self.told || self.at.len() < needed {
            // Only the newest ones can make a further episode.
            let spare = self.at.len().saturating_sub(needed);
            self.at.drain(..spare);
            return None;
        }
        self.told = true;
        Some((*self.at.first()?, self.at.len()))
    }

    /// The last one is longer ago.
    pub fn is_quiet(&self, now: Time, within: i64) -> bool {
        self.at.last().is_none_or(|&last| now.since(last) > within)
    }
}
