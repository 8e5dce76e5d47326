use std::path::Path;

use super::super::Config;

const ALL: &str = r#"
alerts:
  link: https://netfault.example.com/incidents/{id}
  receivers:
    - {name: console, stdout: {}}
    - name: hook
      rate: 30/10m
      template:
        title: "[{{ severity }}] {{ title }}"
        body: "{{ text }}"
      webhook: {url: 'https://hooks.example.com/x', secret: "${SECRET}", headers: {X-Token: "${SECRET}"}}
    - {name: chat, slack: {url: "${SLACK}"}}
    - {name: thread, slack: {token: "${SECRET}", channel: '#noc'}}
    - {name: page, pagerduty: {routing_key: "${KEY}"}}
    - {name: am, alertmanager: {url: 'http://127.0.0.1:9093', labels: {team: net}}}
    - {name: mail, email: {host: mail.example.com, from: 'netfault <n@example.com>', to: [noc@example.com], user: n, password: "${SECRET}"}}
    - {name: phone, ntfy: {topic: noc, token: "${SECRET}"}}
    - {name: script, command: {run: [/usr/local/bin/page, --fast], timeout: 5s}}
    - {name: line, command: {shell: 'logger -t "${HOME}"'}}
  routes:
    - {name: log, receivers: [console, hook], continue: true}
    - match: {severity: 4, service: [shop], name: ["*.example.com"], prefix: [192.0.2.0/24, "198.51.*"], asn: [AS64500]}
      receivers: [page]
      group_by: [service]
      wait: 30s
      repeat: 4h
      updates: true
    - {match: {about: self}, receivers: [mail]}
  maintenance:
    - {name: nightly, when: ["Mon 02:00-04:00 Europe/Berlin"], match: {service: [shop]}}
  heartbeats:
    - {name: dead, url: 'https://hc.example.com/uuid', every: 30s, method: post}
    - {name: always, alertmanager: {url: 'http://127.0.0.1:9093'}}
"#;

fn read(yaml: &str) -> Result<Config, String> {
    let env = |name: &str| match name {
        "SECRET" => Some("hunter2".to_owned()),
        "SLACK" => Some("https://hooks.slack.com/services/T/B/x".to_owned()),
        "KEY" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        _ => None,
    };
    Config::read(yaml, Path::new("netfault.yaml"), &env).map_err(|error| error.to_string())
}

#[test]
fn every_receiver_reads_back_equal_and_hides_its_secrets() {
    let config = read(ALL).unwrap();
    assert_eq!(config.alerts.receivers.len(), 10);
    let printed = config.to_yaml().unwrap();
    assert!(!printed.contains("hunter2"), "{printed}");
    let again = read(&printed).unwrap();
    assert_eq!(again.alerts, config.alerts, "{printed}");
    let setup = config.alerts.setup().unwrap();
    let kinds: Vec<&str> = setup
        .receivers
        .iter()
        .map(|receiver| receiver.to.kind())
        .collect();
    assert_eq!(
        kinds,
        [
            "stdout",
            "webhook",
            "slack",
            "slack",
            "pagerduty",
            "alertmanager",
            "email",
            "ntfy",
            "command",
            "command"
        ]
    );
    assert_eq!(config.alerts.routes[1].name, "route-2");
}

#[test]
fn an_old_configuration_tells_everybody_of_everything() {
    let config = read("alerts: {receivers: [{name: hook, webhook: {url: 'http://127.0.0.1/'}}]}").unwrap();
    assert!(config.alerts.routes.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let receiver = |rest: &str| format!("alerts:\n  receivers:\n    - name: x\n      {rest}\n");
    let route =
        |rest: &str| format!("alerts:\n  receivers: [{{name: x, stdout: {{}}}}]\n  routes:\n    - {rest}\n");
    for (yaml, place, what) in [
        (receiver("rate: fast\n      stdout: {}"), "4:13", "30/10m"),
        (receiver("stdout: {}\n      ntfy: {topic: a}"), "3:13", "it has 2"),
        (receiver("slack: {}"), "3:13", "incoming webhook"),
        (receiver("slack: {token: a}"), "4:22", "channel"),
        (
            receiver("pagerduty: {routing_key: 'a b'}"),
            "4:32",
            "integration key",
        ),
        (receiver("pagerduty: {}"), "3:13", "routing_key"),
        (
            receiver("email: {host: a, from: b, to: [c@d.example]}"),
            "4:21",
            "mail address",
        ),
        (receiver("ntfy: {topic: a/b}"), "4:21", "topic"),
        (
            receiver("alertmanager: {url: 'http://a', labels: {a-b: c}}"),
            "4:27",
            "label",
        ),
        (receiver("command: {}"), "3:13", "run:"),
        (
            receiver("template: {title: '{{ sevrity }}'}\n      stdout: {}"),
            "4:25",
            "title",
        ),
        (
            receiver("template:\n        title: ok\n        body: '{{ severity '\n      stdout: {}"),
            "6:15",
            "body",
        ),
        (route("{receivers: [y]}"), "4:20", "no receiver 'y'"),
        (route("{receivers: []}"), "4:7", "names no receiver"),
        (route("{match: {severity: 9}, receivers: [x]}"), "4:26", "1 to 5"),
        (route("{receivers: [x], group_by: [colour]}"), "4:35", "group by"),
        (route("{receivers: [x], repeat: 1s}"), "4:32", "at least 1m"),
        (
            "alerts: {maintenance: [{name: a, when: ['Mon 2-4 UTC']}]}".to_owned(),
            "1:41",
            "weekly window",
        ),
        (
            "alerts: {heartbeats: [{name: a}]}".to_owned(),
            "1:30",
            "heartbeat",
        ),
        (
            "alerts: {heartbeats: [{name: a, url: 'x'}]}".to_owned(),
            "1:30",
            "URL",
        ),
    ] {
        let error = read(&yaml).unwrap_err();
        assert!(
            error.starts_with(&format!("netfault.yaml:{place}: ")),
            "{yaml}{error}"
        );
        assert!(error.contains(what), "{yaml}{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
