//! What people ask of the store and say to it: incidents in all versions, notes, post-mortems, delegations, DNS health.

mod common;

use std::path::Path;
use std::time::Instant;

use common::*;
use serde_json::Value;

const CONFIG: &str =
    "watch: all\nsources: {ris_live: {enabled: false}}\ndetect: {held_for_s: 60}\nstore: {embedded: store}\n";

fn ask(dir: &Path, format: &str, args: &[&str]) -> Ended {
    let mut command = netfault(dir);
    command.args(["-q", "--format", format]).args(args);
    command.args(["-c", "n.yaml"]).env("USER", "carol");
    ended(&mut command)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn store_people_speak_of_an_incident_and_a_post_mortem_is_written() {
    if !has_engine("store_people_speak_of_an_incident_and_a_post_mortem_is_written") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("n.yaml"), CONFIG).unwrap();
    let out = ask(dir, "ndjson", &["replay", "--store", &lab("")]).ok().out;
    let versions = incidents(&out);
    let id = versions[0]["id"].as_str().unwrap();
    let of_it = versions.iter().filter(|it| it["id"] == id).count();

    let acked = ask(dir, "table", &["incidents", "ack", &id[..8], "--by", "alice"])
        .ok()
        .out;
    assert!(
        acked.starts_with(&format!("acknowledged by alice: {id} (resolved) ")),
        "{acked}"
    );
    let note = ask(
        dir,
        "json",
        &["incidents", "note", id, "first line\n\tsecond 'line'"],
    )
    .ok();
    let note = json(&note.out);
    assert_eq!(
        (&note["by"], &note["kind"], &note["incident"]),
        (&"carol".into(), &"note".into(), &id.into())
    );

    let table = ask(dir, "table", &["incidents", "list", "--all"]).ok().out;
    assert!(table.contains("TAKEN BY") && table.contains("alice"), "{table}");
    let line = ask(dir, "ndjson", &["incidents", "list", "--all"]).ok().out;
    let said = json(&line)["notes"].as_array().unwrap().clone();
    assert_eq!(
        (said.len(), &said[1]["text"]),
        (2, &"first line\n\tsecond 'line'".into())
    );
    let csv = ask(dir, "csv", &["incidents", "list", "--all"]).ok().out;
    assert!(csv.contains("alice"), "{csv}");

    let show = |more: &[&str]| ask(dir, "json", &[&["incidents", "show", id], more].concat());
    let now = json(&show(&[]).ok().out);
    assert_eq!(now["versions"].as_array().unwrap().len(), of_it);
    assert_eq!(now["notes"].as_array().unwrap().len(), 2);
    let page = ask(dir, "table", &["incidents", "show", id]).ok().out;
    assert!(page.contains("alice acknowledged it"), "{page}");
    let first = json(&show(&["--version", "1"]).ok().out);
    assert_eq!(first["versions"].as_array().unwrap().len(), 1);
    assert_eq!(first["versions"][0], versions[0], "word for word");
    assert!(first["steps"].as_array().unwrap().len() < now["steps"].as_array().unwrap().len());
    let later = show(&["--version", "99"]);
    assert_eq!(later.code, Some(65));
    assert!(later.err.contains("has no version 99"), "{}", later.err);
    let listed = ask(dir, "table", &["incidents", "show", id, "--versions"])
        .ok()
        .out;
    assert_eq!(listed.lines().count(), of_it + 1, "{listed}");
    assert_eq!(json(&show(&["--versions"]).ok().out), now["versions"]);

    let report = ask(dir, "table", &["incidents", "export", id]).ok().out;
    for part in [
        "## Cause",
        "| BGP: ",
        "### Step by step",
        "## What was affected",
        "### Routes",
        "| Taken on | by alice at ",
        "> first line\n>  second 'line'",
        "- What it did to DNS: no watched name is part of it.",
    ] {
        assert!(report.contains(part), "{part}\n\n{report}");
    }
    let refused = |args: &[&str], code| {
        let ended = ask(dir, "table", args);
        assert_eq!(
            (ended.code, ended.out.as_str(), ended.err.lines().count()),
            (Some(code), "", 1),
            "{}",
            ended.err
        );
    };
    refused(&["incidents", "note", id, " "], 64);
    refused(&["incidents", "note", id, "x", "--by", "a\nb"], 64);
    refused(&["incidents", "ack", "ffffffffffffffff"], 65);
    assert_eq!(
        ask(dir, "json", &["incidents", "export", id]).code,
        Some(64),
        "Markdown is no data"
    );
}

