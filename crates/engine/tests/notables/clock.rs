//! Flapping, beacons, churn, maturity.

use netfault_engine::Settings;
use netfault_engine::notables::beacons::BeaconSettings;
use netfault_model::{NotableKind, State};

use crate::world::{PEERS, World, seconds, settings};

const PREFIX: &str = "198.51.100.0/24";
/// Of the RIPE RIS, which announces it at midnight and withdraws it at two.
const BEACON: &str = "84.205.64.0/24";

fn outage(world: &mut World, prefix: &str, origin: u32, lasts: f64) {
    world.routes(PEERS, prefix, None);
    world.pass(lasts);
    world.routes(PEERS, prefix, Some(&[200, origin]));
    world.pass(60.0);
}

#[test]
fn flapping_is_said_once() {
    let mut world = World::new(settings());
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(120.0);
    for _ in 0..6 {
        outage(&mut world, PREFIX, 100, 60.0);
    }
    world.pass(4000.0);
    for _ in 0..3 {
        outage(&mut world, PREFIX, 100, 60.0);
    }
    let told = world.notables(NotableKind::Flapping);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].measured, Some(3.0));
    assert_ne!(told[0].id, told[1].id);
}

#[test]
fn two_outages_are_no_flapping() {
    let mut world = World::new(settings());
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(120.0);
    for _ in 0..4 {
        outage(&mut world, PREFIX, 100, 60.0);
        world.pass(1000.0);
    }
    assert_eq!(world.notables(NotableKind::Flapping), []);
}

fn beacon_day(origin: u32) -> World {
    let mut world = World::new(settings());
    world.routes(PEERS, BEACON, Some(&[200, origin]));
    world.pass(7200.0 - world.clock);
    // Eleven of twelve withdraw it, path by path.
    for index in 1..PEERS {
        world.route(index, BEACON, None);
        world.clock += 5.0;
    }
    world.pass(14_400.0 - world.clock);
    world.clock += 20.0;
    world.routes(PEERS, BEACON, Some(&[200, origin]));
    world.pass(7200.0);
    world
}

#[test]
fn beacons_are_written_down_and_measured() {
    let transitions = beacon_day(12654).transitions();
    assert!(transitions.iter().any(|it| it.to == State::Out));
    assert!(transitions.iter().all(|it| it.beacon));
    let measured = beacon_day(12654).notables(NotableKind::Beacon);
    assert_eq!(measured.len(), 2, "{measured:#?}");
    // The tenth of twelve left at 45 s (V is 0.17 then), and Out takes 30 s.
    assert_eq!((measured[0].measured, measured[0].peers), (Some(75.0), Some(1)));
    assert_eq!(seconds(measured[0].at), 7200.0 + 5400.0);
    assert_eq!(
        (seconds(measured[1].first_evidence_at), measured[1].peers),
        (14_400.0, Some(0))
    );
}

#[test]
fn a_beacon_of_somebody_else_is_a_prefix_like_any_other() {
    let transitions = beacon_day(666).transitions();
    assert!(transitions.iter().any(|it| it.to == State::Out));
    assert!(transitions.iter().all(|it| !it.beacon));
    assert_eq!(beacon_day(666).notables(NotableKind::Beacon), []);
}

#[test]
fn the_user_names_further_beacons() {
    let own = BeaconSettings {
        prefixes: vec![PREFIX.parse().unwrap()],
        ..BeaconSettings::default()
    };
    let mut world = World::new(Settings {
        beacons: own,
        ..settings()
    });
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(120.0);
    for _ in 0..4 {
        outage(&mut world, PREFIX, 100, 60.0);
    }
    let outputs = world.outputs();
    let mut fell = 0;
    for output in &outputs {
        match output {
            netfault_model::Output::Transition(it) => {
                assert!(it.beacon);
                fell += u32::from(it.to == State::Out);
            }
            netfault_model::Output::Notable(it) => assert_eq!(it.what, NotableKind::Baseline),
            _ => {}
        }
    }
    assert_eq!(fell, 4);
}

#[test]
fn the_same_outage_every_night_is_an_outage_every_night() {
    let mut world = World::new(settings());
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    for night in 0..5 {
        world.pass(f64::from(night) * 86_400.0 + 3600.0 - world.clock);
        outage(&mut world, PREFIX, 100, 600.0);
    }
    world.pass(600.0);
    let transitions = world.transitions();
    let outs: Vec<f64> = transitions
        .iter()
        .filter(|it| it.to == State::Out)
        .map(|it| (seconds(it.at) % 86_400.0).floor())
        .collect();
    assert_eq!(outs, [3630.0; 5]);
    assert!(transitions.iter().all(|it| !it.beacon));
}

#[test]
fn churn_is_told_while_the_routes_stay() {
    let mut world = World::new(Settings {
        history_s: 7200,
        ..settings()
    });
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(3.0 * 3600.0 + 10.0 - world.clock);
    for round in 0..50u32 {
        world.routes(PEERS, PREFIX, Some(&[200 + round % 2, 100]));
        world.pass(20.0);
    }
    world.pass(3.0 * 3600.0);
    let told = world.notables(NotableKind::Churn);
    let said: Vec<_> = told
        .iter()
        .map(|it| (it.subject.clone().unwrap().key().0, it.over))
        .collect();
    assert_eq!(
        said,
        [
            ("prefix", false),
            ("origin", false),
            ("prefix", true),
            ("origin", true)
        ]
    );
    assert_eq!((told[0].measured, told[0].usual), (Some(600.0), Some(0.0)));
}

#[test]
fn maturity_is_told_every_hour_while_it_changes() {
    let mut world = World::new(settings());
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(5.0 * 3600.0);
    let counted = world.engine.maturity();
    assert_eq!(
        (
            counted.prefixes,
            counted.mature,
            counted.inferred,
            counted.full_feeds
        ),
        (2, 2, 0, [12, 0])
    );
    let told = world.notables(NotableKind::Baseline);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (seconds(told[0].at), told[0].prefixes, told[0].measured),
        (3600.0, Some(2), Some(1.0))
    );
}
