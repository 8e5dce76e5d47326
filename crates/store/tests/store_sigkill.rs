//! Kill the store, or the writer, at any moment: no transition is lost and none is there twice.

mod store_common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use netfault_model::*;
use netfault_store::{StoreTarget, Writer, WriterConfig};
use store_common::*;

const KILLS: usize = 24;

#[test]
#[ignore = "the database process of the other tests"]
fn child_db() {
    serve_db();
}

/// Transition number `n`; the number is its time.
fn numbered(n: u64) -> Transition {
    let at = Time::from_secs(1_203_811_200).plus_micros(n as i64);
    Transition {
        at,
        ..transition("10.0.0.0/8", State::Normal, State::Out, "2008-02-24")
    }
}

fn config(spool: &Path, target: &StoreTarget) -> WriterConfig {
    WriterConfig {
        max_rows: 200,
        max_age: Duration::from_millis(20),
        ..WriterConfig::archive(spool, target.clone())
    }
}

/// Goes on where the spool's journal offset says, as the service does after a crash.
fn go_on(writer: &Writer, to: impl Fn(u64) -> bool) -> u64 {
    let mut n = writer.committed_offset();
    while to(n) {
        writer.transition(&numbered(n));
        if n.is_multiple_of(3) {
            writer.update(&announce(numbered(n).at, peer(1), &["10.0.0.0/8"], &[1, 2]));
        }
        n += 1;
        writer.journal_offset(n);
    }
    n
}

#[test]
#[ignore = "the writer process that is killed"]
fn child_writer() {
    let Ok(spool) = std::env::var("NETFAULT_TEST_SPOOL") else {
        return;
    };
    let target = StoreTarget {
        url: std::env::var("NETFAULT_TEST_URL").unwrap(),
        user: "netfault".into(),
        password: "secret".into(),
        database: "netfault".into(),
    };
    let writer = Writer::open(config(Path::new(&spool), &target)).unwrap();
    println!("\"ready\"");
    let began = writer.committed_offset();
    go_on(&writer, |n| n < began + 1_000_000);
}

fn each_is_there_once(db: &Db, numbers: u64) {
    let updates = numbers.div_ceil(3);
    assert_eq!(db.count("SELECT count() FROM transitions FINAL"), numbers);
    assert_eq!(db.count("SELECT uniqExact(at) FROM transitions"), numbers);
    assert_eq!(db.count("SELECT count() FROM bgp_updates FINAL"), updates);
}

#[test]
fn sigkill_of_the_store_loses_and_doubles_nothing() {
    if !engine_is_here("SIGKILL of the store") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut db = Db::start(&dir.path().join("db"));
    let writer = Writer::open(config(&dir.path().join("spool"), &db.target)).unwrap();
    let mut numbers = 0;
    for _ in 0..KILLS {
        let before = writer.stats().of(netfault_store::Table::Transitions).sent;
        numbers = go_on(&writer, |n| n < numbers + 4_000);
        until("something is sent", || {
            writer.stats().of(netfault_store::Table::Transitions).sent > before
        });
        // A random moment of an insert, not a wait for anything.
        pause(Duration::from_micros(fastrand::u64(0..30_000)));
        db.kill();
        db.run();
    }
    assert!(writer.stats().retries > 0, "no insert was ever interrupted");
    let report = writer.finish(Duration::from_secs(60)).unwrap();
    assert!(report.drained, "{report:?}");
    each_is_there_once(&db, numbers);
}

#[test]
fn sigkill_of_the_writer_loses_and_doubles_nothing() {
    if !engine_is_here("SIGKILL of the writer") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let spool = dir.path().join("spool");
    for _ in 0..KILLS {
        let mut writer = child("child_writer")
            .env("NETFAULT_TEST_SPOOL", &spool)
            .env("NETFAULT_TEST_URL", &db.target.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(writer.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap().contains("\"ready\"")));
        pause(Duration::from_micros(fastrand::u64(0..80_000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    let writer = Writer::open(config(&spool, &db.target)).unwrap();
    let began = writer.committed_offset();
    assert!(began > 0, "no writer lived long enough");
    let numbers = go_on(&writer, |n| n < began + 1_000);
    let report = writer.finish(Duration::from_secs(60)).unwrap();
    assert!(report.drained, "{report:?}");
    each_is_there_once(&db, numbers);
}
