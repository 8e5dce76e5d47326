//! The scorer on small stories. Most of them are of an engine that is wrong: it must get a bad score.

use netfault_model::Output;

use super::*;
use crate::commands::evaluate::heard::tests::{hear, prefix};
use crate::commands::evaluate::musts::Musts;

use State::{Degrading, Normal, Out, Recovering, Unknown};

const END: Time = Time::from_secs(10_000);

/// Lost from 1000 on, fifth peer at 1005, crossed at 1020, out at 1050, back at 1500.
fn outage() -> Outage {
    Outage {
        prefix: prefix(),
        from: Time::from_secs(1000),
        until: Some(Time::from_secs(1500)),
        fifth_lost_at: Some(Time::from_secs(1005)),
        crossed_at: Some(Time::from_secs(1020)),
        out_at: Some(Time::from_secs(1050)),
        back_at: Some(Time::from_secs(1500)),
        comes_back: true,
        baseline: 38,
        optional: false,
    }
}

fn right() -> Vec<(State, State, i64)> {
    vec![
        (Normal, Degrading, 1015),
        (Degrading, Out, 1050),
        (Out, Recovering, 1500),
        (Recovering, Normal, 1800),
    ]
}

fn score(edges: &[(State, State, i64)]) -> Scored {
    let heard = hear(edges);
    let mut scored = outages("g", &[outage()], &heard, END);
    unconfirmed("g", &[outage()], &heard, |_, _| true, &mut scored);
    scored
}

#[test]
fn an_engine_that_is_right_has_nothing_to_complain_about() {
    let scored = score(&right());
    let figures = &scored.figures;
    assert_eq!(
        (figures.recall(), figures.precision(), figures.recovered()),
        (Some(1.0), Some(1.0), Some(1.0))
    );
    assert_eq!(
        (figures.out_error.worst(), figures.back_error.worst()),
        (Some(0.0), Some(0.0))
    );
    assert_eq!(
        (figures.delay.median(), figures.degrading_delay.median()),
        (Some(30.0), Some(10.0))
    );
    assert_eq!((figures.flaps, figures.repeated, figures.unknown_s), (0, 0, 0.0));
    assert_eq!(scored.complaints, []);
}

#[test]
fn silence_is_a_miss() {
    let scored = score(&[]);
    assert_eq!((scored.figures.recall(), scored.figures.missed()), (Some(0.0), 1));
    assert_eq!(
        (scored.figures.out_error.worst(), scored.figures.precision()),
        (None, None)
    );
    assert_eq!(scored.complaints.len(), 1);
}

#[test]
fn degrading_is_not_out() {
    let scored = score(&[(Normal, Degrading, 1015), (Degrading, Normal, 1600)]);
    assert_eq!(scored.figures.recall(), Some(0.0));
}

#[test]
fn crying_wolf_costs_precision_and_finds_nothing() {
    let scored = score(&[
        (Normal, Degrading, 3000),
        (Degrading, Out, 3020),
        (Out, Recovering, 3100),
    ]);
    assert_eq!(
        (scored.figures.recall(), scored.figures.precision()),
        (Some(0.0), Some(0.0))
    );
    assert_eq!(scored.figures.unconfirmed, 1);
}

#[test]
fn an_out_that_began_long_before_does_not_find_the_outage() {
    // Stuck in Out since 500: the real loss at 1000 is not told.
    let scored = score(&[(Degrading, Out, 500), (Out, Recovering, 1500)]);
    assert_eq!(scored.figures.recall(), Some(0.0));
    // It touches a real outage, so it is not called false as well.
    assert_eq!(scored.figures.unconfirmed, 0);
}

#[test]
fn what_is_optional_confirms_and_is_never_missed() {
    let optional = Outage {
        optional: true,
        ..outage()
    };
    let figures = |edges: &[(State, State, i64)]| {
        let heard = hear(edges);
        let mut scored = outages("g", std::slice::from_ref(&optional), &heard, END);
        unconfirmed(
            "g",
            std::slice::from_ref(&optional),
            &heard,
            |_, _| true,
            &mut scored,
        );
        (
            scored.figures.events,
            scored.figures.judged,
            scored.figures.unconfirmed,
        )
    };
    assert_eq!(figures(&[]), (0, Some(0), 0));
    assert_eq!(figures(&right()), (0, Some(1), 0));
}

