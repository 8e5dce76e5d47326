use super::*;
use netfault_model::{Collector, Feed, FeedState, Gap, GapSource, Notable, NotableKind};

fn at(secs: i64) -> Time {
    Time::from_secs(1_000_000 + secs)
}

fn keys(health: &Health, now: i64) -> Vec<String> {
    let well = health.judge(at(now), []);
    well.into_iter().map(|trouble| trouble.key).collect()
}

fn running() -> Health {
    let health = Health::new(at(0));
    health.turned(at(0));
    health
}

#[test]
fn before_its_first_turn_nobody_may_rely_on_it() {
    let health = Health::new(at(0));
    let found = health.judge(at(5), []);
    assert_eq!((found[0].severity, found[0].stale), (0, true));
    assert_eq!(health.judge(at(1_800), [])[0].severity, 4);
    health.turned(at(1_801));
    assert_eq!(keys(&health, 1_802), [""; 0]);
    assert_eq!(keys(&health, 1_831), ["pipeline"]);
}

#[test]
fn a_silent_source_is_lost_unless_it_says_that_it_is_well() {
    let health = running();
    health.expect("ris_live", Duration::from_secs(60), None, at(0));
    health.expect(
        "narrow",
        Duration::from_secs(60),
        Some(Alive::new(|| true)),
        at(0),
    );
    health.turned(at(70));
    assert_eq!(keys(&health, 59), [""; 0]);
    assert_eq!(keys(&health, 60), ["source:ris_live"]);
    health.heard("ris_live", at(70));
    assert_eq!(keys(&health, 71), [""; 0]);
}

#[test]
fn a_store_may_restart_and_a_spool_may_not_fill() {
    let health = running();
    let failing = Store {
        error: Some("connection refused".into()),
        spool_bytes: 0,
        spool_max: 100,
    };
    health.store(failing.clone(), at(0));
    health.store(failing.clone(), at(50));
    health.turned(at(90));
    assert_eq!(keys(&health, 59), [""; 0]);
    assert_eq!(keys(&health, 60), ["store"]);
    health.store(
        Store {
            error: None,
            spool_bytes: 95,
            ..failing
        },
        at(61),
    );
    assert_eq!(keys(&health, 62), ["spool"]);
}

#[test]
fn a_receiver_that_takes_nothing_is_trouble_and_so_is_what_was_lost() {
    let health = running();
    let counts = Counts {
        failing_since: Some(at(0)),
        last_error: Some("no answer".into()),
        overflowed: 3,
        ..Counts::default()
    };
    health.turned(at(300));
    let found = health.judge(at(300), [("oncall", counts.clone())]);
    let titles: Vec<&str> = found.iter().map(|trouble| trouble.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "The outbox of receiver oncall is full: 3 alerts were lost.",
            "Receiver oncall takes no alerts: no answer."
        ]
    );
    health.turned(at(1_200));
    let well = Counts {
        overflowed: 3,
        ..Counts::default()
    };
    assert_eq!(health.judge(at(1_200), [("oncall", well)]), []);
}

#[test]
fn a_lost_collector_is_held_for_five_minutes() {
    let health = running();
    let feed = |state| {
        Output::Feed(Feed {
            at: at(0),
            collector: Collector::new("rrc00"),
            peer: None,
            state,
            reason: "silent for 183 s".into(),
        })
    };
    health.output(&feed(FeedState::Suspect), at(0));
    health.output(&feed(FeedState::Down), at(100));
    health.turned(at(400));
    assert_eq!(keys(&health, 299), [""; 0]);
    assert_eq!(keys(&health, 300), ["feed:rrc00"]);
    health.output(&feed(FeedState::Up), at(301));
    assert_eq!(keys(&health, 302), [""; 0]);
}

#[test]
fn an_offline_vantage_makes_us_blind_at_once() {
    let health = running();
    let notable = |over| {
        Output::Notable(Box::new(Notable {
            over,
            summary: "Vantage ams1 is offline.".into(),
            ..Notable::blank(NotableKind::VantageOffline, at(0))
        }))
    };
    health.output(&notable(false), at(1));
    let found = health.judge(at(1), []);
    assert_eq!(
        (found[0].title.as_str(), found[0].stale),
        ("Vantage ams1 is offline.", true)
    );
    health.output(&notable(true), at(2));
    assert_eq!(keys(&health, 3), [""; 0]);
}

/// A restart after ten minutes: nobody was heard in them, which the first answers take back.
#[test]
fn what_was_lost_while_we_paused_is_given_time_to_come_back() {
    let health = running();
    let notable = Notable::blank(NotableKind::VantageOffline, at(0));
    let key = format!("vantage_offline:{}", notable.id);
    health.output(&Output::Notable(Box::new(notable)), at(400));
    health.turned(at(450));
    assert_eq!(keys(&health, 459), [""; 0]);
    assert_eq!(keys(&health, 460), [key]);
}

#[test]
fn one_break_of_a_feed_is_nothing_and_three_are() {
    let health = running();
    let gap = |source| {
        Output::Gap(Gap {
            at: at(0),
            source,
            collector: None,
            peer: None,
            from: None,
            to: None,
            offset: None,
            reason: "disconnected".into(),
            lost: None,
        })
    };
    health.turned(at(20));
    for break_at in [0, 10, 20] {
        assert_eq!(keys(&health, break_at), [""; 0]);
        for _collector in 0..23 {
            health.output(&gap(GapSource::RisLive), at(break_at));
        }
    }
    assert_eq!(keys(&health, 21), ["gap:RIS Live"]);
    health.output(&gap(GapSource::Store), at(22));
    assert_eq!(keys(&health, 23), ["gap:RIS Live", "gap:store"]);
    health.turned(at(1_000));
    assert_eq!(keys(&health, 1_000), [""; 0], "they fade");
}
