//! `netfault explain` and `netfault incidents`: from the lines of a replay, and the same from the store.

mod common;

use std::path::Path;

use common::*;
use serde_json::Value;

/// The lab capture, with a minute in place of the hour of a baseline.
fn events(dir: &Path, more: &[&str]) -> String {
    let config = dir.join("n.yaml");
    std::fs::write(
        &config,
        "watch: all\ndetect: {held_for_s: 60}\nstore: {embedded: store}\n",
    )
    .unwrap();
    let capture = lab("");
    let args = [
        &["-q", "--format", "ndjson", "replay", "-c", "n.yaml", &capture],
        more,
    ]
    .concat();
    let out = run(dir, &args).ok().out;
    std::fs::write(dir.join("lab.ndjson"), &out).unwrap();
    out
}

fn find(out: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.into_iter().find(is_it).expect("no such line")
}

fn out_of(out: &str, prefix: &str) -> Value {
    find(out, |line| {
        line["to"] == "out" && line["subject"]["prefix"] == prefix && line["kind"] == "transition"
    })
}

fn explain(dir: &Path, format: &str, args: &[&str]) -> Ended {
    run(dir, &[&["-q", "--format", format, "explain"], args].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_transition_names_who_lost_the_prefix_in_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let out = events(dir.path(), &[]);
    let line = out_of(&out, "198.18.30.0/24");
    let id = line["id"].as_str().unwrap();

    let told = json(
        &explain(dir.path(), "json", &[id, "--from", "lab.ndjson"])
            .ok()
            .out,
    );
    assert_eq!(told["transition"], line, "the event as it is");
    let peers = told["peers"].as_array().unwrap();
    let lost: Vec<&Value> = peers.iter().filter(|peer| peer["verdict"] == "lost").collect();
    assert_eq!(Some(lost.len() as u64), line["peers_lost"].as_u64());
    assert!(lost.is_sorted_by_key(|peer| peer["at"].as_str()), "{lost:?}");
    // The first of them is what the outage began with.
    assert_eq!(lost[0]["at"], line["first_evidence_at"]);

    let page = explain(dir.path(), "table", &[&id[..8], "--from", "lab.ndjson"])
        .ok()
        .out;
    assert!(
        page.starts_with("198.18.30.0/24 (AS64500)  degrading → OUT"),
        "{page}"
    );
    assert!(
        page.contains("at most 20 % of the baseline has it or may have it, for 30 s"),
        "{page}"
    );
    assert!(
        page.contains(&format!("Lost by {} peer ASes", lost.len())),
        "{page}"
    );
    for peer in &lost {
        assert!(page.contains(&format!("AS{}", peer["peer_asn"])), "{page}");
    }
    let csv = explain(dir.path(), "csv", &[id, "--from", "lab.ndjson"]).ok().out;
    assert_eq!(csv.lines().count(), peers.len() + 1);
}

#[test]
fn standard_input_is_read_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = events(dir.path(), &[]);
    let id = out_of(&out, "198.18.30.0/24")["id"].as_str().unwrap().to_owned();
    let file = std::fs::File::open(dir.path().join("lab.ndjson")).unwrap();
    let mut command = netfault(dir.path());
    command.args(["-q", "--format", "json", "explain", &id, "--from", "-"]);
    let told = ended(command.stdin(file)).ok();
    assert_eq!(json(&told.out)["transition"]["id"], id.as_str());
}

