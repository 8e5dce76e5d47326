//! SIGKILL at any moment, of the service and of its store: what was decided is in the store, and once.
//!
//! The truth is the journal: played as a whole through `netfault replay` it says what must be in the store. What
//! the killed runs had printed must be part of it. What the feed said while nobody listened is in neither.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use common::*;
use serde_json::Value;

const KILLS: usize = 10;
/// Fewer: the store waits longer and longer before it starts again. The store's own tests kill it more often.
const STORE_KILLS: usize = 6;

fn service(dir: &Path, config: &str, name: &str) -> Running {
    let mut command = netfault(dir);
    command.args(["--format", "ndjson", "run", "-c", config]);
    Running::start(command, dir, name)
}

fn sql(dir: &Path, config: &str, statement: &str) -> Vec<Value> {
    let args = ["-q", "--format", "ndjson", "db", "sql", "-c", config, statement];
    let out = run(dir, &args).ok().out;
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// (id, version, state)
type Version = (String, Option<u64>, String);

/// (subject, from, to, at)
type Step = (String, String, String, String);

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn steps(lines: &[&str]) -> BTreeSet<Step> {
    let step = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = text(&line["at"]).replace('T', " ").replace('Z', "");
        (
            text(&line["subject"]["prefix"]),
            text(&line["from"]),
            text(&line["to"]),
            at,
        )
    };
    lines.iter().map(step).collect()
}

/// The store has exactly what the journal says, and nobody was told anything else.
#[track_caller]
fn agree(dir: &Path, config: &str, printed: &[String], hook: &Hook) {
    let journal = dir.join(".netfault/journal").display().to_string();
    let truth = run(
        dir,
        &["-q", "--format", "ndjson", "replay", "-c", config, &journal],
    )
    .ok();
    let told = incidents(&truth.out);
    let truth = steps(&truth.transitions());
    assert!(!truth.is_empty(), "nothing happened");
    let rows = sql(
        dir,
        config,
        "SELECT subject, from_state, to_state, toString(at) AS at FROM transitions FINAL",
    );
    let step = |row: &Value| {
        (
            text(&row["subject"]),
            text(&row["from_state"]),
            text(&row["to_state"]),
            text(&row["at"]),
        )
    };
    let stored: Vec<Step> = rows.iter().map(step).collect();
    let once: BTreeSet<Step> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "doubled");
    assert_eq!(once, truth);
    let version = |it: &Value| (text(&it["id"]), it["version"].as_u64(), text(&it["state"]));
    let stored: Vec<Version> = sql(
        dir,
        config,
        "SELECT leftPad(lower(hex(id)), 16, '0') AS id, version, state FROM incidents FINAL",
    )
    .iter()
    .map(version)
    .collect();
    let once: BTreeSet<Version> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "doubled");
    assert_eq!(once, told.iter().map(version).collect());
    for out in printed {
        // A line that was cut by the kill says nothing.
        let whole: Vec<&str> = transitions(out)
            .into_iter()
            .filter(|line| line.ends_with('}'))
            .collect();
        let said = steps(&whole);
        assert!(
            said.is_subset(&truth),
            "{:?}",
            said.difference(&truth).collect::<Vec<_>>()
        );
    }
    let updates = sql(
        dir,
        config,
        "SELECT count() AS rows, uniqExact(prefix, collector, peer_addr, path_id, at, seq, kind) AS once FROM bgp_updates FINAL",
    );
    assert_eq!(updates[0]["rows"], updates[0]["once"]);
    // Whoever was told of an outage was told of its end, and of nothing else.
    let alerts = |state: &str| -> BTreeMap<String, String> {
        let bodies = hook.about_targets();
        let of_state = bodies.iter().filter(|body| body["data"]["state"] == state);
        of_state
            .map(|body| (text(&body["data"]["id"]), text(&body["data"]["incident"]["id"])))
            .collect()
    };
    let with = |is_it: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        told.iter()
            .filter(|it| is_it(it))
            .map(|it| text(&it["id"]))
            .collect()
    };
    let alerting = with(&may_alert);
    let mut opened = alerts("open");
    assert!(
        opened.values().all(|id| alerting.contains(id)),
        "{opened:?} of {alerting:?}"
    );
    let newest: BTreeMap<String, String> = told
        .iter()
        .map(|it| (text(&it["id"]), text(&it["state"])))
        .collect();
    opened.retain(|_, id| newest.get(id).is_some_and(|state| state == "resolved"));
    let ended = alerts("resolved");
    let owed: Vec<_> = opened.iter().filter(|(id, _)| !ended.contains_key(*id)).collect();
    assert!(owed.is_empty(), "never resolved: {owed:?}");
}

