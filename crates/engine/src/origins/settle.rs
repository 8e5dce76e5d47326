//! The instant is over: what became of the origins and countries that it touched.

use netfault_model::{Asn, Country, Family, Output, Prefix, State, Subject, Time};

use super::group::{Sum, space as space_of};
use super::space::{self, SAMPLE_EVERY};
use super::tell::{Edge, step};
use super::{Member, Origins, Stage, rules};
use crate::Settings;
use crate::settings::secs;
use crate::table::Row;

/// What the route table says at the moment.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The prefix of a row, if some peer ASes have it.
    pub announced: &'a dyn Fn(Row) -> Option<Prefix>,
    /// A less-specific route of the same origin stands in for the row: so many have it that its space is not lost.
    pub covered: &'a dyn Fn(Row) -> bool,
    /// Routes of others pass through this AS: it is alive, whatever it has lost.
    pub carries: &'a dyn Fn(Asn) -> bool,
    /// When any collector was last heard.
    pub heard_at: &'a dyn Fn() -> Option<Time>,
}

impl Origins {
    /// When [`settle`](Self::settle) has something to do of its own accord.
    pub fn next_deadline(&self) -> Option<Time> {
        self.next_sample
    }

    /// The instant `now` is over: takes what was decided in it (`decided`, sorted) and adds to it.
    pub(crate) fn settle(&mut self, settings: &Settings, now: Time, decided: &mut Vec<Output>, view: View) {
        for asn in std::mem::take(&mut self.touched) {
            self.settle_origin(settings, asn, now, decided, view);
        }
        for country in std::mem::take(&mut self.touched_lands) {
            self.settle_country(settings, country, now, decided, view);
        }
        let is_heard = || (view.heard_at)().is_some_and(|at| now.since(at) < SAMPLE_EVERY);
        match self.next_sample.filter(|&due| due <= now) {
            // What nobody tells us of is no sample of what there is.
            Some(_) if !is_heard() => self.next_sample = None,
            Some(due) => {
                self.next_sample = Some(due.plus_micros(SAMPLE_EVERY));
                self.sample(settings, now, decided);
            }
            None if self.sampled && self.next_sample.is_none() && is_heard() => {
                self.next_sample = Some(now.plus_micros(SAMPLE_EVERY));
            }
            None => {}
        }
    }

    fn settle_origin(
        &mut self,
        settings: &Settings,
        asn: Asn,
        now: Time,
        decided: &mut Vec<Output>,
        view: View,
    ) {
        let watched = self.watched.contains(&asn);
        let (heard, members) = (&self.heard, &self.members);
        let others = |family| {
            let of_it = heard
                .range((asn, Row::MIN)..=(asn, Row::MAX))
                .map(|&(_, row)| row);
            others(members, of_it, view, family)
        };
        let down = &self.down;
        let covered = |family| {
            let of_it = down.iter().filter(|&(&row, fall)| {
                members[row as usize].origin == asn && fall.family == family && (view.covered)(row)
            });
            let mut sum = Sum::default();
            of_it.for_each(|(_, fall)| sum.add(fall.space));
            sum
        };
        let world = rules::World {
            others: &others,
            covered: &covered,
            is_transit: &|| (view.carries)(asn),
        };
        let Some(origin) = self.groups.get_mut(&asn) else {
            return;
        };
        let group = &mut origin.group;
        group.expire(now.plus_micros(-secs(settings.origin_within_s)));
        for to in rules::origin(settings, group, watched, &world) {
            let threshold = match to {
                State::Degrading => settings.origin_share,
                State::Out => settings.origin_out,
                State::Recovering => settings.origin_recovering,
                _ => 1.0 - settings.recovered_at,
            };
            let edge = Edge {
                to,
                threshold,
                window_s: settings.origin_within_s,
                watched,
                seeded: self.seeded,
            };
            decided.push(step(group, Subject::Origin { origin: asn }, &edge, now, None));
        }
        let is_out = origin.group.state == State::Out;
        origin
            .space
            .judge(settings, (asn, watched), &origin.group, now, decided);
        if origin.group.is_empty() {
            self.groups.remove(&asn);
        }
        self.origin_out(asn, is_out, now);
    }

    /// Tells the countries of an origin whether it is Out.
    fn origin_out(&mut self, asn: Asn, is_out: bool, now: Time) {
        if self.lands.is_empty() {
            return;
        }
        for (country, land) in &mut self.lands {
            let was_out = land.out.contains_key(&asn);
            if was_out == is_out || !land.origins.contains_key(&asn) {
                continue;
            }
            match is_out {
                true => drop(land.out.insert(asn, now)),
                false => drop(land.out.remove(&asn)),
            }
            self.touched_lands.insert(*country);
        }
    }

    fn settle_country(
        &mut self,
        settings: &Settings,
        country: Country,
        now: Time,
        decided: &mut Vec<Output>,
        view: View,
    ) {
        let (heard, members) = (&self.heard, &self.members);
        let others = |family| {
            let of_it = heard.iter().map(|&(_, row)| row);
            let of_it = of_it.filter(|&row| members[row as usize].country == Some(country));
            others(members, of_it, view, family)
        };
        let Some(land) = self.lands.get_mut(&country) else {
            return;
        };
        land.group
            .expire(now.plus_micros(-secs(settings.country_within_s)));
        let origins = (land.origins.len() as u32, land.out.len() as u32);
        for to in rules::country(settings, land, now, &others) {
            let threshold = match to {
                State::Degrading => settings.country_space,
                State::Out => settings.country_out,
                State::Recovering => settings.country_recovering,
                _ => settings.country_space / 2.0,
            };
            let edge = Edge {
                to,
                threshold,
                window_s: settings.country_within_s,
                watched: false,
                seeded: self.seeded,
            };
            decided.push(step(
                &mut land.group,
                Subject::Country { country },
                &edge,
                now,
                Some(origins),
            ));
        }
    }

    fn sample(&mut self, settings: &Settings, now: Time, decided: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.sampled, true) {
            decided.push(space::not_yet(now));
        }
        for (&asn, origin) in &mut self.groups {
            origin.space.sample(&origin.group);
            let watched = self.watched.contains(&asn);
            origin
                .space
                .judge(settings, (asn, watched), &origin.group, now, decided);
        }
    }
}

/// What is announced in one family by those of `rows` that are no stable prefixes.
fn others(members: &[Member], rows: impl Iterator<Item = Row>, view: View, family: Family) -> Sum {
    let mut sum = Sum::default();
    let absent = rows.filter(|&row| members[row as usize].stage == Stage::Absent);
    for prefix in absent
        .filter_map(view.announced)
        .filter(|prefix| prefix.family() == family)
    {
        sum.add(space_of(prefix));
    }
    sum
}