#[test]
fn late_stamps_are_measured() {
    let scored = score(&[
        (Normal, Degrading, 1040),
        (Degrading, Out, 1090),
        (Out, Recovering, 1490),
    ]);
    let figures = &scored.figures;
    assert_eq!(
        (figures.recall(), figures.out_error.worst()),
        (Some(1.0), Some(40.0))
    );
    assert_eq!(figures.back_error.median(), Some(-10.0));
    assert_eq!(
        (figures.delay.median(), figures.degrading_delay.median()),
        (Some(70.0), Some(35.0))
    );
    assert_eq!(figures.out_error.within(1.0), Some(0.0));
    assert_eq!(scored.complaints.len(), 1);
}

#[test]
fn no_recovery_and_a_double_telling_are_seen() {
    let scored = score(&[(Degrading, Out, 1050)]);
    assert_eq!(scored.figures.recovered(), Some(0.0));
    let scored = score(&[
        (Degrading, Out, 1050),
        (Out, Recovering, 1100),
        (Recovering, Out, 1200),
        (Out, Recovering, 1500),
    ]);
    assert_eq!((scored.figures.repeated, scored.figures.flaps), (1, 1));
    assert_eq!(scored.figures.recovered(), Some(1.0));
}

#[test]
fn acceptance_of_a_loss_is_no_recovery() {
    let scored = score(&[(Degrading, Out, 1050), (Out, State::Gone, 1400)]);
    assert_eq!(scored.figures.recovered(), Some(0.0));
}

#[test]
fn time_in_unknown_counts_within_the_outage_only() {
    let mut edges = right();
    edges.insert(0, (Normal, Unknown, 900));
    edges.insert(1, (Unknown, Normal, 1010));
    assert_eq!(score(&edges).figures.unknown_s, 10.0);
}

#[test]
fn two_outages_close_together_need_two_outs() {
    let second = Outage {
        from: Time::from_secs(1490),
        until: Some(Time::from_secs(2000)),
        crossed_at: Some(Time::from_secs(1600)),
        out_at: Some(Time::from_secs(1630)),
        back_at: Some(Time::from_secs(2000)),
        ..outage()
    };
    let both = [outage(), second];
    let one = hear(&[(Degrading, Out, 1050), (Out, Recovering, 2000)]);
    assert_eq!(outages("g", &both, &one, END).figures.found, 1);
    let two = hear(&[
        (Degrading, Out, 1050),
        (Out, Recovering, 1495),
        (Recovering, Out, 1630),
        (Out, Recovering, 2000),
    ]);
    let figures = outages("g", &both, &two, END).figures;
    assert_eq!((figures.found, figures.repeated), (2, 0));
}

#[test]
fn a_name_for_a_change_needs_both_origins_and_the_time() {
    use netfault_model::id::Id;
    use netfault_model::{Notable, NotableKind};
    let change = |at: i64, old: u32, new: u32| {
        Output::Notable(Box::new(Notable {
            id: Id::default(),
            what: NotableKind::OriginChange,
            subject: Some(Subject::Prefix {
                prefix: prefix(),
                origin: None,
            }),
            at: Time::from_secs(at),
            first_evidence_at: Time::from_secs(at),
            over: false,
            baseline: None,
            old_origins: vec![Asn(old)],
            new_origins: vec![Asn(new)],
            covered_by: None,
            peers: Some(3),
            triplet: None,
            prefixes: None,
            measured: None,
            usual: None,
            watched: false,
            summary: String::new(),
        }))
    };
    let found = |output: Output| {
        let truth = Group {
            name: "g".into(),
            complete: false,
            must: Musts::default(),
            events: vec![Event::OriginChange {
                prefix: prefix(),
                origins: vec![Asn(1), Asn(2)],
                at: Time::from_secs(100),
                within_s: 10,
            }],
        };
        let mut heard = Heard::default();
        heard.take(&output);
        group(&truth, &heard, END).figures.found
    };
    assert_eq!(found(change(105, 1, 2)), 1);
    assert_eq!(found(change(105, 3, 2)), 0, "one origin is another");
    assert_eq!(found(change(111, 1, 2)), 0, "too late");
    assert_eq!(found(change(80, 1, 2)), 0, "before it happened");
}

