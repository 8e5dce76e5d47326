//! What comes again by the clock, and what does not come at all.

use crate::program::play;
use crate::said::{Said, at, tells};
use crate::world::{DAY, HOUR, World};

const GONE: &str = "192.0.2.0/24";

/// The same prefix is lost at 01:00, for ten minutes, four nights in a row: maintenance, or a fault that nobody has found.
/// It is watched, so it is told every night, as an incident of its own, never as a beacon; and its baseline is that
/// of all peers every night.
#[test]
fn the_same_outage_every_night() {
    let mut world = World::of_one(12);
    world.hold(GONE, 5001);
    world.hold("198.51.100.0/24", 5002);
    world.beat(3 * DAY + 3 * HOUR);
    for night in 0..4 {
        for peer in world.peers() {
            world.withdraw(night * DAY + HOUR + peer as i64, peer, &[GONE]);
            world.back(night * DAY + HOUR + 600 + peer as i64, peer, &[GONE], 5001);
        }
    }
    world.file = DAY;
    let watched = "watch: {all: true, prefixes: [192.0.2.0/24]}\n";
    play("same_outage_every_night", &mut world, Some(watched), |said| {
        let mut expected = vec![(0, "normal")];
        for night in 0..4 {
            let one = night * DAY + HOUR;
            expected.extend([(one + 2 + 10, "degrading"), (one + 9 + 30, "out")]); // the third; the tenth of twelve
            expected.extend([(one + 607 + 30, "recovering"), (one + 610 + 300, "normal")]);
        }
        tells(said, GONE, &expected);
        for line in said.transitions(GONE) {
            assert_eq!(
                (&line["peers_eligible"], &line["beacon"]),
                (&12.into(), &false.into()),
                "{line}"
            );
        }
        four_incidents(said);
        said.only_about(&[GONE]);
        said.nothing_notable();
    });
}

#[track_caller]
fn four_incidents(said: &Said) {
    let mut nights = Vec::new();
    for versions in said.incidents().values() {
        let (first, last) = (versions[0], versions[versions.len() - 1]);
        nights.push(at(first, "raised_at") / DAY);
        assert_eq!(
            (&first["state"], &last["state"]),
            (&"open".into(), &"resolved".into()),
            "{last}"
        );
        for version in versions {
            assert_eq!(
                (&version["shown"], &version["beacon"]),
                (&true.into(), &false.into()),
                "{version}"
            );
        }
    }
    nights.sort_unstable();
    assert_eq!(nights, [0, 1, 2, 3]);
}

/// A RIS beacon through a day: announced at 00, 04, …, withdrawn at 02, 06, …, each peer two seconds after the one before.
/// Every transition is printed, marked as a beacon's; nobody is told; and each withdrawal is measured.
#[test]
fn a_beacon_through_a_day() {
    const BEACON: &str = "84.205.71.0/24";
    let mut world = World::of_four();
    world.hold("198.51.100.0/24", 5002);
    world.beat(DAY);
    for cycle in 0..6 {
        for peer in world.peers() {
            let late = 2 * peer as i64;
            world.back(cycle * 4 * HOUR + late, peer, &[BEACON], 12654);
            world.withdraw(cycle * 4 * HOUR + 2 * HOUR + late, peer, &[BEACON]);
        }
    }
    play("beacon_through_a_day", &mut world, None, |said| {
        let mut expected = Vec::new();
        for cycle in 0..6 {
            let (up, down) = (cycle * 4 * HOUR, cycle * 4 * HOUR + 2 * HOUR);
            if cycle > 0 {
                expected.extend([(up + 30 + 30, "recovering"), (up + 42 + 300, "normal")]);
            }
            expected.extend([(down + 8 + 10, "degrading"), (down + 38 + 30, "out")]);
        }
        tells(said, BEACON, &expected);
        said.only_about(&[BEACON]);
        for line in said.transitions(BEACON) {
            assert_eq!(line["beacon"], true, "{line}");
        }
        for line in said.of_kind("incident") {
            assert_eq!(
                (&line["beacon"], &line["shown"]),
                (&true.into(), &false.into()),
                "{line}"
            );
        }
        let measured = said
            .notables("beacon")
            .into_iter()
            .filter(|line| line["measured"] == 68.0);
        assert_eq!(measured.count(), 6);
        assert!(said.notables("flapping").is_empty());
    });
}

/// A day of an ordinary table: thirty prefixes whose paths change all the time, and which one peer or another loses for a
/// while, never more than three of 24 at once. Nothing is printed but how far the baselines have been learnt.
#[test]
fn a_quiet_day() {
    let prefixes: Vec<String> = (0..30).map(|number| format!("198.18.{number}.0/24")).collect();
    let mut world = World::of_four();
    for (prefix, origin) in prefixes.iter().zip(5001..) {
        world.hold(prefix, origin);
    }
    world.beat(DAY);
    let mut random = fastrand::Rng::with_seed(20_240_301);
    for (prefix, origin) in prefixes.iter().zip(5001..) {
        let mut time = random.i64(60..1800);
        while time < DAY - 3600 {
            // Three peers at most, back before the next ones go.
            for _ in 0..random.usize(1..=3) {
                let (peer, length) = (random.usize(world.peers()), random.i64(1..900));
                world.withdraw(time, peer, &[prefix]);
                world.back(time + length, peer, &[prefix], origin);
            }
            time += 900 + random.i64(60..3600);
        }
    }
    play("quiet_day", &mut world, None, |said| {
        said.none("transition");
        said.none("incident");
        said.none("feed");
        said.none("gap");
        said.nothing_notable();
    });
}
