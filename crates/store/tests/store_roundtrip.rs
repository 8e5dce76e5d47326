//! What goes into the store comes out of it, from the real engine: every table, views, errors, the spool.

mod store_common;

use std::time::Duration;

use netfault_model::*;
use netfault_store::migrate::{self, MigrateError, Migration};
use netfault_store::query::{self, DnsFailureFilter, WithdrawalFilter};
use netfault_store::{Client, Overflow, StoreError, StoreTarget, Table, Writer, WriterConfig};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store_common::*;

#[test]
#[ignore = "the database process of the other tests"]
fn child_db() {
    serve_db();
}

const PATIENCE: Duration = Duration::from_secs(60);

fn store(db: &Db, spool: &std::path::Path, write: impl FnOnce(&Writer)) -> netfault_store::Report {
    let writer = Writer::open(WriterConfig::archive(spool, db.target.clone())).unwrap();
    write(&writer);
    let report = writer.finish(PATIENCE).unwrap();
    assert!(report.drained, "{report:?}");
    report
}

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
        writer.probe(&probe);
        writer.feed(&feed);
        writer.gap(&gap);
    });
    assert_eq!(Table::ALL.map(|table| report.stats.of(table).sent), [3, 1, 1, 2]);

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
    // Transitions of one instant and subject are one statement.
    assert_eq!(db.count("SELECT count() FROM transitions FINAL"), 15);
    assert_eq!(db.count("SELECT uniqExact(id) FROM transitions"), 15);
}

#[test]
fn embedded_views_answer_in_episodes() {
    if !engine_is_here("views") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    use State::*;
    store(&db, &dir.path().join("spool"), |writer| {
        let say = |prefix, from, to, at: &str| {
            writer.transition(&transition(prefix, from, to, &format!("2008-02-24T{at}Z")))
        };
        say("84.205.71.0/24", Unknown, Normal, "01:00:00");
        say("84.205.71.0/24", Normal, Degrading, "02:02:00");
        say("84.205.71.0/24", Degrading, Out, "02:03:42");
        // The view was lost for a while: still one loss.
        say("84.205.71.0/24", Out, Unknown, "02:30:00");
        say("84.205.71.0/24", Unknown, Out, "02:31:00");
        say("84.205.71.0/24", Out, Recovering, "04:00:42");
        say("84.205.71.0/24", Recovering, Normal, "04:05:42");
        // All in one instant, and it lasts.
        say("84.205.71.0/24", Normal, Degrading, "06:03:00");
        say("84.205.71.0/24", Degrading, Partial, "06:03:00");
        say("84.205.71.0/24", Partial, Out, "06:03:00");
        // Never Out: an episode, no withdrawal.
        say("10.0.0.0/8", Normal, Degrading, "03:00:00");
        say("10.0.0.0/8", Degrading, Normal, "03:05:00");
        say("2001:db8::/32", Normal, Out, "05:00:00");
        let name = |from, to, at: &str, finding| {
            let subject = Subject::Name {
                name: "facebook.com".into(),
            };
            let at = time(&format!("2021-10-04T{at}Z"));
            let base = transition("10.0.0.0/8", from, to, "2021-10-04");
            writer.transition(&Transition {
                subject,
                at,
                first_evidence_at: at,
                finding: Some(finding),
                servers_ok: Some(0),
                ..base
            });
        };
        name(Ok, Partial, "15:51:00", Finding::AuthorityPartial);
        name(Partial, Out, "15:52:00", Finding::AuthorityUnreachable);
        name(Out, Recovering, "21:05:00", Finding::None);
        name(Recovering, Ok, "21:20:00", Finding::None);
    });
    let client = db.client();
    let ask = |filter: WithdrawalFilter| block_on(query::withdrawals(&client, &filter)).unwrap();
    let all = ask(WithdrawalFilter::default());
    let outs: Vec<_> = all
        .iter()
        .map(|row| (row.prefix.to_string(), row.out_at))
        .collect();
    let expected = [
        ("84.205.71.0/24", "02:03:42"),
        ("2001:db8::/32", "05:00:00"),
        ("84.205.71.0/24", "06:03:00"),
    ];
    assert_eq!(
        outs,
        expected.map(|(prefix, at)| (prefix.to_owned(), time(&format!("2008-02-24T{at}Z"))))
    );
    let first = &all[0];
    assert_eq!(first.degrading_at, Some(time("2008-02-24T02:02:00Z")));
    assert_eq!(first.recovering_at, Some(time("2008-02-24T04:00:42Z")));
    assert_eq!(first.recovered_at, Some(time("2008-02-24T04:05:42Z")));
    assert_eq!(
        (first.duration_s, first.outs, first.state),
        (Some(7020.0), 2, Normal)
    );
    assert_eq!(
        (first.origin, first.visibility, first.peers_lost),
        (Some(Asn(12654)), Some(0.18), Some(31))
    );
    assert_eq!(
        (first.baseline, first.cover, first.watched),
        (Some(Baseline::Held), Some(Cover::SameOrigin), true)
    );
    let last = &all[2];
    assert_eq!(
        (last.state, last.recovered_at, last.duration_s),
        (Out, None, None)
    );

    let covered = |prefix: &str| {
        ask(WithdrawalFilter {
            prefix: Some(prefix.parse().unwrap()),
            covered: true,
            ..Default::default()
        })
        .len()
    };
    assert_eq!(
        (
            covered("84.205.64.0/19"),
            covered("84.205.71.128/25"),
            covered("::/0"),
            covered("0.0.0.0/0")
        ),
        (2, 0, 1, 2)
    );
    let exact = WithdrawalFilter {
        prefix: Some("84.205.71.0/24".parse().unwrap()),
        ..Default::default()
    };
    assert_eq!(ask(exact.clone()).len(), 2);
    assert_eq!(ask(WithdrawalFilter { limit: 1, ..exact }), [all[2].clone()]);
    assert_eq!(
        ask(WithdrawalFilter {
            origin: Some(Asn(1)),
            ..Default::default()
        }),
        []
    );
    let during = WithdrawalFilter {
        since: Some(time("2008-02-24T03:00:00Z")),
        until: Some(time("2008-02-24T04:30:00Z")),
        ..Default::default()
    };
    assert_eq!(ask(during), [all[0].clone()]);

    let failures = block_on(query::dns_failures(
        &client,
        &DnsFailureFilter {
            name: Some("Facebook.com.".into()),
            ..Default::default()
        },
    ))
    .unwrap();
    assert_eq!(failures.len(), 1);
    let failure = &failures[0];
    assert_eq!(
        (failure.worst, failure.state, failure.finding),
        (Out, Ok, Some(Finding::AuthorityUnreachable))
    );
    assert_eq!(
        (failure.failed_at, failure.recovered_at),
        (time("2021-10-04T15:51:00Z"), Some(time("2021-10-04T21:20:00Z")))
    );
    assert_eq!(db.count("SELECT count() FROM prefix_episodes"), 4);
}

