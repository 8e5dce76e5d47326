//! Losses that are slow, small in number of peers, or in the other address family.

use crate::program::play;
use crate::said::tells;
use crate::world::{HOUR, World};

const GONE: &str = "192.0.2.0/24";
const T: i64 = 1800;

/// 24 peers lose a prefix within 55 minutes, one every 143 s: never a burst, and the first are gone for most of an
/// hour when the last goes. They all stay in the denominator.
#[test]
fn a_slow_drain() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.beat(2 * HOUR);
    for peer in world.peers() {
        world.withdraw(T + 143 * peer as i64, peer, &[GONE]);
    }
    play("slow_drain", &mut world, None, |said| {
        let expected = [
            (T + 143 * 4 + 10, "degrading"), // 19 of 24 are below 0.80
            (T + 143 * 11 + 120, "partial"),
            (T + 143 * 19 + 30, "out"),
        ];
        tells(said, GONE, &expected);
        for line in said.transitions(GONE) {
            assert_eq!(line["peers_eligible"], 24, "{line}");
            assert_eq!(line["baseline"], "held", "{line}");
        }
        said.only_about(&[GONE]);
        said.one_incident();
        said.nothing_notable();
    });
}

fn nine_peers() -> World {
    let mut world = World::of_one(9);
    world.hold(GONE, 5001);
    world.beat(HOUR);
    for peer in world.peers() {
        world.withdraw(T + peer as i64, peer, &[GONE]);
    }
    world
}

/// All nine peers there are lose a prefix. Nine are no quorum: no verdict.
#[test]
fn nine_peers_are_no_quorum() {
    play("nine_peers", &mut nine_peers(), None, |said| {
        said.none("transition");
        said.none("incident");
        said.nothing_notable();
    });
}

/// … unless the settings say that five are enough, as in a lab: Degrading 10 s after the second loss (V↓ 0.78), Out 30 s after the
/// eighth.
#[test]
fn nine_peers_of_a_lab() {
    let lab = "watch: {all: true, prefixes: [192.0.2.0/24]}\ndetect: {min_peers: 5}\n";
    play("nine_peers_of_a_lab", &mut nine_peers(), Some(lab), |said| {
        // Watched, so its first quorum is written down too: at the table dump.
        tells(
            said,
            GONE,
            &[(0, "normal"), (T + 1 + 10, "degrading"), (T + 7 + 30, "out")],
        );
        said.only_about(&[GONE]);
        said.one_incident();
    });
}

/// A network with IPv6 only loses a /48, and has it again; its /32 stays. Beside it the same peers have an
/// IPv4 prefix of the same origin, which nothing happens to.
#[test]
fn ipv6_only() {
    const LOST: &str = "2001:db8:5::/48";
    let mut world = World::of_four();
    world.hold(LOST, 5001);
    world.hold("2001:db8::/32", 5001);
    world.hold(GONE, 5001);
    world.beat(HOUR);
    for peer in world.peers() {
        world.withdraw(T + peer as i64, peer, &[LOST]);
        world.back(T + 600 + peer as i64, peer, &[LOST], 5001);
    }
    play("ipv6_only", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"),
            (T + 19 + 30, "out"),
            (T + 615 + 30, "recovering"),
            (T + 621 + 300, "normal"),
        ];
        tells(said, LOST, &expected);
        assert_eq!(said.transitions(LOST)[1]["cover"], "same_origin");
        said.only_about(&[LOST]);
        said.one_incident_and_resolved();
        said.nothing_notable();
    });
}
