//! Origin changes and new more-specifics.

use netfault_model::{Asn, Baseline, Notable, NotableKind, Watch};

use crate::world::{PEERS, World, seconds, settings};

const PREFIX: &str = "198.51.100.0/24";
const COVER: &str = "198.51.0.0/16";

/// Two minutes in which everybody learns that AS100 has the prefix.
fn known(prefix: &str) -> World {
    known_from(World::new(settings()), prefix)
}

fn known_from(mut world: World, prefix: &str) -> World {
    world.routes(PEERS, prefix, Some(&[200, 100]));
    world.pass(120.0);
    world
}

fn changes(world: World) -> Vec<Notable> {
    world.notables(NotableKind::OriginChange)
}

fn asns(asns: &[Asn]) -> Vec<u32> {
    asns.iter().map(|asn| asn.0).collect()
}

#[test]
fn a_hijack_of_a_known_prefix_is_told_at_the_third_peer_and_ended_once() {
    let mut world = known(PREFIX);
    world.clock = 200.0;
    for (index, at) in [(0, 200.0), (1, 201.0), (2, 207.0), (3, 208.0)] {
        world.clock = at;
        world.route(index, PREFIX, Some(&[300, 666]));
    }
    world.pass(600.0);
    world.routes(4, PREFIX, Some(&[200, 100]));
    world.pass(4000.0);
    let told = changes(world);
    assert_eq!(told.len(), 2, "{told:#?}");
    let (begins, ends) = (&told[0], &told[1]);
    assert_eq!(
        (seconds(begins.at), seconds(begins.first_evidence_at)),
        (207.0, 200.0)
    );
    assert_eq!(
        (asns(&begins.old_origins), asns(&begins.new_origins)),
        (vec![100], vec![666])
    );
    assert_eq!(
        (begins.baseline, begins.peers, begins.over),
        (Some(Baseline::Held), Some(3), false)
    );
    assert_eq!((begins.covered_by, begins.watched), (None, false));
    assert_eq!((ends.id, ends.over), (begins.id, true));
    assert_eq!(
        seconds(ends.at),
        808.1 + 1800.0,
        "from when the second but last peer left it"
    );
}

#[test]
fn two_peers_are_not_enough() {
    let mut world = known(PREFIX);
    world.routes(2, PREFIX, Some(&[300, 666]));
    world.pass(4000.0);
    assert_eq!(changes(world), []);
}

#[test]
fn a_hijack_that_flaps_is_one() {
    let mut world = known(PREFIX);
    for _ in 0..10 {
        world.routes(6, PREFIX, Some(&[300, 666]));
        world.pass(200.0);
        world.routes(6, PREFIX, Some(&[200, 100]));
        world.pass(900.0);
    }
    world.pass(2000.0);
    let told = changes(world);
    assert_eq!(told.iter().map(|it| it.over).collect::<Vec<_>>(), [false, true]);
    assert_eq!(told[0].id, told[1].id);
}

#[test]
fn a_change_that_lasts_becomes_the_prefixs_own() {
    let mut world = known(PREFIX);
    world.routes(PEERS, PREFIX, Some(&[300, 666]));
    world.pass(86_500.0);
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(2000.0);
    world.routes(PEERS, PREFIX, Some(&[300, 666]));
    world.pass(4000.0);
    assert_eq!(
        changes(world).iter().map(|it| it.over).collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn a_new_part_of_anothers_prefix_waits_for_a_quorum_without_a_seed() {
    let mut world = known(COVER);
    world.clock = 300.0;
    for index in 0..7 {
        world.clock = 300.0 + index as f64;
        world.route(index, PREFIX, Some(&[300, 666]));
    }
    world.pass(600.0);
    let told = changes(world);
    assert_eq!(told.len(), 1, "{told:#?}");
    // The third peer spoke at 302, the fifth (the quorum of these settings) at 304.
    assert_eq!(
        (seconds(told[0].at), seconds(told[0].first_evidence_at)),
        (307.0, 300.0)
    );
    assert_eq!(told[0].baseline, Some(Baseline::Inferred));
    assert_eq!(told[0].covered_by, Some(COVER.parse().unwrap()));
    assert_eq!(
        (asns(&told[0].old_origins), asns(&told[0].new_origins)),
        (vec![100], vec![666])
    );

    let mut few = known(COVER);
    few.routes(4, PREFIX, Some(&[300, 666]));
    few.pass(400.0);
    // Too late: what nobody proves in 300 s is old.
    few.routes(PEERS, PREFIX, Some(&[300, 666]));
    few.pass(600.0);
    assert_eq!(changes(few), []);
}

#[test]
fn with_whole_tables_a_new_part_is_proven_at_the_third_peer() {
    let mut world = World::new(settings());
    world.dump(COVER, &[200, 100]);
    world.clock = 10.0;
    world.routes(PEERS, "192.88.99.0/24", Some(&[200, 99]));
    world.clock = 30.0;
    world.routes(3, PREFIX, Some(&[300, 666]));
    world.pass(100.0);
    let told = changes(world);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (seconds(told[0].at), told[0].baseline),
        (30.2, Some(Baseline::Held))
    );
}

#[test]
fn longer_than_a_24_counts_too() {
    let mut world = known(PREFIX);
    world.routes(8, "198.51.100.128/25", Some(&[300, 666]));
    world.pass(100.0);
    let told = changes(world);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].covered_by, Some(PREFIX.parse().unwrap()));
}

