use netfault_model::{Baseline, Notable, Output, Transition};
use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Time {
    Time::from_secs(1_000_000 + seconds)
}

fn prefix(row: Row) -> Prefix {
    Prefix::v4(std::net::Ipv4Addr::from((10 << 24) + (row << 8)), 24).unwrap()
}

struct World {
    settings: Settings,
    origins: Origins,
    prefixes: BTreeMap<Row, (Prefix, Asn)>,
    /// Rows under a route that stands.
    covered: BTreeSet<Row>,
    /// Every AS carries routes of others.
    transit: bool,
    said: Vec<Transition>,
    notables: Vec<Notable>,
}

impl World {
    fn new(countries: Countries) -> Self {
        let mut origins = Origins::new(&Settings::default(), &Watch::default());
        origins.set_countries(Arc::new(countries), |_| unreachable!("there is nobody yet"));
        origins.seeded();
        World {
            settings: Settings::default(),
            origins,
            prefixes: BTreeMap::new(),
            covered: BTreeSet::new(),
            transit: false,
            said: Vec::new(),
            notables: Vec::new(),
        }
    }

    fn join(&mut self, row: Row, prefix: Prefix, origin: u32) {
        self.prefixes.insert(row, (prefix, Asn(origin)));
        self.origins.join(row, prefix, Some(Asn(origin)), at(0));
    }

    /// `rows` of one origin, a /24 each.
    fn with(mut self, origin: u32, rows: std::ops::Range<Row>) -> Self {
        rows.for_each(|row| self.join(row, prefix(row), origin));
        self
    }

    fn edges(&mut self, when: i64, rows: impl IntoIterator<Item = Row>, to: State) {
        for row in rows {
            let (prefix, origin) = self.prefixes[&row];
            let step = Step {
                row,
                prefix,
                origin: Some(origin),
                to,
                at: at(when),
                first_evidence: at(when - 30),
                inferred: false,
            };
            self.origins.edge(step);
        }
        self.settle(when);
    }

    fn settle(&mut self, when: i64) {
        let mut decided = Vec::new();
        let view = View {
            announced: &|row| Some(prefix(row)),
            covered: &|row| self.covered.contains(&row),
            carries: &|_| self.transit,
            heard_at: &|| Some(at(when)),
        };
        self.origins.settle(&self.settings, at(when), &mut decided, view);
        for output in decided {
            match output {
                Output::Transition(it) => self.said.push(*it),
                Output::Notable(it) => self.notables.push(*it),
                _ => {}
            }
        }
    }

    fn told(&self) -> Vec<(String, State)> {
        self.said.iter().map(|it| (it.subject.key().1, it.to)).collect()
    }

    fn states(&self) -> Vec<State> {
        self.said.iter().map(|it| it.to).collect()
    }
}

/// A backbone may lose the prefixes that baselines know of it, and forward for half the world.
#[test]
fn an_as_that_carries_routes_of_others_is_not_out() {
    let mut world = World::new(Countries::default()).with(100, 0..10);
    world.transit = true;
    world.edges(0, 0..10, State::Out);
    assert_eq!(world.states(), [State::Degrading]);
    world.transit = false;
    world.origins.touched.insert(Asn(100));
    world.settle(10);
    assert_eq!(world.states(), [State::Degrading, State::Out]);
}

#[test]
fn what_a_standing_aggregate_covers_is_no_loss_of_its_origin() {
    let mut world = World::new(Countries::default()).with(100, 0..10);
    world.covered = (0..10).collect();
    world.edges(0, 0..10, State::Out);
    assert_eq!(world.states(), [State::Degrading], "renumbering");
    // Three of ten are bare: 30 % of it.
    world.covered = (3..10).collect();
    world.origins.touched.insert(Asn(100));
    world.settle(10);
    assert_eq!(world.states(), [State::Degrading]);
    world.covered.clear();
    world.origins.touched.insert(Asn(100));
    world.settle(20);
    assert_eq!(
        world.states(),
        [State::Degrading, State::Out],
        "the aggregate went too"
    );
}

