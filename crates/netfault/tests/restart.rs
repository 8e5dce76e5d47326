//! The service stops in the middle of an outage and starts again: from its checkpoint alone it knows baselines, open
//! incidents and running holds, and a restart is no outage.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;

/// 2026-11-22T06:50:20Z: the site's prefixes are Out, and come back 12 s later.
const SPLIT: u32 = 1_795_330_220;

fn service(dir: &Path, url: &str, hook: &Hook, name: &str) -> (Running, String) {
    let alerts = format!(
        "alerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}",
        hook.url
    );
    let config = config(dir, url, &alerts);
    let mut command = netfault(dir);
    command.args(["--format", "ndjson", "run", "-c", &config]);
    (Running::start(command, dir, name), config)
}

fn count(out: &str, what: &str) -> usize {
    transitions(out).iter().filter(|line| line.contains(what)).count()
}

#[test]
fn a_restart_in_the_middle_of_an_outage_forgets_nothing_and_invents_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let before = lab_part(dir.path(), "before", 0..SPLIT);
    let after = lab_part(dir.path(), "after", SPLIT..u32::MAX);
    let (first_server, url) = ris_live_file(dir.path(), "server1", &before, "127.0.0.1:0");
    let (running, _) = service(dir.path(), &url, &hook, "first");
    wait_for("the outage", || {
        (count(&running.out(), r#""to":"out""#) >= 4).then_some(())
    });
    let first = running.stop().0.ok();
    drop(first_server);
    // Without the journal there is only the checkpoint.
    std::fs::remove_dir_all(dir.path().join(".netfault/journal")).expect("a journal");

    let (_second_server, url) = ris_live_file(dir.path(), "server2", &after, "127.0.0.1:0");
    let (running, config) = service(dir.path(), &url, &hook, "second");
    let back = r#""from":"recovering","to":"normal""#;
    wait_for("the end of the outage", || {
        (count(&running.out(), back) >= 4).then_some(())
    });
    let second = running.stop().0.ok();
    assert!(
        second.err.contains("loaded from its checkpoint"),
        "{}",
        second.err
    );

    let args = ["-q", "--format", "ndjson", "replay", "-c", &config, &lab("")];
    let whole = run(dir.path(), &args).ok();
    let said = [first.transitions(), second.transitions()].concat();
    assert_eq!(said, whole.transitions(), "as if it had never stopped");

    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in hook.about_targets() {
        let text = |key: &str| body["data"][key].as_str().expect("a text").to_owned();
        told.entry(text("id")).or_default().push(text("state"));
    }
    assert!(!told.is_empty());
    assert!(
        told.values().all(|states| states == &["open", "resolved"]),
        "{told:?}"
    );
}
