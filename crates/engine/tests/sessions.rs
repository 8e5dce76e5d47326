//! Sessions that reset, fall silent or lie, second by second: what they are worth as votes.

mod streams;

use netfault_engine::Engine;
use netfault_model::{
    Asn, Baseline, Family, FeedState, GapSource, Input, Output, Rule, SessionState, State, Time, Transition,
};
use streams::script::{START, Script};
use streams::{PEERS, play};

fn edges(told: &[Transition]) -> Vec<(i64, State, State)> {
    told.iter().map(|t| (t.at.secs() - START, t.from, t.to)).collect()
}

fn evidence(t: &Transition) -> &netfault_model::Evidence {
    t.evidence.as_deref().unwrap()
}

use State::{Degrading, Normal, Out, Partial, Recovering, Unknown};

#[test]
fn routes_missing_after_a_table_transfer_are_lost_and_marked_inferred() {
    let mut script = Script::learned();
    script.alive(20..600, 0..PEERS);
    // Ten of eleven peer ASes are reset at 200 and send everything but prefix 0.
    for who in 0..10 {
        script
            .session(200, who, SessionState::Down)
            .session(201, who, SessionState::Up);
        script.say(202, who, 1, true).say(202, who, 3, true);
        script
            .end_of_rib(210, who, Family::V4)
            .end_of_rib(210, who, Family::V6);
    }
    let told = script.told(600, 0, 150);
    let down: Vec<_> = edges(&told)
        .into_iter()
        .filter(|edge| edge.2 != Unknown && edge.1 != Unknown)
        .collect();
    assert_eq!(down[..2], [(220, Normal, Degrading), (240, Degrading, Out)]);
    let out = told.iter().find(|t| t.to == Out).unwrap();
    assert_eq!(evidence(out).lost.len(), 10);
    assert!(
        evidence(out)
            .lost
            .iter()
            .all(|lost| lost.inferred && lost.at.secs() == START + 210)
    );
}

#[test]
fn a_table_transfer_that_is_cut_off_proves_nothing() {
    let mut script = Script::learned();
    script.alive(20..200, 0..PEERS);
    for who in 0..PEERS {
        script.session(200, who, SessionState::Up).say(205, who, 1, true);
    }
    // Then both collectors are silent: nobody says that the rest is gone.
    for what in [0, 3] {
        let told = script.told(4000, what, 150);
        assert_eq!(edges(&told), [(200, Normal, Unknown)], "prefix {what}");
    }
}

#[test]
fn a_session_that_comes_up_and_says_nothing_has_lost_nothing() {
    let mut script = Script::learned();
    script.alive(20..200, 0..PEERS).alive(200..2000, [10, 11]);
    for who in 0..10 {
        script.session(200, who, SessionState::Up);
    }
    assert_eq!(edges(&script.told(2000, 0, 150)), [(200, Normal, Unknown)]);
}

#[test]
fn a_session_that_resynchronises_and_falls_silent_abstains() {
    let mut script = Script::learned();
    script.alive(20..200, 0..PEERS);
    for who in 0..PEERS {
        script.session(200, who, SessionState::Up);
        for what in 0..4 {
            script.say(205, who, what, true);
        }
    }
    // 180 s later the silence of the collectors is known.
    let told = edges(&script.told(4000, 0, 150));
    assert_eq!(
        told,
        [
            (200, Normal, Unknown),
            (205, Unknown, Normal),
            (385, Normal, Unknown)
        ]
    );
}

#[test]
fn an_outage_whose_feed_is_lost_is_unknown_and_resumes() {
    let mut script = Script::learned();
    script.alive(20..300, 0..PEERS);
    script.all(200, 0..11, 0, false);
    // All is silent from 300 on. The lost routes are no more known than the others.
    script.alive(700..1000, 0..PEERS);
    let told = script.told(1000, 0, 150);
    let expected = [
        (210, Normal, Degrading),
        (230, Degrading, Out),
        (475, Out, Unknown),
        (700, Unknown, Out),
    ];
    assert_eq!(edges(&told), expected);
    assert_eq!(evidence(&told[2]).rule, Rule::QuorumLost);
    assert_eq!(evidence(&told[3]).rule, Rule::QuorumBack);
}