#[test]
fn an_origin_that_goes_and_comes_back() {
    let mut world = World::new(Countries::default()).with(100, 0..100);
    world.edges(0, 0..2, State::Out);
    assert!(
        world.said.is_empty(),
        "two of a hundred are not an origin's trouble"
    );
    world.edges(5, 2..3, State::Partial);
    assert_eq!(world.states(), [State::Degrading]);
    assert_eq!(world.said[0].first_evidence_at, at(-30));
    world.edges(10, 3..79, State::Out);
    assert_eq!(world.said.len(), 1, "79 %");
    world.edges(11, 79..80, State::Out);
    assert_eq!(world.states(), [State::Degrading, State::Out]);
    let share = world.said[1].evidence.as_ref().unwrap().share.unwrap();
    assert_eq!(
        (share.prefixes, share.prefixes_down, share.space, share.space_down),
        (100, 80, 100.0, 80.0)
    );
    assert_eq!(
        (world.said[1].visibility, world.said[1].baseline),
        (Some(0.2), Some(Baseline::Held))
    );
    world.edges(100, 0..30, State::Recovering);
    assert_eq!(world.said.len(), 2, "half of it is still down");
    world.edges(101, 30..31, State::Recovering);
    assert_eq!(world.states()[2..], [State::Recovering]);
    world.edges(400, 31..80, State::Recovering);
    world.edges(401, 0..69, State::Normal);
    assert_eq!(world.said.len(), 3, "11 % are not Normal yet");
    world.edges(402, 69..70, State::Normal);
    assert_eq!(world.states()[3..], [State::Normal]);
    // And again from the start: nothing is left over.
    world.edges(403, 70..80, State::Normal);
    world.edges(10_000, 0..2, State::Out);
    assert_eq!(world.said.len(), 4);
}

#[test]
fn what_falls_slowly_is_no_burst_and_out_all_the_same() {
    let mut world = World::new(Countries::default()).with(100, 0..10);
    (0..7).for_each(|row| world.edges(i64::from(row) * 61, [row], State::Out));
    assert!(world.said.is_empty(), "two within 120 s");
    world.edges(1000, [7], State::Out);
    assert_eq!(world.states(), [State::Degrading, State::Out]);
}

#[test]
fn prefixes_and_space_both_have_to_go() {
    let mut world = World::new(Countries::default()).with(100, 0..9);
    world.join(9, "20.0.0.0/16".parse().unwrap(), 100);
    world.edges(0, 0..9, State::Out);
    assert_eq!(
        world.states(),
        [State::Degrading],
        "9 of 10 prefixes, 3 % of the space"
    );
    world.edges(1, [9], State::Out);
    assert_eq!(world.states(), [State::Degrading, State::Out]);
}

#[test]
fn a_family_is_judged_by_itself() {
    let mut world = World::new(Countries::default()).with(100, 0..100);
    for row in 100..104 {
        let text = format!("2001:db8:{row}::/48");
        world.join(row, text.parse().unwrap(), 100);
    }
    world.edges(0, 100..104, State::Out);
    assert_eq!(world.states(), [State::Degrading, State::Out], "all of its IPv6");
    let share = world.said[1].evidence.as_ref().unwrap().share.unwrap();
    assert_eq!((share.family, share.prefixes), (netfault_model::Family::V6, 4));
}

#[test]
fn small_origins_are_left_to_their_prefixes_unless_they_are_watched() {
    let mut world = World::new(Countries::default()).with(100, 0..2);
    world.edges(0, 0..2, State::Out);
    assert!(world.said.is_empty());
    let mut world = World::new(Countries::default()).with(100, 0..2);
    world.origins.watched.insert(Asn(100));
    world.edges(0, 0..2, State::Out);
    assert_eq!(world.states(), [State::Degrading, State::Out]);
    assert!(world.said[0].watched);
}

#[test]
fn huge_prefixes_and_beacons_are_left_out() {
    let mut world = World::new(Countries::default()).with(12654, 0..3);
    world.join(3, "8.0.0.0/7".parse().unwrap(), 12654);
    world.join(4, "84.205.71.0/24".parse().unwrap(), 12654);
    world.edges(0, 3..5, State::Out);
    world.edges(1, 0..3, State::Out);
    let share = world.said[1].evidence.as_ref().unwrap().share.unwrap();
    assert_eq!((share.prefixes, share.prefixes_down), (3, 3));
}

#[test]
fn without_a_table_dump_the_total_is_not_known() {
    let mut world = World::new(Countries::default()).with(100, 0..5);
    world.origins.seeded = false;
    world.edges(0, 0..5, State::Out);
    assert!(
        world
            .said
            .iter()
            .all(|it| it.baseline == Some(Baseline::Inferred))
    );
}

