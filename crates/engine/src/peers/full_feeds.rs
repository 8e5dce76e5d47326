//! Which peer ASes give a full feed: they are what an inferred baseline is measured by.

use netfault_model::{Family, Time};
use serde::{Deserialize, Serialize};

use super::Peers;
use crate::Settings;
use crate::table::bits::{self, Mask, Slot};

/// The tables are measured anew at most this often.
const FRESH: i64 = 60_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FullFeeds {
    /// Until when the last measurement may be used.
    fresh_until: Option<Time>,
    voters: Mask,
}

impl Peers {
    /// How many Up peer ASes give a full feed of `family`: they enter at 75 % of the median of the largest tenth
    /// of tables and leave below 70 %.
    pub fn full_feeds(&mut self, family: Family, settings: &Settings, now: Time) -> u32 {
        let fresh = self.full_feeds[family as usize].fresh_until;
        if fresh.is_none_or(|until| until <= now) {
            let voters = self.measure(family, settings);
            self.full_feeds[family as usize] = FullFeeds {
                fresh_until: Some(now.plus_micros(FRESH)),
                voters,
            };
        }
        let up = |&voter: &Slot| self.is_up(voter);
        bits::slots(&self.full_feeds[family as usize].voters)
            .filter(up)
            .count() as u32
    }

    fn is_up(&self, voter: Slot) -> bool {
        self.sessions_of(voter)
            .iter()
            .any(|&mate| bits::get(&self.up, mate))
    }

    /// An AS that is not Up stays what it was.
    fn measure(&self, family: Family, settings: &Settings) -> Mask {
        let mut voters = self.full_feeds[family as usize].voters.clone();
        voters.resize(self.count().div_ceil(64), 0);
        let mut tables: Vec<(u32, Slot)> = self
            .voters
            .values()
            .filter(|&&voter| self.is_up(voter))
            .map(|&voter| (self.session(voter).routes[family as usize], voter))
            .filter(|&(routes, _)| routes > 0)
            .collect();
        tables.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&(median, _)) = tables.get(tables.len().div_ceil(10) / 2) else {
            return voters;
        };
        for (routes, voter) in tables {
            let share = f64::from(routes) / f64::from(median);
            if share >= settings.full_feed_at {
                bits::set(&mut voters, voter);
            } else if share < settings.full_feed_below {
                bits::clear(&mut voters, voter);
            }
        }
        voters
    }
}
