//! When an origin or a country is Degrading, Out, and back. Pure: sums in, the next state out.
//!
//! | from → to | origin | country |
//! |---|---|---|
//! | Normal → Degrading | max(3, 1 %) of its stable prefixes fell within 120 s, or the rule of Out | 20 % of its space fell within 10 minutes, or max(3, 5 %) of its origins went Out within that time, or the rule of Out |
//! | Degrading, Recovering → Out | 80 % of its prefixes and of its space are down | 80 % of its space is down |
//! | Out → Recovering | less than half of its prefixes or of its space is down | less than half of its space is down |
//! | Degrading → Normal | of what fell in this episode, less than half of what it took is not Normal yet | less than half of 20 % of its space is not Normal yet, and less than half of the origins it took are Out |
//! | Recovering → Normal | at most a tenth of its prefixes and of its space, or less than half of what it took to be Degrading, is not Normal yet | as from Degrading |
//!
//! "Down" is Partial or Out. There are no holds: each prefix has served its own. Three prefixes down are the least for
//! any of it, so that a single prefix is not told twice; a watched origin with fewer prefixes, all of them known by
//! baselines that are held, is judged by those that it has. Without a table dump the stable prefixes are a few of all,
//! so for Out (and for a country's Degrading) whatever else is announced at the moment counts as not lost. What is down
//! under a standing less-specific route of its own origin is no loss of the origin, and an AS that carries routes of
//! others is not Out. IPv4 and IPv6 are judged apart, and the worse one counts.

use netfault_model::{Family, State, Time};

use super::group::{Group, Inhabitants, Side, Sum};
use crate::Settings;

/// What is announced, in one family, besides stable prefixes. Nothing once a table dump told which are stable.
pub type Others<'a> = &'a dyn Fn(Family) -> Sum;

/// What may speak against an origin being Out. Asked only when its own sums say that it is.
pub struct World<'a> {
    pub others: Others<'a>,
    /// What is down, but under a less-specific route of the same origin that stands: renumbering looks like that, and
    /// the space is there.
    pub covered: Others<'a>,
    /// Routes of others pass through it.
    pub is_transit: &'a dyn Fn() -> bool,
}

/// The edges an origin takes now, in order.
pub fn origin(settings: &Settings, group: &Group, watched: bool, world: &World) -> Vec<State> {
    let rules = OriginRules {
        settings,
        group,
        watched,
        world,
    };
    walk(group.state, |state| rules.next(state))
}

/// The edges a country takes now, in order.
pub fn country(settings: &Settings, country: &Inhabitants, now: Time, others: Others) -> Vec<State> {
    let rules = CountryRules {
        settings,
        country,
        now,
        others,
    };
    walk(country.group.state, |state| rules.next(state))
}

/// Each edge at most once, so at most as many as there are states.
fn walk(from: State, next: impl Fn(State) -> Option<State>) -> Vec<State> {
    let (mut state, mut edges) = (from, Vec::new());
    while let Some(to) = next(state)
        && edges.len() < 3
        && to != from
    {
        edges.push(to);
        state = to;
    }
    edges
}

/// `share` of `all`, rounded up, but at least `least`.
fn needed(all: usize, share: f64, least: u32) -> u32 {
    ((share * all as f64).ceil() as u32).max(least)
}

struct OriginRules<'a> {
    settings: &'a Settings,
    group: &'a Group,
    watched: bool,
    world: &'a World<'a>,
}

