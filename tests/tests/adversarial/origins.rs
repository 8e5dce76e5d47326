//! Origins that are odd, several, new, or not allowed. Any origin counts as seen.

use serde_json::json;

use crate::program::play;
use crate::said::{Said, at};
use crate::wire::Path;
use crate::world::World;

const ODD: &str = "192.0.2.0/24";
const T: i64 = 1800;

#[track_caller]
fn nothing_at_all(said: &Said) {
    said.none("transition");
    said.none("incident");
    said.none("feed");
    said.none("gap");
    said.nothing_notable();
}

/// A prefix changes from its origin to an AS_SET (RFC 6472 deprecates it, aggregation made it), then to AS0 (RFC 7607
/// forbids it), then back; a more-specific of AS0 comes beside it. It is visible all the time, and nobody can be named as
/// a new origin.
#[test]
fn as_set_and_as0() {
    let mut world = World::of_four();
    world.hold(ODD, 5001);
    world.hold("198.51.100.0/23", 5002);
    world.beat(2 * 3600);
    for peer in world.peers() {
        let way = [World::asn(peer), 2001];
        let set = Path::of(&way).and_set(&[5001, 5003]);
        let nobody = Path::of(&[way[0], way[1], 0]);
        world.announce(T + peer as i64, peer, &[ODD], &set);
        world.announce(T + 600 + peer as i64, peer, &[ODD], &nobody);
        world.announce(T + 900 + peer as i64, peer, &["198.51.100.0/24"], &nobody);
        world.back(T + 1200 + peer as i64, peer, &[ODD], 5001);
    }
    play("as_set_and_as0", &mut world, None, nothing_at_all);
}

/// An origin prepends itself 255 times, so that its path takes two segments, and stops again: a route like any other.
#[test]
fn prepended_255_times() {
    let mut world = World::of_four();
    world.hold(ODD, 5001);
    world.beat(2 * 3600);
    for peer in world.peers() {
        let mut path = vec![World::asn(peer), 2001];
        path.extend([5001; 256]);
        world.announce(T + peer as i64, peer, &[ODD], &Path::of(&path));
        world.back(T + 1200 + peer as i64, peer, &[ODD], 5001);
    }
    play("prepended_255_times", &mut world, None, nothing_at_all);
}

/// A prefix of two origins (MOAS) and one of five (anycast). One of the two origins goes and comes back, one site of
/// the five too: their peers take what is left. All peers have a route all the time, and no origin is new.
#[test]
fn moas_and_anycast() {
    const ANYCAST: &str = "198.51.100.0/24";
    let mut world = World::of_four();
    world.hold_by(ODD, |peer| World::route(peer, 5001 + peer as u32 % 2));
    world.hold_by(ANYCAST, |peer| World::route(peer, 5011 + peer as u32 % 5));
    world.beat(2 * 3600);
    for peer in world.peers() {
        let (late, second) = (peer as i64, peer as i64 + 1200);
        if peer % 2 == 0 {
            world.back(T + late, peer, &[ODD], 5002);
            world.back(T + second, peer, &[ODD], 5001);
        }
        if peer % 5 == 3 {
            world.back(T + 300 + late, peer, &[ANYCAST], 5011);
            world.back(T + 300 + second, peer, &[ANYCAST], 5014);
        }
    }
    play("moas_and_anycast", &mut world, None, nothing_at_all);
}

