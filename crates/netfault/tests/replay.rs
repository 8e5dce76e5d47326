//! `netfault replay`: the same files give the same bytes, whatever way they are played.

mod common;

use std::path::{Path, PathBuf};

use common::*;
use serde_json::Value;

const FORMATTED: [&str; 3] = ["-q", "--format", "ndjson"];

/// The lab capture with the settings of the demo: a minute stands for the hour of a baseline.
fn settings(dir: &Path) -> String {
    let path = dir.join("n.yaml");
    std::fs::write(&path, "watch: all\ndetect: {held_for_s: 60}\n").unwrap();
    path.display().to_string()
}

fn replay(dir: &Path, config: &str, more: &[&str]) -> String {
    run(dir, &[&FORMATTED, &["replay", "-c", config][..], more].concat())
        .ok()
        .out
}

/// Read the difference as you read a diff; `UPDATE_GOLDEN=1` writes the file anew.
#[test]
fn the_lab_capture_says_what_the_golden_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let out = replay(dir.path(), &settings(dir.path()), &[&lab("")]);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lab-capture.ndjson");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") && std::env::var_os("CI").is_none() {
        std::fs::write(&golden, &out).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (n, (line, golden)) in out.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, golden, "line {}", n + 1);
    }
    assert_eq!(out.lines().count(), expected.lines().count());
}

#[test]
fn every_line_is_as_the_schema_says_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let schema = std::fs::read_to_string(workspace().join("schemas/event.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let out = replay(dir.path(), &settings(dir.path()), &[&lab("")]);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(transitions(&out).len() > 10);
    for line in &lines {
        let wrong: Vec<String> = schema.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{line}: {wrong:?}");
    }
    let key = |line: &Value| (line["at"].to_string(), line["kind"].to_string());
    assert!(lines.is_sorted_by_key(key), "not in order of (at, kind)");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let config = settings(dir.path());
    let once = replay(dir.path(), &config, &[&lab("")]);
    assert_eq!(once, replay(dir.path(), &config, &[&lab("")]), "twice");
    let (updates, rib) = lab_files();
    assert_eq!(once, replay(dir.path(), &config, &[&updates, &rib]), "one by one");
    assert_eq!(once, replay(dir.path(), &config, &[&rib, &updates]), "in reverse");
    let glob = format!("{}*.gz", lab(""));
    assert_eq!(once, replay(dir.path(), &config, &[&glob]), "as a glob");
    assert_eq!(
        once,
        replay(dir.path(), &config, &["--speed", "600", &lab("")]),
        "at a pace"
    );
}

#[test]
fn each_format_has_every_transition() {
    let dir = tempfile::tempdir().unwrap();
    let config = settings(dir.path());
    let lines = replay(dir.path(), &config, &[&lab("")]);
    let (all, decided) = (lines.lines().count(), transitions(&lines).len());
    let as_format = |format| {
        run(
            dir.path(),
            &["-q", "--format", format, "replay", "-c", &config, &lab("")],
        )
        .ok()
        .out
    };
    let json: Value = serde_json::from_str(&as_format("json")).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(all));
    let csv = as_format("csv");
    assert_eq!(csv.lines().count(), all + 1);
    assert_eq!(
        csv.lines().filter(|line| line.starts_with("transition,")).count(),
        decided
    );
    assert_eq!(as_format("table").lines().count(), all);
}

/// `netfault` says no prefix was watched: `watched` is in every line, and follows --watch.
#[test]
fn what_is_watched_is_what_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let config = settings(dir.path());
    let out = replay(dir.path(), &config, &["--watch", "198.18.30.0/24", &lab("")]);
    let said = transitions(&out);
    assert!(!said.is_empty());
    assert!(
        said.iter().all(|line| line.contains("198.18.30.0/24")),
        "{said:?}"
    );
    let by_origin = replay(dir.path(), &config, &["--watch", "AS64500", &lab("")]);
    let said = transitions(&by_origin);
    assert!(
        said.iter().any(|line| line.contains("198.18.31.0/24")),
        "{said:?}"
    );
    assert!(
        said.iter().all(|line| line.contains(r#""origin":64500"#)),
        "{said:?}"
    );
}

fn real_day(test: &str) -> Option<PathBuf> {
    let shared =
        std::env::var_os("NETFAULT_SHARED_DATA").map_or(workspace().join("../shared/data"), PathBuf::from);
    let day = shared.join("route-views2-20080224");
    if !day.exists() {
        println!("SKIPPED: ../shared/data is absent: {test}");
        return None;
    }
    Some(day)
}

/// RIS beacons are withdrawn at 02:00 UTC sharp: ground truth on real data.
#[test]
fn beacons_of_a_real_day_go_out_once_and_on_time() {
    let Some(day) = real_day("beacons_of_a_real_day_go_out_once_and_on_time") else {
        return;
    };
    let times = [
        "0007", "0022", "0037", "0052", "0107", "0122", "0137", "0152", "0208",
    ];
    let mut files = vec![day.join("updates.20080223.2350.bz2")];
    files.extend(times.map(|time| day.join(format!("updates.20080224.{time}.bz2"))));
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let dir = tempfile::tempdir().unwrap();
    let mut args = [&FORMATTED[..], &["replay"]].concat();
    let beacons = ["84.205.71.0/24", "84.205.74.0/24", "84.205.77.0/24"];
    for beacon in beacons {
        args.extend(["--watch", beacon]);
    }
    args.extend(files.iter().map(String::as_str));
    let out = run(dir.path(), &args).ok().out;
    for beacon in beacons {
        let outs: Vec<Value> = transitions(&out)
            .into_iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["subject"]["prefix"] == beacon && line["to"] == "out")
            .collect();
        let at: Vec<&str> = outs.iter().filter_map(|line| line["at"].as_str()).collect();
        assert!(
            matches!(at.as_slice(), [at] if ("2008-02-24T02:00".."2008-02-24T02:07").contains(at)),
            "{beacon}: {at:?}"
        );
        assert_eq!(outs[0]["subject"]["origin"], 12654);
    }
}
