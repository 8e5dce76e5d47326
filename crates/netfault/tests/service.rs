//! `netfault run`, end to end: a feed and name servers on one side, ClickHouse, a webhook and the journal on the other.

mod common;
#[path = "../../sources/tests/dns_lab/mod.rs"]
mod dns_lab;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use common::*;
use serde_json::Value;

/// The last thing that the capture leads to: the site's prefixes are Normal again.
fn is_over(out: &str) -> bool {
    let normal = |line: &&str| line.contains(r#""to":"normal""#) && line.contains(r#""from":"recovering""#);
    transitions(out).into_iter().filter(normal).count() >= 4
}

fn service(dir: &Path, config: &str, name: &str) -> Running {
    let mut command = netfault(dir);
    command.args(["--format", "ndjson", "run", "-c", config]);
    Running::start(command, dir, name)
}

fn query(dir: &Path, config: &str, what: &[&str]) -> Vec<Value> {
    let args = [&["-q", "--format", "ndjson", "query"], what, &["-c", config]].concat();
    let out = run(dir, &args).ok().out;
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn routes_come_in_and_the_store_the_webhook_and_the_journal_agree() {
    if !has_engine("routes_come_in_and_the_store_the_webhook_and_the_journal_agree") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_server, url) = ris_live(dir.path(), "server", &["--speed", "400/s"]);
    let hook = Hook::start();
    let more = format!(
        "store: {{embedded: store}}\nalerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}",
        hook.url
    );
    let config = config(dir.path(), &url, &more);
    let running = service(dir.path(), &config, "live");
    wait_for("the end of the outage", || is_over(&running.out()).then_some(()));
    let (live, took) = running.stop();
    let live = live.ok();
    assert!(took < Duration::from_secs(15), "SIGTERM took {took:?}");
    assert!(!live.err.contains("ERROR"), "{}", live.err);

    // The time contract: played again from its journal it says the same, byte for byte.
    let journal = dir.path().join(".netfault/journal").display().to_string();
    let again = run(
        dir.path(),
        &["-q", "--format", "ndjson", "replay", "-c", &config, &journal],
    )
    .ok();
    assert_eq!(live.out, again.out);
    // And so do the files that the feed was made of.
    let files = run(
        dir.path(),
        &["-q", "--format", "ndjson", "replay", "-c", &config, &lab("")],
    )
    .ok();
    assert_eq!(live.transitions(), files.transitions());

    let outs: Vec<&str> = live
        .transitions()
        .into_iter()
        .filter(|line| line.contains(r#""to":"out""#))
        .collect();
    let withdrawals = query(dir.path(), &config, &["withdrawals"]);
    assert_eq!(withdrawals.len(), outs.len());
    for row in &withdrawals {
        let prefix = format!(r#""prefix":{},"#, row["prefix"]);
        assert!(outs.iter().any(|line| line.contains(&prefix)), "{row}");
        assert!(row["recovered_at"].is_string(), "{row}");
    }
    let of_one = query(
        dir.path(),
        &config,
        &["withdrawals", "--prefix", "198.18.30.0/24"],
    );
    assert_eq!(of_one.len(), 1);
    assert_eq!(
        query(dir.path(), &config, &["withdrawals", "--origin", "AS1"]),
        Vec::<Value>::new()
    );

    // The store has every version of every incident that was said.
    let said: Vec<Value> = incidents(&live.out);
    assert!(!said.is_empty(), "no incident");
    let newest: Vec<&Value> = said.iter().filter(|it| it["state"] == "resolved").collect();
    let stored = query(dir.path(), &config, &["incidents", "--all"]);
    assert_eq!(stored.iter().collect::<Vec<_>>(), newest);

    // One open and one resolve for each incident, with its id; nothing for single prefixes.
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in hook.about_targets() {
        let id = body["data"]["id"].as_str().expect("an id").to_owned();
        let state = body["data"]["state"].as_str().expect("a state").to_owned();
        told.entry(id).or_default().push(state);
    }
    let alerting: BTreeSet<&str> = said
        .iter()
        .filter(|it| may_alert(it))
        .filter_map(|it| it["id"].as_str())
        .collect();
    assert_eq!(told.keys().map(String::as_str).collect::<BTreeSet<_>>(), alerting);
    assert!(
        told.values().all(|states| states == &["open", "resolved"]),
        "{told:?}"
    );
}

/// What the feed does to us is said, and changes no answer.
#[test]
fn a_feed_with_faults_gives_gaps_and_the_same_transitions() {
    let dir = tempfile::tempdir().unwrap();
    let faults = [
        "--speed",
        "max",
        "--duplicate-every",
        "7",
        "--garbage-every",
        "50",
    ];
    let (_server, url) = ris_live(dir.path(), "server", &faults);
    let config = config(dir.path(), &url, "");
    let running = service(dir.path(), &config, "live");
    wait_for("the end of the outage", || is_over(&running.out()).then_some(()));
    let live = running.stop().0.ok();
    let gaps = live
        .out
        .lines()
        .filter(|line| line.contains(r#""kind":"gap""#))
        .count();
    assert!(gaps > 0, "{}", live.out);
    let files = run(
        dir.path(),
        &["-q", "--format", "ndjson", "replay", "-c", &config, &lab("")],
    )
    .ok();
    assert_eq!(live.transitions(), files.transitions());
}

#[test]
fn a_feed_that_is_cut_is_a_gap_and_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, url) = ris_live(dir.path(), "server", &["--speed", "max", "--cut-after", "300"]);
    let config = config(dir.path(), &url, "");
    let mut running = service(dir.path(), &config, "live");
    wait_for("a gap for the cut", || {
        running.out().contains(r#""kind":"gap""#).then_some(())
    });
    wait_for("another connection", || {
        (running.err().matches("RIS Live: connected").count() >= 2).then_some(())
    });
    running.says("connected");
    running.stop().0.ok();
}

/// The store is not there: the service runs, decides, and keeps the rows for later.
#[test]
fn without_its_store_the_service_goes_on_and_spools() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, url) = ris_live(dir.path(), "server", &["--speed", "max"]);
    let more = format!("store: {{url: 'http://{}'}}", closed_port());
    let config = config(dir.path(), &url, &more);
    let running = service(dir.path(), &config, "live");
    wait_for("the end of the outage", || is_over(&running.out()).then_some(()));
    let live = running.stop().0.ok();
    assert!(live.err.contains("trying again"), "{}", live.err);
    assert!(live.err.contains("kept in the spool"), "{}", live.err);
}

/// A full disk behind standard output stops nothing but standard output.
#[test]
fn a_service_that_cannot_print_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, url) = ris_live(dir.path(), "server", &["--speed", "400/s"]);
    let hook = Hook::start();
    let more = format!(
        "alerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}",
        hook.url
    );
    let config = config(dir.path(), &url, &more);
    let mut child = netfault(dir.path())
        .args(["--format", "ndjson", "run", "-c", &config])
        .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the alert and its end", || {
        hook.about_targets()
            .iter()
            .any(|body| body["data"]["state"] == "resolved")
            .then_some(())
    });
    signal(child.id(), "TERM");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(said.matches("standard output fails").count(), 1, "{said}");
}