/// A network renumbers: its sixteen /24s become one /20, announced by the same origin half an hour before the /24s are
/// withdrawn. The /24s are Out, and that is written down, each with the same-origin cover that is there. But all their
/// addresses are still announced by their owner, so nobody is told: no incident is shown, and the origin is not
/// said to be Out. The /20 is no hijack either.
#[test]
fn planned_renumbering() {
    let parts: Vec<String> = (0..16).map(|part| format!("198.18.{}.0/24", 16 + part)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut world = World::of_one(12);
    parts.iter().for_each(|part| world.hold(part, 5004));
    world.beat(3 * 3600);
    for peer in world.peers() {
        world.back(T + peer as i64, peer, &["198.18.16.0/20"], 5004);
        world.withdraw(2 * T + peer as i64, peer, &parts);
    }
    play("planned_renumbering", &mut world, None, |said| {
        for part in &parts {
            let story = said.story(part);
            assert_eq!(
                story,
                [(2 * T + 2 + 10, "degrading"), (2 * T + 9 + 30, "out")],
                "{part}"
            );
            for line in said.transitions(part) {
                assert_eq!(line["cover"], "same_origin", "{line}");
            }
        }
        said.only_about(&parts);
        for incident in said.of_kind("incident") {
            assert_eq!(incident["shown"], false, "{incident}");
        }
        for line in said.of_kind("transition") {
            let whole = line["subject"]["type"] == "origin" && line["to"] == "out";
            assert!(!whole, "all of its space is announced: {line}");
        }
        said.nothing_notable();
    });
}

/// Somebody announces a /24 of somebody else's /22, to all peers, for half an hour. That is a new more-specific of
/// another origin, told once, within ten seconds of the third peer that sees it, with both origins and the cover; it
/// ends half an hour after the last route. The /22 itself never has a transition, and the /24, which was never
/// anybody's for an hour, is no outage when it goes.
#[test]
fn a_more_specific_is_hijacked() {
    const VICTIM: &str = "198.51.100.0/22";
    const STOLEN: &str = "198.51.101.0/24";
    let mut world = World::of_four();
    world.hold(VICTIM, 5005);
    world.beat(3 * 3600);
    for peer in world.peers() {
        world.back(T + peer as i64, peer, &[STOLEN], 5666);
        world.withdraw(2 * T + peer as i64, peer, &[STOLEN]);
    }
    play("hijacked_more_specific", &mut world, None, |said| {
        said.none("transition");
        said.none("incident");
        let [told, over] = said.notables("origin_change")[..] else {
            panic!("it begins and it ends: {:?}", said.notables("origin_change"))
        };
        assert_eq!(told["subject"]["prefix"], STOLEN);
        assert_eq!(told["covered_by"], VICTIM);
        assert_eq!(
            (&told["old_origins"], &told["new_origins"]),
            (&json!([5005]), &json!([5666]))
        );
        assert!((T + 2..=T + 12).contains(&at(told, "at")), "{told}");
        assert_eq!((&told["over"], &over["over"]), (&json!(false), &json!(true)));
        assert_eq!(told["id"], over["id"]);
        let last = 2 * T + 21; // fewer than three peers see it
        assert_eq!(at(over, "at"), last + 1800, "{over}");
    });
}

/// Somebody announces somebody else's prefix itself, and every peer believes it for half an hour. Any origin counts as
/// seen, so the prefix is never lost; the origin is news, once, with both of them, and it is over half an hour after the
/// third-last peer has left it.
#[test]
fn a_prefix_is_taken_over() {
    let mut world = World::of_four();
    world.hold(ODD, 5001);
    world.beat(3 * 3600);
    for peer in world.peers() {
        world.back(T + peer as i64, peer, &[ODD], 5666);
        world.back(2 * T + peer as i64, peer, &[ODD], 5001);
    }
    play("prefix_taken_over", &mut world, None, |said| {
        said.none("transition");
        said.none("incident");
        let [told, over] = said.notables("origin_change")[..] else {
            panic!("it begins and it ends: {:?}", said.notables("origin_change"))
        };
        assert_eq!(told["subject"]["prefix"], ODD);
        assert_eq!(told["covered_by"], json!(null));
        assert_eq!(
            (&told["old_origins"], &told["new_origins"]),
            (&json!([5001]), &json!([5666]))
        );
        assert!((T + 2..=T + 12).contains(&at(told, "at")), "{told}");
        assert_eq!((&told["over"], &over["over"]), (&json!(false), &json!(true)));
        assert_eq!(at(over, "at"), 2 * T + 21 + 1800, "{over}");
    });
}