impl OriginRules<'_> {
    fn next(&self, state: State) -> Option<State> {
        match state {
            State::Normal if self.any(|family, side| self.is_burst(side) || self.is_out(family, side)) => {
                Some(State::Degrading)
            }
            State::Degrading | State::Recovering if self.any(|family, side| self.is_out(family, side)) => {
                Some(State::Out)
            }
            State::Degrading if self.all(|_, side| self.is_settled(side)) => Some(State::Normal),
            State::Out if self.all(|_, side| self.is_returning(side)) => Some(State::Recovering),
            State::Recovering if self.all(|_, side| self.is_back(side)) => Some(State::Normal),
            _ => None,
        }
    }

    fn any(&self, rule: impl Fn(Family, &Side) -> bool) -> bool {
        any(self.group, rule)
    }

    fn all(&self, rule: impl Fn(Family, &Side) -> bool) -> bool {
        !self.any(|family, side| !rule(family, side))
    }

    fn least(&self, side: &Side) -> u32 {
        let least = self.settings.origin_min_prefixes;
        match self.watched && side.inferred == 0 {
            true => least.min(side.stable.prefixes),
            false => least,
        }
    }

    fn is_burst(&self, side: &Side) -> bool {
        let (all, share) = (side.stable.prefixes as usize, self.settings.origin_share);
        side.fallen_lately.prefixes >= needed(all, share, self.least(side))
    }

    fn is_out(&self, family: Family, side: &Side) -> bool {
        let is_out = |down: Sum, all| {
            let (prefixes, space) = down.of(all);
            prefixes.min(space) >= self.settings.origin_out
        };
        // The world is asked only if it would be Out without it.
        side.down.prefixes >= self.least(side)
            && is_out(side.down, side.stable)
            && is_out(
                side.down.without((self.world.covered)(family)),
                side.stable.and((self.world.others)(family)),
            )
            && !(self.world.is_transit)()
    }

    fn is_returning(&self, side: &Side) -> bool {
        let (prefixes, space) = side.down.of(side.stable);
        prefixes.min(space) < self.settings.origin_recovering
    }

    fn is_settled(&self, side: &Side) -> bool {
        let (all, share) = (side.stable.prefixes as usize, self.settings.origin_share);
        (side.fallen.len() as u32) * 2 < needed(all, share, self.least(side))
    }

    fn is_back(&self, side: &Side) -> bool {
        let (all, share) = (side.stable.prefixes as usize, self.settings.origin_share);
        let (prefixes, space) = side.troubled.of(side.stable);
        let few = side.troubled.prefixes * 2 < needed(all, share, self.least(side));
        few || 1.0 - prefixes.max(space) >= self.settings.recovered_at
    }
}

struct CountryRules<'a> {
    settings: &'a Settings,
    country: &'a Inhabitants,
    now: Time,
    others: Others<'a>,
}

/// True of some family in which there is anything.
fn any(group: &Group, rule: impl Fn(Family, &Side) -> bool) -> bool {
    let sides = Family::ALL.map(|family| (family, &group.sides[family as usize]));
    let mut sides = sides.into_iter().filter(|(_, side)| side.stable.prefixes > 0);
    sides.any(|(family, side)| rule(family, side))
}

impl CountryRules<'_> {
    fn next(&self, state: State) -> Option<State> {
        let out = || self.any(|family, side| self.is_out(family, side));
        match state {
            State::Normal
                if self.any(|family, side| self.is_burst(family, side)) || self.many_origins() || out() =>
            {
                Some(State::Degrading)
            }
            State::Degrading | State::Recovering if out() => Some(State::Out),
            State::Out
                if !self.any(|_, side| side.down.of(side.stable).1 >= self.settings.country_recovering) =>
            {
                Some(State::Recovering)
            }
            State::Degrading | State::Recovering if self.is_settled() => Some(State::Normal),
            _ => None,
        }
    }

    fn any(&self, rule: impl Fn(Family, &Side) -> bool) -> bool {
        any(&self.country.group, rule)
    }

    fn is_burst(&self, family: Family, side: &Side) -> bool {
        self.is_lost(family, side, side.fallen_lately, self.settings.country_space)
    }

    fn is_out(&self, family: Family, side: &Side) -> bool {
        self.is_lost(family, side, side.down, self.settings.country_out)
    }

    fn is_lost(&self, family: Family, side: &Side, lost: Sum, share: f64) -> bool {
        lost.prefixes >= self.settings.origin_min_prefixes
            && lost.of(side.stable).1 >= share
            && lost.of(side.stable.and((self.others)(family))).1 >= share
    }

    fn origins_needed(&self) -> u32 {
        let origins = self.country.origins.len();
        needed(
            origins,
            self.settings.country_origins,
            self.settings.country_min_origins,
        )
    }

    fn many_origins(&self) -> bool {
        let window = crate::settings::secs(self.settings.country_within_s);
        let lately = self
            .country
            .out
            .values()
            .filter(|&&since| self.now.since(since) < window);
        lately.count() as u32 >= self.origins_needed()
    }

    fn is_settled(&self) -> bool {
        let space =
            |_: Family, side: &Side| side.troubled.of(side.stable).1 >= self.settings.country_space / 2.0;
        !self.any(space) && (self.country.out.len() as u32) * 2 < self.origins_needed()
    }
}
