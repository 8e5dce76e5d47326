mod stories;

use crate::cause::World;
use crate::dns::Names;
use std::collections::BTreeSet;

use netfault_model::{Baseline, Cause, Cover, Finding, Prefix};

use super::*;

fn at(seconds: i64) -> Time {
    Time::from_secs(1_000_000 + seconds)
}

fn transition(subject: Subject, from: State, to: State, when: i64, evidence: i64) -> Transition {
    Transition {
        subject,
        from,
        to,
        at: at(when),
        first_evidence_at: at(evidence),
        visibility: Some(0.1),
        peers_seen: Some(4),
        peers_lost: Some(36),
        peers_unknown: Some(0),
        peers_eligible: Some(40),
        baseline: Some(Baseline::Held),
        cover: Some(Cover::None),
        finding: None,
        servers_ok: None,
        servers_eligible: None,
        resolvers_ok: None,
        resolvers_eligible: None,
        watched: false,
        beacon: false,
        healed: false,
        evidence: None,
        dns: None,
    }
}

fn prefix(origin: u32, index: u32) -> Prefix {
    let address = (origin << 16 | index << 8).wrapping_add(10 << 24);
    Prefix::v4(std::net::Ipv4Addr::from(address), 24).unwrap()
}

fn subject(origin: u32, index: u32) -> Subject {
    Subject::Prefix {
        prefix: prefix(origin, index),
        origin: Some(Asn(origin)),
    }
}

/// An outage of one prefix: it is Out 30 s after its first loss.
fn out(origin: u32, index: u32, evidence: i64) -> Transition {
    transition(
        subject(origin, index),
        State::Degrading,
        State::Out,
        evidence + 30,
        evidence,
    )
}

fn normal(origin: u32, index: u32, when: i64) -> Transition {
    transition(
        subject(origin, index),
        State::Recovering,
        State::Normal,
        when,
        when,
    )
}

fn origin_out(origin: u32, when: i64, evidence: i64) -> Transition {
    transition(
        Subject::Origin { origin: Asn(origin) },
        State::Degrading,
        State::Out,
        when,
        evidence,
    )
}

fn origin_normal(origin: u32, when: i64) -> Transition {
    transition(
        Subject::Origin { origin: Asn(origin) },
        State::Recovering,
        State::Normal,
        when,
        when,
    )
}

/// Plays transitions in order of time, deadlines at their own, and returns what was said.
struct Play {
    settings: Settings,
    incidents: Incidents,
    said: Vec<Incident>,
}

impl Play {
    fn new() -> Self {
        Play {
            settings: Settings::default(),
            incidents: Incidents::default(),
            said: Vec::new(),
        }
    }

    fn instant(&mut self, now: Time, transitions: Vec<Transition>) {
        let mut decided: Vec<Output> = transitions
            .into_iter()
            .map(|it| Output::Transition(Box::new(it)))
            .collect();
        let (graph, hints) = Default::default();
        let names = Names::new(Default::default());
        let instant = Instant {
            now,
            settings: &self.settings,
            world: World {
                graph: &graph,
                names: &names,
                hints: &hints,
            },
            low: &[],
            in_common: &|_| Default::default(),
        };
        self.incidents.settle(instant, &mut decided);
        self.said
            .extend(decided.into_iter().filter_map(|output| match output {
                Output::Incident(incident) => Some(*incident),
                _ => None,
            }));
    }

    fn run_to(&mut self, until: Time) {
        while let Some(due) = self.incidents.next_deadline().filter(|&due| due <= until) {
            self.instant(due, Vec::new());
        }
    }

    fn play(mut self, mut transitions: Vec<Transition>) -> Vec<Incident> {
        transitions.sort_by_key(|it| it.at);
        while !transitions.is_empty() {
            let now = transitions[0].at;
            let rest = transitions.split_off(transitions.partition_point(|it| it.at == now));
            self.run_to(now.plus_micros(-1));
            self.instant(now, std::mem::replace(&mut transitions, rest));
        }
        self.run_to(at(1_000_000));
        self.said
    }
}

fn play(transitions: Vec<Transition>) -> Vec<Incident> {
    Play::new().play(transitions)
}

fn ids(said: &[Incident]) -> BTreeSet<Id> {
    said.iter().map(|incident| incident.id).collect()
}

fn states(said: &[Incident]) -> Vec<&'static str> {
    said.iter().map(|incident| incident.state.name()).collect()
}

