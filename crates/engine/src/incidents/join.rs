//! Which incident a loss belongs to.
//!
//! 1. the one in which its subject is in trouble already;
//! 2. the oldest open one that concerns somebody who depends on it, or of names whose servers fail with the same servers ([`window`]), else of its origin, if the loss
//!    starts within 300 s of that one's last loss and within 1800 s of its first;
//! 3. the one in which its subject was in trouble until at most 1800 s ago, or whose origin was Out as a whole until
//!    then: it falls again, and re-opens it if it is over;
//! 4. that of its country, if the country itself is in trouble, by the times of 2;
//! 5. a new one.
//!
//! Beacons have incidents of their own.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, Country, Id, Time, Transition};

use super::live::Live;
use super::part::Key;
use super::severity::is_settled;
use super::{Incidents, Instant, window};
use crate::Settings;
use crate::graph::Tie;
use crate::settings::secs;

/// A subject that begins to be in trouble.
pub(super) struct Loss<'a> {
    pub key: Key,
    pub transition: &'a Transition,
    /// Before the loss.
    pub origin: Option<Asn>,
    pub country: Option<Country>,
    /// Who depends on it, and on what it depends.
    pub ties: BTreeSet<Tie>,
}

impl Loss<'_> {
    /// When it began.
    pub fn start(&self) -> Time {
        self.transition.first_evidence_at.min(self.transition.at)
    }
}

impl Incidents {
    /// The incident in which the subject is in trouble.
    pub(super) fn holding(&self, key: &Key) -> Option<Id> {
        let id = *self.of.get(key)?;
        let part = self.live.get(&id)?.parts.get(key)?;
        (!part.is_settled()).then_some(id)
    }

    /// The incident in which it was in trouble, if that is not over.
    pub(super) fn had(&self, key: &Key) -> Option<Id> {
        let id = *self.of.get(key)?;
        let live = self.live.get(&id)?;
        (!live.resolved && live.parts.contains_key(key)).then_some(id)
    }

    /// Where a loss belongs that is in no incident yet; opens one if need be.
    pub(super) fn place(&mut self, it: Instant, loss: &Loss) -> Id {
        let (settings, now) = (it.settings, it.now);
        let found = self
            .of_ties(it, loss)
            .or_else(|| self.of_origin(settings, loss))
            .or_else(|| self.falls_again(settings, loss, now))
            .or_else(|| self.of_country(settings, loss));
        let start = loss.start();
        let id = match found {
            Some(id) => id,
            None => self.open(loss, start, now),
        };
        let Some(live) = self.live.get_mut(&id) else {
            return id;
        };
        live.joined(start, settings);
        live.countries.extend(loss.country);
        id
    }

    fn open(&mut self, loss: &Loss, start: Time, now: Time) -> Id {
        let live = Live::new(loss.transition, start, loss.transition.beacon, now);
        let id = live.id;
        // The same subject with the same first evidence is the same incident.
        self.live.entry(id).or_insert(live);
        id
    }

    /// The oldest open incident that has a tie in common with what is lost now; all of these become one.
    fn of_ties(&mut self, it: Instant, loss: &Loss) -> Option<Id> {
        if loss.transition.beacon {
            return None;
        }
        let ids: BTreeSet<Id> = loss
            .ties
            .iter()
            .filter_map(|tie| self.by_tie.get(tie))
            .flatten()
            .copied()
            .collect();
        let lives = ids.iter().filter_map(|id| self.live.get(id));
        let mut fitting: Vec<&Live> = lives
            .filter(|live| !live.resolved && !live.beacon && window::joins(live, loss, it))
            .collect();
        fitting.sort_by_key(|live| (live.raised_at, live.first_evidence, live.id));
        let ids: Vec<Id> = fitting.into_iter().map(|live| live.id).collect();
        self.merge(it, &ids)
    }

    fn of_origin(&self, settings: &Settings, loss: &Loss) -> Option<Id> {
        let (start, at) = (loss.start(), loss.transition.at);
        self.of_this_origin(loss.origin?)
            .find(|live| live.beacon == loss.transition.beacon && live.fits(start, at, settings))
            .map(|live| live.id)
    }

