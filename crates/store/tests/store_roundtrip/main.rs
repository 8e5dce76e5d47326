//! What goes into the store comes out of it, from the real engine.

mod dns;
mod errors;
mod hints;
mod incidents;
mod notes;
mod random;
mod retention;
mod spool;
#[path = "../store_common/mod.rs"]
mod store_common;
mod tables;
mod views;

use std::time::Duration;

use netfault_store::{Report, Writer, WriterConfig};
use store_common::{Db, serve_db};

#[test]
#[ignore = "the database process of the other tests"]
fn child_db() {
    serve_db();
}

const PATIENCE: Duration = Duration::from_secs(60);

fn store(db: &Db, spool: &std::path::Path, write: impl FnOnce(&Writer)) -> Report {
    let writer = Writer::open(WriterConfig::archive(spool, db.target.clone())).unwrap();
    write(&writer);
    let report = writer.finish(PATIENCE).unwrap();
    assert!(report.drained, "{report:?}");
    report
}