#[test]
fn never_out_is_broken_by_one_out_in_its_span() {
    let broken = |of: Of, until: i64| {
        let truth = Group {
            name: "g".into(),
            complete: false,
            must: Musts::default(),
            events: vec![Event::NeverOut {
                of,
                from: Time::from_secs(0),
                until: Time::from_secs(until),
            }],
        };
        group(&truth, &hear(&right()), END).figures.missed() == 1
    };
    assert!(broken(Of::Prefix(prefix()), 10_000));
    assert!(broken(Of::Origin(Asn(64500)), 10_000));
    assert!(!broken(Of::Prefix(prefix()), 1000));
    assert!(!broken(Of::Origin(Asn(64501)), 10_000));
}

#[test]
fn an_origin_loss_wants_its_prefixes_and_one_incident() {
    use netfault_model::id::Id;
    use netfault_model::{Cause, Child, Incident, IncidentState};
    let child = || Child {
        subject: Subject::Prefix {
            prefix: prefix(),
            origin: Some(Asn(64500)),
        },
        state: Normal,
        worst: Out,
        first_evidence_at: Time::from_secs(1000),
        cleared_at: Some(Time::from_secs(1800)),
    };
    let incident = |id: u64, merged_into: Option<u64>| {
        Output::Incident(Box::new(Incident {
            id: Id(id),
            version: 1,
            state: match merged_into {
                Some(_) => IncidentState::Merged,
                None => IncidentState::Resolved,
            },
            subject: Subject::Origin { origin: Asn(64500) },
            cause: Cause::OriginWithdrawn,
            at: Time::from_secs(1900),
            first_evidence_at: Time::from_secs(1000),
            raised_at: Time::from_secs(1050),
            cleared_at: Some(Time::from_secs(1800)),
            confidence: 0.9,
            baseline: Baseline::Held,
            children: vec![child()],
            severity: 3,
            level: Normal,
            prefixes_down: 0,
            prefixes: 1,
            watched: false,
            shown: true,
            beacon: false,
            flapping: false,
            reopened: 0,
            merged_into: merged_into.map(Id),
            summary: String::new(),
            rule: None,
            services: Vec::new(),
            layers: Vec::new(),
            facts: None,
        }))
    };
    let scored = |incidents: &[Output], prefixes: usize| {
        let truth = Group {
            name: "g".into(),
            complete: false,
            must: Musts::default(),
            events: vec![Event::OriginLoss(OriginLoss {
                origin: Asn(64500),
                from: Time::from_secs(1000),
                until: Time::from_secs(1500),
                prefixes,
            })],
        };
        let mut heard = hear(&right());
        incidents.iter().for_each(|incident| heard.take(incident));
        let figures = group(&truth, &heard, END).figures;
        (figures.found, figures.incidents, figures.untold)
    };
    assert_eq!(scored(&[incident(1, None)], 1), (1, Some(1), Some(0)));
    assert_eq!(
        scored(&[incident(1, None), incident(2, Some(1))], 1),
        (1, Some(1), Some(0)),
        "merged is one"
    );
    assert_eq!(
        scored(&[incident(1, None), incident(2, None)], 1),
        (1, Some(2), Some(0)),
        "split"
    );
    assert_eq!(scored(&[], 1), (1, Some(0), Some(1)), "no incident at all");
    assert_eq!(
        scored(&[incident(1, None)], 100),
        (0, Some(1), Some(0)),
        "one of a hundred prefixes"
    );
}
