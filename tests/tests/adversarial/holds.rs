//! Thresholds and holds, to the second: what is shorter than its hold never was, what lasts for it is.

use crate::program::play;
use crate::said::{Said, at, tells};
use crate::world::World;

const T: i64 = 1800;

/// Of twenty peers, which all speak at the second: the first `lost` lack the prefix from now on.
struct Level {
    prefix: &'static str,
    origin: u32,
    lost: usize,
}

impl Level {
    fn new(world: &mut World, prefix: &'static str, origin: u32) -> Self {
        world.hold(prefix, origin);
        Level {
            prefix,
            origin,
            lost: 0,
        }
    }

    fn set(&mut self, world: &mut World, at: i64, lost: usize) {
        (self.lost..lost).for_each(|peer| world.withdraw(at, peer, &[self.prefix]));
        (lost..self.lost).for_each(|peer| world.back(at, peer, &[self.prefix], self.origin));
        self.lost = lost;
    }

    /// `low` peers lack it for `on` seconds, then `high` for `off`, so many times; then all have it. Says when that is.
    fn swing(
        &mut self,
        world: &mut World,
        (low, on): (usize, i64),
        (high, off): (usize, i64),
        times: i64,
    ) -> i64 {
        for round in 0..times {
            self.set(world, T + round * (on + off), low);
            self.set(world, T + round * (on + off) + on, high);
        }
        let end = T + times * (on + off);
        self.set(world, end, 0);
        end
    }
}

/// Prefixes that swing about a threshold for a quarter of an hour, each second exact. V↓ of 0.20 for 29 s is never Out;
/// for 30 s it is. V↓ of 0.80 is not below 0.80, and four losses are no burst. V↓ of 0.75 for 9 s is nothing, for 10 s it
/// is Degrading. V↓ of 0.50 for 119 s is never Partial. V↑ of 0.65 for 29 s is no recovery.
#[test]
fn holds_to_the_second() {
    let mut world = World::new(&[("rrc00", 10), ("rrc01", 10)]);
    world.beat(2 * 3600);
    let below_out = Level::new(&mut world, "192.0.2.0/24", 5001).swing(&mut world, (16, 29), (15, 1), 30);
    Level::new(&mut world, "198.51.100.0/24", 5002).swing(&mut world, (16, 30), (0, 570), 1);
    Level::new(&mut world, "198.18.3.0/24", 5003).swing(&mut world, (4, 60), (0, 30), 10);
    Level::new(&mut world, "198.18.4.0/24", 5004).swing(&mut world, (5, 9), (0, 21), 30);
    Level::new(&mut world, "198.18.5.0/24", 5005).swing(&mut world, (5, 10), (0, 890), 1);
    let below_partial = Level::new(&mut world, "198.18.6.0/24", 5006).swing(&mut world, (10, 119), (9, 1), 8);
    recovers_late(&mut world);
    play("holds_to_the_second", &mut world, None, |said| {
        let expected = [
            (T + 10, "degrading"),
            (T + 120, "partial"),
            (below_out + 30, "recovering"),
        ];
        tells(
            said,
            "192.0.2.0/24",
            &[&expected[..], &[(below_out + 300, "normal")]].concat(),
        );
        let expected = [
            (T + 10, "degrading"),
            (T + 30, "out"), // the deadline comes before the announcements of its second
            (T + 60, "recovering"),
            (T + 330, "normal"),
        ];
        tells(said, "198.51.100.0/24", &expected);
        tells(
            said,
            "198.18.5.0/24",
            &[(T + 10, "degrading"), (T + 70, "normal")],
        );
        tells(
            said,
            "198.18.6.0/24",
            &[(T + 10, "degrading"), (below_partial + 60, "normal")],
        );
        let expected = [
            (T + 10, "degrading"),
            (T + 30, "out"),
            (T + 400 + 30, "recovering"),
            (T + 600 + 300, "normal"),
        ];
        tells(said, "198.18.7.0/24", &expected);
        let moved = [
            "192.0.2.0/24",
            "198.51.100.0/24",
            "198.18.5.0/24",
            "198.18.6.0/24",
            "198.18.7.0/24",
        ];
        said.only_about(&moved);
        // Degrading alone is no incident of something that nobody watches.
        assert_eq!(said.incidents().len(), 3, "{:?}", said.incidents().keys());
        said.nothing_notable();
    });
}

/// Thirteen of twenty have it again for 29 s, five times, then for good; later all.
fn recovers_late(world: &mut World) {
    let mut level = Level::new(world, "198.18.7.0/24", 5007);
    level.set(world, T, 20);
    for round in 0..5 {
        level.set(world, T + 100 + round * 60, 7);
        level.set(world, T + 100 + round * 60 + 29, 8);
    }
    level.set(world, T + 400, 7);
    level.set(world, T + 600, 0);
}

/// Out at three moments: the third 1800 s after the first is flapping, said once, when it happens; one second later it
/// is not. Each falls again within 1800 s of Normal, so each is one incident, opened again.
#[test]
fn flapping_to_the_second() {
    const FLAPS: &str = "192.0.2.0/24";
    const JUST_NOT: &str = "198.51.100.0/24";
    let mut world = World::new(&[("rrc00", 10), ("rrc01", 10)]);
    world.beat(2 * 3600);
    for (prefix, origin, third) in [(FLAPS, 5001, 1800), (JUST_NOT, 5002, 1801)] {
        let mut level = Level::new(&mut world, prefix, origin);
        for start in [0, 900, third] {
            level.set(&mut world, T + start, 20);
            level.set(&mut world, T + start + 100, 0);
        }
    }
    play("flapping_to_the_second", &mut world, None, |said| {
        for (prefix, third) in [(FLAPS, 1800), (JUST_NOT, 1801)] {
            let episode = |start: i64| {
                let at = |second: i64| T + start + second;
                [
                    (at(10), "degrading"),
                    (at(30), "out"),
                    (at(130), "recovering"),
                    (at(400), "normal"),
                ]
            };
            tells(said, prefix, &[episode(0), episode(900), episode(third)].concat());
        }
        let [flapping] = said.notables("flapping")[..] else {
            panic!("{:?}", said.notables("flapping"))
        };
        assert_eq!(flapping["subject"]["prefix"], FLAPS);
        assert_eq!(at(flapping, "at"), T + 1800 + 30);
        reopened(said, FLAPS, true);
        reopened(said, JUST_NOT, false);
    });
}

/// The one incident of the prefix: opened again twice, over in the end, and whether it ever flapped.
#[track_caller]
fn reopened(said: &Said, prefix: &str, flapped: bool) {
    let incidents = said.incidents();
    let own = incidents
        .values()
        .filter(|versions| versions[0]["subject"]["prefix"] == prefix);
    let [versions] = own.collect::<Vec<_>>()[..] else {
        panic!("one incident of {prefix}")
    };
    let last = versions.last().expect("a version");
    assert_eq!(
        (&last["state"], &last["reopened"]),
        (&"resolved".into(), &2.into()),
        "{last}"
    );
    assert_eq!(
        versions.iter().any(|version| version["flapping"] == true),
        flapped,
        "{prefix}"
    );
}
