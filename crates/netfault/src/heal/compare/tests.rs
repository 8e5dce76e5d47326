use netfault_model::{Baseline, Cause, State};

use super::*;

const NOW: Time = Time::from_secs(9_000);

fn transition(prefix: &str, to: State, secs: i64) -> Output {
    Output::Transition(Box::new(Transition {
        subject: Subject::Prefix {
            prefix: prefix.parse().unwrap(),
            origin: None,
        },
        from: State::Degrading,
        to,
        at: Time::from_secs(secs),
        first_evidence_at: Time::from_secs(secs - 30),
        visibility: Some(0.1),
        peers_seen: Some(1),
        peers_lost: Some(9),
        peers_unknown: Some(0),
        peers_eligible: Some(10),
        baseline: Some(Baseline::Held),
        cover: None,
        finding: None,
        servers_ok: None,
        servers_eligible: None,
        resolvers_ok: None,
        resolvers_eligible: None,
        watched: true,
        beacon: false,
        healed: false,
        evidence: None,
        dns: None,
    }))
}

fn incident(prefix: &str, first: i64, version: u32, state: IncidentState) -> Output {
    let subject = Subject::Prefix {
        prefix: prefix.parse().unwrap(),
        origin: None,
    };
    let (kind, what) = subject.key();
    Output::Incident(Box::new(Incident {
        id: Id::of(&[kind, &what, &first.to_string()]),
        version,
        state,
        subject,
        cause: Cause::PrefixWithdrawn,
        at: Time::from_secs(first + 60),
        first_evidence_at: Time::from_secs(first),
        raised_at: Time::from_secs(first + 60),
        cleared_at: None,
        confidence: 0.9,
        baseline: Baseline::Held,
        children: Vec::new(),
        severity: 2,
        level: State::Out,
        prefixes_down: 1,
        prefixes: 1,
        watched: true,
        shown: true,
        beacon: false,
        flapping: false,
        reopened: 0,
        merged_into: None,
        summary: "out".into(),
        rule: None,
        services: Vec::new(),
        layers: Vec::new(),
        facts: None,
    }))
}

#[test]
fn the_same_twice_changes_nothing() {
    let said = [
        transition("192.0.2.0/24", State::Out, 100),
        incident("192.0.2.0/24", 70, 1, IncidentState::Open),
    ];
    assert_eq!(compare(&said, &said, NOW), Changes::default());
}

#[test]
fn what_the_hole_hid_is_added_and_marked() {
    let again = [
        transition("192.0.2.0/24", State::Out, 100),
        incident("192.0.2.0/24", 70, 3, IncidentState::Resolved),
    ];
    let changes = compare(&[], &again, NOW);
    assert!(changes.added.len() == 1 && changes.added[0].healed && changes.withdrawn.is_empty());
    assert_eq!(changes.added[0].at, Time::from_secs(100), "event time");
    let told = &changes.incidents[0];
    assert_eq!(
        (told.version, told.at, told.raised_at),
        (3, NOW, Time::from_secs(130))
    );
}

#[test]
fn what_was_a_view_through_the_hole_is_withdrawn() {
    let said = [
        transition("192.0.2.0/24", State::Out, 100),
        incident("192.0.2.0/24", 70, 2, IncidentState::Open),
    ];
    let changes = compare(&said, &[], NOW);
    assert_eq!((changes.added.len(), changes.withdrawn.len()), (0, 1));
    let told = &changes.incidents[0];
    assert_eq!(
        (told.state, told.version, told.cleared_at),
        (IncidentState::Resolved, 3, Some(NOW))
    );
    assert!(told.summary.contains("192.0.2.0/24"));
    // One that was over anyway needs no word.
    let said = [
        incident_of(&said),
        incident("192.0.2.0/24", 70, 3, IncidentState::Resolved),
    ];
    assert!(compare(&said, &[], NOW).incidents.is_empty());
}

fn incident_of(said: &[Output]) -> Output {
    said[1].clone()
}

#[test]
fn another_beginning_is_another_incident_and_the_first_is_merged_into_it() {
    let said = [incident("192.0.2.0/24", 200, 4, IncidentState::Open)];
    let again = [incident("192.0.2.0/24", 70, 1, IncidentState::Open)];
    let changes = compare(&said, &again, NOW);
    let Output::Incident(true_one) = &again[0] else {
        unreachable!()
    };
    assert_eq!(changes.incidents.len(), 2);
    assert_eq!(changes.incidents[0].id, true_one.id);
    assert_eq!(
        (
            changes.incidents[1].state,
            changes.incidents[1].merged_into,
            changes.incidents[1].version
        ),
        (IncidentState::Merged, Some(true_one.id), 5)
    );
}

#[test]
fn a_version_never_goes_back() {
    let said = [incident("192.0.2.0/24", 70, 7, IncidentState::Open)];
    let again = [incident("192.0.2.0/24", 70, 2, IncidentState::Resolved)];
    assert_eq!(compare(&said, &again, NOW).incidents[0].version, 8);
}
