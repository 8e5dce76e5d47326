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
//! baselines that are held, is judged by those that it has. IPv4 and IPv6 are judged apart, and the worse one counts.

use netfault_model::{Family, State, Time};

use super::group::{FAMILIES, Group, Inhabitants, Side};
use crate::Settings;

/// The edges an origin takes now, in order.
pub fn origin(settings: &Settings, group: &Group, watched: bool) -> Vec<State> {
    let rules = OriginRules {
        settings,
        group,
        watched,
    };
    walk(group.state, |state| rules.next(state))
}

/// The edges a country takes now, in order.
pub fn country(settings: &Settings, country: &Inhabitants, now: Time) -> Vec<State> {
    let rules = CountryRules {
        settings,
        country,
        now,
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
}

impl OriginRules<'_> {
    fn next(&self, state: State) -> Option<State> {
        match state {
            State::Normal if self.any(|side| self.is_burst(side) || self.is_out(side)) => {
                Some(State::Degrading)
            }
            State::Degrading | State::Recovering if self.any(|side| self.is_out(side)) => Some(State::Out),
            State::Degrading if self.all(|side| self.is_settled(side)) => Some(State::Normal),
            State::Out if self.all(|side| self.is_returning(side)) => Some(State::Recovering),
            State::Recovering if self.all(|side| self.is_back(side)) => Some(State::Normal),
            _ => None,
        }
    }

    fn any(&self, rule: impl Fn(&Side) -> bool) -> bool {
        self.group
            .sides
            .iter()
            .any(|side| side.stable.prefixes > 0 && rule(side))
    }

    fn all(&self, rule: impl Fn(&Side) -> bool) -> bool {
        !self.any(|side| !rule(side))
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

    fn is_out(&self, side: &Side) -> bool {
        let (prefixes, space) = side.down.of(side.stable);
        side.down.prefixes >= self.least(side) && prefixes.min(space) >= self.settings.origin_out
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
        few || prefixes.max(space) <= 1.0 - self.settings.recovered_at
    }
}

struct CountryRules<'a> {
    settings: &'a Settings,
    country: &'a Inhabitants,
    now: Time,
}

impl CountryRules<'_> {
    fn next(&self, state: State) -> Option<State> {
        let out = || self.any(|side| self.is_out(side));
        match state {
            State::Normal if self.any(|side| self.is_burst(side)) || self.many_origins() || out() => {
                Some(State::Degrading)
            }
            State::Degrading | State::Recovering if out() => Some(State::Out),
            State::Out
                if !self.any(|side| side.down.of(side.stable).1 >= self.settings.country_recovering) =>
            {
                Some(State::Recovering)
            }
            State::Degrading | State::Recovering if self.is_settled() => Some(State::Normal),
            _ => None,
        }
    }

    fn any(&self, rule: impl Fn(&Side) -> bool) -> bool {
        let sides = FAMILIES.map(|family: Family| &self.country.group.sides[family as usize]);
        sides
            .into_iter()
            .any(|side| side.stable.prefixes > 0 && rule(side))
    }

    fn is_burst(&self, side: &Side) -> bool {
        side.fallen_lately.prefixes >= self.settings.origin_min_prefixes
            && side.fallen_lately.of(side.stable).1 >= self.settings.country_space
    }

    fn is_out(&self, side: &Side) -> bool {
        side.down.prefixes >= self.settings.origin_min_prefixes
            && side.down.of(side.stable).1 >= self.settings.country_out
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
        let space = |side: &Side| side.troubled.of(side.stable).1 >= self.settings.country_space / 2.0;
        !self.any(space) && (self.country.out.len() as u32) * 2 < self.origins_needed()
    }
}
