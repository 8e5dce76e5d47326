//! R0, as far as vantages are concerned: what is said when they stop to report.

use netfault_model::*;

use crate::world::{Story, Told, VANTAGES, at};

const NAME: &str = "example.com";
const SERVERS: [&str; 2] = ["192.0.32.1", "192.0.33.1"];
const NOON: i64 = at(12, 0, 0);
const END: i64 = at(13, 0, 0);
/// Names are asked until here, so that the end of a story is no silence.
const ASKED: i64 = END + 60;

/// A healthy name from 11:00 on; from 12:00 to 12:20 `lost` report nothing, or nothing in time.
fn story(all: usize, lost: usize, late: bool) -> Told {
    let mut story = Story::new("2026-03-01");
    story.service("shop", &[NAME]);
    story.rounds(
        NAME,
        (at(11, 0, 0), ASKED),
        &SERVERS,
        &["1.1.1.1"],
        |_, _, _, _| Outcome::Ok,
    );
    let (from, to) = (story.time(NOON as f64), story.time((NOON + 1200) as f64));
    story.retain_probes(|probe| {
        let vantage = VANTAGES.iter().position(|it| *it == probe.vantage).unwrap();
        let is_lost = vantage < lost && (from..to).contains(&probe.at);
        if is_lost && late {
            probe.arrival = Arrival::Late;
        }
        vantage < all && (late || !is_lost)
    });
    let told = story.play(END);
    assert_eq!(told.incidents().count(), 0, "{}", told.text());
    told
}

/// When a kind of statement was made, in seconds from noon, and whether it was taken back.
fn said(told: &Told, what: NotableKind) -> Vec<(i64, bool)> {
    let said = told.notables(what).into_iter();
    said.map(|it| (told.second(it.at) - NOON, it.over)).collect()
}

/// After 180 s without a word, rounds being 30 s apart.
#[track_caller]
fn lost_and_back(spans: &[(i64, bool)]) {
    let [(lost, false), (back, true)] = spans else {
        panic!("once lost and once back, not {spans:?}");
    };
    assert!((150..=180).contains(lost), "{lost}");
    assert!((1200..=1235).contains(back), "{back}");
}

#[test]
fn one_of_three_says_nothing_for_twenty_minutes() {
    for late in [false, true] {
        let told = story(3, 1, late);
        lost_and_back(&said(&told, NotableKind::VantageOffline));
        assert_eq!(said(&told, NotableKind::MonitorFault), []);
        let states: Vec<State> = told.transitions().map(|it| it.to).collect();
        assert_eq!(states, [State::Ok], "the name is seen from elsewhere");
    }
}

#[test]
fn the_only_one_is_told_once() {
    let told = story(1, 1, false);
    lost_and_back(&said(&told, NotableKind::VantageOffline));
    assert_eq!(said(&told, NotableKind::MonitorFault), []);
    let states: Vec<State> = told.transitions().map(|it| it.to).collect();
    assert_eq!(states, [State::Ok, State::Unknown, State::Ok]);
}

#[test]
fn most_of_several_make_us_blind() {
    let told = story(3, 2, false);
    assert_eq!(told.notables(NotableKind::VantageOffline).len(), 4);
    let faults = told.notables(NotableKind::MonitorFault);
    let texts: Vec<(&str, bool)> = faults.iter().map(|it| (it.summary.as_str(), it.over)).collect();
    assert_eq!(
        texts,
        [
            ("2 of 3 vantages are lost: names are not judged from there", false),
            ("Most vantages are back: 1 of 3 are still lost", true),
        ]
    );
    lost_and_back(&said(&told, NotableKind::MonitorFault));
}
