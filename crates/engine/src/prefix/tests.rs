//! The transition table as a table: (second, peer ASes of 100 that have it, unknown) in, (second, from, to) out.

use super::*;

/// Runs steps at the given seconds and at every deadline between them.
fn run(points: &[(i64, u32, u32)]) -> Vec<(i64, State, State)> {
    let settings = Settings::default();
    let (mut state, mut episode) = (State::Normal, Episode::new(Time::from_secs(0), None));
    let (mut out, mut due) = (Vec::new(), None::<Time>);
    let mut current = None;
    let end = (points.last().unwrap().0 + 100_000, 0, 0);
    for (index, &(at, seen, unknown)) in points.iter().chain([&end]).enumerate() {
        let at = Time::from_secs(at);
        while let Some(moment) = due.filter(|&moment| moment <= at) {
            let done = step(&settings, &mut state, &mut episode, current.as_ref(), moment);
            out.extend(done.edges.iter().map(|edge| (moment.secs(), edge.from, edge.to)));
            due = done.due;
        }
        if index == points.len() {
            break;
        }
        let tally = Tally::even(100, seen, unknown);
        current = (tally.known() >= settings.min_known).then_some(Verdict {
            tally,
            burst_until: None,
        });
        let done = step(&settings, &mut state, &mut episode, current.as_ref(), at);
        out.extend(done.edges.iter().map(|edge| (at.secs(), edge.from, edge.to)));
        due = done.due;
    }
    out
}

use State::{Degrading, Normal, Out, Partial, Recovering, Unknown};

#[test]
fn a_sudden_loss_is_degrading_after_10_s_and_out_after_30_s() {
    assert_eq!(
        run(&[(0, 100, 0), (100, 10, 0)]),
        [(110, Normal, Degrading), (130, Degrading, Out)]
    );
}

#[test]
fn a_dip_shorter_than_its_hold_is_nothing() {
    assert_eq!(run(&[(0, 100, 0), (100, 10, 0), (109, 100, 0)]), []);
}

#[test]
fn half_is_partial_after_two_minutes() {
    assert_eq!(
        run(&[(0, 50, 0)]),
        [(10, Normal, Degrading), (120, Degrading, Partial)]
    );
}

#[test]
fn recovery_passes_through_recovering() {
    let seen = run(&[(0, 0, 0), (1000, 70, 0), (1100, 95, 0)]);
    assert_eq!(
        seen,
        [
            (10, Normal, Degrading),
            (30, Degrading, Out),
            (1030, Out, Recovering),
            (1400, Recovering, Normal)
        ]
    );
}

#[test]
fn a_relapse_while_recovering_is_out_again() {
    let seen = run(&[(0, 0, 0), (1000, 95, 0), (1100, 5, 0)]);
    assert_eq!(seen[2..], [(1030, Out, Recovering), (1130, Recovering, Out)]);
}

#[test]
fn a_hold_runs_whatever_the_state_was() {
    // At 60 % it degrades; V ≤ 0.2 from 5 s on is true while still Normal, so Out comes at 35 s.
    assert_eq!(
        run(&[(0, 60, 0), (5, 15, 0)]),
        [(10, Normal, Degrading), (35, Degrading, Out)]
    );
}

#[test]
fn degrading_clears_after_a_minute() {
    assert_eq!(
        run(&[(0, 75, 0), (100, 95, 0)]),
        [(10, Normal, Degrading), (160, Degrading, Normal)]
    );
}

#[test]
fn a_lost_quorum_is_unknown_and_the_old_state_resumes() {
    let seen = run(&[(0, 10, 0), (100, 0, 60), (200, 10, 0)]);
    assert_eq!(
        seen,
        [
            (10, Normal, Degrading),
            (30, Degrading, Out),
            (100, Out, Unknown),
            (200, Unknown, Out)
        ]
    );
}

#[test]
fn unknown_peers_never_make_a_fall() {
    assert_eq!(run(&[(0, 100, 0), (10, 65, 35)]), []);
}

#[test]
fn a_loss_of_seven_days_is_accepted() {
    let settings = Settings::default();
    let (mut state, mut episode) = (Out, Episode::new(Time::from_secs(0), None));
    episode.left_normal = Some(Time::from_secs(10));
    let verdict = Verdict {
        tally: Tally::even(100, 0, 0),
        burst_until: None,
    };
    let week = Time::from_secs(10 + 7 * 86_400);
    let before = step(
        &settings,
        &mut state,
        &mut episode,
        Some(&verdict),
        week.plus_micros(-1),
    );
    assert_eq!((before.edges.len(), before.due), (0, Some(week)));
    let edges = step(&settings, &mut state, &mut episode, Some(&verdict), week).edges;
    assert_eq!(edges.len(), 1);
    let why = edges[0].why;
    assert_eq!(
        (edges[0].from, edges[0].to, why.rule),
        (Out, State::Gone, Rule::LossAccepted)
    );
    assert_eq!((why.since, why.hold_s), (Some(Time::from_secs(10)), 7 * 86_400));
}