#[test]
fn the_owner_may_split_its_own_and_answer_a_hijack() {
    let mut world = known(COVER);
    world.routes(PEERS, "198.51.7.0/24", Some(&[200, 100]));
    world.routes(PEERS, PREFIX, Some(&[300, 666]));
    world.pass(1000.0);
    world.routes(6, PREFIX, Some(&[200, 100]));
    world.routes(PEERS, "198.51.100.0/25", Some(&[200, 100]));
    world.pass(1000.0);
    world.routes(PEERS, PREFIX, Some(&[200, 100]));
    world.pass(3000.0);
    let told = changes(world);
    assert_eq!(
        told.iter()
            .map(|it| (asns(&it.new_origins), it.over))
            .collect::<Vec<_>>(),
        [(vec![666], false), (vec![666], true)]
    );
}

#[test]
fn a_customer_of_the_owner_is_no_hijacker() {
    let mut world = known(COVER);
    // First by another provider, then also through the owner, which tells that it consents.
    world.routes(4, PREFIX, Some(&[300, 777]));
    world.route(8, PREFIX, Some(&[100, 777]));
    world.routes(PEERS, PREFIX, Some(&[300, 777]));
    world.pass(600.0);
    assert_eq!(changes(world), []);
}

#[test]
fn a_new_prefix_of_its_own_is_no_news() {
    let mut world = known(COVER);
    world.routes(PEERS, "203.0.113.0/24", Some(&[300, 777]));
    world.pass(600.0);
    assert_eq!(changes(world), []);
}

#[test]
fn moas_and_anycast_are_learnt_and_then_silent() {
    let mut world = World::new(settings());
    for index in 0..PEERS {
        world.route(index, PREFIX, Some(&[200, 100 + index as u32 % 2]));
        world.route(index, "203.0.113.0/24", Some(&[200, 5000 + index as u32]));
    }
    world.pass(120.0);
    for round in 0..30u32 {
        for index in 0..PEERS {
            world.route(index, PREFIX, Some(&[200, 100 + (index as u32 + round) % 2]));
            world.route(
                index,
                "203.0.113.0/24",
                Some(&[200, 5000 + (index as u32 + round) % 12]),
            );
        }
        world.pass(60.0);
    }
    assert_eq!(changes(world), []);
}

#[test]
fn what_nobody_answers_for_blames_nobody() {
    let mut world = known(PREFIX);
    for index in 0..PEERS {
        world.update(index, PREFIX, Some((None, vec![1001, 300, 666, 667]))); // an AS_SET at the end
    }
    world.pass(20.0);
    for index in 0..PEERS {
        world.route(index, PREFIX, Some(&[300, 0])); // RFC 7607
    }
    world.pass(20.0);
    for index in 0..PEERS {
        world.route(index, PREFIX, Some(&[300, 23456])); // AS_TRANS
    }
    world.pass(20.0);
    for index in 0..PEERS {
        world.route(index, PREFIX, Some(&[200, 100, 65001])); // a private customer of the owner
    }
    world.pass(2000.0);
    assert_eq!(changes(world), []);
}

#[test]
fn prepending_changes_nothing() {
    let mut world = known(PREFIX);
    let mut long = vec![200];
    long.extend([100; 255]);
    world.routes(PEERS, PREFIX, Some(&long));
    world.pass(100.0);
    assert_eq!(changes(world), []);
}

#[test]
fn planned_renumbering_is_no_hijack() {
    let mut world = World::new(settings());
    for part in 0..4 {
        world.routes(PEERS, &format!("198.51.{part}.0/24"), Some(&[200, 100]));
    }
    world.pass(300.0);
    world.routes(PEERS, "198.51.0.0/22", Some(&[200, 100]));
    world.pass(60.0);
    for part in 0..4 {
        world.routes(PEERS, &format!("198.51.{part}.0/24"), None);
    }
    world.pass(3000.0);
    assert_eq!(changes(world), []);
}

#[test]
fn a_watched_prefix_and_a_watched_origin_make_it_watched() {
    for watch in [
        Watch {
            prefixes: [COVER.parse().unwrap()].into(),
            ..Watch::default()
        },
        Watch {
            origins: [Asn(100)].into(),
            ..Watch::default()
        },
    ] {
        let mut world = known_from(World::watching(settings(), watch), COVER);
        world.routes(8, PREFIX, Some(&[300, 666]));
        world.pass(100.0);
        assert!(changes(world)[0].watched);
    }
}

#[test]
fn a_route_that_comes_and_goes_costs_no_memory() {
    let size_after = |rounds: u32| {
        let mut world = known(PREFIX);
        for round in 0..rounds {
            world.routes(2, PREFIX, Some(&[300, 10_000 + round]));
            world.routes(2, PREFIX, Some(&[200, 100]));
        }
        world.pass(2000.0);
        postcard::to_stdvec(&world.engine).unwrap().len()
    };
    let (few, many) = (size_after(200), size_after(4000));
    assert!(many < few + 400_000 && many < few * 50, "{few} {many}");
}

#[test]
fn whoever_watches_an_origin_alone_hears_of_parts_of_its_prefixes() {
    let watch = Watch {
        origins: [Asn(100)].into(),
        ..Watch::default()
    };
    let mut world = known_from(World::of(settings(), watch), COVER);
    world.routes(8, PREFIX, Some(&[300, 666]));
    world.routes(8, "203.0.113.0/24", Some(&[300, 666]));
    world.pass(100.0);
    assert_eq!(world.engine.size().0, 2, "the cover and its part, nothing else");
    let told = changes(world);
    assert_eq!((told.len(), told[0].watched), (1, true));
}
