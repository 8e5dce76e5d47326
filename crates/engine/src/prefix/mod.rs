//! The states of a prefix and the edges between them: a pure step from what was to what is.
//!
//! Each edge has a condition and a hold. A hold runs from the moment its own condition became true, whatever
//! the state was then, so an [`Episode`] keeps one moment per condition.

use netfault_model::{Asn, State, Time};

use crate::peers::Tally;
use crate::settings::{Settings, secs};

/// What can be said of the visibility of a prefix now.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub tally: Tally,
    /// A burst of losses counts until then.
    pub burst_until: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Falling,
    Clear,
    Partial,
    Out,
    Rising,
    Whole,
}

const CONDITIONS: [Condition; 6] = [
    Condition::Falling,
    Condition::Clear,
    Condition::Partial,
    Condition::Out,
    Condition::Rising,
    Condition::Whole,
];

/// In the order in which they are tried; several may fire at one instant, each at most once.
const EDGES: [(State, Condition, State); 10] = [
    (State::Normal, Condition::Falling, State::Degrading),
    (State::Degrading, Condition::Clear, State::Normal),
    (State::Degrading, Condition::Partial, State::Partial),
    (State::Recovering, Condition::Partial, State::Partial),
    (State::Degrading, Condition::Out, State::Out),
    (State::Partial, Condition::Out, State::Out),
    (State::Recovering, Condition::Out, State::Out),
    (State::Out, Condition::Rising, State::Recovering),
    (State::Partial, Condition::Rising, State::Recovering),
    (State::Recovering, Condition::Whole, State::Normal),
];

/// From the first sign of a loss until the prefix is Normal again and quiet.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Episode {
    /// Since when each condition has been true without a break; `Time::MAX` if it is not.
    since: [Time; CONDITIONS.len()],
    /// The first loss.
    pub first_evidence: Time,
    /// When the prefix left Normal, while it is not Normal.
    pub left_normal: Option<Time>,
    /// Majority origin when it began.
    pub origin: Option<Asn>,
    /// The quorum is lost: the state is shown as Unknown.
    pub hidden: bool,
}

impl Episode {
    pub fn new(first_evidence: Time, origin: Option<Asn>) -> Self {
        Episode {
            since: [Time::MAX; CONDITIONS.len()],
            first_evidence,
            left_normal: None,
            origin,
            hidden: false,
        }
    }

    /// No condition that leads away from Normal is true.
    pub fn is_quiet(&self) -> bool {
        self.since[Condition::Falling as usize] == Time::MAX
    }

    fn observe(&mut self, settings: &Settings, verdict: &Verdict, now: Time) {
        for condition in CONDITIONS {
            let since = &mut self.since[condition as usize];
            if !condition.holds(settings, verdict) {
                *since = Time::MAX;
            } else if *since == Time::MAX {
                *since = now;
            }
        }
    }

    fn due(&self, settings: &Settings, condition: Condition) -> Time {
        self.since[condition as usize].plus_micros(condition.hold(settings))
    }
}

impl Condition {
    fn holds(self, settings: &Settings, verdict: &Verdict) -> bool {
        let (tally, burst) = (&verdict.tally, verdict.burst_until.is_some());
        match self {
            Condition::Falling => tally.falling() < settings.degrading_below || burst,
            Condition::Clear => tally.rising() >= settings.clear_at && !burst,
            Condition::Partial => tally.falling() <= settings.partial_at,
            Condition::Out => tally.falling() <= settings.out_at,
            Condition::Rising => tally.rising() >= settings.recovering_at,
            Condition::Whole => tally.rising() >= settings.recovered_at,
        }
    }

    /// Microseconds.
    fn hold(self, settings: &Settings) -> i64 {
        secs(match self {
            Condition::Falling => settings.degrading_hold_s,
            Condition::Clear => settings.clear_hold_s,
            Condition::Partial => settings.partial_hold_s,
            Condition::Out => settings.out_hold_s,
            Condition::Rising => settings.recovering_hold_s,
            Condition::Whole => settings.recovered_hold_s,
        })
    }
}

/// What one step did.
#[derive(Debug, Default)]
pub struct Step {
    /// (from, to), in order.
    pub edges: Vec<(State, State)>,
    /// When to look again if nothing happens before.
    pub due: Option<Time>,
}

/// Brings a prefix that has an episode up to `now`. `verdict` is `None` without a quorum.
pub fn step(
    settings: &Settings,
    state: &mut State,
    episode: &mut Episode,
    verdict: Option<&Verdict>,
    now: Time,
) -> Step {
    let mut step = Step::default();
    if let Some(left) = episode.left_normal {
        let gone = left.plus_micros(secs(settings.gone_after_s));
        if gone > now {
            step.due = Some(gone);
        } else if *state != State::Gone {
            let shown = if episode.hidden { State::Unknown } else { *state };
            step.edges.push((shown, State::Gone));
            *state = State::Gone;
            *episode = Episode::new(now, episode.origin);
            return step;
        }
    }
    let Some(verdict) = verdict else {
        if !episode.hidden && *state != State::Gone {
            step.edges.push((*state, State::Unknown));
            episode.hidden = true;
        }
        episode.since = [Time::MAX; CONDITIONS.len()];
        return step;
    };
    if episode.hidden {
        step.edges.push((State::Unknown, *state));
        episode.hidden = false;
    }
    episode.observe(settings, verdict, now);
    take_edges(settings, state, episode, now, &mut step);
    let waits = EDGES
        .iter()
        .filter(|(from, ..)| from == state)
        .map(|&(_, condition, _)| episode.due(settings, condition));
    let holds = waits.filter(|&due| due > now && due != Time::MAX);
    step.due = holds.chain(verdict.burst_until).chain(step.due).min();
    step
}

fn take_edges(settings: &Settings, state: &mut State, episode: &mut Episode, now: Time, step: &mut Step) {
    let mut taken = [false; EDGES.len()];
    while let Some(index) = (0..EDGES.len()).find(|&index| {
        let (from, condition, _) = EDGES[index];
        !taken[index] && from == *state && episode.due(settings, condition) <= now
    }) {
        taken[index] = true;
        let to = EDGES[index].2;
        step.edges.push((*state, to));
        episode.left_normal = match to {
            State::Normal => None,
            _ => episode.left_normal.or(Some(now)),
        };
        *state = to;
    }
}

#[cfg(test)]
mod tests;
