//! `netfault dns check` and `dns watch` as their user sees them, against a name server of a few lines that can be told to refuse.

mod common;

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use common::dns::server;
use common::*;
use serde_json::Value;

fn dns(dir: &Path, args: &[&str]) -> Ended {
    run(dir, &[&["-q", "dns"], args].concat())
}

#[test]
fn a_check_says_what_is_expected_and_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (addr, _) = server(usize::MAX);
    let addr = addr.to_string();
    let check = |more: &[&str]| {
        dns(
            dir.path(),
            &[&["check", "www.example.com", "--authority", &addr], more].concat(),
        )
    };
    let fine = check(&[
        "--expect-any",
        "192.0.2.1",
        "--expect-within",
        "192.0.2.0/24",
        "--expect-count",
        "1",
        "--expect-public",
    ]);
    assert_eq!(fine.code, Some(0), "{}{}", fine.out, fine.err);
    assert!(
        !fine.out.contains("detail"),
        "an empty column is left out: {}",
        fine.out
    );
    let told = check(&["--expect-any", "192.0.2.7"]);
    assert!(
        told.out.ends_with("www.example.com is out: answer changed\n"),
        "{}",
        told.out
    );
    for (args, sentence) in [
        (["--expect-any", "192.0.2.7"], "not 192.0.2.7 but 192.0.2.1"),
        (
            ["--expect-all", "192.0.2.7"],
            "192.0.2.7 is missing, there is 192.0.2.1",
        ),
        (
            ["--expect-within", "198.51.100.0/24"],
            "192.0.2.1 is outside 198.51.100.0/24",
        ),
        (["--expect-count", "2"], "1 record, and at least 2 are expected"),
    ] {
        let wrong = check(&[&args[..], &["--format", "json"]].concat());
        assert_eq!(wrong.code, Some(2), "{}{}", wrong.out, wrong.err);
        let report: Value = serde_json::from_str(&wrong.out).unwrap();
        assert_eq!(
            (&report["verdict"], &report["finding"]),
            (&"out".into(), &"answer_changed".into())
        );
        let probe = &report["probes"][0];
        assert_eq!(
            (&probe["outcome"], &probe["detail"]),
            (&"wrong_answer".into(), &sentence.into())
        );
        assert_eq!(
            (&probe["role"], &probe["server"]),
            (&"authority".into(), &addr.as_str().into())
        );
    }
}

#[test]
fn what_cannot_be_asked_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    for (code, args, sentence) in [
        (
            64,
            &["check", "a.example", "--resolver", "dns.quad9.net"][..],
            "'dns.quad9.net' is a name: give its address",
        ),
        (
            64,
            &["check", "a.example", "--resolver", "quic://192.0.2.1"],
            "there is no 'quic://'",
        ),
        (
            64,
            &["check", "a.example", "--expect-within", "192.0.2.0"],
            "is not a prefix",
        ),
        (
            64,
            &["watch", "a.example", "--interval", "100ms"],
            "'100ms' is too short",
        ),
        (
            64,
            &["watch", "a.example", "--interval", "5"],
            "is not a duration",
        ),
        (64, &["watch", "a.example", "--count", "0"], "0 is not in 1.."),
        (
            64,
            &["check", "a.example", "--trust-anchor", "empty"],
            "--validate",
        ),
        (
            65,
            &["check", "a.example", "--validate", "--trust-anchor", "empty"],
            "empty: there is no DNSKEY record in it",
        ),
        (
            65,
            &["check", "a.example", "--tls-ca", "empty"],
            "empty: there is no certificate in it (PEM)",
        ),
        (
            65,
            &[
                "check",
                "a.example",
                "--authority",
                "127.0.0.1:1",
                "--rib",
                "absent.mrt",
            ],
            "absent.mrt",
        ),
    ] {
        let ended = dns(dir.path(), args);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(sentence), "{args:?}: {}", ended.err);
    }
}

#[test]
fn a_watch_prints_a_line_a_round_and_what_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    // A, AAAA and SOA are the first round.
    let (addr, asked) = server(3);
    let args = [
        "watch",
        "www.example.com",
        "--interval",
        "1s",
        "--count",
        "3",
        "--authority",
    ];
    let watched = dns(dir.path(), &[&args[..], &[&addr.to_string()]].concat());
    assert_eq!(
        watched.code,
        Some(2),
        "the last verdict: {}{}",
        watched.out,
        watched.err
    );
    let lines: Vec<&str> = watched.out.lines().collect();
    assert!(
        lines[0].contains("  ok      ") && lines[0].ends_with(" ms  the server answers"),
        "{lines:?}"
    );
    let out = format!("delegation broken, 1 of 1 fails: {addr} refused");
    assert!(
        lines[1].contains("  out     ") && lines[1].ends_with(&out),
        "{lines:?}"
    );
    assert_eq!(lines[2].trim(), format!("{addr} fails: refused"));
    assert!(lines[3].ends_with(&out), "nothing has changed since: {lines:?}");
    let summary = lines[4].strip_prefix("www.example.com: 3 rounds in ").unwrap();
    assert!(
        summary.ends_with(" s: 1 ok, 0 degraded, 2 out, 0 unknown"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(asked.load(SeqCst), 9);

    let (addr, _) = server(usize::MAX);
    let args = [
        "watch",
        "www.example.com",
        "--count",
        "2",
        "--interval",
        "1s",
        "--format",
        "ndjson",
        "--authority",
    ];
    let watched = dns(dir.path(), &[&args[..], &[&addr.to_string()]].concat());
    assert_eq!(watched.code, Some(0), "{}", watched.err);
    let reports: Vec<Value> = watched
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(reports.len(), 2);
    for report in &reports {
        assert_eq!(
            (&report["name"], &report["verdict"]),
            (&"www.example.com".into(), &"ok".into())
        );
        assert_eq!(report["probes"].as_array().unwrap().len(), 3);
    }
    assert!(
        reports[0]["at"].as_str() < reports[1]["at"].as_str(),
        "{reports:?}"
    );
}

#[test]
fn an_interrupted_watch_ends_with_its_summary() {
    let dir = tempfile::tempdir().unwrap();
    let (addr, _) = server(usize::MAX);
    let addr = addr.to_string();
    let mut command = netfault(dir.path());
    command.args([
        "-q",
        "dns",
        "watch",
        "www.example.com",
        "--interval",
        "1h",
        "--authority",
        &addr,
    ]);
    let mut watch = Running::start(command, dir.path(), "watch");
    wait_for("the first round", || {
        watch.out().contains("the server answers").then_some(())
    });
    watch.signal("INT");
    let status = watch.wait();
    let ended = watch.ended(status);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.out.contains("www.example.com: 1 round in "),
        "{}",
        ended.out
    );
}
