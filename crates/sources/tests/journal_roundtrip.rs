//! What was written is what is read, in any batching, over several segments, after a restart, and within
//! the bounds.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use netfault_model::{
    Announcement, Arrival, Asn, Collector, Family, Gap, GapSource, Input, Nlri, Outcome, Peer, PeerState,
    Prefix, Probe, RibRoute, Role, SessionState, Time, Transport, Update,
};
use netfault_sources::journal::{Limits, Reader, Writer, is_journal};
use proptest::prelude::*;

fn read(path: &Path) -> Vec<Input> {
    Reader::open(path).unwrap().flatten().collect()
}

fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (any::<u32>(), 0..=32u8).prop_map(|(addr, len)| Prefix::v4(Ipv4Addr::from(addr), len).unwrap()),
        (any::<u128>(), 0..=128u8).prop_map(|(addr, len)| Prefix::v6(Ipv6Addr::from(addr), len).unwrap()),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_micros)
}

fn peer() -> impl Strategy<Value = Peer> {
    let addr = prop_oneof![
        any::<u32>().prop_map(|addr| IpAddr::V4(addr.into())),
        any::<u128>().prop_map(|addr| IpAddr::V6(addr.into())),
    ];
    ("rrc0[0-9]", addr, any::<u32>()).prop_map(|(collector, addr, asn)| Peer {
        collector: Collector::new(&collector),
        addr,
        asn: Asn(asn),
    })
}

fn announcement() -> impl Strategy<Value = Announcement> {
    (any::<Option<u32>>(), prop::collection::vec(any::<u32>(), 0..12)).prop_map(|(origin, path)| {
        Announcement {
            origin: origin.map(Asn),
            path: path.into_iter().map(Asn).collect(),
        }
    })
}

fn update() -> impl Strategy<Value = Input> {
    let nlri = (prefix(), any::<u32>()).prop_map(|(prefix, path_id)| Nlri { prefix, path_id });
    let arrival = prop_oneof![Just(Arrival::InTime), Just(Arrival::Late), Just(Arrival::Early)];
    let nlris = prop::collection::vec(nlri, 0..20);
    (
        time(),
        peer(),
        arrival,
        nlris,
        any::<u32>(),
        prop::option::of(announcement()),
    )
        .prop_map(|(at, peer, arrival, nlri, from, announcement)| {
            let announced_from = from % (nlri.len() as u32 + 1);
            Input::Update(Update {
                at,
                peer,
                arrival,
                nlri: nlri.into(),
                announced_from,
                announcement,
            })
        })
}

fn probe() -> impl Strategy<Value = Input> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    (
        time(),
        outcome,
        prop::option::of((any::<u16>(), ".{0,20}")),
        prop::collection::vec(".{0,30}", 0..4),
    )
        .prop_map(|(at, outcome, ede, answers)| {
            Input::Probe(Box::new(Probe {
                at,
                vantage: "here".to_owned(),
                name: "example.net".to_owned(),
                role: Role::Authority,
                server: "[2001:db8::1]:53".parse().unwrap(),
                qname: "example.net".to_owned(),
                qtype: "SOA".to_owned(),
                outcome,
                rcode: Some(2),
                authoritative: true,
                ede,
                nsid: None,
                latency_us: 1500,
                ttl: Some(300),
                answers,
                transport: Transport::Udp,
                packets_sent: 1,
                arrival: netfault_model::Arrival::InTime,
                detail: None,
            }))
        })
}