#[test]
fn a_hole_of_the_feed_says_that_routes_are_stale() {
    for (back, word) in [(600, "stale, but stand"), (1200, "unknown until")] {
        let mut script = Script::learned();
        script.alive(20..200, 0..PEERS).alive(back..back + 100, 0..PEERS);
        let feeds: Vec<String> = play(&script.inputs(back + 100))
            .into_iter()
            .filter_map(|output| match output {
                Output::Feed(feed) if feed.state == FeedState::Up && feed.peer.is_none() => Some(feed.reason),
                _ => None,
            })
            .collect();
        assert_eq!(feeds.len(), 2, "one per collector");
        assert!(feeds.iter().all(|reason| reason.contains(word)), "{feeds:?}");
    }
}

/// Everybody but peers 0 and 1 withdraws at 200; 90 minutes later they are zombies.
fn deserted(until: i64) -> Script {
    let mut script = Script::learned();
    script.alive(20..until, 0..PEERS).all(200, 2..PEERS, 0, false);
    script
}

#[test]
fn a_route_kept_for_90_minutes_in_silence_has_no_vote() {
    let mut script = deserted(7000);
    // 7 of the 9 that have a vote are back at 6000: 78 %; of 11 it would have been 82 % with the zombies.
    script.all(6000, 2..9, 0, true);
    let told = script.told(7000, 0, 5700);
    assert_eq!(edges(&told), [(6030, Out, Recovering)]);
    let e = evidence(&told[0]);
    assert_eq!(e.zombies, [Asn(64500), Asn(64501)]);
    assert_eq!(
        (told[0].peers_eligible, told[0].visibility),
        (Some(9), Some(0.78))
    );
}

#[test]
fn who_says_something_of_the_prefix_is_no_zombie() {
    let mut script = deserted(7000);
    // Peer 0 announces another path within the 90 minutes, peer 1 after them.
    script
        .say(3000, 0, 0, true)
        .say(5900, 1, 0, true)
        .all(6000, 2..9, 0, true);
    let told = script.told(7000, 0, 5700);
    assert!(evidence(&told[0]).zombies.is_empty());
    assert_eq!(
        (told[0].peers_eligible, told[0].visibility),
        (Some(11), Some(0.82))
    );
    // A zombie that withdraws at last has lost it, like the others.
    let mut script = deserted(7000);
    script.say(5900, 1, 0, false).all(6000, 2..9, 0, true);
    let told = script.told(7000, 0, 5700);
    assert_eq!(evidence(&told[0]).zombies, [Asn(64500)]);
    assert_eq!((told[0].peers_eligible, told[0].peers_lost), (Some(10), Some(3)));
}

#[test]
fn zombies_vote_again_when_the_prefix_is_normal() {
    let mut script = deserted(9000);
    script.all(6000, 2..PEERS, 0, true).all(7000, 2..6, 0, false);
    let told = script.told(9000, 0, 6100);
    assert_eq!(
        edges(&told)[..2],
        [(6300, Recovering, Normal), (7010, Normal, Degrading)]
    );
    assert_eq!(
        (told[1].peers_eligible, evidence(&told[1]).zombies.len()),
        (Some(11), 0)
    );
}

/// Findings F4 of the evaluation on 2008-02-24 (217.22.170.0/23 and eight more).
#[test]
fn who_completes_its_hour_while_the_baseline_is_frozen_is_in_it_afterwards() {
    let mut script = Script::default();
    script.all(0, 0..8, 0, true).alive(0..900, 0..PEERS);
    // Three of eight are gone from 100 on; at 110 two more come, whose hour (60 s) ends while it is not Normal.
    script
        .all(100, 0..3, 0, false)
        .all(110, 8..10, 0, true)
        .all(200, 0..3, 0, true);
    script.all(500, 0..4, 0, false);
    let told = script.told(900, 0, 90);
    let degrading: Vec<_> = told
        .iter()
        .filter(|t| t.to == Degrading)
        .map(|t| t.peers_eligible)
        .collect();
    assert_eq!(degrading, [Some(8), Some(10)]);
    assert_eq!(edges(&told)[1].1, Degrading);
}

