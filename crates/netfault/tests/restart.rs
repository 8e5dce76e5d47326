//! The service stops in the middle of an outage and starts again: from its checkpoint alone it knows baselines, open
//! incidents and running holds, and a restart is no outage.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use common::*;

/// 2026-11-22T06:50:20Z: the site's prefixes are Out, and come back 12 s later.
const SPLIT: u32 = 1_795_330_220;
/// Type, subtype and length follow the time (RFC 6396 §2).
const HEADER: usize = 12;

/// The updates of the lab capture before and after the split, as MRT files.
fn halves(dir: &Path) -> [String; 2] {
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(lab_files().0).expect("the capture");
    flate2::read::MultiGzDecoder::new(packed)
        .read_to_end(&mut bytes)
        .expect("the capture");
    let (mut at, mut split) = (0, None);
    while at < bytes.len() {
        let number = |from: usize| u32::from_be_bytes(bytes[from..from + 4].try_into().unwrap());
        if number(at) >= SPLIT && split.is_none() {
            split = Some(at);
        }
        at += HEADER + number(at + 8) as usize;
    }
    let split = split.expect("the capture goes on after the split");
    assert!(split > 0);
    [("1", &bytes[..split]), ("2", &bytes[split..])].map(|(half, bytes)| {
        let folder = dir.join(half).join("lab-capture"); // the collector's name
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("updates.20261122.0646");
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    })
}

fn server(dir: &Path, file: &str, name: &str) -> (Running, String) {
    let mut command = netfault(dir);
    command.args(["dev", "ris-live-server", file, "--speed", "max"]);
    let server = Running::start(command, dir, name);
    let url = wait_for("the URL of the test server", || {
        let out = server.out();
        out.ends_with('\n').then(|| out.trim().to_owned())
    });
    (server, url)
}

fn service(dir: &Path, url: &str, hook: &Hook, name: &str) -> (Running, String) {
    let alerts = format!("alerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}", hook.url);
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
    let [before, after] = halves(dir.path());
    let (first_server, url) = server(dir.path(), &before, "server1");
    let (running, _) = service(dir.path(), &url, &hook, "first");
    wait_for("the outage", || (count(&running.out(), r#""to":"out""#) >= 4).then_some(()));
    let first = running.stop().0.ok();
    drop(first_server);
    // Without the journal there is only the checkpoint.
    std::fs::remove_dir_all(dir.path().join(".netfault/journal")).expect("a journal");

    let (_second_server, url) = server(dir.path(), &after, "server2");
    let (running, config) = service(dir.path(), &url, &hook, "second");
    let back = r#""from":"recovering","to":"normal""#;
    wait_for("the end of the outage", || (count(&running.out(), back) >= 4).then_some(()));
    let second = running.stop().0.ok();
    assert!(second.err.contains("loaded from its checkpoint"), "{}", second.err);

    let args = ["-q", "--format", "ndjson", "replay", "-c", &config, &lab("")];
    let whole = run(dir.path(), &args).ok();
    let said = [first.transitions(), second.transitions()].concat();
    assert_eq!(said, whole.transitions(), "as if it had never stopped");

    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in hook.bodies() {
        let text = |key: &str| body["data"][key].as_str().expect("a text").to_owned();
        told.entry(text("id")).or_default().push(text("state"));
    }
    assert!(!told.is_empty());
    assert!(told.values().all(|states| states == &["open", "resolved"]), "{told:?}");
}
