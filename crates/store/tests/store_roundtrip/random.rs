//! Random updates, written by our encoder, read back as ClickHouse understood them.

use netfault_model::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::store;
use crate::store_common::*;

fn any_prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (any::<u32>(), 0..=32u8).prop_map(|(addr, len)| Prefix::v4(addr.into(), len).unwrap());
    let v6 = (any::<u128>(), 0..=128u8).prop_map(|(addr, len)| Prefix::v6(addr.into(), len).unwrap());
    prop_oneof![v4, v6]
}

fn any_update() -> impl Strategy<Value = Update> {
    let peer = (0..5u8, any::<bool>(), any::<u32>()).prop_map(|(n, v6, asn)| Peer {
        collector: Collector::new(["rrc00", "route-views2", ""][usize::from(n % 3)]),
        addr: if v6 {
            std::net::Ipv6Addr::from(u128::from(n) << 90).into()
        } else {
            [192, 0, 2, n].into()
        },
        asn: Asn(asn),
    });
    let nlri = (any_prefix(), prop_oneof![Just(0), any::<u32>()])
        .prop_map(|(prefix, path_id)| Nlri { prefix, path_id });
    let path = proptest::collection::vec(any::<u32>(), 0..8);
    let arrival = prop_oneof![Just(Arrival::InTime), Just(Arrival::Late), Just(Arrival::Early)];
    // Years that ClickHouse can write: 1970 to 2099, in no more than a few partitions.
    let at = (0..4i64, 0..86_400_000_000i64)
        .prop_map(|(day, micros)| Time::from_micros(day * 1_000_000_000_000_000 + micros));
    (
        at,
        peer,
        proptest::collection::vec(nlri, 0..6),
        any::<prop::sample::Index>(),
        path,
        arrival,
    )
        .prop_map(|(at, peer, nlri, cut, path, arrival)| {
            let announced_from = cut.index(nlri.len() + 1) as u32;
            let announcement = (nlri.len() as u32 > announced_from).then(|| Announcement {
                origin: path.last().copied().map(Asn),
                path: path.into_iter().map(Asn).collect(),
            });
            Update {
                at,
                peer,
                arrival,
                nlri: nlri.into(),
                announced_from,
                announcement,
            }
        })
}

/// The rows that one message must become, as ClickHouse writes them in JSON, without `seq`.
fn rows_of(update: &Update) -> Vec<serde_json::Value> {
    let mapped = |prefix: Prefix| match prefix.addr() {
        std::net::IpAddr::V4(v4) => format!("::ffff:{v4}"),
        std::net::IpAddr::V6(v6) => v6.to_string(),
    };
    let kinds = update.withdrawn().iter().map(|nlri| ("withdraw", nlri));
    kinds
        .chain(update.announced().iter().map(|nlri| ("announce", nlri)))
        .map(|(kind, nlri)| {
            let announcement = update.announcement.as_ref().filter(|_| kind == "announce");
            serde_json::json!({
                "prefix": nlri.prefix.to_string(),
                "prefix_addr": mapped(nlri.prefix),
                "prefix_len": nlri.prefix.len(),
                "collector": update.peer.collector.name(),
                "peer_addr": update.peer.addr.to_string(),
                "peer_asn": update.peer.asn.0,
                "path_id": nlri.path_id,
                "at": update.at.to_string(),
                "kind": kind,
                "origin": announcement.and_then(|a| a.origin).map_or(0, |asn| asn.0),
                "path": announcement.map_or(vec![], |a| a.path.iter().map(|asn| asn.0).collect()),
                "arrival": match update.arrival { Arrival::InTime => "in_time", Arrival::Late => "late", Arrival::Early => "early" },
            })
        })
        .collect()
}

/// One spelling, whatever the order of the keys.
fn canonical(row: serde_json::Value) -> String {
    let row: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_value(row).unwrap();
    serde_json::to_string(&row).unwrap()
}

#[test]
fn embedded_random_updates_come_back_as_they_were() {
    if !engine_is_here("random updates") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let updates = proptest::collection::vec(any_update(), 1..60);
    let outcome = runner.run(&updates, |updates| {
        store(&db, &dir.path().join("spool"), |writer| updates.iter().for_each(|update| writer.update(update)));
        let got = db.ask_as(
            "SELECT * EXCEPT (ingested_at, seq) FROM bgp_updates SETTINGS date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0",
            "JSONEachRow",
        );
        db.ask("TRUNCATE TABLE bgp_updates");
        let mut got: Vec<String> = got.lines().map(|line| canonical(serde_json::from_str(line).unwrap())).collect();
        let mut expected: Vec<String> = updates.iter().flat_map(rows_of).map(canonical).collect();
        got.sort();
        expected.sort();
        prop_assert_eq!(got, expected);
        Result::Ok(())
    });
    outcome.unwrap();
}
