//! The prefixes of one origin, or of one country: how many there are, how many are down, and since when.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, Family, Prefix, State, Time};
use serde::{Deserialize, Serialize};

use crate::table::Row;

/// A number of prefixes and the space that they announce: /32s of IPv4, /64s of IPv6. Space that is announced twice
/// (a prefix and its more-specifics) counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub prefixes: u32,
    pub space: u64,
}

impl Sum {
    pub fn add(&mut self, space: u64) {
        self.prefixes += 1;
        self.space += space;
    }

    pub fn sub(&mut self, space: u64) {
        self.prefixes = self.prefixes.saturating_sub(1);
        self.space = self.space.saturating_sub(space);
    }

    pub fn and(self, other: Sum) -> Sum {
        Sum {
            prefixes: self.prefixes + other.prefixes,
            space: self.space + other.space,
        }
    }

    pub fn without(self, other: Sum) -> Sum {
        Sum {
            prefixes: self.prefixes.saturating_sub(other.prefixes),
            space: self.space.saturating_sub(other.space),
        }
    }

    /// As shares of `all`: of its prefixes, of its space.
    pub fn of(self, all: Sum) -> (f64, f64) {
        let prefixes = f64::from(self.prefixes) / f64::from(all.prefixes.max(1));
        (prefixes, self.space as f64 / all.space.max(1) as f64)
    }
}

/// The space of one prefix, in the unit of [`Sum`].
pub fn space(prefix: Prefix) -> u64 {
    match prefix.family() {
        Family::V4 => 1 << 32u32.saturating_sub(u32::from(prefix.len())),
        Family::V6 => 1 << 64u32.saturating_sub(u32::from(prefix.len())).min(63),
    }
}

/// In /24s or /48s.
pub fn blocks(family: Family, space: u64) -> f64 {
    match family {
        Family::V4 => space as f64 / 256.0,
        Family::V6 => space as f64 / 65_536.0,
    }
}

/// A prefix that became Partial or Out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    pub row: Row,
    pub family: Family,
    pub space: u64,
    pub at: Time,
    /// Its first loss.
    pub evidence: Time,
    pub inferred: bool,
}

/// One address family of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub stable: Sum,
    /// Partial or Out.
    pub down: Sum,
    /// … or Recovering from that.
    pub troubled: Sum,
    /// Of those down: by a baseline that was inferred.
    pub inferred: u32,
    /// Those down that fell lately, by the moment of their fall; and their sum.
    recent: BTreeMap<(Time, Row), Fall>,
    pub fallen_lately: Sum,
    /// Those that fell in this episode and are not Normal yet.
    pub fallen: BTreeSet<Row>,
}

/// What became of an origin or a country.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    pub state: State,
    /// While it is not Normal: the first loss of all.
    pub since: Option<Time>,
    pub sides: [Side; 2],
}

impl Default for Group {
    fn default() -> Self {
        Group {
            state: State::Normal,
            since: None,
            sides: Default::default(),
        }
    }
}

impl Group {
    pub fn join(&mut self, family: Family, space: u64) {
        self.sides[family as usize].stable.add(space);
    }

    pub fn leave(&mut self, family: Family, space: u64) {
        self.sides[family as usize].stable.sub(space);
    }

    /// A prefix is down; `again`: it was on its way back.
    pub fn fall(&mut self, fall: Fall, again: bool) {
        let in_episode = self.since.is_some();
        let side = &mut self.sides[fall.family as usize];
        side.down.add(fall.space);
        side.inferred += u32::from(fall.inferred);
        if !again {
            side.troubled.add(fall.space);
        }
        side.fallen_lately.add(fall.space);
        side.recent.insert((fall.at, fall.row), fall);
        if in_episode {
            side.fallen.insert(fall.row);
        }
    }

    /// It is on its way back.
    pub fn rise(&mut self, fall: &Fall) {
        let side = &mut self.sides[fall.family as usize];
        side.down.sub(fall.space);
        side.inferred -= u32::from(fall.inferred).min(side.inferred);
        if side.recent.remove(&(fall.at, fall.row)).is_some() {
            side.fallen_lately.sub(fall.space);
        }
    }

    /// It is Normal again, or its loss is accepted.
    pub fn settle(&mut self, row: Row, family: Family, space: u64) {
        let side = &mut self.sides[family as usize];
        side.troubled.sub(space);
        side.fallen.remove(&row);
    }

    /// Forgets which falls were recent `before` this moment.
    pub fn expire(&mut self, before: Time) {
        for side in &mut self.sides {
            while let Some((&(at, _), fall)) = side.recent.first_key_value()
                && at <= before
            {
                side.fallen_lately.sub(fall.space);
                side.recent.pop_first();
            }
        }
    }

    /// An episode begins with what fell lately.
    pub fn begin(&mut self, now: Time) {
        let recent = || self.sides.iter().flat_map(|side| side.recent.values());
        self.since = Some(recent().map(|fall| fall.evidence).min().unwrap_or(now).min(now));
        for side in &mut self.sides {
            side.fallen = side.recent.values().map(|fall| fall.row).collect();
        }
    }

    /// … and is over.
    pub fn end(&mut self) {
        self.since = None;
        self.sides.iter_mut().for_each(|side| side.fallen.clear());
    }

    pub fn is_empty(&self) -> bool {
        self.sides.iter().all(|side| side.stable.prefixes == 0)
    }

    /// The family that is worst off, by share of space gone.
    pub fn worst(&self) -> Family {
        let gone = |family: Family| {
            let side = &self.sides[family as usize];
            side.down.of(side.stable).1
        };
        if gone(Family::V6) > gone(Family::V4) {
            Family::V6
        } else {
            Family::V4
        }
    }
}

/// What a country has besides prefixes: origins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Inhabitants {
    pub group: Group,
    /// Stable prefixes of each origin.
    pub origins: BTreeMap<Asn, u32>,
    /// Those that are Out, and since when.
    pub out: BTreeMap<Asn, Time>,
}
