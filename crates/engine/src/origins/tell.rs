//! An edge of an origin or a country becomes a transition.

use netfault_model::{Baseline, Evidence, Output, Rule, Share, State, Subject, Time, Transition};

use super::group::{Group, blocks};

/// An edge of an origin or a country.
pub(super) struct Edge {
    pub to: State,
    pub threshold: f64,
    pub window_s: u64,
    pub watched: bool,
    pub seeded: bool,
}

/// Takes one edge, and says so.
pub(super) fn step(
    group: &mut Group,
    subject: Subject,
    edge: &Edge,
    now: Time,
    origins: Option<(u32, u32)>,
) -> Output {
    let from = std::mem::replace(&mut group.state, edge.to);
    if from == State::Normal {
        group.begin(now);
    }
    let first_evidence_at = group.since.unwrap_or(now);
    let family = group.worst();
    let side = &group.sides[family as usize];
    let (_, space) = side.down.of(side.stable);
    let inferred = !edge.seeded || side.inferred * 2 > side.down.prefixes;
    let share = Share {
        family,
        prefixes: side.stable.prefixes,
        prefixes_down: side.down.prefixes,
        space: blocks(family, side.stable.space),
        space_down: blocks(family, side.down.space),
        origins: origins.map(|(all, _)| all),
        origins_down: origins.map(|(_, out)| out),
    };
    let visibility = 1.0 - space;
    if edge.to == State::Normal {
        group.end();
    }
    let evidence = Evidence {
        rule: Rule::Share,
        threshold: Some(edge.threshold),
        since: None,
        hold_s: edge.window_s,
        lost: Vec::new(),
        kept: Vec::new(),
        unknown: Vec::new(),
        zombies: Vec::new(),
        collectors: 0,
        one_collector: 0.0,
        known: 1.0,
        share: Some(share),
    };
    Output::Transition(Box::new(Transition {
        first_evidence_at,
        visibility: Some((visibility * 100.0).round() / 100.0),
        baseline: Some(if inferred {
            Baseline::Inferred
        } else {
            Baseline::Held
        }),
        watched: edge.watched,
        evidence: Some(Box::new(evidence)),
        ..Transition::plain(subject, from, edge.to, now)
    }))
}
