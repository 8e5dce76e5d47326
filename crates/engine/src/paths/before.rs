//! Reference paths as they were before a row began to change. When it has fallen, path hunting has long replaced them.

use std::collections::VecDeque;

use netfault_model::Time;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::REFERENCES;
use super::interned::{Interned, NONE, PathId};
use crate::table::Row;

/// Longer than path hunting takes: 129.134.30.0/24 drained for 12 minutes on 2021-10-04.
const KEPT: i64 = 900 * 1_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Before {
    now: Time,
    kept: FxHashMap<Row, [PathId; REFERENCES]>,
    /// Oldest first.
    order: VecDeque<(Time, Row)>,
}

impl Before {
    pub fn has(&self, row: Row) -> bool {
        self.kept.contains_key(&row)
    }

    pub fn of(&self, row: Row) -> Option<[PathId; REFERENCES]> {
        self.kept.get(&row).copied()
    }

    pub fn keep(&mut self, row: Row, ids: [PathId; REFERENCES], interned: &mut Interned) {
        ids.into_iter()
            .filter(|&id| id != NONE)
            .for_each(|id| interned.hold(id));
        self.kept.insert(row, ids);
        self.order.push_back((self.now, row));
    }

    pub fn advance(&mut self, now: Time, interned: &mut Interned) {
        self.now = now;
        let oldest = now.plus_micros(-KEPT);
        while let Some(&(at, row)) = self.order.front()
            && at < oldest
        {
            self.order.pop_front();
            if let Some(ids) = self.kept.remove(&row) {
                ids.into_iter()
                    .filter(|&id| id != NONE)
                    .for_each(|id| interned.release(id));
            }
        }
    }
}
