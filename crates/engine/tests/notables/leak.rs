//! Leaks by common triplet, with ten minutes of history instead of seven days.

use netfault_engine::Settings;
use netfault_model::{Notable, NotableKind};

use crate::world::{World, settings};

fn world() -> World {
    let mut world = World::new(Settings {
        history_s: 600,
        ..settings()
    });
    for number in 0..150 {
        world.routes(4, &prefix(number), Some(&[200, 100 + number % 5]));
        world.clock -= 0.4;
    }
    world
}

fn prefix(number: u32) -> String {
    format!("198.{}.{}.0/24", 18 + number / 256, number % 256)
}

/// Peers 0 to 3 send `prefixes` prefixes through AS300, AS301 and AS302, `apart` seconds one after the other.
fn detour(world: &mut World, prefixes: u32, apart: f64) {
    for number in 0..prefixes {
        for peer in 0..4 {
            world.route(peer, &prefix(number), Some(&[300, 301, 302, 100 + number % 5]));
        }
        world.clock += apart;
    }
}

fn leaks(world: World) -> Vec<Notable> {
    world.notables(NotableKind::Leak)
}

#[test]
fn a_leak_is_told_once_and_ended() {
    let mut world = world();
    world.pass(900.0);
    let begins = world.clock;
    detour(&mut world, 101, 1.0);
    world.pass(700.0);
    for number in 0..101 {
        world.routes(4, &prefix(number), Some(&[200, 100 + number % 5]));
    }
    world.pass(700.0);
    let told = leaks(world);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].triplet.unwrap().map(|asn| asn.0), [300, 301, 302]);
    assert_eq!((told[0].prefixes, told[0].over), (Some(101), false));
    assert_eq!(crate::world::seconds(told[0].at), begins + 100.0);
    assert_eq!(crate::world::seconds(told[0].first_evidence_at), begins);
    assert_eq!((told[1].id, told[1].over), (told[0].id, true));
}

#[test]
fn a_hundred_prefixes_are_no_leak() {
    let mut world = world();
    world.pass(900.0);
    detour(&mut world, 100, 1.0);
    world.pass(700.0);
    assert_eq!(leaks(world), []);
}

#[test]
fn slow_is_no_leak() {
    let mut world = world();
    world.pass(900.0);
    detour(&mut world, 120, 4.0);
    world.pass(700.0);
    assert_eq!(leaks(world), []);
}

#[test]
fn a_detour_that_was_seen_before_is_none() {
    let mut world = world();
    world.pass(900.0);
    detour(&mut world, 3, 1.0);
    world.pass(400.0);
    detour(&mut world, 120, 1.0);
    world.pass(700.0);
    assert_eq!(leaks(world), []);
}

#[test]
fn without_history_the_rule_is_off_and_says_so() {
    let mut world = World::new(settings());
    for number in 0..150 {
        world.routes(4, &prefix(number), Some(&[200, 100 + number % 5]));
    }
    world.pass(900.0);
    detour(&mut world, 120, 1.0);
    world.pass(7200.0);
    let outputs = world.outputs();
    let said = |what: NotableKind| {
        outputs.iter().find_map(|output| match output {
            netfault_model::Output::Notable(it) if it.what == what => Some(it.summary.clone()),
            _ => None,
        })
    };
    assert_eq!(said(NotableKind::Leak), None);
    let baseline = said(NotableKind::Baseline).unwrap();
    assert!(baseline.contains("off until 2026-01-08T00:00:00"), "{baseline}");
}

#[test]
fn a_path_that_is_in_use_is_not_forgotten() {
    let mut world = world();
    detour(&mut world, 1, 1.0);
    world.pass(3000.0);
    detour(&mut world, 120, 1.0);
    world.pass(700.0);
    assert_eq!(leaks(world), []);
}
