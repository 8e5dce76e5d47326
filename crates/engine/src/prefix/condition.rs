//! What has to be true of the votes for an edge, and for how long.

use netfault_model::{Rule, Time};

use super::Verdict;
use crate::settings::{Settings, secs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// V↓ is below the threshold of Degrading.
    Falling,
    /// Several peer ASes lost it within a minute.
    Burst,
    /// Either of the two: what leads away from Normal.
    Troubled,
    Clear,
    Partial,
    Out,
    Rising,
    Whole,
    /// So many have lost it that who still has it may have a stuck route.
    Deserted,
}

pub(super) const CONDITIONS: [Condition; 9] = [
    Condition::Falling,
    Condition::Burst,
    Condition::Troubled,
    Condition::Clear,
    Condition::Partial,
    Condition::Out,
    Condition::Rising,
    Condition::Whole,
    Condition::Deserted,
];

impl Condition {
    pub fn holds(self, settings: &Settings, verdict: &Verdict) -> bool {
        let (tally, burst) = (&verdict.tally, verdict.burst_until.is_some());
        match self {
            Condition::Falling => tally.falling() < settings.degrading_below,
            Condition::Burst => burst,
            Condition::Troubled => tally.falling() < settings.degrading_below || burst,
            Condition::Clear => tally.rising() >= settings.clear_at && !burst,
            Condition::Partial => tally.falling() <= settings.partial_at,
            Condition::Out => tally.falling() <= settings.out_at,
            Condition::Rising => tally.rising() >= settings.recovering_at,
            Condition::Whole => tally.rising() >= settings.recovered_at,
            Condition::Deserted => tally.gone() >= settings.zombie_lost,
        }
    }

    pub fn hold_s(self, settings: &Settings) -> u64 {
        match self {
            Condition::Falling | Condition::Burst | Condition::Troubled => settings.degrading_hold_s,
            Condition::Clear => settings.clear_hold_s,
            Condition::Partial => settings.partial_hold_s,
            Condition::Out => settings.out_hold_s,
            Condition::Rising => settings.recovering_hold_s,
            Condition::Whole => settings.recovered_hold_s,
            Condition::Deserted => settings.zombie_after_s,
        }
    }

    /// Its rule, and the share that the rule compares with.
    fn rule(self, settings: &Settings) -> (Rule, Option<f64>) {
        match self {
            Condition::Falling | Condition::Troubled => (Rule::Falling, Some(settings.degrading_below)),
            Condition::Burst => (Rule::Burst, None),
            Condition::Clear => (Rule::Clear, Some(settings.clear_at)),
            Condition::Partial => (Rule::Partial, Some(settings.partial_at)),
            Condition::Out | Condition::Deserted => (Rule::Out, Some(settings.out_at)),
            Condition::Rising => (Rule::Rising, Some(settings.recovering_at)),
            Condition::Whole => (Rule::Whole, Some(settings.recovered_at)),
        }
    }
}

/// Since when each condition has been true without a break; `Time::MAX` if it is not.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Since([Time; CONDITIONS.len()]);

impl Default for Since {
    fn default() -> Self {
        Since([Time::MAX; CONDITIONS.len()])
    }
}

impl Since {
    pub fn get(&self, condition: Condition) -> Time {
        self.0[condition as usize]
    }

    pub fn observe(&mut self, settings: &Settings, verdict: &Verdict, now: Time) {
        for condition in CONDITIONS {
            let since = &mut self.0[condition as usize];
            if !condition.holds(settings, verdict) {
                *since = Time::MAX;
            } else if *since == Time::MAX {
                *since = now;
            }
        }
    }

    /// The end of the condition's hold.
    pub fn due(&self, settings: &Settings, condition: Condition) -> Time {
        self.get(condition).plus_micros(secs(condition.hold_s(settings)))
    }

    /// Why an edge is taken that asks for `condition`.
    pub fn why(&self, settings: &Settings, condition: Condition) -> Why {
        // Of the two that make trouble, the one that has been there for longer.
        let told = match condition {
            Condition::Troubled if self.get(Condition::Burst) < self.get(Condition::Falling) => {
                Condition::Burst
            }
            other => other,
        };
        let (rule, threshold) = told.rule(settings);
        Why {
            rule,
            threshold,
            since: Some(self.get(condition)),
            hold_s: condition.hold_s(settings),
        }
    }
}

/// Which rule fired, and its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Why {
    pub rule: Rule,
    /// The share that the rule compares with.
    pub threshold: Option<f64>,
    /// Since when its condition had been true.
    pub since: Option<Time>,
    pub hold_s: u64,
}

impl Why {
    /// A rule without a hold.
    pub fn at_once(rule: Rule, threshold: Option<f64>, since: Time) -> Self {
        Why {
            rule,
            threshold,
            since: Some(since),
            hold_s: 0,
        }
    }
}