    /// Oldest first.
    pub(super) fn of_this_origin(&self, origin: Asn) -> impl Iterator<Item = &Live> {
        let ids = self.by_origin.get(&origin).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.live.get(id))
    }

    /// The incident in which this subject was in trouble until lately.
    pub(super) fn fell_before(
        &self,
        settings: &Settings,
        key: &Key,
        start: Time,
        now: Time,
    ) -> Option<&Live> {
        let live = self
            .live
            .get(self.of.get(key)?)
            .filter(|live| !live.is_past(now, settings))?;
        let cleared = live.parts.get(key)?.cleared_at?;
        (start.since(cleared) <= secs(settings.incident_reopen_s)).then_some(live)
    }

    fn falls_again(&self, settings: &Settings, loss: &Loss, now: Time) -> Option<Id> {
        let start = loss.start();
        let own = self.fell_before(settings, &loss.key, start, now);
        let of_whole_origin = || {
            let origin = loss.origin?;
            self.of_this_origin(origin)
                .filter(|live| live.beacon == loss.transition.beacon && !live.is_past(now, settings))
                .find(|live| live.falls_again(origin, start, settings))
        };
        own.or_else(of_whole_origin).map(|live| live.id)
    }

    fn of_country(&self, settings: &Settings, loss: &Loss) -> Option<Id> {
        let key = Key::Country(loss.country?);
        let id = self.holding(&key).filter(|_| !loss.transition.beacon)?;
        let live = self.live.get(&id)?;
        live.fits(loss.start(), loss.transition.at, settings)
            .then_some(id)
    }

    /// A whole origin is Out: all of its losses of the last half hour are one incident, the oldest.
    pub(super) fn gather_origin(&mut self, it: Instant, origin: Asn) -> Option<Id> {
        let (settings, now) = (it.settings, it.now);
        let span = secs(settings.incident_span_s);
        let of_it = self
            .of_this_origin(origin)
            .filter(|live| !live.beacon && !live.is_settled() && now.since(live.last_loss) <= span);
        let ids: Vec<Id> = of_it.map(|live| live.id).collect();
        self.merge(it, &ids)
    }

    /// A country is in trouble: what its origins lost since that began is one incident, the oldest.
    pub(super) fn gather_country(&mut self, it: Instant, loss: &Loss) -> Option<Id> {
        let since = loss.start().plus_micros(-secs(it.settings.incident_join_s));
        let mut of_it: Vec<&Live> = self
            .live
            .values()
            .filter(|live| {
                loss.country
                    .is_some_and(|country| live.countries.contains(&country))
            })
            .filter(|live| !live.beacon && !live.is_settled() && live.last_loss >= since)
            .collect();
        of_it.sort_by_key(|live| (live.raised_at, live.first_evidence, live.id));
        let ids: Vec<Id> = of_it.into_iter().map(|live| live.id).collect();
        self.merge(it, &ids)
    }

    /// The first of `ids` takes over the others.
    pub(super) fn merge(&mut self, it: Instant, ids: &[Id]) -> Option<Id> {
        let (&oldest, others) = ids.split_first()?;
        for id in others {
            let Some(mut other) = self.live.remove(id) else {
                continue;
            };
            self.dirty.remove(id);
            if other.was_told() {
                let merged = netfault_model::IncidentState::Merged;
                let said = other.say(merged, it.now, it.settings, it.world.hints, Some(oldest));
                self.said.push(said);
            }
            for key in other.parts.keys() {
                if self.of.get(key) == Some(id) {
                    self.of.insert(key.clone(), oldest);
                }
            }
            let origins: Vec<Asn> = other.origins.iter().copied().collect();
            let ties = other.ties.clone();
            self.behind.merged(*id, oldest);
            if let Some(live) = self.live.get_mut(&oldest) {
                live.absorb(other);
            }
            origins
                .into_iter()
                .for_each(|origin| self.move_origin(origin, *id, oldest));
            for tie in ties {
                let ids = self.by_tie.entry(tie).or_default();
                ids.retain(|other| other != id && *other != oldest);
                ids.push(oldest);
            }
            self.dirty.insert(oldest);
        }
        Some(oldest)
    }

    fn move_origin(&mut self, origin: Asn, from: Id, to: Id) {
        let ids = self.by_origin.entry(origin).or_default();
        let place = ids.iter().position(|&id| id == from).unwrap_or(ids.len());
        ids.retain(|&id| id != from);
        if !ids.contains(&to) {
            ids.insert(place.min(ids.len()), to);
        }
    }

    /// Lets the incident be found by what the transition is about.
    pub(super) fn index(&mut self, id: Id, key: &Key, origin: Option<Asn>, ties: BTreeSet<Tie>) {
        self.of.insert(key.clone(), id);
        for tie in &ties {
            let ids = self.by_tie.entry(tie.clone()).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if let Some(live) = self.live.get_mut(&id) {
            live.ties.extend(ties);
        }
        if let Some(origin) = origin {
            let ids = self.by_origin.entry(origin).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }

    /// Forgets incidents that can be opened no more.
    pub(super) fn forget(&mut self, settings: &Settings, now: Time) {
        let before = now.plus_micros(-secs(settings.incident_reopen_s) - secs(settings.incident_span_s));
        while let Some(&(ended, id)) = self.ended.first()
            && ended < before
        {
            self.ended.pop_first();
            if !self.live.get(&id).is_some_and(|live| live.is_past(now, settings)) {
                continue;
            }
            let Some(live) = self.live.remove(&id) else {
                continue;
            };
            for key in live.parts.keys() {
                if self.of.get(key) == Some(&id) {
                    self.of.remove(key);
                }
            }
            live.origins
                .iter()
                .for_each(|origin| unlist(&mut self.by_origin, origin, id));
            live.ties.iter().for_each(|tie| unlist(&mut self.by_tie, tie, id));
        }
    }
}

fn unlist<K: Ord>(lists: &mut BTreeMap<K, Vec<Id>>, key: &K, id: Id) {
    if let Some(ids) = lists.get_mut(key) {
        ids.retain(|&other| other != id);
        if ids.is_empty() {
            lists.remove(key);
        }
    }
}

/// True if the transition is a loss as far as incidents are concerned. A single prefix that is Degrading is not:
/// a third of those are well again within a minute.
pub(super) fn is_loss(transition: &Transition) -> bool {
    use netfault_model::{State, Subject};
    match transition.subject {
        Subject::Prefix { .. } => matches!(transition.to, State::Partial | State::Out),
        _ => !is_settled(transition.to) && !matches!(transition.to, State::Unknown | State::Recovering),
    }
}
