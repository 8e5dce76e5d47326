//! Feeds that go away: what nobody can see is not lost, and what was lost before stays lost.

use crate::golden;
use crate::program::{archive, play, replay_folder};
use crate::said::{Said, tells};
use crate::world::{HOUR, World};

const GONE: &str = "192.0.2.0/24";
const OTHER: &str = "198.51.100.0/24";
const T: i64 = 1800;
const WATCHED: &str = "watch: {all: true, prefixes: [192.0.2.0/24]}\n";

/// A prefix is withdrawn everywhere. 18 of 24 peer ASes say so within 18 seconds; the fourth collector goes away 5
/// seconds before and is back after 310, when its 6 peers withdraw too. Until then it is unknown whether they have
/// the route, and unknown counts as there: V↓ is 0.25, which is Partial and not Out. The 20th loss, the second
/// of those six, makes it Out 30 seconds later. One incident, resolved when all have it again.
#[test]
fn a_collector_goes_away_in_the_middle_of_an_outage() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.beat(4500);
    for peer in world.peers() {
        let later = if peer >= 18 { 310 - 18 } else { 0 };
        world.withdraw(T + later + peer as i64, peer, &[GONE]);
        world.back(T + 1200 + peer as i64, peer, &[GONE], 5001);
    }
    world.lose("rrc04", T - 5..T + 305);
    play("collector_goes_away", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"), // the fifth loss and 10 s
            (T + 131, "partial"),  // the twelfth and 120 s
            (T + 341, "out"),      // the twentieth and 30 s
            (T + 1245, "recovering"),
            (T + 1521, "normal"),
        ];
        tells(said, GONE, &expected);
        said.only_about(&[GONE]);
        said.one_incident_and_resolved();
    });
}

/// The same with two collectors of four: then fewer than 60 % of the baseline are known, and the verdict is Unknown
/// from the moment the second is given up (180 s after its last word) until they are back. Partial resumes.
#[test]
fn two_collectors_go_away_at_once() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.beat(4500);
    for peer in world.peers() {
        let later = if peer >= 12 { 310 - 12 } else { 0 };
        world.withdraw(T + later + peer as i64, peer, &[GONE]);
        world.back(T + 1200 + peer as i64, peer, &[GONE], 5001);
    }
    world.lose("rrc03", T - 5..T + 305);
    world.lose("rrc04", T - 5..T + 305);
    play("two_collectors_go_away", &mut world, None, |said| {
        let story = said.story(GONE);
        let states: Vec<&str> = story.iter().map(|(_, state)| *state).collect();
        let expected = [
            "degrading",
            "partial",
            "unknown",
            "partial",
            "out",
            "recovering",
            "normal",
        ];
        assert_eq!(states, expected, "{story:?}");
        assert_eq!(story[..2], [(T + 14, "degrading"), (T + 131, "partial")]);
        assert!((T + 160..=T + 175).contains(&story[2].0), "{story:?}");
        assert!((T + 305..=T + 315).contains(&story[3].0), "{story:?}");
        assert_eq!(story[4], (T + 310 + 7 + 30, "out"));
        said.only_about(&[GONE]);
        said.one_incident_and_resolved();
    });
}

/// A collector that has told of the outage goes away while it ends: the announcements of its 6 peers were never written
/// down. 18 of 24 have the prefix again, so it is Recovering, but whether the others have it cannot be known, and
/// nothing rises on what is not known: it is Normal only when they announce it again, here after twenty minutes.
#[test]
fn a_collector_misses_the_recovery() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.beat(4500);
    for peer in world.peers() {
        world.withdraw(T + peer as i64, peer, &[GONE]);
        world.back(T + 600 + peer as i64, peer, &[GONE], 5001);
    }
    for peer in world.peers_of("rrc04") {
        world.back(T + 1800 + peer as i64, peer, &[GONE], 5001);
    }
    world.lose("rrc04", T + 500..T + 900);
    play("collector_misses_the_recovery", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"),
            (T + 19 + 30, "out"),
            (T + 615 + 30, "recovering"),
            (T + 1821 + 300, "normal"),
        ];
        tells(said, GONE, &expected);
        said.only_about(&[GONE]);
        said.one_incident_and_resolved();
    });
}

/// All the silences of one collector of four, or of the only one, that end again: no outage. `hole` in seconds.
fn silence(world: &mut World, hole: i64) {
    world.hold(GONE, 5001);
    world.hold(OTHER, 5002);
    world.beat(2 * HOUR);
    world.lose("rrc00", T..T + hole);
}

/// A collector says nothing for a good three minutes and is back: it is Suspect after 180 s, then its routes stand.
/// Nothing else is said, also of a watched prefix.
#[test]
fn a_feed_returns_after_three_minutes() {
    let mut world = World::of_four();
    silence(&mut world, 190);
    play(
        "feed_returns_after_3_minutes",
        &mut world,
        Some(WATCHED),
        |said| {
            feed_states(said, &["suspect", "up"]);
            quiet_prefixes(said);
        },
    );
}

/// … for twenty minutes: what its peers have is not known any more, but 18 of 24 peer ASes are a quorum.
#[test]
fn a_feed_returns_after_twenty_minutes() {
    let mut world = World::of_four();
    silence(&mut world, 1200);
    play(
        "feed_returns_after_20_minutes",
        &mut world,
        Some(WATCHED),
        |said| {
            feed_states(said, &["suspect", "up"]);
            quiet_prefixes(said);
        },
    );
}

