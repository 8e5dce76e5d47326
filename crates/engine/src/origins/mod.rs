//! Origins and countries as subjects: what became of all prefixes of one origin, of one country.
//!
//! A prefix belongs to its majority origin once it has been Normal, and stays with the origin from before the loss
//! for as long as it is in trouble ([`Origins::join`]). Its edges are told here as they are taken
//! ([`Origins::edge`]); once the instant is over, [`Origins::settle`] asks the rules about those origins and
//! countries that it touched. Nothing here has a deadline but the sample of announced space, every six hours.
//!
//! Without a table dump nobody knows how many prefixes an origin has: only those are counted that became known by
//! being held for an hour or by being lost, and whatever is said is marked `inferred`.
//! A prefix whose quorum is lost keeps its place, whatever that was: an origin is never Unknown.

pub mod countries;
mod group;
mod rules;
mod settle;
mod space;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{Asn, Country, Prefix, State, Time, Watch};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::notables::beacons::Beacons;
use crate::table::{Row, aggregates};
pub use countries::{Countries, Range};
use group::{Fall, Group, Inhabitants, space};
pub(crate) use settle::View;
use space::{SAMPLE_EVERY, Space};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Not a stable prefix.
    #[default]
    Absent,
    /// Normal or Degrading.
    Whole,
    /// Partial or Out.
    Down,
    /// Recovering.
    Back,
}

/// A prefix, as a part of its origin and its country.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Member {
    stage: Stage,
    /// Of a stable prefix: its majority origin before the loss.
    origin: Asn,
    /// Its majority origin now, as far as that matters (`Origins::heard`).
    heard: Asn,
    country: Option<Country>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Origin {
    group: Group,
    space: Space,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Origins {
    #[serde(skip)]
    watched: BTreeSet<Asn>,
    #[serde(skip)]
    countries: Arc<Countries>,
    #[serde(skip)]
    beacons: Beacons,
    /// Of the countries that `lands` was made with.
    countries_print: u64,
    /// By row.
    members: Vec<Member>,
    /// Prefixes that are down.
    down: BTreeMap<Row, Fall>,
    /// Prefixes by their majority origin, stable or not. Only until there is a table dump.
    heard: BTreeSet<(Asn, Row)>,
    groups: BTreeMap<Asn, Origin>,
    lands: BTreeMap<Country, Inhabitants>,
    /// A table dump has been read.
    seeded: bool,
    /// Changed in this instant.
    touched: BTreeSet<Asn>,
    touched_lands: BTreeSet<Country>,
    next_sample: Option<Time>,
    sampled: bool,
}

/// One edge of a prefix, as it is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub row: Row,
    pub prefix: Prefix,
    /// Majority origin before the loss.
    pub origin: Option<Asn>,
    pub to: State,
    pub at: Time,
    pub first_evidence: Time,
    pub inferred: bool,
}

impl Origins {
    pub(crate) fn new(settings: &Settings, watch: &Watch) -> Self {
        let mut origins = Origins::default();
        origins.configure(settings, watch);
        origins
    }

    /// What the configuration says: whom to watch, and which prefixes come and go by the clock.
    pub(crate) fn configure(&mut self, settings: &Settings, watch: &Watch) {
        self.watched = watch.origins.clone();
        self.beacons = Beacons::new(&settings.beacons);
    }

    /// Where what is. If that is not what a saved state was made with, all prefixes find their countries anew.
    pub(crate) fn set_countries(&mut self, countries: Arc<Countries>, prefix: impl Fn(Row) -> Prefix) {
        let print = countries.print();
        self.countries = countries;
        if std::mem::replace(&mut self.countries_print, print) == print {
            return;
        }
        let before = std::mem::take(&mut self.lands);
        for index in 0..self.members.len() {
            if self.members[index].stage != Stage::Absent {
                self.settle_down(index as Row, prefix(index as Row));
            }
        }
        for (country, land) in &mut self.lands {
            if let Some(old) = before.get(country) {
                (land.group.state, land.group.since) = (old.group.state, old.group.since);
            }
        }
    }

    /// The prefix becomes a part of its country, in the state in which it is.
    fn settle_down(&mut self, row: Row, prefix: Prefix) {
        let member = &mut self.members[row as usize];
        member.country = self.countries.of_prefix(prefix);
        let (member, family, space) = (*member, prefix.family(), space(prefix));
        if let Some(country) = member.country {
            let group = &mut self.lands.entry(country).or_default().group;
            group.join(family, space);
            match (member.stage, self.down.get(&row)) {
                (Stage::Down, Some(fall)) => group.fall(*fall, false),
                (Stage::Back, _) => group.sides[family as usize].troubled.add(space),
                _ => {}
            }
        }
        if let Some(home) = self.home(member.origin, member.country) {
            *self
                .lands
                .entry(home)
                .or_default()
                .origins
                .entry(member.origin)
                .or_default() += 1;
        }
    }

    /// A table dump is being read: the number of an origin's prefixes will be known.
    pub(crate) fn seeded(&mut self) {
        self.seeded = true;
        self.heard.clear();
    }