#[test]
fn an_as_that_loses_150_prefixes_is_one_incident() {
    let mut transitions: Vec<Transition> = (0..150)
        .map(|index| out(100, index, i64::from(index % 40)))
        .collect();
    transitions.push(origin_out(100, 70, 0));
    transitions.extend((0..150).map(|index| normal(100, index, 900 + i64::from(index % 7))));
    transitions.push(origin_normal(100, 906));
    let said = play(transitions);
    assert_eq!(ids(&said).len(), 1);
    let (first, last) = (&said[0], said.last().unwrap());
    assert_eq!((first.state, first.version), (IncidentState::Open, 1));
    assert_eq!(first.first_evidence_at, at(0));
    assert_eq!(
        (last.state, last.cleared_at),
        (IncidentState::Resolved, Some(at(906)))
    );
    assert_eq!(
        (last.prefixes, last.prefixes_down, last.children.len()),
        (150, 0, 151)
    );
    assert_eq!(
        (last.subject.clone(), last.cause),
        (Subject::Origin { origin: Asn(100) }, Cause::OriginWithdrawn)
    );
    assert!(
        last.shown && last.severity == 3 && last.level == State::Normal,
        "{last:?}"
    );
    assert!(said.len() < 20, "{} versions are a storm", said.len());
    let versions: Vec<u32> = said.iter().map(|incident| incident.version).collect();
    assert_eq!(versions, (1..=said.len() as u32).collect::<Vec<_>>());
}

