//! Votes and their weights, against a dull model of sets and fractions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use netfault_engine::Settings;
use netfault_engine::peers::{Peers, Status, SyncEnd, Tally, UNIT};
use netfault_engine::table::bits;
use netfault_model::{Asn, Collector, Family, Peer, Time};
use proptest::prelude::*;

/// A session: its AS, its collector, whether it has the route, and what became of it.
type Session = (u32, usize, bool, u8);

/// Peers with one session each of what is given; session n has slot n. Also the bits of the sessions that have the route.
fn peers(sessions: &[Session]) -> (Peers, Vec<u64>) {
    let (mut peers, mut has) = (Peers::default(), vec![0u64; sessions.len().div_ceil(64)]);
    for (n, &(asn, collector, ..)) in sessions.iter().enumerate() {
        let peer = Peer {
            collector: Collector::new(&format!("rrc{collector:02}")),
            addr: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n as u32)),
            asn: Asn(asn),
        };
        let (slot, new) = peers.slot(&peer, Time::MIN).unwrap();
        assert!(new && usize::from(slot) == n);
        peers.joins(slot, Family::V4, &Settings::default());
    }
    for (n, &(_, _, announced, state)) in sessions.iter().enumerate() {
        let slot = n as u16;
        if announced {
            bits::set(&mut has, slot);
        }
        match state {
            0 => peers.set_status(slot, Status::Down),
            1 => peers.set_suspect(slot, true),
            2 | 3 => {
                let ends = SyncEnd::Table;
                let refreshed = Default::default();
                peers.set_status(slot, Status::Syncing { refreshed, ends });
                if state == 3 {
                    peers.refresh(slot, 0);
                }
            }
            _ => {}
        }
    }
    peers.reweigh(Family::V4, &Settings::default());
    (peers, has)
}

fn sessions() -> impl Strategy<Value = Vec<Session>> {
    prop_oneof![1usize..5, 7usize..12].prop_flat_map(|collectors| {
        // Some collectors are large: the first has a third of all sessions.
        let collector = prop_oneof![1 => Just(0), 2 => 0..collectors];
        prop::collection::vec((1u32..90, collector, any::<bool>(), 0u8..12), 1..140)
    })
}

/// What each collector's votes count, by pouring what is above the limit over the rest, a little at a time.
fn poured(raw: &BTreeMap<usize, f64>, cap: f64) -> BTreeMap<usize, f64> {
    let mut votes = raw.clone();
    let total: f64 = votes.values().sum();
    for _ in 0..10_000 {
        let over: f64 = votes.values().map(|votes| (votes - cap * total).max(0.0)).sum();
        let free: f64 = votes.values().filter(|votes| **votes < cap * total).sum();
        if over < 1e-12 * total || free <= 0.0 {
            break;
        }
        for votes in votes.values_mut() {
            *votes = if *votes >= cap * total {
                cap * total
            } else {
                *votes * (1.0 + over / free)
            };
        }
    }
    votes
}

/// The weight of each AS: the mean of the factors of its collectors.
fn dull_weights(sessions: &[Session]) -> BTreeMap<u32, f64> {
    let mut collectors: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    for &(asn, collector, ..) in sessions {
        collectors.entry(asn).or_default().insert(collector);
    }
    let mut raw: BTreeMap<usize, f64> = BTreeMap::new();
    for of_as in collectors.values() {
        of_as
            .iter()
            .for_each(|&c| *raw.entry(c).or_default() += 1.0 / of_as.len() as f64);
    }
    let votes = if raw.len() >= 7 {
        poured(&raw, 0.15)
    } else {
        raw.clone()
    };
    let mean =
        |of_as: &BTreeSet<usize>| of_as.iter().map(|c| votes[c] / raw[c]).sum::<f64>() / of_as.len() as f64;
    collectors
        .iter()
        .map(|(&asn, of_as)| (asn, mean(of_as)))
        .collect()
}

/// (seen, unknown, lost, lost and silent): ASes, by a look at each session.
fn dull_votes(sessions: &[Session]) -> [BTreeSet<u32>; 4] {
    let mut sets: [BTreeSet<u32>; 4] = Default::default();
    for asn in sessions
        .iter()
        .map(|session| session.0)
        .collect::<BTreeSet<u32>>()
    {
        let own: Vec<&Session> = sessions.iter().filter(|session| session.0 == asn).collect();
        let votes = |s: &&&Session| s.2 && s.3 >= 3;
        let place = if own.iter().any(|s| votes(&s)) {
            0
        } else if own.iter().any(|s| s.2) {
            1
        } else {
            2
        };
        sets[place].insert(asn);
        if place == 2 && own.iter().all(|s| s.3 <= 1) {
            sets[3].insert(asn);
        }
    }
    sets
}

fn voters(peers: &Peers, sessions: &[Session]) -> Vec<u64> {
    let mut all = vec![0u64; sessions.len().div_ceil(64)];
    (0..sessions.len() as u16).for_each(|slot| {
        bits::set(&mut all, peers.session(slot).voter);
    });
    all
}