/// Finding F1: a held baseline takes over from an inferred one in any state, so it has to grow in any.
#[test]
fn a_held_baseline_grows_while_an_inferred_one_counts() {
    let mut script = Script::default();
    script.alive(0..900, 0..PEERS);
    // Nobody has seen prefix 0; ten withdraw it, so they had it. Seven come back.
    script.all(100, 0..10, 0, false).all(300, 0..7, 0, true);
    let told = script.told(900, 0, 0);
    let inferred = told.iter().find(|t| t.to == Out).unwrap();
    assert_eq!(
        (inferred.baseline, inferred.peers_eligible),
        (Some(Baseline::Inferred), Some(10))
    );
    let last = told.last().unwrap();
    assert_eq!(
        (last.to, last.baseline, last.peers_eligible),
        (Normal, Some(Baseline::Held), Some(7))
    );
}

#[test]
fn half_of_a_baseline_is_partial_and_the_rule_says_so() {
    let mut script = Script::learned();
    script.alive(20..600, 0..PEERS).all(200, 0..6, 0, false);
    let told = script.told(600, 0, 150);
    assert_eq!(
        edges(&told),
        [(210, Normal, Degrading), (320, Degrading, Partial)]
    );
    let e = evidence(&told[1]);
    assert_eq!((e.rule, e.threshold, e.hold_s), (Rule::Partial, Some(0.5), 120));
    assert_eq!(e.since, Some(Time::from_secs(START + 200)));
    assert_eq!((e.collectors, e.one_collector), (2, 0.5));
}

/// Else a prefix could never be Normal again once a collector has lost enough of its peers for good.
#[test]
fn a_session_that_is_gone_for_a_day_is_forgotten() {
    let mut script = Script::learned();
    script.alive(20..200, 0..4).alive(20..87_100, 4..PEERS);
    script
        .session(200, 0, SessionState::Down)
        .session(200, 1, SessionState::Down);
    // Peers 2 and 3 just say nothing any more.
    script.all(86_900, 4..8, 0, false).all(86_920, 4..8, 0, true);
    let told = script.told(87_100, 0, 80_000);
    assert_eq!(
        edges(&told),
        [(86_910, Normal, Degrading), (86_980, Degrading, Normal)]
    );
    assert_eq!(told[0].peers_eligible, Some(7));
}

/// A burst that is not (yet) a fall is called one.
#[test]
fn a_burst_is_told_from_a_fall() {
    // 30 peer ASes: five lost are 17 %.
    let mut engine = Engine::new(
        netfault_engine::Settings {
            held_for_s: 60,
            ..Default::default()
        },
        Default::default(),
        streams::watch(),
    );
    let mut out = Vec::new();
    let mut say = |second: i64, who: usize, announce: bool| {
        let Input::Update(mut update) = streams::update((START + second) * 1_000_000, 0, 0, announce) else {
            return;
        };
        update.peer.asn = Asn(100 + who as u32);
        update.peer.addr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, who as u8));
        engine.push(Input::Update(update), &mut out);
    };
    (0..30).for_each(|who| say(0, who, true));
    (0..30).for_each(|who| say(100, who, true));
    (0..5).for_each(|who| say(101 + who as i64, who, false));
    say(170, 29, true);
    let told = streams::transitions(out);
    let last = told.last().unwrap();
    assert_eq!((last.at.secs() - START, last.to), (115, Degrading));
    assert_eq!(
        (evidence(last).rule, evidence(last).threshold),
        (Rule::Burst, None)
    );
    assert_eq!(last.visibility, Some(0.83));
    assert!(![Partial, Out].contains(&last.to));
}

/// An agent that was not running for twenty minutes says so: that is no hole in what routers say.
#[test]
fn only_a_hole_in_routes_makes_routes_stale() {
    use GapSource::{Bmp, Dns, Journal, Mrt, RisLive, Store};
    for (source, of_routes) in [
        (Mrt, true),
        (RisLive, true),
        (Bmp, true),
        (Journal, true),
        (Dns, false),
        (Store, false),
    ] {
        let mut script = Script::learned();
        script.alive(20..400, 0..PEERS).gap(200, source);
        let told = edges(&script.told(400, 0, 150));
        let expected = if of_routes {
            vec![(200, Normal, Unknown)]
        } else {
            vec![]
        };
        assert_eq!(told, expected, "{source:?}");
    }
}