#[test]
fn fifty_origins_of_two_hundred_prefixes_are_fifty_incidents() {
    let begun = std::time::Instant::now();
    let transitions = (0..50u32).flat_map(|origin| (0..200).map(move |index| out(1000 + origin, index, 0)));
    let said = play(transitions.collect());
    assert_eq!(ids(&said).len(), 50);
    assert!(
        said.iter()
            .all(|incident| incident.prefixes == 200 && incident.shown)
    );
    // Quadratic work would be a minute and more.
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn a_loss_joins_by_origin_and_time_and_never_by_either_alone() {
    for (second, expected, why) in [
        (
            out(100, 2, 300),
            1,
            "300 s after the last loss of the same origin",
        ),
        (out(100, 2, 301), 2, "301 s after it, though the first is open"),
        (out(101, 2, 0), 2, "another origin at the same moment"),
    ] {
        assert_eq!(ids(&play(vec![out(100, 1, 0), second])).len(), expected, "{why}");
    }
    // A chain of losses 200 s apart ends after 30 minutes.
    let chain = play(
        (0..15)
            .map(|index| out(100, index, i64::from(index) * 200))
            .collect(),
    );
    assert_eq!(ids(&chain).len(), 2);
    assert_eq!(
        chain
            .iter()
            .filter(|incident| incident.id == chain[0].id)
            .map(|it| it.prefixes)
            .max(),
        Some(10)
    );
}

#[test]
fn a_whole_origin_gathers_its_incidents_into_the_oldest() {
    let said = play(vec![
        out(100, 1, 0),
        out(100, 2, 400),
        out(100, 3, 800),
        origin_out(100, 860, 0),
    ]);
    assert_eq!(ids(&said).len(), 3);
    let oldest = said[0].id;
    let merged: Vec<&Incident> = said
        .iter()
        .filter(|incident| incident.state == IncidentState::Merged)
        .collect();
    assert_eq!(merged.len(), 2);
    assert!(merged.iter().all(|incident| incident.merged_into == Some(oldest)));
    let last = said.iter().rfind(|incident| incident.id == oldest).unwrap();
    assert_eq!((last.children.len(), last.prefixes_down), (4, 3));
    assert_eq!(last.cause, Cause::OriginWithdrawn);
}

#[test]
fn the_subject_widens_and_the_id_stays() {
    let mut incidents = Incidents::default();
    let file = vec![crate::origins::Range {
        first: 0,
        last: u32::MAX,
        country: "PK".parse().unwrap(),
    }];
    incidents.set_countries(Arc::new(Countries::new(file, Vec::new(), Vec::new())));
    let country = Subject::Country {
        country: "PK".parse().unwrap(),
    };
    let said = Play {
        incidents,
        ..Play::new()
    }
    .play(vec![
        out(100, 1, 0),
        out(100, 2, 20),
        out(101, 1, 30),
        transition(country.clone(), State::Normal, State::Degrading, 70, 0),
        out(102, 1, 60),
    ]);
    let oldest: Vec<&Incident> = said.iter().filter(|incident| incident.id == said[0].id).collect();
    let subjects: Vec<&str> = oldest.iter().map(|incident| incident.subject.key().0).collect();
    assert_eq!(subjects, ["prefix", "origin", "country", "country"]);
    assert_eq!(oldest[2].cause, Cause::CountryWithdrawn);
    assert_eq!(oldest[2].severity, 4);
    // What another origin of the country loses now belongs to it.
    assert_eq!(oldest[3].children.len(), 5);
    assert_eq!(ids(&said).len(), 2, "AS101 was told before, and is merged");
}

#[test]
fn a_new_fall_within_half_an_hour_opens_the_same_incident_again() {
    let falls = |second: i64| {
        play(vec![
            out(100, 1, 0),
            normal(100, 1, 600),
            out(100, 1, second),
            normal(100, 1, second + 600),
        ])
    };
    let again = falls(600 + 1800);
    assert_eq!(states(&again), ["open", "resolved", "open", "resolved"]);
    assert_eq!(
        (ids(&again).len(), again[2].reopened, again[2].version),
        (1, 1, 3)
    );
    assert_eq!(again[2].cleared_at, None);
    assert_eq!(ids(&falls(600 + 1801)).len(), 2);
}

#[test]
fn an_origin_that_flaps_is_one_incident_and_says_so_once() {
    let mut transitions = Vec::new();
    for flap in 0..8i64 {
        // Not the same prefixes each time.
        let from = (flap % 3) as u32 * 5;
        let start = flap * 500;
        transitions.extend((from..from + 20).map(|index| out(100, index, start)));
        transitions.push(origin_out(100, start + 30, start));
        transitions.extend((from..from + 20).map(|index| normal(100, index, start + 400)));
        transitions.push(origin_normal(100, start + 400));
    }
    let said = play(transitions);
    assert_eq!(ids(&said).len(), 1);
    assert_eq!(
        said.windows(2)
            .filter(|pair| !pair[0].flapping && pair[1].flapping)
            .count(),
        1
    );
    let last = said.last().unwrap();
    assert_eq!(
        (last.state, last.cleared_at),
        (IncidentState::Resolved, Some(at(7 * 500 + 400)))
    );
    assert_eq!(last.at, at(7 * 500 + 400 + 1800));
    let resolved = said
        .iter()
        .filter(|incident| incident.state == IncidentState::Resolved);
    assert!(
        resolved.count() <= 3,
        "once it flaps it is over only when it is quiet"
    );
}

#[test]
fn two_losses_hours_apart_are_two_incidents() {
    let whole = |start: i64| {
        let mut all: Vec<Transition> = (0..20).map(|index| out(100, index, start)).collect();
        all.push(origin_out(100, start + 30, start));
        all.extend((0..20).map(|index| normal(100, index, start + 600)));
        all.push(origin_normal(100, start + 600));
        all
    };
    let mut both = whole(0);
    both.extend(whole(7200));
    assert_eq!(ids(&play(both)).len(), 2);
}

#[test]
fn beacons_have_their_own_incidents_and_are_never_shown() {
    let beacon = |index| Transition {
        beacon: true,
        watched: true,
        ..out(12654, index, 0)
    };
    let mut transitions: Vec<Transition> = (0..20).map(beacon).collect();
    transitions.push(out(12654, 30, 0));
    let said = play(transitions);
    assert_eq!(ids(&said).len(), 2);
    let beacons = || said.iter().filter(|incident| incident.beacon);
    assert!(beacons().count() > 0 && beacons().all(|incident| !incident.shown));
    assert!(
        said.iter()
            .any(|incident| !incident.beacon && incident.children.len() == 1)
    );
}

#[test]
fn what_is_not_known_is_frozen() {
    let unknown = |to: State, from: State, when| transition(subject(100, 1), from, to, when, 0);
    let said = play(vec![
        out(100, 1, 0),
        unknown(State::Unknown, State::Out, 200),
        unknown(State::Out, State::Unknown, 5000),
        normal(100, 1, 6000),
    ]);
    assert_eq!(states(&said), ["open", "update", "update", "resolved"]);
    assert_eq!(said[1].children[0].state, State::Unknown);
    assert_eq!((said[1].level, said[1].severity), (State::Out, 2));
    assert!(play(vec![unknown(State::Unknown, State::Normal, 10)]).is_empty());
    // The quorum comes back and finds it well.
    let said = play(vec![
        out(100, 1, 0),
        unknown(State::Unknown, State::Out, 200),
        unknown(State::Normal, State::Unknown, 400),
    ]);
    assert_eq!(said.last().unwrap().cleared_at, Some(at(400)));
}

#[test]
fn degrading_opens_an_incident_of_a_watched_prefix_only_and_only_when_it_is_low() {
    let degrading = |watched| Transition {
        watched,
        ..transition(subject(100, 1), State::Normal, State::Degrading, 10, 0)
    };
    let low = |watched, since: i64, until: i64| {
        let mut play = Play::new();
        let observe = |play: &mut Play, falling, when| {
            play.incidents
                .dips
                .observe(&play.settings, prefix(100, 1), Some(falling), at(when));
        };
        observe(&mut play, 0.5, since);
        play.instant(at(10), vec![degrading(watched)]);
        play.run_to(at(until).plus_micros(-1));
        observe(&mut play, 0.75, until);
        play.run_to(at(10_000));
        play.said
    };
    assert!(low(false, 5, 9000).is_empty());
    assert!(low(true, 5, 35).is_empty(), "29 s");
    let said = low(true, 5, 36);
    assert_eq!((said[0].at, said[0].first_evidence_at), (at(35), at(0)));
    assert_eq!(
        (said[0].level, said[0].severity, said[0].shown),
        (State::Degrading, 1, true)
    );
    assert_eq!((said[0].prefixes, said[0].prefixes_down), (1, 0));
    // It was low for long when it became Degrading.
    assert_eq!(low(true, -100, 9000)[0].at, at(10));
}

#[test]
fn shown_is_what_is_watched_or_big_and_not_merely_covered() {
    let many = |count: u32, cover| {
        (0..count).map(move |index| Transition {
            cover: Some(cover),
            ..out(100, index, 0)
        })
    };
    for (transitions, expected) in [
        (many(9, Cover::None).collect::<Vec<_>>(), false),
        (many(10, Cover::None).collect(), true),
        (many(10, Cover::SameOrigin).collect(), false),
        (many(10, Cover::OtherOrigin).collect(), true),
        (
            vec![Transition {
                watched: true,
                cover: Some(Cover::SameOrigin),
                ..out(100, 1, 0)
            }],
            true,
        ),
    ] {
        assert_eq!(play(transitions)[0].shown, expected);
    }
}

#[test]
fn a_name_that_fails_is_an_incident() {
    let name = |from, to, when| Transition {
        visibility: None,
        peers_eligible: None,
        baseline: None,
        cover: None,
        finding: Some(Finding::AuthorityUnreachable),
        servers_ok: Some(0),
        servers_eligible: Some(4),
        resolvers_ok: Some(0),
        resolvers_eligible: Some(2),
        watched: true,
        ..transition(
            Subject::Name {
                name: "example.org".into(),
            },
            from,
            to,
            when,
            0,
        )
    };
    let said = play(vec![
        name(State::Ok, State::Out, 60),
        name(State::Out, State::Recovering, 300),
        name(State::Recovering, State::Ok, 600),
    ]);
    assert_eq!(states(&said), ["open", "update", "resolved"]);
    assert_eq!(
        (said[0].cause, said[0].severity, said[0].shown),
        (Cause::NameFailing, 5, true)
    );
    assert_eq!(said[0].confidence, 0.64); // 1 − (1 − 0.48) · (1 − 0.3)
    assert_eq!(
        said[0].summary,
        "example.org is out: 4 of 4 servers do not answer"
    );
    assert_eq!(said[2].severity, 5, "what it was at its worst");
}

#[test]
fn parts_that_come_and_go_are_told_once_a_minute() {
    // Nineteen prefixes go down and up one after the other while one stays down.
    let mut transitions = vec![out(100, 0, 0)];
    for index in 1..20 {
        let start = i64::from(index) * 7;
        transitions.push(out(100, index, start));
        transitions.push(normal(100, index, start + 40));
    }
    let said = play(transitions);
    // Doublings (1, 2, 4, 8, 16), shown at 10, and a version a minute.
    assert!(said.len() <= 10, "{} versions", said.len());
    assert_eq!(
        said.last().unwrap().prefixes_down,
        1,
        "the last change is told, if later"
    );
    assert!(said.windows(2).all(|pair| pair[0].version + 1 == pair[1].version));
}
