//! `netfault evaluate` as a user meets it, on the lab capture: its answer, its exit codes, and what it says to bad input.

mod common;

use common::*;
use serde_json::Value;

/// Something that did not happen in the lab.
const WRONG: &str = "version: 1\n\
groups:\n\
\x20 lab:\n\
\x20   must: { recall: 1 }\n\
\x20   events:\n\
\x20     - { kind: outage, prefix: 203.0.113.0/24, at: 2001-01-01T00:00:00Z }\n";

#[track_caller]
fn evaluate(truth: &str, count: Option<&str>, paths: &str) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("truth.yaml"), truth).unwrap();
    let mut args = vec!["evaluate", "--truth", "truth.yaml", "--format", "json", paths];
    if let Some(count) = count {
        std::fs::write(dir.path().join("count.csv"), count).unwrap();
        args.extend(["--count", "count.csv"]);
    }
    run(dir.path(), &args)
}

#[test]
fn what_did_not_happen_is_not_found_and_the_exit_code_says_so() {
    let ended = evaluate(WRONG, None, &lab_files().0);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let lines: Vec<Value> = serde_json::from_str(&ended.out).expect("JSON");
    let recall = lines
        .iter()
        .find(|line| line["group"] == "lab" && line["figure"] == "recall")
        .expect("the recall");
    assert_eq!(
        (recall["value"].as_f64(), recall["met"].as_bool()),
        (Some(0.0), Some(false))
    );
    assert!(ended.err.contains("missed: 203.0.113.0/24"), "{}", ended.err);
}

#[test]
fn without_musts_the_figures_are_only_said() {
    evaluate("version: 1\n", None, &lab_files().0).ok();
}

#[test]
fn a_must_of_the_count_without_a_count_is_not_met() {
    let truth = "version: 1\ncount: { must: { missed: 0, precision: 1 } }\n";
    assert_eq!(evaluate(truth, None, &lab_files().0).code, Some(1));
}

#[test]
fn bad_input_is_refused_in_one_sentence() {
    let refused = |ended: Ended, code: i32, said: &str| {
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(code), ""),
            "{}",
            ended.err
        );
        assert!(
            ended.err.contains(said) && ended.err.trim_end().lines().count() == 1,
            "{}",
            ended.err
        );
    };
    let lab = lab_files().0;
    refused(evaluate("version: 1\nmust: 7\n", None, &lab), 65, "must");
    refused(evaluate("version: 9\n", None, &lab), 65, "version 9");
    refused(
        evaluate("version: 1\n", Some("a,b\n1,2\n"), &lab),
        65,
        "count.csv",
    );
    refused(evaluate("version: 1\n", None, "nowhere.mrt"), 65, "nowhere.mrt");
    let dir = tempfile::tempdir().unwrap();
    refused(
        run(dir.path(), &["evaluate", "--truth", "none.yaml", &lab]),
        65,
        "none.yaml",
    );
    assert_eq!(run(dir.path(), &["evaluate", &lab]).code, Some(64));
}