#[test]
fn embedded_errors_say_what_is_wrong() {
    if !engine_is_here("errors") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut db = Db::at_rest(&dir.path().join("db"));
    let connect = |target: &StoreTarget| block_on(Client::connect(target)).err().unwrap();
    assert!(matches!(connect(&db.target), StoreError::Unreachable { .. }));
    db.run();
    let missing = connect(&db.target);
    assert!(
        matches!(&missing, StoreError::DatabaseMissing { database, .. } if database == "netfault"),
        "{missing:?}"
    );
    let wrong = StoreTarget {
        password: "wrong".into(),
        ..db.target.clone()
    };
    let refused = connect(&wrong);
    assert!(matches!(refused, StoreError::AuthRefused { .. }), "{refused:?}");
    db.migrate();
    block_on(Client::connect(&db.target)).unwrap();
    // A writer with the wrong password keeps its rows and says why.
    let spool = dir.path().join("spool");
    let writer = Writer::open(WriterConfig {
        max_age: Duration::ZERO,
        ..WriterConfig::live(&spool, wrong)
    })
    .unwrap();
    writer.transition(&transition("10.0.0.0/8", State::Normal, State::Out, "2020-01-01"));
    until("the refusal is told", || {
        writer
            .stats()
            .last_error
            .is_some_and(|error| error.contains("refuses user"))
    });
    let report = writer.finish(Duration::from_millis(200)).unwrap();
    assert_eq!((report.drained, report.segments_left), (false, 1));
    store(&db, &spool, |_| {});
    assert_eq!(db.count("SELECT count() FROM transitions"), 1);
}