#[test]
fn an_incident_lists_its_versions_and_what_its_parts_went_through() {
    let dir = tempfile::tempdir().unwrap();
    let out = events(dir.path(), &[]);
    let first = find(&out, |line| line["kind"] == "incident");
    let id = first["id"].as_str().unwrap();
    let of_it: Vec<Value> = out
        .lines()
        .map(json)
        .filter(|line| line["kind"] == "incident" && line["id"] == id)
        .collect();
    let told = json(
        &explain(dir.path(), "json", &[id, "--from", "lab.ndjson"])
            .ok()
            .out,
    );
    assert_eq!(told["versions"].as_array().unwrap(), &of_it);
    let steps = told["steps"].as_array().unwrap();
    let newest = of_it.last().unwrap();
    for child in newest["children"].as_array().unwrap() {
        let of_child = |state: &str| {
            steps
                .iter()
                .any(|step| step["subject"]["prefix"] == child["subject"]["prefix"] && step["to"] == state)
        };
        assert!(of_child("out") && of_child("normal"), "{child}");
    }
    let page = explain(dir.path(), "table", &[id, "--from", "lab.ndjson"])
        .ok()
        .out;
    for word in ["Versions", "Parts", "What happened", "198.18.30.0/24", "resolved"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let show = [
        "-q",
        "--format",
        "json",
        "incidents",
        "show",
        id,
        "--from",
        "lab.ndjson",
    ];
    assert_eq!(json(&run(dir.path(), &show).ok().out), told);
}

#[test]
fn what_cannot_be_explained_is_one_sentence_and_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let out = events(dir.path(), &[]);
    let of = |args: &[&str]| {
        let ended = run(dir.path(), &[&["-q"], args].concat());
        assert_eq!(ended.out, "", "{}", ended.err);
        (ended.code, ended.err)
    };
    let (code, said) = of(&["explain", "0123456789abcdef", "--from", "lab.ndjson"]);
    assert_eq!(code, Some(65));
    assert_eq!(
        said,
        "netfault: there is no transition or incident in lab.ndjson whose id begins with 0123456789abcdef\n"
    );
    assert_eq!(
        of(&["explain", "01234", "--from", "lab.ndjson"]).0,
        Some(64),
        "too few digits"
    );
    assert_eq!(of(&["explain", "012345", "--from", "not-there"]).0, Some(65));
    assert_eq!(
        of(&["explain", "012345", "--from", "n.yaml"]).0,
        Some(65),
        "no events"
    );
    // A transition is no incident.
    let id = out_of(&out, "198.18.30.0/24")["id"].as_str().unwrap().to_owned();
    assert_eq!(
        of(&["incidents", "show", &id, "--from", "lab.ndjson"]).0,
        Some(65)
    );
    // Two that begin alike.
    let doubled = out.replace(&id, "aaaaaa0000000001");
    let other = out_of(&out, "198.18.31.0/24")["id"].as_str().unwrap().to_owned();
    let doubled = doubled.replace(&other, "aaaaaa0000000002");
    std::fs::write(dir.path().join("lab.ndjson"), doubled).unwrap();
    let (code, said) = of(&["explain", "AAAAAA", "--from", "lab.ndjson"]);
    assert_eq!(code, Some(65));
    assert!(said.contains("aaaaaa0000000001 and aaaaaa0000000002"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    let away = format!("store: {{url: 'http://{}'}}\n", closed_port());
    std::fs::write(dir.path().join("away.yaml"), away).unwrap();
    assert_eq!(of(&["explain", "012345", "-c", "away.yaml"]).0, Some(69));
}

/// The store says what the lines said.
#[test]
fn the_store_explains_as_the_replay_does() {
    if !has_engine("the_store_explains_as_the_replay_does") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = events(dir.path(), &["--store"]);
    let transition = out_of(&out, "2001:db8:30::/48");
    let incident = find(&out, |line| line["kind"] == "incident");
    for id in [&transition["id"], &incident["id"]] {
        let id = id.as_str().unwrap();
        let lines = json(
            &explain(dir.path(), "json", &[id, "--from", "lab.ndjson"])
                .ok()
                .out,
        );
        let store = json(&explain(dir.path(), "json", &[id, "-c", "n.yaml"]).ok().out);
        assert_eq!(store, lines);
    }
    let unknown = explain(dir.path(), "json", &["0123456789abcdef", "-c", "n.yaml"]);
    assert_eq!(unknown.code, Some(65), "{}", unknown.err);

    // Nobody watches it and it is small: only --all shows it.
    let list = |more: &[&str]| {
        let args = [
            &["-q", "--format", "ndjson", "query", "incidents", "-c", "n.yaml"],
            more,
        ]
        .concat();
        run(dir.path(), &args).ok().out
    };
    assert_eq!(list(&[]), "");
    let newest = out
        .lines()
        .rfind(|line| line.contains(r#""kind":"incident""#))
        .unwrap();
    assert_eq!(list(&["--all"]).trim_end(), newest);
    assert_eq!(list(&["--all", "--open"]), "");
    assert_eq!(list(&["--all", "--since", "2026-11-23"]), "");
    let table = ["-q", "incidents", "list", "--all", "-c", "n.yaml"];
    let table = run(dir.path(), &table).ok().out;
    assert!(table.contains(incident["id"].as_str().unwrap()), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
}