#[tokio::test]
async fn a_name_goes_out_and_comes_back() {
    const TEST: &str = "a_name_goes_out_and_comes_back";
    if !has_engine(TEST) || !dns_lab::has(&["nsd", "unbound"], TEST) {
        return;
    }
    let addr = dns_lab::free_port();
    let authority = dns_lab::nsd(addr, &dns_lab::zone("")).await;
    let resolver = dns_lab::unbound(dns_lab::free_port(), addr, dns_lab::OPEN).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("netfault.yaml");
    let text = format!(
        "sources: {{ris_live: {{enabled: false}}}}\nstore: {{embedded: store}}\n\
         watch: {{names: [{{name: www.example.com, authorities: ['{addr}'], resolvers: ['{}'], private_ok: true}}]}}\n\
         dns: {{interval: 2s, authority_timeout: 300ms, controls: {{enabled: false}}, detect: {{ok_hold_s: 2}}}}\n",
        resolver.addr
    );
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let running = service(dir.path(), &config, "live");
    let came_to = |state: &str| {
        let to = format!(r#""to":"{state}""#);
        wait_for(&to, || {
            transitions(&running.out())
                .last()
                .filter(|line| line.contains(&to))
                .map(|_| ())
        });
    };
    came_to("ok");
    drop(authority);
    came_to("out");
    let _authority = dns_lab::nsd(addr, &dns_lab::zone("")).await;
    came_to("ok");
    running.stop().0.ok();
    let failures = query(dir.path(), &config, &["dns"]);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["name"], "www.example.com");
    assert_eq!(failures[0]["worst"], "out");
    assert_eq!(failures[0]["state"], "ok");
    for format in ["table", "json", "csv"] {
        let shown = run(
            dir.path(),
            &["-q", "--format", format, "query", "dns", "-c", &config],
        )
        .ok();
        assert!(shown.out.contains("www.example.com"), "{}", shown.out);
    }
}
