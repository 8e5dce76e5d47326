//! How long rows are kept, on the real engine.

use std::time::Duration;

use netfault_store::Retention;

use crate::store_common::*;

#[test]
fn embedded_retention_is_changed_once_and_old_rows_go() {
    if !engine_is_here("retention") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let client = db.client();
    let apply = |retention: &Retention| block_on(retention.apply(&client)).unwrap();
    let defaults = Retention::default();
    assert_eq!(apply(&defaults), [] as [&str; 0], "as the migrations made them");

    let mut wanted = defaults.clone();
    wanted.set("dns_probes", Some(Duration::from_secs(3600))).unwrap();
    wanted
        .set("dns_health_1m", Some(Duration::from_secs(7200)))
        .unwrap();
    wanted
        .set("incident_notes", Some(Duration::from_secs(86_400)))
        .unwrap();
    wanted.set("incidents", None).unwrap();
    assert_eq!(
        apply(&wanted),
        ["dns_probes", "dns_health_1m", "incidents", "incident_notes"]
    );
    assert_eq!(apply(&wanted), [] as [&str; 0]);
    let ttl = |table: &str| {
        db.ask(&format!(
            "SELECT extract(engine_full, 'TTL (.*) SETTINGS') FROM system.tables WHERE database = 'netfault' AND name = '{table}'"
        ))
    };
    assert_eq!(ttl("dns_probes"), "ingested_at + toIntervalSecond(3600)");
    assert_eq!(ttl("incidents"), "");
    // The files are as they were, so the migrations are not refused.
    db.migrate();

    db.ask("INSERT INTO dns_probes (name, at, ingested_at) VALUES ('old', now(), now() - 4000), ('new', now(), now())");
    db.ask("OPTIMIZE TABLE dns_probes FINAL");
    until("the old row is gone", || {
        db.ask("OPTIMIZE TABLE dns_probes FINAL");
        db.ask("SELECT groupArray(name) FROM dns_probes") == "['new']"
    });
    assert_eq!(
        apply(&defaults),
        ["dns_probes", "dns_health_1m", "incidents", "incident_notes"]
    );
    assert_eq!(ttl("incidents"), "ingested_at + toIntervalSecond(34560000)");
}
