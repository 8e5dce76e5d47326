//! The `dns` section, and what stands at a name.

use std::path::Path;

use netfault_sources::dns::expect::Wanted;

use super::super::{Config, ConfigError, Dnssec};

fn read(yaml: &str) -> Result<Config, ConfigError> {
    Config::read(yaml, Path::new("netfault.yaml"), &|_| None)
}

fn refused(yaml: &str) -> String {
    match read(yaml) {
        Ok(config) => panic!("was accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

/// As many names at the same servers.
fn names(count: usize, at: &str, dns: &str) -> String {
    let names: String = (0..count)
        .map(|n| format!("    - {{name: n{n}.example.com, {at}}}\n"))
        .collect();
    format!("watch:\n  names:\n{names}dns: {{{dns}}}\n")
}

const FULL: &str = r#"
watch:
  names:
    - www.example.com
    - name: mail.example.com
      resolvers: ["tcp://192.0.2.9", "https://dns.example.net/q@192.0.2.9"]
      dnssec: validate
      expect: {any_of: [192.0.2.1, "mail.example.net"], within: [192.0.2.0/24], origin: [64500, AS64501], min_count: 1}
dns:
  resolvers: [192.0.2.1, "tls://dns.example.net@192.0.2.1"]
  authority_per_second: 0.5
  refresh: 30m
  controls: {names: [www.example.net], authorities: {".": [192.0.2.77], "net": ["[2001:db8::1]:5353"]}}
"#;

#[test]
fn what_is_typed_is_meant_and_printed() {
    let config = read(FULL).unwrap();
    let mail = &config.names[1];
    assert_eq!(
        mail.resolvers[1].to_string(),
        "https://dns.example.net/q@192.0.2.9"
    );
    assert_eq!(
        mail.expect.answers.any_of[1],
        Wanted::Text("mail.example.net".to_owned())
    );
    assert_eq!(config.watch.expected_origins["mail.example.com"].len(), 2);
    assert!(!config.watch.expected_origins.contains_key("www.example.com"));
    assert_eq!(config.resolvers_of(&config.names[0])[1].addr.port(), 853);
    assert_eq!(
        (config.dns.authority_per_second, config.dns.resolver_per_second),
        (0.5, 50.0)
    );
    assert_eq!(config.dns.refresh.as_secs(), 1800);
    assert_eq!(
        (config.names[0].dnssec, mail.dnssec),
        (Dnssec::Resolver, Dnssec::Validate)
    );
    let controls = &config.dns.controls;
    assert_eq!(controls.names, ["www.example.net"]);
    assert_eq!(controls.authorities["."][0].to_string(), "192.0.2.77:53");
    assert_eq!(controls.authorities["net"][0].port(), 5353);
    let printed = config.to_yaml().unwrap();
    assert_eq!(
        read(&printed).map_err(|error| error.to_string()),
        Ok(config),
        "{printed}"
    );
}

#[test]
fn controls_have_defaults_and_can_be_switched_off() {
    let usual = read(&names(1, "resolvers: [192.0.2.1]", "")).unwrap();
    assert_eq!(usual.dns.controls.names, ["www.wikipedia.org", "www.iana.org"]);
    let roots = &usual.dns.controls.authorities["."];
    assert_eq!(
        (roots.len(), roots.iter().filter(|root| root.is_ipv6()).count()),
        (8, 4)
    );
    assert!(usual.describe().concat().contains("2 names at every resolver"));
    let off = read(&names(1, "resolvers: [192.0.2.1]", "controls: {enabled: false}")).unwrap();
    assert!(off.dns.controls.names.is_empty() && off.dns.controls.authorities.is_empty());
    assert!(off.describe().concat().contains("no controls"));
    for config in [usual, off] {
        let printed = config.to_yaml().unwrap();
        assert_eq!(
            read(&printed).map_err(|error| error.to_string()),
            Ok(config),
            "{printed}"
        );
    }
}

#[test]
fn a_root_of_ones_own_is_the_control() {
    let folder = tempfile::tempdir().unwrap();
    let hints = folder.path().join("root.hints");
    std::fs::write(&hints, ". NS ns.lab.\nns.lab. A 127.0.0.11#5301\n").unwrap();
    let typed = format!("root_hints: {}", hints.display());
    let config = read(&names(1, "resolvers: [127.0.0.1]", &typed)).unwrap();
    assert_eq!(
        config.dns.controls.authorities["."][0].to_string(),
        "127.0.0.11:5301"
    );
    let printed = config.to_yaml().unwrap();
    assert_eq!(
        read(&printed).map_err(|error| error.to_string()),
        Ok(config),
        "{printed}"
    );
    std::fs::write(&hints, ". NS\n").unwrap();
    assert!(refused(&names(1, "resolvers: [127.0.0.1]", &typed)).contains("root.hints: line 1: "));
}

#[test]
fn a_plan_that_cannot_fit_names_the_server_and_what_would_fit() {
    let at = "authorities: [192.0.2.53, 192.0.2.54]";
    assert!(read(&names(30, at, "")).is_ok());
    let sentence = refused(&names(31, at, ""));
    for part in [
        "netfault.yaml:33:",
        "192.0.2.53:53 would be asked up to 31 questions every 30s",
        "dns.authority_per_second: 1 allows 30: 30 names fit",
        "a dns.interval of 31s",
    ] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
    assert!(read(&names(31, at, "interval: 31s")).is_ok());
    // Named is the first that is too many; the interval is for all of them.
    let sentence = refused(&names(100, at, ""));
    for part in [
        "netfault.yaml:33:",
        "30 names fit",
        "a dns.interval of 100s, in which all names fit",
    ] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
    assert!(read(&names(100, at, "interval: 100s")).is_ok());
    assert!(read(&names(31, at, "authority_per_second: 2")).is_ok());
    // Four packets a name, and the canaries: 50 a second are 1,500 in 30 s.
    let at = "resolvers: [192.0.2.1]";
    assert!(read(&names(374, at, "")).is_ok());
    let sentence = refused(&names(375, at, ""));
    assert!(
        sentence.contains("192.0.2.1:53 would be asked up to 1502 questions"),
        "{sentence}"
    );
    assert!(sentence.contains("374 names fit"), "{sentence}");
}

#[test]
fn the_plan_is_told_in_questions_a_second() {
    let config = read(&names(
        15,
        "authorities: [192.0.2.53], resolvers: [192.0.2.1]",
        "",
    ))
    .unwrap();
    let told = config.describe().join("\n");
    // 15 SOA, 15 A, 15 AAAA, 2 canaries, 8 roots in 30 s.
    assert!(
        told.contains("1.8 questions a second in all; at most 1 to one authority, 50 to one resolver"),
        "{told}"
    );
}

#[test]
fn every_mistake_gets_one_sentence() {
    for (yaml, sentence) in [
        (
            "dns: {authority_per_second: 0}",
            "netfault.yaml:1:29: questions a second: more than 0, and at most 100000",
        ),
        (
            "dns: {refresh: 5s}",
            "netfault.yaml:1:16: '5s' is too short: at least 1m",
        ),
        (
            "watch: {names: [{name: example.com, resolvers: [192.0.2.1]}]}\ndns: {controls: {names: [Example.com]}}",
            "netfault.yaml:2:26: example.com is watched: a control name is one of another operator",
        ),
        (
            "dns: {controls: {authorities: {a b: [192.0.2.1]}}}",
            "netfault.yaml:1:38: 'a b' is not a DNS name",
        ),
        (
            "dns: {resolvers: [192.0.2.1, 'tcp://192.0.2.1']}",
            "netfault.yaml:1:30: tcp://192.0.2.1 stands elsewhere as 192.0.2.1:53: one address is asked in one way",
        ),
    ] {
        assert_eq!(refused(yaml), sentence, "{yaml}");
    }
    for (expect, sentence) in [
        (
            "{}",
            "nothing is expected here: give any_of, all_of, within, origin, min_count or not_bogon",
        ),
        ("{orgin: [1]}", "unknown key 'orgin', did you mean 'origin'?"),
        ("{origin: [many]}", "'many' is not an AS number"),
        ("{within: [192.0.2.1/33]}", "'192.0.2.1/33' is not a prefix"),
    ] {
        let said = refused(&names(
            1,
            &format!("resolvers: [192.0.2.1], expect: {expect}"),
            "",
        ));
        assert!(said.contains(sentence), "{said}");
    }
    let twice =
        "watch: {names: [{name: a.example, resolvers: ['tcp://192.0.2.1']}]}\ndns: {resolvers: [192.0.2.1]}";
    assert!(refused(twice).contains("one address is asked in one way"));
    assert!(refused("dns: {ca_file: /nowhere.pem}").contains("/nowhere.pem: "));
    assert!(refused("dns: {trust_anchors: /nowhere.key}").contains("/nowhere.key: "));
    let wrong = "watch: {names: [{name: a.example, resolvers: ['sdns://192.0.2.1']}]}";
    assert!(
        refused(wrong).contains("'sdns://192.0.2.1' is not a resolver"),
        "{}",
        refused(wrong)
    );
}