fn set_up(dir: &Path, rate: &str) -> (Running, Hook, String) {
    let (server, url) = ris_live(dir, "server", &["--speed", rate]);
    let hook = Hook::start();
    let more = format!(
        "checkpoint_every: 1s\nstore: {{embedded: store, updates: all}}\nalerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}",
        hook.url
    );
    let config = config(dir, &url, &more);
    (server, hook, config)
}

#[test]
fn the_service_is_killed_again_and_again() {
    if !has_engine("the_service_is_killed_again_and_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_server, hook, config) = set_up(dir.path(), "50/s");
    let mut printed = Vec::new();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for n in 0..KILLS {
        let mut running = service(dir.path(), &config, &format!("run{n}"));
        running.says("RIS Live: connected");
        pause(Duration::from_millis(random.u64(0..1200)));
        printed.push(running.kill());
    }
    let mut running = service(dir.path(), &config, "last");
    running.says("RIS Live: connected");
    // The rest of the capture: 1,122 messages at 50 a second are over when nothing is said any more.
    let mut size = 0;
    wait_for("the journal to be quiet", || {
        pause(Duration::from_millis(1500));
        let now = folder_size(&dir.path().join(".netfault/journal"));
        let quiet = now == size;
        size = now;
        quiet.then_some(())
    });
    let last = running.stop().0.ok();
    printed.push(last.out);
    agree(dir.path(), &config, &printed, &hook);
}

fn folder_size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

/// The `db serve` child of the service, by /proc.
fn store_child(parent: u32) -> Option<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let of_main: Vec<u32> = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    // A child belongs to the thread that started it.
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).ok()?;
    let of_threads = tasks.flatten().flat_map(|task| {
        let listed = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        listed
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect::<Vec<u32>>()
    });
    of_main
        .into_iter()
        .chain(of_threads.collect::<Vec<_>>())
        .find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("serve"))
        })
}

#[test]
fn the_store_is_killed_again_and_again() {
    if !has_engine("the_store_is_killed_again_and_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_server, hook, config) = set_up(dir.path(), "100/s");
    let mut running = service(dir.path(), &config, "live");
    running.says("RIS Live: connected");
    let mut last = 0;
    for n in 0..STORE_KILLS {
        let pid = wait_for("a new store", || {
            store_child(running.pid()).filter(|pid| *pid != last)
        });
        // The first half dies while it starts, the second while it works.
        if n >= STORE_KILLS / 2 {
            pause(Duration::from_millis(300));
        }
        signal(pid, "KILL");
        last = pid;
    }
    wait_for("the last transition", || {
        (transitions(&running.out())
            .iter()
            .filter(|line| line.contains(r#""to":"normal""#))
            .count()
            >= 25)
            .then_some(())
            .or_else(|| {
                running
                    .out()
                    .matches(r#""from":"recovering","to":"normal""#)
                    .count()
                    .ge(&4)
                    .then_some(())
            })
    });
    wait_for("the spool to be empty", || {
        let spool = std::fs::read_dir(dir.path().join(".netfault/spool")).ok()?;
        let waiting = spool
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "seg"));
        (waiting.count() == 0).then_some(())
    });
    let live = running.stop().0.ok();
    let printed = [live.out];
    agree(dir.path(), &config, &printed, &hook);
}
