//! The spool: a store that is down, a spool that is full.

use std::time::Duration;

use netfault_model::*;
use netfault_store::{Overflow, StoreTarget, Table, Writer, WriterConfig};

use crate::PATIENCE;
use crate::store_common::*;

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
    // The spooler counts a batch before it lets the journal go.
    until("the journal is let go", || writer.committed_offset() == 100);
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
    let stored = db.count("SELECT count() FROM transitions");
    assert_eq!(stored, 100, "{report:?}");
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