#[test]
fn embedded_an_edited_migration_is_refused() {
    if !engine_is_here("edited migration") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let client = db.client();
    assert!(
        block_on(migrate::apply(&client)).unwrap().is_empty(),
        "nothing is left to apply"
    );
    let status = block_on(migrate::status(&client)).unwrap();
    assert!(status.len() == migrate::ALL.len() && status.iter().all(|row| row.applied_at.is_some()));
    let mut edited: Vec<Migration> = migrate::ALL.to_vec();
    edited[1].sql = "SELECT 1";
    let error = block_on(migrate::apply_these(&client, &edited)).unwrap_err();
    assert!(matches!(error, MigrateError::Edited { number: 2, .. }), "{error}");
    let error = block_on(migrate::apply_these(&client, &migrate::ALL[..2])).unwrap_err();
    assert!(
        matches!(error, MigrateError::Unknown { number: 3, .. }),
        "{error}"
    );
}

#[test]
fn embedded_a_store_that_comes_up_late_gets_everything_in_order() {
    if !engine_is_here("late store") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut db = Db::at_rest(&dir.path().join("db"));
    let config = WriterConfig {
        max_rows: 10,
        ..WriterConfig::archive(dir.path().join("spool"), db.target.clone())
    };
    let writer = Writer::open(config).unwrap();
    for n in 0..100 {
        let at = time("2020-01-01").plus_micros(n);
        writer.transition(&transition(
            "10.0.0.0/8",
            State::Normal,
            State::Out,
            &at.to_string(),
        ));
        writer.journal_offset(n as u64 + 1);
    }
    until("everything is in the spool", || {
        writer.stats().of(Table::Transitions).spooled == 100
    });
    assert_eq!(writer.committed_offset(), 100);
    until("it was tried", || writer.stats().retries > 0);
    db.run();
    // Up, but without tables: that passes too.
    until("the missing table is told", || {
        writer
            .stats()
            .last_error
            .is_some_and(|error| error.contains("db migrate"))
    });
    db.migrate();
    let report = writer.finish(PATIENCE).unwrap();
    assert!(report.drained, "{report:?}");
    assert_eq!(db.count("SELECT count() FROM transitions"), 100);
}

#[test]
fn a_full_spool_sheds_updates_keeps_transitions_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = StoreTarget {
        url: "http://127.0.0.1:1".into(),
        user: String::new(),
        password: String::new(),
        database: "netfault".into(),
    };
    let config = WriterConfig {
        spool_max_bytes: 8_000,
        reserve_bytes: 4_000,
        max_rows: 50,
        max_age: Duration::ZERO,
        ..WriterConfig::live(dir.path(), nobody)
    };
    assert_eq!(config.overflow, Overflow::Shed);
    let writer = Writer::open(config).unwrap();
    let mut pushed = 0;
    until("updates are shed", || {
        let at = time("2020-01-01").plus_micros(pushed as i64 * 7919);
        writer.update(&announce(at, peer(1), &["10.0.0.0/8"], &[1, pushed as u32]));
        pushed += 1;
        writer.stats().of(Table::BgpUpdates).shed > 100
    });
    for n in 0..200 {
        let at = time("2020-01-01").plus_micros(n);
        writer.transition(&transition(
            "10.0.0.0/8",
            State::Normal,
            State::Out,
            &at.to_string(),
        ));
    }
    let report = writer.finish(Duration::from_millis(100)).unwrap();
    let (updates, transitions) = (
        report.stats.of(Table::BgpUpdates),
        report.stats.of(Table::Transitions),
    );
    assert_eq!(
        updates.shed + updates.spooled,
        pushed,
        "each row is counted somewhere"
    );
    assert_eq!((transitions.spooled, transitions.shed), (200, 0));
}

#[test]
fn what_was_shed_is_told_as_a_gap_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = StoreTarget {
        url: "http://127.0.0.1:1".into(),
        user: String::new(),
        password: String::new(),
        database: "netfault".into(),
    };
    // One segment fills it: an empty spool takes a batch of any size.
    let config = WriterConfig {
        spool_max_bytes: 1,
        reserve_bytes: 0,
        max_rows: 10,
        ..WriterConfig::live(dir.path(), nobody)
    };
    let writer = Writer::open(config).unwrap();
    for n in 0..20 {
        writer.update(&announce(time("2020-01-01"), peer(1), &["10.0.0.0/8"], &[n]));
        if n == 9 {
            until("the first is spooled", || {
                writer.stats().of(Table::BgpUpdates).spooled == 10
            });
        }
    }
    until("the second is shed", || {
        writer.stats().of(Table::BgpUpdates).shed == 10
    });
    let gaps = writer.take_gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].source, gaps[0].lost, gaps[0].at),
        (GapSource::Store, Some(10), time("2020-01-01"))
    );
}

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
