//! Prefix and origin AS in `netfault dns check` and `dns watch`: out of a table dump, out of the store, or not known.

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use common::dns::server;
use common::*;
use serde_json::Value;

fn dns(dir: &Path, args: &[&str]) -> Ended {
    run(dir, &[&["-q", "dns"], args].concat())
}

/// A table dump (RFC 6396) with one peer and one route, 192.0.2.0/24 by AS64500.
fn rib() -> Vec<u8> {
    let record = |subtype: u16, body: &[u8]| {
        let mut record = vec![0, 0, 0, 0, 0, 13];
        record.extend(subtype.to_be_bytes());
        record.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        record.extend(body);
        record
    };
    let origin = 64500u32.to_be_bytes();
    let mut peers = vec![192, 0, 2, 250, 0, 0, 0, 1, 2, 198, 51, 100, 1, 198, 51, 100, 1];
    peers.extend(origin);
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    attributes.extend(origin);
    attributes.extend([0x40, 3, 4, 198, 51, 100, 1]);
    let mut route = vec![0, 0, 0, 0, 24, 192, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    route.push(u8::try_from(attributes.len()).unwrap());
    route.extend(attributes);
    [record(1, &peers), record(2, &route)].concat()
}

fn probe(ended: &Ended) -> Value {
    let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    report["probes"][0].clone()
}

/// `dns check`, in JSON, that wants this origin AS.
fn expecting(dir: &Path, addr: &str, origin: &str) -> Ended {
    let common = ["--format", "json", "check", "www.example.com"];
    let asked = ["--authority", addr, "--expect-origin", origin];
    dns(dir, &[common, asked].concat())
}

#[test]
fn the_origin_of_the_answer_is_looked_up_in_a_table_dump() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rib.mrt"), rib()).unwrap();
    let (addr, _) = server(usize::MAX);
    let addr = addr.to_string();
    let ask = |what: &[&str], origin: &str| {
        let common = ["www.example.com", "--authority", &addr, "--rib", "rib.mrt"];
        dns(
            dir.path(),
            &[what, &common, &["--expect-origin", origin]].concat(),
        )
    };
    let check = ["--format", "json", "check"];
    let fine = ask(&check, "AS64500").ok();
    assert_eq!(
        (&probe(&fine)["detail"], &probe(&fine)["origin"]),
        (&Value::Null, &Value::Null)
    );
    let other = ask(&check, "64501");
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert_eq!(
        (&probe(&other)["outcome"], &probe(&other)["detail"]),
        (
            &"wrong_answer".into(),
            &"192.0.2.1 is originated by AS64500, not by AS64501".into()
        )
    );
    let watched = ask(&["watch", "--count", "2", "--interval", "1s"], "64501");
    assert_eq!(watched.code, Some(2), "{}", watched.err);
    assert!(
        watched.out.contains("answer changed, 1 of 1 fails"),
        "{}",
        watched.out
    );
}

/// One that refuses, and one that takes the question and says nothing.
#[test]
fn a_store_that_does_not_answer_fails_no_check() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (addr, _) = server(usize::MAX);
    let addr = addr.to_string();
    for (store, why) in [
        (closed_port(), "no routes from the store"),
        (silent.local_addr().unwrap(), "does not answer within 1 s"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = format!("watch: all\nstore: {{url: \"http://{store}\"}}\n");
        std::fs::write(dir.path().join("netfault.yaml"), config).unwrap();
        let begun = Instant::now();
        let checked = expecting(dir.path(), &addr, "AS64500").ok();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(checked.err.contains(why), "{}", checked.err);
        assert_eq!(
            probe(&checked)["detail"],
            "the origin AS of 192.0.2.1 is not known"
        );
        let watch = [
            "watch",
            "www.example.com",
            "--count",
            "2",
            "--interval",
            "1s",
            "--authority",
            &addr,
        ];
        let watched = dns(dir.path(), &watch).ok();
        assert_eq!(watched.err.matches(why).count(), 1, "said once: {}", watched.err);
    }
    // A configuration that nobody asked for is not obeyed, and one that was is.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("netfault.yaml"), "no: such key\n").unwrap();
    let check = ["check", "www.example.com", "--authority", &addr];
    dns(dir.path(), &check).ok();
    let refused = dns(dir.path(), &[&check[..], &["-c", "netfault.yaml"]].concat());
    assert_eq!(refused.code, Some(78), "{}", refused.err);
}

#[test]
fn store_of_the_configuration_knows_the_routes_of_a_check() {
    if !has_engine("store_of_the_configuration_knows_the_routes_of_a_check") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("netfault.yaml"),
        "watch: all\nsources: {ris_live: {enabled: false}}\nstore: {embedded: store}\n",
    )
    .unwrap();
    let (addr, _) = server(usize::MAX);
    let addr = addr.to_string();
    let check = |origin: &str| expecting(dir.path(), &addr, origin);
    let alone = check("AS64501").ok();
    assert_eq!(alone.err, "", "an engine that does not run is not started");
    assert_eq!(probe(&alone)["prefix"], Value::Null);

    run(dir.path(), &["-q", "db", "migrate"]).ok();
    let mut command = netfault(dir.path());
    command.args(["db", "serve", "--dir", "store", "--listen", "127.0.0.1:0"]);
    let serving = Running::start(command, dir.path(), "serving");
    let notice = dir.path().join("store/netfault-serving.json");
    wait_for("the engine", || notice.exists().then_some(()));
    let row = "INSERT INTO delegations (name, at, vantage, complete, end, zone, `servers.zone`, `servers.name`, \
               `servers.addr`, `servers.in_parent`, `servers.in_child`, `servers.glue`, `servers.outcome`, `servers.prefix`, \
               `servers.origin`, `addresses.addr`, `addresses.prefix`, `addresses.origin`) VALUES \
               ('www.example.com', '2026-11-27 02:00:00', 'fra1', true, 'an answer', 'example.com', ['example.com'], ['ns'], \
               ['127.0.0.1'], [true], [true], [true], ['ok'], ['127.0.0.0/8'], [64500], ['192.0.2.1'], ['192.0.2.0/24'], [64501])";
    run(dir.path(), &["-q", "db", "sql", row]).ok();
    let fine = probe(&check("AS64501").ok());
    assert_eq!(
        (&fine["prefix"], &fine["origin"], &fine["detail"]),
        (&"127.0.0.0/8".into(), &64500.into(), &Value::Null)
    );
    let other = check("AS64502");
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert_eq!(
        probe(&other)["detail"],
        "192.0.2.1 is originated by AS64501, not by AS64502"
    );
    let (ended, _) = serving.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