fn tally(sessions: &[Session]) -> Tally {
    let (peers, has) = peers(sessions);
    peers.tally(Family::V4, 0, &has, &voters(&peers, sessions))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn votes_and_weights_are_those_of_the_dull_model(sessions in sessions()) {
        let tally = tally(&sessions);
        let (weights, [seen, unknown, lost, silent]) = (dull_weights(&sessions), dull_votes(&sessions));
        let counts = (seen.len() as u32, unknown.len() as u32, lost.len() as u32);
        prop_assert_eq!((tally.seen, tally.unknown, tally.lost()), counts);
        let all: f64 = weights.values().sum();
        let weigh = |set: &BTreeSet<u32>| set.iter().map(|asn| weights[asn]).sum::<f64>() / all;
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
        prop_assert!(near(tally.rising(), weigh(&seen)), "{} {}", tally.rising(), weigh(&seen));
        prop_assert!(near(tally.falling(), weigh(&seen) + weigh(&unknown)));
        prop_assert!(near(tally.gone(), weigh(&lost)));
        prop_assert!(near(tally.known(), 1.0 - weigh(&unknown) - weigh(&silent)));
        for share in [tally.rising(), tally.falling(), tally.gone(), tally.known()] {
            prop_assert!((0.0..=1.0).contains(&share), "{tally:?}");
        }
    }

    /// No collector has more than 15 %, and what it had more is with the others.
    #[test]
    fn no_collector_of_seven_has_more_than_its_share(sessions in sessions()) {
        let (peers, _) = peers(&sessions);
        let all = voters(&peers, &sessions);
        let mut by_collector: BTreeMap<Collector, u64> = BTreeMap::new();
        for voter in bits::slots(&all) {
            for (collector, weight) in peers.shares(Family::V4, voter) {
                *by_collector.entry(collector).or_default() += weight;
            }
        }
        let (total, ases) = (by_collector.values().sum::<u64>(), u64::from(bits::count(&all)));
        prop_assert!(total.abs_diff(ases * UNIT) <= ases * 20, "{total} of {ases}");
        if by_collector.len() >= 7 {
            for (collector, weight) in by_collector {
                prop_assert!(weight as f64 <= 0.15 * total as f64 * 1.0001, "{collector}: {weight} of {total}");
            }
        } else {
            prop_assert!(peers.weights(Family::V4).are_even());
        }
    }

    /// In whatever order sessions are first heard of, V is the same number.
    #[test]
    fn the_order_of_sessions_does_not_matter(sessions in sessions(), other in any::<prop::sample::Index>()) {
        let mut turned = sessions.clone();
        turned.rotate_left(other.index(sessions.len()));
        turned.reverse();
        prop_assert_eq!(tally(&sessions), tally(&turned));
    }

    /// More sessions of an AS with the same collector, of the same state, change no share.
    #[test]
    fn more_sessions_of_an_as_are_not_more_votes(sessions in sessions(), which in any::<prop::sample::Index>(), more in 1usize..4) {
        let mut split = sessions.clone();
        let one = sessions[which.index(sessions.len())];
        split.extend(std::iter::repeat_n(one, more));
        prop_assert_eq!(tally(&sessions), tally(&split));
    }
}

#[test]
fn a_full_feed_is_entered_at_75_percent_and_left_below_70() {
    let sessions: Vec<Session> = (1..=21).map(|asn| (asn, 0, true, 9)).collect();
    let (mut peers, _) = peers(&sessions);
    let mut count = |size: u32, minute: i64| {
        for slot in 0..21 {
            peers.session_mut(slot).routes[Family::V4 as usize] = if slot == 20 { size } else { 1000 };
        }
        peers.full_feeds(Family::V4, &Settings::default(), Time::from_secs(minute * 60))
    };
    let counted: Vec<u32> = [740, 750, 700, 690, 740, 760]
        .into_iter()
        .zip(0..)
        .map(|(s, m)| count(s, m))
        .collect();
    assert_eq!(counted, [20, 21, 21, 20, 20, 21]);
    assert_eq!(
        peers.full_feeds(Family::V6, &Settings::default(), Time::from_secs(0)),
        0
    );
}

#[test]
fn default_routes_huge_and_tiny_prefixes_are_left_out_of_aggregates() {
    use netfault_engine::table::aggregates;
    let sums = |prefix: &str| aggregates(prefix.parse().unwrap());
    assert!(
        ["8.0.0.0/8", "192.0.2.0/24", "2001:db8::/16", "2001:db8::/48"]
            .into_iter()
            .all(sums)
    );
    let left_out = [
        "0.0.0.0/0",
        "8.0.0.0/7",
        "192.0.2.0/25",
        "::/0",
        "2000::/15",
        "2001:db8::/49",
    ];
    assert!(!left_out.into_iter().any(sums));
}

#[test]
fn a_cap_that_cannot_be_kept_is_refused() {
    let settings = Settings {
        collector_cap: 0.10,
        ..Settings::default()
    };
    assert!(settings.check().unwrap_err().contains("collector_cap"));
}