    /// The majority origin of a prefix is this one now, whatever is known of the prefix.
    pub(crate) fn hear(&mut self, row: Row, prefix: Prefix, origin: Option<Asn>) {
        let Some(origin) = origin.filter(|_| !self.seeded && self.counts(prefix, origin)) else {
            return;
        };
        let country = self.countries.of_prefix(prefix);
        let member = self.member(row);
        let before = std::mem::replace(&mut member.heard, origin);
        if member.stage == Stage::Absent {
            member.country = country;
        }
        self.heard.remove(&(before, row));
        self.heard.insert((origin, row));
    }

    fn member(&mut self, row: Row) -> &mut Member {
        let index = row as usize;
        if self.members.len() <= index {
            self.members.resize(index + 1, Member::default());
        }
        &mut self.members[index]
    }

    /// The prefix is Normal, and this is its origin now.
    pub(crate) fn join(&mut self, row: Row, prefix: Prefix, origin: Option<Asn>, now: Time) {
        let index = row as usize;
        let member = self.members.get(index).copied().unwrap_or_default();
        if matches!(member.stage, Stage::Down | Stage::Back)
            || member.stage == Stage::Whole && Some(member.origin) == origin
        {
            return;
        }
        if member.stage == Stage::Whole {
            self.leave(row, prefix);
        }
        let Some(origin) = origin.filter(|_| self.counts(prefix, origin)) else {
            return;
        };
        let member = self.member(row);
        (member.stage, member.origin) = (Stage::Whole, origin);
        self.groups
            .entry(origin)
            .or_default()
            .group
            .join(prefix.family(), space(prefix));
        self.settle_down(row, prefix);
        self.next_sample.get_or_insert(now.plus_micros(SAMPLE_EVERY));
    }

    /// Beacons are no part of what their origin stands for.
    fn counts(&self, prefix: Prefix, origin: Option<Asn>) -> bool {
        aggregates(prefix) && !self.beacons.is_beacon(prefix, origin)
    }

    /// It is no stable prefix of its origin any more. It must not be in trouble.
    fn leave(&mut self, row: Row, prefix: Prefix) {
        let place = &mut self.members[row as usize];
        let member = *place;
        place.stage = Stage::Absent;
        let (family, space) = (prefix.family(), space(prefix));
        if let Some(origin) = self.groups.get_mut(&member.origin) {
            origin.group.leave(family, space);
        }
        if let Some(land) = member.country.and_then(|country| self.lands.get_mut(&country)) {
            land.group.leave(family, space);
        }
        let home = self.home(member.origin, member.country);
        if let Some(land) = home.and_then(|home| self.lands.get_mut(&home))
            && let Some(count) = land.origins.get_mut(&member.origin)
        {
            *count -= 1;
            if *count == 0 {
                land.origins.remove(&member.origin);
                land.out.remove(&member.origin);
            }
        }
    }

    /// Where an origin is at home: where its number is registered, else where its prefix is.
    fn home(&self, origin: Asn, of_prefix: Option<Country>) -> Option<Country> {
        self.countries.of_asn(origin).or(of_prefix)
    }

    pub(crate) fn edge(&mut self, step: Step) {
        match step.to {
            State::Partial | State::Out => self.fall(step),
            State::Recovering => self.rise(step.row),
            State::Normal | State::Gone => self.settle_prefix(step),
            State::Unknown | State::Degrading | State::Ok | State::Degraded => {}
        }
    }

    fn fall(&mut self, step: Step) {
        self.join(step.row, step.prefix, step.origin, step.at);
        let Some(member) = self.members.get_mut(step.row as usize) else {
            return;
        };
        let again = member.stage == Stage::Back;
        if !matches!(member.stage, Stage::Whole | Stage::Back) {
            return;
        }
        member.stage = Stage::Down;
        let member = *member;
        let fall = Fall {
            row: step.row,
            family: step.prefix.family(),
            space: space(step.prefix),
            at: step.at,
            evidence: step.first_evidence,
            inferred: step.inferred,
        };
        self.down.insert(step.row, fall);
        self.each_group(member, |group| group.fall(fall, again));
    }

    fn rise(&mut self, row: Row) {
        let Some(fall) = self.down.remove(&row) else {
            return;
        };
        let Some(member) = self.members.get_mut(row as usize) else {
            return;
        };
        member.stage = Stage::Back;
        let member = *member;
        self.each_group(member, |group| group.rise(&fall));
    }

    fn settle_prefix(&mut self, step: Step) {
        self.rise(step.row);
        let Some(member) = self.members.get_mut(step.row as usize) else {
            return;
        };
        if member.stage == Stage::Back {
            member.stage = Stage::Whole;
            let member = *member;
            let (family, space) = (step.prefix.family(), space(step.prefix));
            self.each_group(member, |group| group.settle(step.row, family, space));
        }
        if step.to == State::Gone && self.members[step.row as usize].stage == Stage::Whole {
            self.touched.insert(self.members[step.row as usize].origin);
            self.leave(step.row, step.prefix);
        }
    }

    fn each_group(&mut self, member: Member, change: impl Fn(&mut Group)) {
        if let Some(origin) = self.groups.get_mut(&member.origin) {
            change(&mut origin.group);
            self.touched.insert(member.origin);
        }
        if let Some(country) = member.country
            && let Some(land) = self.lands.get_mut(&country)
        {
            change(&mut land.group);
            self.touched_lands.insert(country);
        }
    }
}