#[test]
fn store_names_are_found_by_prefix_and_their_servers_by_the_minute() {
    if !has_engine("store_names_are_found_by_prefix_and_their_servers_by_the_minute") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("n.yaml"), CONFIG).unwrap();
    ask(dir, "table", &["db", "migrate"]).ok();
    let sql = |text: &str| ask(dir, "table", &["db", "sql", text]).ok().out;
    sql(
        "INSERT INTO delegations (name, at, vantage, complete, end, zone, `servers.zone`, `servers.name`, `servers.addr`, \
         `servers.in_parent`, `servers.in_child`, `servers.glue`, `servers.outcome`, `servers.prefix`, `servers.origin`, \
         `findings.fault`, `findings.kind`, `findings.zone`, `findings.text`) VALUES \
         ('example.com', '2026-11-27 02:00:00', 'fra1', true, 'an answer', 'example.com', \
         ['example.com', 'example.com'], ['ns1.example.com', 'ns2.example.com'], ['192.0.2.1', '198.51.100.1'], \
         [true, true], [true, true], [true, true], ['ok', 'timeout'], ['192.0.2.0/24', ''], [64500, 0], \
         [true], ['unreachable'], ['example.com'], ['ns2.example.com does not answer'])",
    );
    sql(
        "INSERT INTO dns_probes (name, at, vantage, role, server, port, qname, qtype, outcome, authoritative, latency_us, transport) \
         SELECT 'example.com', toDateTime64('2026-11-27 02:00:00', 6) + number * 30, 'fra1', 'authority', '192.0.2.1', 53, \
         'example.com', 'SOA', if(number < 4, 'ok', 'timeout'), true, 1500, 'udp' FROM numbers(8)",
    );
    sql(
        "INSERT INTO transitions (id, subject_type, subject, from_state, to_state, at, first_evidence_at, finding) VALUES \
         (1, 'name', 'example.com', 'ok', 'out', '2026-11-27 02:03:00', '2026-11-27 02:02:00', 'authority_unreachable')",
    );

    let query = |format, args: &[&str]| ask(dir, format, &[&["query"], args].concat()).ok().out;
    let page = query("table", &["delegations", "--name", "example.com."]);
    assert!(
        page.contains("NAME         ROLE  ZONE         SERVER           ADDRESS       ANSWERED  PREFIX"),
        "{page}"
    );
    assert!(
        page.contains("fault  example.com: ns2.example.com does not answer"),
        "{page}"
    );
    let csv = query("csv", &["delegations", "--prefix", "192.0.2.0/24"]);
    assert_eq!(csv.lines().count(), 2, "only the address in it: {csv}");
    let event = json(&query("ndjson", &["delegations", "--prefix", "192.0.2.1/32"]));
    assert_eq!(
        (&event["kind"], &event["servers"][0]["route"]["origin"]),
        (&"delegation".into(), &64500.into())
    );
    assert_eq!(
        query("ndjson", &["delegations", "--prefix", "203.0.113.0/24"]),
        ""
    );

    let health = query(
        "ndjson",
        &[
            "dns-health",
            "--name",
            "example.com",
            "--since",
            "2026-11-27T02:01:00Z",
        ],
    );
    let oks: Vec<_> = health.lines().map(|line| json(line)["ok"].clone()).collect();
    assert_eq!(oks, [2, 0, 0]);
    let hour = query("csv", &["dns-health", "--step", "1h"]);
    assert_eq!(hour.lines().count(), 2, "{hour}");
    assert_eq!(
        ask(dir, "csv", &["query", "dns-health", "--step", "90s"]).code,
        Some(64)
    );

    let page = query("table", &["dns", "--name", "example.com"]);
    assert!(
        page.starts_with("example.com was out from 2026-11-27 02:03:00Z, is out now (authority unreachable)"),
        "{page}"
    );
    assert!(
        page.contains("authority  192.0.2.1  02:02:00       02:03:30           4   4  timeout 4"),
        "{page}"
    );
    let failure = json(&query("ndjson", &["dns", "--servers"]));
    assert_eq!(failure["servers"][0]["outcomes"]["timeout"], 4);
    assert!(json(&query("ndjson", &["dns"])).get("servers").is_none());
}

/// The engine lets one process into its folder, and the service has it all day.
#[test]
fn store_of_a_running_service_can_be_asked_from_another_shell() {
    if !has_engine("store_of_a_running_service_can_be_asked_from_another_shell") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("n.yaml"), CONFIG).unwrap();
    let out = ask(dir, "ndjson", &["replay", "--store", &lab("")]).ok().out;
    let id = incidents(&out)[0]["id"].as_str().unwrap().to_owned();
    let mut command = netfault(dir);
    command.args(["run", "-c", "n.yaml"]);
    let mut service = Running::start(command, dir, "service");
    let notice = dir.join("store/netfault-serving.json");
    wait_for("the store of the service", || notice.exists().then_some(()));
    wait_for("its tables", || {
        let tables = ask(dir, "csv", &["db", "sql", "EXISTS TABLE incident_notes"]);
        (tables.code == Some(0) && tables.out.ends_with("1\n")).then_some(())
    });
    let begun = Instant::now();
    assert_eq!(ask(dir, "ndjson", &["incidents", "list"]).ok().out, "");
    // Without the notice it would wait 20 s for the other one to go.
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    // The service hears of it through the store.
    ask(dir, "table", &["incidents", "ack", &id, "--by", "dave"]).ok();
    service.says("by=\"dave\"");
    let (ended, _) = service.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!notice.exists());
    // What a killed service leaves behind misleads nobody.
    let left = format!(
        r#"{{"url":"http://{}","user":"netfault","password":"x","version":"1"}}"#,
        closed_port()
    );
    std::fs::write(&notice, left).unwrap();
    ask(dir, "ndjson", &["incidents", "list"]).ok();
}