#[test]
fn what_is_announced_counts_while_the_total_is_not_known() {
    let mut world = World::new(Countries::default()).with(100, 0..10);
    world.origins.seeded = false;
    (10..13).for_each(|row| world.origins.hear(row, prefix(row), Some(Asn(100))));
    world.edges(0, 0..10, State::Out);
    assert_eq!(world.states(), [State::Degrading], "10 of 13");
    // One of the three is another origin's now.
    world.origins.hear(12, prefix(12), Some(Asn(200)));
    world.edges(1, [0], State::Recovering);
    world.edges(2, [0], State::Partial);
    assert_eq!(world.states(), [State::Degrading, State::Out], "10 of 12");
    world.origins.seeded();
    assert!(world.origins.heard.is_empty());
}

#[test]
fn a_prefix_moves_with_its_origin_unless_it_is_down() {
    let mut world = World::new(Countries::default()).with(100, 0..4);
    world.join(0, prefix(0), 200);
    assert_eq!(world.origins.groups[&Asn(100)].group.sides[0].stable.prefixes, 3);
    assert_eq!(world.origins.groups[&Asn(200)].group.sides[0].stable.prefixes, 1);
    world.edges(0, [1], State::Out);
    world.origins.join(1, prefix(1), Some(Asn(200)), at(1));
    assert_eq!(world.origins.groups[&Asn(100)].group.sides[0].stable.prefixes, 3);
    // A loss that is accepted: it is nobody's any more.
    world.edges(2, [1], State::Gone);
    assert_eq!(world.origins.groups[&Asn(100)].group.sides[0], {
        let mut side = group::Side::default();
        (0..2).for_each(|row| side.stable.add(space(prefix(row + 2))));
        side
    });
}

fn country(first: &str, last: &str, code: &str) -> Range<u32> {
    let address = |text: &str| u32::from(text.parse::<std::net::Ipv4Addr>().unwrap());
    Range {
        first: address(first),
        last: address(last),
        country: code.parse().unwrap(),
    }
}

#[test]
fn a_country_by_its_space() {
    let file = vec![
        country("10.0.0.0", "10.0.99.255", "PK"),
        country("10.0.100.0", "10.0.199.255", "IN"),
    ];
    let mut world = World::new(Countries::new(file, Vec::new(), Vec::new()));
    for row in 0..200 {
        world.join(row, prefix(row), 1000 + row / 2);
    }
    world.edges(0, 0..19, State::Out);
    assert!(world.said.is_empty(), "19 %, and no origin has three prefixes");
    world.edges(590, 19..20, State::Out);
    assert_eq!(world.told(), [("PK".to_owned(), State::Degrading)]);
    world.edges(600, 20..80, State::Out);
    assert_eq!(world.told()[1..], [("PK".to_owned(), State::Out)]);
    world.edges(700, 0..31, State::Recovering);
    world.edges(1000, 31..80, State::Recovering);
    world.edges(1001, 0..71, State::Normal);
    assert_eq!(world.states()[2..], [State::Recovering, State::Normal]);
    // The same share, but over twenty minutes.
    world.edges(1002, 71..80, State::Normal);
    world.edges(5000, 0..10, State::Out);
    world.edges(5700, 10..20, State::Out);
    assert_eq!(world.said.len(), 4);
}

#[test]
fn a_country_by_its_origins() {
    let file = vec![country("10.0.0.0", "10.255.255.255", "PK")];
    let asns = vec![Range {
        first: 0,
        last: 2000,
        country: "PK".parse().unwrap(),
    }];
    let mut world = World::new(Countries::new(file, Vec::new(), asns));
    world.join(10_000, "10.128.0.0/9".parse().unwrap(), 99);
    for row in 0..60 {
        world.join(row, prefix(row), 100 + row / 3);
    }
    world.edges(0, 0..6, State::Out);
    assert_eq!(world.said.len(), 4, "two origins");
    world.edges(10, 6..9, State::Out);
    assert_eq!(world.told()[6..], [("PK".to_owned(), State::Degrading)]);
    let share = world.said[6].evidence.as_ref().unwrap().share.unwrap();
    assert_eq!((share.origins, share.origins_down), (Some(21), Some(3)));
    world.edges(100, 0..9, State::Recovering);
    assert_eq!(world.told().last().unwrap(), &("PK".to_owned(), State::Normal));
}

