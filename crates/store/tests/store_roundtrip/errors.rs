//! What is wrong is said; what was edited is refused.

use std::time::Duration;

use netfault_model::*;
use netfault_store::migrate::{self, MigrateError, Migration};
use netfault_store::{Client, StoreError, StoreTarget, Table, Writer, WriterConfig};

use crate::store_common::*;
use crate::{PATIENCE, store};

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
fn embedded_a_batch_that_is_refused_for_good_is_set_aside_and_told() {
    if !engine_is_here("refused batch") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    db.ask("ALTER TABLE transitions ADD CONSTRAINT no_test_net CHECK subject != '192.0.2.0/24'");
    let spool = dir.path().join("spool");
    let writer = Writer::open(WriterConfig {
        max_rows: 2,
        ..WriterConfig::archive(&spool, db.target.clone())
    })
    .unwrap();
    for prefix in ["10.0.0.0/8", "192.0.2.0/24", "10.0.0.0/8", "10.1.0.0/16"] {
        writer.transition(&transition(prefix, State::Normal, State::Out, "2020-01-01"));
    }
    until("one batch is refused", || {
        writer.stats().of(Table::Transitions).rejected == 2
    });
    let gaps = writer.take_gaps();
    assert!(
        gaps.len() == 1 && gaps[0].lost == Some(2) && gaps[0].reason.contains("no_test_net"),
        "{gaps:?}"
    );
    let report = writer.finish(PATIENCE).unwrap();
    assert!(report.drained, "{report:?}");
    assert_eq!(db.count("SELECT count() FROM transitions"), 2);
    assert_eq!(std::fs::read_dir(spool.join("rejected")).unwrap().count(), 1);
}
