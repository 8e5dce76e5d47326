//! Every table, and what is stored twice.

use netfault_model::*;
use netfault_store::{Table, Writer, WriterConfig};

use crate::store_common::*;
use crate::{PATIENCE, store};

#[test]
fn embedded_every_table_gives_back_what_was_written() {
    if !engine_is_here("every table") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let at = time("2021-10-04T15:42:00Z");
    let probe = Probe {
        at,
        vantage: "v1".into(),
        name: "facebook.com".into(),
        role: Role::Authority,
        server: "[2a03:2880:f0fc::35]:53".parse().unwrap(),
        qname: "facebook.com".into(),
        qtype: "SOA".into(),
        outcome: Outcome::Servfail,
        rcode: Some(2),
        authoritative: true,
        ede: Some((22, "No reachable\nauthority \"x\"".into())),
        nsid: None,
        latency_us: 4000,
        ttl: None,
        answers: vec!["157.240.1.35".into(), String::new()],
        transport: Transport::Udp,
        packets_sent: 2,
        arrival: Arrival::Late,
        detail: Some("no address in 192.0.2.0/24".into()),
    };
    let feed = Feed {
        at,
        collector: Collector::new("rrc00"),
        peer: Some(peer(1)),
        state: FeedState::Suspect,
        reason: "silent for 183 s".into(),
    };
    let gap = Gap {
        at,
        source: GapSource::Mrt,
        collector: Some(Collector::new("route-views2")),
        peer: None,
        from: Some(at),
        to: None,
        offset: Some(15024),
        reason: "bad record length".into(),
        lost: Some(3),
    };
    let report = store(&db, &dir.path().join("spool"), |writer| {
        writer.update(&announce(
            at,
            peer(1),
            &["129.134.30.0/24", "2a03:2880:f0fc::/48"],
            &[64501, 32934],
        ));
        let mut withdrawal = announce(at, peer(1), &["129.134.30.0/24"], &[]);
        (withdrawal.announced_from, withdrawal.announcement) = (1, None);
        writer.update(&withdrawal);
        writer.transition(&transition(
            "129.134.30.0/24",
            State::Degrading,
            State::Out,
            "2021-10-04T15:53:47.5Z",
        ));
        writer.incident(&incident(Id(7), 1, IncidentState::Open));
        writer.notable(&notable());
        writer.probe(&probe);
        writer.feed(&feed);
        writer.gap(&gap);
    });
    assert_eq!(
        Table::ALL.map(|table| report.stats.of(table).sent),
        [3, 1, 1, 2, 1, 1, 0, 0, 0]
    );

    let rows = db.ask_as(
        "SELECT * EXCEPT ingested_at FROM bgp_updates WHERE prefix = '129.134.30.0/24' ORDER BY at, seq",
        "JSONEachRow",
    );
    let rows: Vec<serde_json::Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["path"], serde_json::json!([64501, 32934]));
    assert_eq!(
        (rows[0]["kind"].as_str(), rows[1]["kind"].as_str()),
        (Some("announce"), Some("withdraw"))
    );
    assert_eq!(
        (rows[0]["seq"].as_u64(), rows[1]["seq"].as_u64()),
        (Some(0), Some(1))
    );
    assert_eq!(rows[0]["prefix_addr"], "::ffff:129.134.30.0");
    let probe = db.ask_as("SELECT * EXCEPT ingested_at FROM dns_probes", "JSONEachRow");
    let probe: serde_json::Value = serde_json::from_str(&probe).unwrap();
    assert_eq!(probe["server"], "2a03:2880:f0fc::35");
    assert_eq!(probe["ede_text"], "No reachable\nauthority \"x\"");
    assert_eq!(
        (&probe["arrival"], &probe["detail"]),
        (&"late".into(), &"no address in 192.0.2.0/24".into())
    );
    assert_eq!(probe["answers"], serde_json::json!(["157.240.1.35", ""]));
    assert_eq!(
        (&probe["rcode"], &probe["ttl"]),
        (&serde_json::json!(2), &serde_json::Value::Null)
    );
    assert_eq!(
        db.ask("SELECT kind, collector, peer_addr, peer_asn, state, source, reason, gap_from, gap_to, offset, lost FROM feed_status ORDER BY kind"),
        "feed\trrc00\t192.0.2.1\t64501\tsuspect\t\tsilent for 183 s\t\\N\t\\N\t\\N\t\\N\n\
         gap\troute-views2\t\t0\t\tmrt\tbad record length\t2021-10-04 15:42:00.000000\t\\N\t15024\t3"
    );
    assert_eq!(
        db.ask("SELECT subject, origin, from_state, to_state, at, visibility, peers_lost, baseline, cover, finding, servers_ok, watched FROM transitions"),
        "129.134.30.0/24\t12654\tdegrading\tout\t2021-10-04 15:53:47.500000\t0.18\t31\theld\tsame_origin\t\t\\N\ttrue"
    );
    assert_eq!(
        db.ask("SELECT what, subject_type, subject, origin, over, baseline, old_origins, new_origins, covered_by, peers, triplet, measured, usual, watched FROM notables"),
        "origin_change\tprefix\t208.65.153.0/24\t17557\tfalse\theld\t[36561]\t[17557]\t208.65.152.0/22\t3\t[]\t\\N\t1.5\tfalse"
    );
    assert_eq!(
        db.ask(
            "SELECT toTypeName(children.cleared_at), children.cleared_at[1], children.origin FROM incidents"
        ),
        "Array(Nullable(DateTime64(6, \\'UTC\\')))\t\\N\t[12654,0]"
    );
}

#[test]
fn embedded_the_same_day_stored_twice_is_there_once_in_any_batching() {
    if !engine_is_here("stored twice") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let day = |max_rows: usize| {
        let config = WriterConfig {
            max_rows,
            ..WriterConfig::archive(dir.path().join("spool"), db.target.clone())
        };
        let writer = Writer::open(config).unwrap();
        for n in 0..100i64 {
            let at = time("2008-02-24T00:00:00Z").plus_micros(n / 7 * 1_000_000);
            writer.update(&announce(
                at,
                peer((n % 3) as u8),
                &["10.0.0.0/8", "10.1.0.0/16"],
                &[1, 2, n as u32],
            ));
            writer.transition(&transition(
                "10.0.0.0/8",
                State::Normal,
                State::Degrading,
                &at.to_string(),
            ));
        }
        assert!(writer.finish(PATIENCE).unwrap().drained);
    };
    day(60);
    let (updates, transitions) = (
        "SELECT count() FROM bgp_updates",
        "SELECT count() FROM transitions",
    );
    assert_eq!((db.count(updates), db.count(transitions)), (200, 100));
    // The same batches have the same tokens: the server does not even write them.
    day(60);
    assert_eq!((db.count(updates), db.count(transitions)), (200, 100));
    // Other batches: the key makes them the same rows.
    day(33);
    assert_eq!(db.count("SELECT count() FROM bgp_updates FINAL"), 200);
    assert_eq!(
        db.ask("SELECT sum(announcements), sum(withdrawals) FROM updates_per_minute"),
        "200\t0"
    );
    // Transitions of one instant and subject are one statement.
    assert_eq!(db.count("SELECT count() FROM transitions FINAL"), 15);
    assert_eq!(db.count("SELECT uniqExact(id) FROM transitions"), 15);
}
