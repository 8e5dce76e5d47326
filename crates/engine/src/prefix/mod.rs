//! The states of a prefix and the edges between them: a pure step from what was to what is.
//!
//! Each edge has a condition and a hold. A hold runs from the moment its own condition became true, whatever
//! the state was then, so an [`Episode`] keeps one moment per condition.

mod condition;
mod episode;

use netfault_model::{Rule, State, Time};

use crate::peers::Tally;
use crate::settings::{Settings, secs};
use condition::{Condition, Since};

pub use condition::Why;
pub use episode::Episode;

/// What can be said of the visibility of a prefix now.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub tally: Tally,
    /// A burst of losses counts until then.
    pub burst_until: Option<Time>,
}

/// In the order in which they are tried; several may fire at one instant, each at most once.
const EDGES: [(State, Condition, State); 10] = [
    (State::Normal, Condition::Troubled, State::Degrading),
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

/// One edge that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub from: State,
    pub to: State,
    pub why: Why,
}

/// What one step did.
#[derive(Debug, Default)]
pub struct Step {
    /// In order.
    pub edges: Vec<Edge>,
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
            step.edges.push(accept(settings, state, episode));
            return step;
        }
    }
    let Some(verdict) = verdict else {
        if !episode.hidden && *state != State::Gone {
            let why = Why::at_once(Rule::QuorumLost, Some(settings.min_known), now);
            step.edges.push(Edge {
                from: *state,
                to: State::Unknown,
                why,
            });
            episode.hidden = true;
        }
        // What cannot be known has not been true without a break.
        episode.since = Since::default();
        return step;
    };
    if episode.hidden {
        let why = Why::at_once(Rule::QuorumBack, Some(settings.min_known), now);
        step.edges.push(Edge {
            from: State::Unknown,
            to: *state,
            why,
        });
        episode.hidden = false;
    }
    episode.since.observe(settings, verdict, now);
    episode.forget_said();
    take_edges(settings, state, episode, now, &mut step);
    let waits = EDGES
        .iter()
        .filter(|(from, ..)| from == state)
        .map(|&(_, condition, _)| episode.since.due(settings, condition));
    let holds = waits.filter(|&due| due > now && due != Time::MAX);
    let other = [verdict.burst_until, episode.zombie_due(settings, now), step.due];
    step.due = holds.chain(other.into_iter().flatten()).min();
    step
}

/// The loss has lasted so long that it is the new normal.
fn accept(settings: &Settings, state: &mut State, episode: &mut Episode) -> Edge {
    let shown = if episode.hidden { State::Unknown } else { *state };
    let why = Why {
        rule: Rule::LossAccepted,
        threshold: None,
        since: episode.left_normal,
        hold_s: settings.gone_after_s,
    };
    *state = State::Gone;
    *episode = Episode::new(episode.first_evidence, episode.origin);
    Edge {
        from: shown,
        to: State::Gone,
        why,
    }
}

fn take_edges(settings: &Settings, state: &mut State, episode: &mut Episode, now: Time, step: &mut Step) {
    let mut taken = [false; EDGES.len()];
    while let Some(index) = (0..EDGES.len()).find(|&index| {
        let (from, condition, _) = EDGES[index];
        !taken[index] && from == *state && episode.since.due(settings, condition) <= now
    }) {
        taken[index] = true;
        let (from, condition, to) = EDGES[index];
        let why = episode.since.why(settings, condition);
        step.edges.push(Edge { from, to, why });
        match to {
            State::Normal => {
                episode.left_normal = None;
                episode.revive();
            }
            _ => episode.left_normal = episode.left_normal.or(Some(now)),
        }
        *state = to;
    }
}

#[cfg(test)]
mod tests;
