//! Clocks that are wrong.

use std::time::{Duration, Instant};

use crate::program::{play, replay};
use crate::said::{Said, tells};
use crate::world::{BEAT, BEGIN, HOUR, World};

const GONE: &str = "192.0.2.0/24";

/// The clock of one collector of four is an hour ahead, always. A prefix is lost everywhere for ten minutes. Three
/// collectors say so in time: V↓ 0.25, Partial, and back. An hour later, by its own clock, the fourth says the
/// same: V↓ 0.75, so Degrading and nothing more. It is never Out, since never more than 18 of 24 lack it at a time. When the
/// others have ended, an hour before it, they are silent, and nothing follows from that.
#[test]
fn a_clock_is_one_hour_ahead() {
    const T: i64 = 5400;
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.ahead("rrc04", HOUR);
    world.beat(T + 4500);
    for peer in world.peers() {
        world.withdraw(T + peer as i64, peer, &[GONE]);
        world.back(T + 600 + peer as i64, peer, &[GONE], 5001);
    }
    play("clock_one_hour_ahead", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"),
            (T + 131, "partial"),
            (T + 609 + 30, "recovering"), // 6 and 10 of 24 have it
            (T + 615 + 300, "normal"),    // 6 and 16
            (T + HOUR + 22 + 10, "degrading"),
            (T + HOUR + 600 + 21 + 60, "normal"),
        ];
        tells(said, GONE, &expected);
        said.only_about(&[GONE]);
        said.one_incident_and_resolved();
    });
}

/// One message of one peer is stamped an hour late, by a clock that is then set right. What its collector writes in that
/// hour comes behind that message, too late for a verdict: the collector counts as silent, and its routes as unknown.
/// The real outage in that hour is seen by the other three: Partial, not Out. When the late messages are applied,
/// withdrawal and announcement at the same moment, nothing is said of them.
#[test]
fn one_stamp_is_an_hour_ahead() {
    const T: i64 = 1800;
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.beat(T + 2 * HOUR);
    world.back(T, 0, &[BEAT], 5999);
    world.mistime(0, BEGIN + T + HOUR);
    for peer in world.peers() {
        world.withdraw(T + 600 + peer as i64, peer, &[GONE]);
        world.back(T + 1500 + peer as i64, peer, &[GONE], 5001);
    }
    play("one_stamp_an_hour_ahead", &mut world, None, |said| {
        // The six peers of rrc00 would have been the first.
        let expected = [
            (T + 600 + 10 + 10, "degrading"),
            (T + 600 + 17 + 120, "partial"),
            (T + 1500 + 21 + 30, "recovering"), // 16 of 24 know that they have it
        ];
        let story = said.story(GONE);
        assert_eq!(story[..3], expected, "{story:?}");
        assert!(story.iter().all(|(_, state)| *state != "out"), "{story:?}");
        said.only_about(&[GONE]);
        said.one_incident();
        ends_quietly(said, T + HOUR - 60);
    });
}

/// After `from` no prefix falls.
fn ends_quietly(said: &Said, from: i64) {
    for line in said.of_kind("transition") {
        let falls = ["degrading", "partial", "out"]
            .iter()
            .any(|state| line["to"] == *state);
        assert!(!falls || crate::said::at(line, "at") < from, "{line}");
    }
}

/// An outage of 24 peers, and the records of a broken clock among the true ones.
fn outage() -> World {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.hold("198.51.100.0/24", 5002);
    for peer in world.peers() {
        world.withdraw(1800 + peer as i64, peer, &[GONE]);
        world.back(2400 + peer as i64, peer, &[GONE], 5001);
    }
    world
}

const OUTAGE: [(i64, &str); 4] = [
    (1800 + 14, "degrading"),
    (1800 + 19 + 30, "out"),
    (2400 + 15 + 30, "recovering"),
    (2400 + 21 + 300, "normal"),
];

/// Records stamped 1970-01-01T00:00:00 among good ones: withdrawals of everything, and sessions that go down. Word for
/// word what is said without them.
#[test]
fn stamps_of_the_epoch() {
    let mut clean = outage();
    clean.beat(2 * HOUR);
    let clean = replay(&mut clean, None);
    let mut world = outage();
    world.beat(2 * HOUR);
    for peer in world.peers() {
        for at in [600, 1810, 3000] {
            world.withdraw(at, peer, &[GONE, "198.51.100.0/24"]);
            world.mistime(peer, 0);
        }
        world.session(3100, peer, false);
        world.mistime(peer, 0);
    }
    play("stamps_of_the_epoch", &mut world, None, |said| {
        tells(said, GONE, &OUTAGE);
        said.one_incident_and_resolved();
        assert_eq!(said.text, clean.text);
    });
}

/// The first record of every file of updates is one of 1970, before any good one has told the time: an update of each
/// peer, and a session that goes down. Word for word what is said without them.
#[test]
fn the_first_stamp_is_of_the_epoch() {
    let mut clean = outage();
    clean.beat(2 * HOUR);
    let clean = replay(&mut clean, None);
    let mut world = outage();
    for peer in world.peers() {
        world.withdraw(0, peer, &[GONE, "198.51.100.0/24"]);
        world.mistime(peer, 0);
        world.session(0, peer, false);
        world.mistime(peer, 0);
    }
    world.beat(2 * HOUR);
    play("first_stamp_of_the_epoch", &mut world, None, |said| {
        tells(said, GONE, &OUTAGE);
        assert_eq!(said.text, clean.text);
    });
}

/// Two archives in one replay, of 2024 and of 2034: ten years in which nothing is said. The table has fifty thousand
/// prefixes, so whatever is done every hour must not be done 87,600 times. Nobody knows what became of the routes; one of
/// them is announced again in 2034, and after 90 minutes it is withdrawn: Out.
#[test]
fn ten_years_of_silence() {
    const LATER: i64 = 3652 * 86_400;
    let mut world = World::of_one(12);
    (0..50_000).for_each(|number| world.hold(&format!("10.{}.{}.0/24", number / 256, number % 256), 5002));
    world.hold(GONE, 5001);
    world.beat(HOUR);
    world.beat_in(LATER..LATER + 2 * HOUR);
    for peer in world.peers() {
        world.back(LATER + peer as i64, peer, &[GONE], 5001);
        world.withdraw(LATER + 5400 + peer as i64, peer, &[GONE]);
    }
    let watched = "watch: {all: true, prefixes: [192.0.2.0/24]}\n";
    let began = Instant::now();
    play("ten_years_of_silence", &mut world, Some(watched), |said| {
        let took = began.elapsed();
        let story = said.story(GONE);
        let states: Vec<&str> = story.iter().map(|(_, state)| *state).collect();
        assert_eq!(
            states,
            ["normal", "unknown", "normal", "degrading", "out"],
            "{story:?}"
        );
        assert_eq!(story[1].0, HOUR - 4 + 180, "{story:?}"); // the last beat is 4 s before the hour
        // At once if their baseline is that of 2024, after an hour if it is new.
        assert!((LATER..=LATER + HOUR + 60).contains(&story[2].0), "{story:?}");
        assert_eq!(
            story[3..],
            [(LATER + 5402 + 10, "degrading"), (LATER + 5409 + 30, "out")]
        );
        said.only_about(&[GONE]);
        said.one_incident();
        assert!(said.notables("churn").is_empty(), "silence is not what is usual");
        assert!(took < Duration::from_secs(20), "{took:?}");
    });
}