#[test]
fn other_files_give_other_countries() {
    let file = |code| {
        Countries::new(
            vec![country("10.0.0.0", "10.0.99.255", code)],
            Vec::new(),
            Vec::new(),
        )
    };
    let mut world = World::new(file("PK")).with(100, 0..20);
    world.edges(0, 0..5, State::Out);
    world.origins.set_countries(Arc::new(file("IN")), prefix);
    assert_eq!(
        world
            .origins
            .lands
            .keys()
            .map(|it| it.to_string())
            .collect::<Vec<_>>(),
        ["IN"]
    );
    let side = &world.origins.lands[&"IN".parse().unwrap()].group.sides[0];
    assert_eq!(
        (side.stable.prefixes, side.down.prefixes, side.troubled.prefixes),
        (20, 5, 5)
    );
}

#[test]
fn the_space_of_an_origin_is_compared_after_seven_days() {
    let mut world = World::new(Countries::default()).with(100, 0..200);
    let hours = |sample: i64| sample * 6 * 3600;
    world.settle(hours(1));
    assert_eq!(world.notables.len(), 1);
    assert!(world.notables[0].subject.is_none() && world.notables[0].summary.contains("until then"));
    (2..28).for_each(|sample| world.settle(hours(sample)));
    world.edges(hours(27) + 1, 0..3, State::Out);
    assert_eq!(world.notables.len(), 1, "27 samples are not 7 days");
    world.edges(hours(27) + 2, 0..3, State::Recovering);
    world.settle(hours(28));
    world.edges(hours(28) + 1, 0..2, State::Out);
    assert_eq!(world.notables.len(), 1, "198 of 200 are 0.99");
    world.edges(hours(28) + 2, 2..3, State::Out);
    let note = &world.notables[1];
    assert_eq!(
        (note.measured, note.usual, note.over),
        (Some(197.0), Some(200.0), false)
    );
    world.edges(hours(28) + 60, 0..3, State::Recovering);
    assert_eq!(
        (world.notables[2].over, world.notables[2].id),
        (true, world.notables[1].id)
    );
    (29..200).for_each(|sample| world.settle(hours(sample)));
    let saved = postcard::to_stdvec(&world.origins.groups[&Asn(100)].space).unwrap();
    assert!(saved.len() < 200, "28 samples, however long it runs");
}

proptest! {
    /// Whatever falls and rises: the sums are those of a recount, and all is as at first when all is Normal again.
    #[test]
    fn sums_are_those_of_a_recount(steps in prop::collection::vec((0i64..90, 0u32..12, 0u8..5), 0..120)) {
        let mut world = World::new(Countries::default()).with(100, 0..6).with(200, 6..12);
        let fresh = |world: &World| world.origins.groups.values().map(|it| it.group.sides.clone()).collect::<Vec<_>>();
        let before = fresh(&world);
        let mut states = [State::Normal; 12];
        let mut now = 0;
        for (after, row, what) in steps {
            now += after;
            let state = &mut states[row as usize];
            *state = match (*state, what) {
                (State::Normal, _) => State::Out,
                (State::Out | State::Partial, 0) => State::Unknown,
                (State::Out | State::Partial, _) => State::Recovering,
                (State::Recovering, 0..3) => State::Partial,
                (State::Unknown, _) => State::Out,
                _ => State::Normal,
            };
            let to = *state;
            world.edges(now, [row], to);
            for (origin, rows) in [(100, 0..6), (200, 6..12)] {
                let side = &world.origins.groups[&Asn(origin)].group.sides[0];
                let count = |of: &[State]| states[rows.clone()].iter().filter(|state| of.contains(state)).count() as u32;
                prop_assert_eq!(side.down.prefixes, count(&[State::Out, State::Partial, State::Unknown]));
                prop_assert_eq!(side.troubled.prefixes, 6 - count(&[State::Normal]));
                prop_assert_eq!(side.stable.prefixes, 6);
                prop_assert!(side.fallen_lately.prefixes <= side.down.prefixes);
            }
        }
        for row in 0..12 {
            if states[row as usize] != State::Normal {
                world.edges(now + 1, [row], State::Recovering);
                world.edges(now + 1, [row], State::Normal);
            }
        }
        world.origins.groups.values_mut().for_each(|it| it.group.expire(at(now + 1)));
        prop_assert_eq!(fresh(&world), before);
        prop_assert!(world.origins.groups.values().all(|it| it.group.state == State::Normal));
    }
}