/// The only collector there is: nothing is known for as long, and then the old state resumes.
#[test]
fn the_only_feed_returns_after_three_minutes() {
    let mut world = World::of_one(24);
    silence(&mut world, 190);
    play(
        "only_feed_returns_after_3_minutes",
        &mut world,
        Some(WATCHED),
        |said| {
            feed_states(said, &["suspect", "up"]);
            let story = said.story(GONE);
            assert_eq!(story.len(), 3, "{story:?}");
            let states = [story[0].1, story[1].1, story[2].1];
            assert_eq!(states, ["normal", "unknown", "normal"], "{story:?}");
            assert!((T + 170..=T + 180).contains(&story[1].0), "{story:?}");
            assert!((T + 190..=T + 200).contains(&story[2].0), "{story:?}");
            said.no_loss();
            said.only_a_monitor_fault();
        },
    );
}

/// … after twenty minutes its routes are unknown until they are heard again, which most never are.
#[test]
fn the_only_feed_returns_after_twenty_minutes() {
    let mut world = World::of_one(24);
    silence(&mut world, 1200);
    play(
        "only_feed_returns_after_20_minutes",
        &mut world,
        Some(WATCHED),
        |said| {
            feed_states(said, &["suspect", "up"]);
            let states: Vec<&str> = said.story(GONE).iter().map(|(_, state)| *state).collect();
            assert_eq!(states, ["normal", "unknown"]);
            said.no_loss();
            said.only_a_monitor_fault();
        },
    );
}

/// States of whole collectors, in order.
fn feed_states(said: &Said, expected: &[&str]) {
    let feeds = said.of_kind("feed").into_iter();
    let whole = feeds.filter(|line| line["peer"].is_null());
    let states: Vec<&str> = whole.filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(states, expected);
}

/// The watched prefix became known in the beginning; nothing else.
fn quiet_prefixes(said: &Said) {
    let states: Vec<&str> = said.story(GONE).iter().map(|(_, state)| *state).collect();
    assert_eq!(states, ["normal"]);
    said.only_about(&[GONE]);
    said.no_loss();
    said.nothing_notable();
}

/// An outage of a watched prefix, from the 20th minute to the 40th: all 24 peers, one a second.
fn outage(world: &mut World) {
    world.hold(GONE, 5001);
    world.hold(OTHER, 5002);
    world.beat(2 * HOUR);
    for peer in world.peers() {
        world.withdraw(1200 + peer as i64, peer, &[GONE]);
        world.back(2400 + peer as i64, peer, &[GONE], 5001);
    }
    world.file = 900;
}

/// Every file of updates is there twice, under two names: the second reading is older than what was heard, and
/// changes nothing. Word for word what is said of the archive without the copies.
#[test]
fn every_file_is_there_twice() {
    let mut world = World::of_four();
    outage(&mut world);
    let folder = archive();
    let files = world.write(folder.path());
    let once = replay_folder(folder.path(), Some(WATCHED));
    for file in files {
        let copy = format!("{}.again", file.display());
        std::fs::copy(file, copy).expect("a copy");
    }
    let twice = replay_folder(folder.path(), Some(WATCHED));
    let expected = [
        (0, "normal"),
        (1200 + 14, "degrading"),
        (1200 + 19 + 30, "out"),
        (2400 + 15 + 30, "recovering"),
        (2400 + 21 + 300, "normal"),
    ];
    tells(&once, GONE, &expected);
    once.one_incident_and_resolved();
    assert_eq!(twice.text, once.text);
    golden::compare("file_there_twice", &twice.text);
}

/// The file that holds the withdrawals is missing, of the only collector. Nobody said that the prefix was withdrawn,
/// so it is Unknown from 180 s into the hole, and stays so: never Out. A second prefix is withdrawn later and aloud:
/// from the 15th withdrawal on, 60 % of its baseline are known again, V↓ is 9/24; Out 30 s after the 20th.
#[test]
fn a_file_is_missing() {
    const LATER: i64 = 3000;
    let mut world = World::of_one(24);
    world.hold(GONE, 5001);
    world.hold(OTHER, 5002);
    world.beat(2 * HOUR);
    for peer in world.peers() {
        world.withdraw(1200 + peer as i64, peer, &[GONE]);
        world.withdraw(LATER + peer as i64, peer, &[OTHER]);
    }
    world.file = 900;
    let folder = archive();
    let files = world.write(folder.path());
    let missing = files.iter().find(|file| file.ends_with("updates.20240301.0015"));
    std::fs::remove_file(missing.expect("the file of 00:15")).expect("removed");
    let said = replay_folder(folder.path(), Some(WATCHED));
    let states: Vec<&str> = said.story(GONE).iter().map(|(_, state)| *state).collect();
    assert_eq!(states, ["normal", "unknown"]);
    let story = said.story(OTHER);
    let told: Vec<_> = story
        .iter()
        .filter(|(_, state)| !["unknown", "normal"].contains(state))
        .collect();
    assert_eq!(
        told,
        [&(LATER + 24, "degrading"), &(LATER + 49, "out")],
        "{story:?}"
    );
    let [incident] = said.one_incident()[..] else {
        panic!("one version")
    };
    assert_eq!(incident["state"], "open");
    golden::compare("file_missing", &said.text);
}
