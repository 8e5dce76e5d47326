//! Sessions that are reset: absence is not withdrawal, until the table transfer is over.

use serde_json::Value;

use crate::program::play;
use crate::said::tells;
use crate::wire::Path;
use crate::world::{BEAT, World};

const GONE: &str = "192.0.2.0/24";
const KEPT: &str = "198.51.100.0/24";
const T: i64 = 1800;

/// How many losses of a transition's evidence are inferred, and how many are not.
fn inferred(transition: &Value) -> (usize, usize) {
    let lost = transition["evidence"]["lost"].as_array().expect("who lost it");
    let inferred = lost.iter().filter(|loss| loss["inferred"] == true).count();
    (inferred, lost.len() - inferred)
}

fn beat(world: &mut World, at: i64, peer: usize) {
    let path = Path::of(&[World::asn(peer), 2001, 5999]);
    world.announce(at, peer, &[BEAT], &path);
}

/// A prefix is withdrawn by 18 of 24 peers. The other six are reset in the midst of it, and send their tables again
/// without the prefix: no withdrawal, but when End-of-RIB says that the table was whole, it is lost there too, marked
/// `inferred`. Out 30 s after the 20th loss; the table's other routes never were in doubt.
#[test]
fn a_session_reset_in_mid_convergence() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.hold(KEPT, 5002);
    world.beat(3600);
    for peer in world.peers_of("rrc04") {
        world.reset(peer, T + 5..T + 15);
        beat(&mut world, T + 16, peer);
        world.back(T + 17, peer, &[KEPT], 5002);
        world.end_of_rib(T + 20 + peer as i64 - 18, peer);
    }
    for peer in world.peers() {
        if peer < 18 {
            world.withdraw(T + peer as i64, peer, &[GONE]);
        }
        world.back(T + 900 + peer as i64, peer, &[GONE], 5001);
    }
    play("session_reset_in_mid_convergence", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"),
            (T + 21 + 30, "out"),
            (T + 915 + 30, "recovering"),
            (T + 921 + 300, "normal"),
        ];
        tells(said, GONE, &expected);
        assert_eq!(inferred(said.transitions(GONE)[1]), (6, 18));
        said.only_about(&[GONE]);
        said.one_incident_and_resolved();
    });
}

/// Every peer is reset, one each half minute, and sends its table again: one prefix is in it, the other is not. The
/// one never has a transition. The other drains session by session, all of it inferred: no peer ever withdrew
/// it. Degrading 10 s after the 5th transfer has ended, Partial 120 s after the 12th, Out 30 s after the 20th.
#[test]
fn a_table_transfer_leaves_the_prefix_out() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.hold(KEPT, 5002);
    world.beat(3600);
    for peer in world.peers() {
        let reset = T + 30 * peer as i64;
        world.reset(peer, reset..reset + 5);
        beat(&mut world, reset + 6, peer);
        world.back(reset + 7, peer, &[KEPT], 5002);
        world.end_of_rib(reset + 10, peer);
    }
    play("table_transfer_leaves_it_out", &mut world, None, |said| {
        let end = |transfer: i64| T + 30 * (transfer - 1) + 10;
        let expected = [
            (end(5) + 10, "degrading"),
            (end(12) + 120, "partial"),
            (end(20) + 30, "out"),
        ];
        tells(said, GONE, &expected);
        // At end(20) + 30 the 21st transfer ends too: a deadline comes before the inputs of its moment.
        assert_eq!(inferred(said.transitions(GONE)[2]), (20, 0));
        said.only_about(&[GONE]);
        said.one_incident();
    });
}

/// All peers of one collector are reset at once and send the same tables again: nothing happened.
#[test]
fn the_same_table_again() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.hold(KEPT, 5002);
    world.beat(3600);
    for peer in world.peers_of("rrc03") {
        world.reset(peer, T..T + 40);
        beat(&mut world, T + 41, peer);
        world.back(T + 42, peer, &[KEPT], 5002);
        world.back(T + 43, peer, &[GONE], 5001);
        world.end_of_rib(T + 50, peer);
    }
    play("same_table_again", &mut world, None, |said| {
        said.none("transition");
        said.none("incident");
        said.nothing_notable();
    });
}

/// The reset of the first scenario, of peers that send no End-of-RIB (RFC 4724 is an option) and, like every full feed, are
/// never quiet for two minutes. What is new after the reset has been said 17 s into it; two minutes later, nothing new
/// having come, the table was whole: the prefix that was not in it is lost, inferred. Out 30 s after that. The two
/// minutes do not count pauses of the collector of more than 10 s, and this thin feed has them all the time (its peers beat
/// together, every 48 s): it takes longer to prove 120 s, and the six transfers end one after the other. Out is 30 s after
/// the second of them (four of 24 still unknown are less than a fifth); five have ended by then.
#[test]
fn no_end_of_rib() {
    let mut world = World::of_four();
    world.hold(GONE, 5001);
    world.hold(KEPT, 5002);
    world.beat(3600);
    for peer in world.peers_of("rrc04") {
        world.reset(peer, T + 5..T + 15);
        beat(&mut world, T + 16, peer);
        world.back(T + 17, peer, &[KEPT], 5002);
    }
    for peer in 0..18 {
        world.withdraw(T + peer as i64, peer, &[GONE]);
    }
    play("no_end_of_rib", &mut world, None, |said| {
        let expected = [
            (T + 14, "degrading"),
            (T + 131, "partial"),
            (T + 17 + 267 + 30, "out"),
        ];
        tells(said, GONE, &expected);
        assert_eq!(inferred(said.transitions(GONE)[2]), (5, 18));
        said.only_about(&[GONE]);
        said.one_incident();
    });
}
