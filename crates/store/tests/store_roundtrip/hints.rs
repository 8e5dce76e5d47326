//! Hints, and what is usual at a time of day.

use netfault_model::*;
use netfault_store::query::hints::{Series, hints, usual};

use crate::store;
use crate::store_common::*;

fn report(at: Time, interval_s: u32, count: f64) -> Hint {
    Hint {
        at,
        arrival: Arrival::InTime,
        service: "shop".into(),
        source: "downdetector".into(),
        what: HintKind::Reports {
            interval_s,
            count,
            usual: Some(20.5),
        },
    }
}

fn traffic(at: Time, of: &str, value: f64) -> Hint {
    Hint {
        what: HintKind::Traffic {
            interval_s: 900,
            of: of.into(),
            unit: "bytes".into(),
            value,
            usual: None,
        },
        source: "flows".into(),
        ..report(at, 0, 0.0)
    }
}

#[test]
fn embedded_hints_come_back_and_their_history_says_what_is_usual() {
    if !engine_is_here("hints") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let at = time("2026-03-29T12:00:00Z");
    let day = |n: i64| at.plus_micros(-n * 86_400_000_000);
    let minutes = |at: Time, n: i64| at.plus_micros(n * 60_000_000);
    let http = Hint {
        what: HintKind::Http {
            vantage: "v1".into(),
            reached: HttpPhase::Done,
            status: Some(503),
            error: Some("503 \"Service Unavailable\"".into()),
            addr: Some("192.0.2.80".parse().unwrap()),
            latency_us: 81_000,
        },
        source: "https://shop.example/".into(),
        arrival: Arrival::Late,
        ..report(at, 0, 0.0)
    };
    let unreached = Hint {
        what: HintKind::Http {
            vantage: "v2".into(),
            reached: HttpPhase::Nothing,
            status: None,
            error: None,
            addr: None,
            latency_us: 0,
        },
        ..http.clone()
    };
    let status = Hint {
        what: HintKind::Status {
            indicator: "minor".into(),
            description: "Partial\noutage".into(),
        },
        source: "status page".into(),
        ..report(at, 0, 0.0)
    };
    let now = [
        report(at, 900, 2600.0),
        traffic(at, "DE", 5.0),
        http,
        unreached,
        status,
    ];
    store(&db, &dir.path().join("spool"), |writer| {
        now.iter().for_each(|it| writer.hint(it));
        for n in 1..=40 {
            // The quarter of an hour before noon: 40 a day of late, and more before the history begins.
            let count = if n <= 28 { 40.0 } else { 9000.0 };
            writer.hint(&report(day(n), 900, count));
            // The neighbours are other slots.
            writer.hint(&report(minutes(day(n), -15), 900, 1.0));
            writer.hint(&report(minutes(day(n), 15), 900, 7.0));
        }
        // Six days are not enough.
        (1..=6).for_each(|n| writer.hint(&traffic(day(n), "DE", 100.0)));
        (1..=7).for_each(|n| writer.hint(&traffic(day(n), "AS64500", 100.0 + n as f64)));
    });
    // A second copy of yesterday, in a batch of its own, weighs nothing.
    store(&db, &dir.path().join("spool"), |writer| {
        writer.hint(&report(day(1), 900, 40.0));
        // Yesterday by the minute too: 15 intervals of 2 each.
        (0..15).for_each(|n| writer.hint(&report(minutes(day(1), -n), 60, 2.0)));
    });
    let client = db.client();
    let mut told = block_on(hints(&client, at, at.plus_micros(1))).unwrap();
    let key = |it: &Hint| format!("{it:?}");
    told.sort_by_key(key);
    let mut expected = now.to_vec();
    expected.sort_by_key(key);
    assert_eq!(told, expected);
    assert_eq!(
        db.ask("SELECT kind, ok FROM hints WHERE toDate(at) = '2026-03-29' ORDER BY kind, vantage"),
        "http\tfalse\nhttp\tfalse\nstatus\tfalse\ntraffic\t\\N"
    );

    let ask = |series: &Series, at, interval| block_on(usual(&client, series, at, interval)).unwrap();
    let (series, interval) = Series::of(&now[0]).unwrap();
    assert_eq!(interval, 900);
    // 28 days of 40 in 900 s, and once 30 in 900 s.
    let expected = (28.0 * 40.0 + 30.0) / 29.0;
    let near = |found: Option<f64>, expected: f64| {
        assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}");
    };
    near(ask(&series, at, 900), expected);
    near(ask(&series, at, 60), expected / 15.0);
    near(ask(&series, minutes(at, -15), 900), 1.0);
    assert_eq!(
        ask(&series, minutes(at, 60), 900),
        None,
        "no history of that hour"
    );

    let of = |hint: &Hint| Series::of(hint).unwrap().0;
    assert_eq!(ask(&of(&traffic(at, "DE", 0.0)), at, 900), None);
    near(ask(&of(&traffic(at, "AS64500", 0.0)), at, 900), 104.0);
    assert_eq!(ask(&of(&traffic(at, "FR", 0.0)), at, 900), None);
    assert_eq!(Series::of(&now[2]), None);
}