fn input() -> impl Strategy<Value = Input> {
    let nlri = prefix().prop_map(|prefix| Nlri { prefix, path_id: 0 });
    let gap = (
        time(),
        ".{0,40}",
        prop::option::of(any::<u64>()),
        prop::option::of(peer()),
    );
    prop_oneof![
        4 => update(),
        1 => time().prop_map(Input::Tick),
        1 => (time(), peer(), nlri, time(), announcement()).prop_map(|(at, peer, nlri, originated, announcement)| {
            Input::Rib(RibRoute { at, peer, nlri, originated, announcement })
        }),
        1 => (time(), peer(), any::<bool>()).prop_map(|(at, peer, up)| {
            let state = if up { SessionState::Up } else { SessionState::Down };
            Input::Peer(PeerState { at, peer, state })
        }),
        1 => (time(), peer()).prop_map(|(at, peer)| Input::EndOfRib { at, peer, family: Family::V6 }),
        1 => probe(),
        1 => gap.prop_map(|(at, reason, lost, peer)| Input::Gap(Box::new(Gap {
            at, source: GapSource::RisLive, collector: peer.map(|peer| peer.collector), peer, from: Some(at),
            to: None, offset: lost, reason: reason.into(), lost,
        }))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(
        batches in prop::collection::vec(prop::collection::vec(input(), 0..30), 1..8),
        restart_after in 0usize..8,
        segment_bytes in 1u64..5000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { segment_bytes, ..Limits::default() };
        let mut writer = Writer::open(dir.path(), limits.clone()).unwrap();
        for (n, batch) in batches.iter().enumerate() {
            writer.append(batch).unwrap();
            if n % 2 == 0 {
                writer.sync().unwrap();
            }
            if n == restart_after {
                writer.close().unwrap();
                writer = Writer::open(dir.path(), limits.clone()).unwrap();
            }
        }
        let all: Vec<Input> = batches.concat();
        prop_assert_eq!(writer.offset(), all.len() as u64);
        writer.close().unwrap();
        if !all.is_empty() {
            prop_assert!(is_journal(dir.path()));
            prop_assert_eq!(read(dir.path()), all);
        }
    }
}

fn ticks(range: std::ops::Range<i64>) -> Vec<Input> {
    range
        .map(|n| {
            Input::Tick(Time::from_micros(
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64),
            ))
        })
        .collect()
}

fn segment_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn a_single_segment_can_be_read_and_other_files_are_no_journal() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_journal(dir.path()) && !is_journal(&dir.path().join("nothing")));
    let mut writer = Writer::open(dir.path(), Limits::default()).unwrap();
    writer.append(&ticks(0..10)).unwrap();
    writer.close().unwrap();
    let segment = segment_files(dir.path()).remove(0);
    assert!(is_journal(&segment));
    assert_eq!(read(&segment), ticks(0..10));
    let other = dir.path().join("notes.txt");
    std::fs::write(&other, "a text that is long enough").unwrap();
    assert!(!is_journal(&other));
    assert!(Reader::open(&dir.path().join("nothing")).is_err());
}

#[test]
fn the_oldest_segments_go_when_there_are_too_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 4000,
        max_bytes: 20_000,
        ..Limits::default()
    };
    let mut writer = Writer::open(dir.path(), limits).unwrap();
    for n in 0..100 {
        writer.append(&ticks(n * 100..(n + 1) * 100)).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    let bytes: u64 = segment_files(dir.path())
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(bytes <= 20_000 && bytes > 10_000, "{bytes} bytes");
    let rest = read(dir.path());
    assert_eq!(
        rest,
        ticks(10_000 - rest.len() as i64..10_000),
        "the newest, without a hole"
    );
}

#[test]
fn segments_that_are_too_old_go() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 1,
        max_age: Duration::from_secs(3600),
        ..Limits::default()
    };
    let mut writer = Writer::open(dir.path(), limits).unwrap();
    for n in 0..3 {
        writer.append(&ticks(n..n + 1)).unwrap();
        writer.sync().unwrap();
    }
    let files = segment_files(dir.path());
    assert_eq!(files.len(), 3);
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
    for file in &files[..2] {
        File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_modified(two_hours_ago)
            .unwrap();
    }
    writer.append(&ticks(3..4)).unwrap();
    writer.close().unwrap();
    assert_eq!(read(dir.path()), ticks(2..4));
}
