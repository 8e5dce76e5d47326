use std::path::{Path, PathBuf};

use super::alerts::To;
use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "HOOK" => Some("https://hooks.example.com/T0/B0".to_owned()),
        "PASSWORD" => Some("correct horse".to_owned()),
        "TOKEN" => Some("a secret of some length".to_owned()),
        "PORT" => Some("8124".to_owned()),
        _ => None,
    }
}

fn read(yaml: &str) -> Result<Config, ConfigError> {
    Config::read(yaml, Path::new("netfault.yaml"), &env)
}

/// Reads what must be refused; returns the sentence.
fn refused(yaml: &str) -> String {
    match read(yaml) {
        Ok(config) => panic!("was accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn with_file_secret(folder: &Path) -> String {
    let file = folder.join("password");
    std::fs::write(&file, "from a file\n").unwrap();
    format!(
        r#"
data_dir: /var/lib/netfault
checkpoint_every: 90s
watch:
  all: true
  prefixes: [192.0.2.0/24, "2001:db8::/32"]
  origins: [64500, AS64501]
  names:
    - WWW.Example.com.
    - name: mail.example.com
      authorities: [192.0.2.53, "[2001:db8::53]:5353"]
      resolvers: [127.0.0.1:5300]
sources:
  ris_live: {{url: "ws://127.0.0.1:8080/", client: lab, lateness: trust}}
  mrt: {{seed: ["/data/rib.*.bz2"]}}
  archive: {{broker: "http://127.0.0.1:8181/v3", collectors: [rrc00, route-views2], cache: /var/cache/nf, max_size: 3GB, max_age: 2d}}
dns:
  resolvers: [192.0.2.1]
  interval: 1m30s
  vantage: ams1
  detect: {{rounds: 3}}
detect: {{min_peers: 3, out_hold_s: 5}}
store:
  url: http://127.0.0.1:${{PORT}}
  user: netfault
  password_file: {}
  updates: all
  spool: {{max_size: 1GiB}}
  retention: {{dns_probes: 7d, incidents: forever}}
journal: {{max_age: 36h}}
alerts:
  receivers:
    - name: console
      stdout: {{}}
    - name: oncall
      webhook:
        url: ${{HOOK}}
        secret: ${{PASSWORD}}
        headers: {{Authorization: "Bearer ${{PASSWORD}}"}}
"#,
        file.display()
    )
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = read("").unwrap();
    assert_eq!(config.data_dir, PathBuf::from(".netfault"));
    assert!(config.store.is_none() && config.journal.is_some() && config.ris_live.is_some());
    assert_eq!(read("# nothing yet\nwatch:\nstore:\n").unwrap(), config);
}

#[test]
fn a_full_file_means_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let config = read(&with_file_secret(folder.path())).unwrap();
    assert!(
        config.watch.all && config.ris_live.as_ref().unwrap().everything,
        "all needs the whole feed"
    );
    assert_eq!(
        config.watch.names.iter().collect::<Vec<_>>(),
        ["mail.example.com", "www.example.com"]
    );
    assert_eq!(
        config.resolvers_of(&config.names[0])[0].to_string(),
        "192.0.2.1:53"
    );
    assert_eq!(
        config.resolvers_of(&config.names[1])[0].to_string(),
        "127.0.0.1:5300"
    );
    assert_eq!(config.names[1].authorities[1].to_string(), "[2001:db8::53]:5353");
    assert_eq!(config.dns.interval.as_secs(), 90);
    assert_eq!(
        (
            config.detect.min_peers,
            config.detect.out_hold_s,
            config.detect.partial_hold_s
        ),
        (3, 5, 120)
    );
    let Some(Store {
        engine:
            Engine::Server {
                url,
                password: Some(password),
                ..
            },
        ..
    }) = &config.store
    else {
        panic!("{:?}", config.store);
    };
    assert_eq!(
        (url.as_str(), password.reveal()),
        ("http://127.0.0.1:8124", "from a file")
    );
    let To::Webhook { url, headers, .. } = &config.alerts.receivers[1].to else {
        panic!("no webhook")
    };
    assert_eq!(url.reveal(), "https://hooks.example.com/T0/B0");
    assert_eq!(headers["authorization"].reveal(), "Bearer correct horse");
    assert!(config.alerts.setup().is_ok());
}

/// A collector that others reach.
const LISTENS: &str = r#"
listen:
  address: "[::]:8480"
  tls: {cert: cert.pem, key: /etc/key.pem}
  clients: [{name: reports, token: "${TOKEN}-of-reports"}]
agents:
  - {name: ams1, token: "${TOKEN}-of-ams1"}
  - {name: fra1, token: "${TOKEN}-of-fra1"}
dns: {vantage: home}
"#;

/// A vantage elsewhere.
const AGENT: &str = r#"
data_dir: /var/lib/agent
agent:
  name: ams1
  collector: https://collector.example.com:8480
  token: ${TOKEN}
  ca: ca.pem
  spool: {max_size: 10MB, max_age: 2h}
watch: {names: [www.example.com]}
dns: {resolvers: [192.0.2.1], interval: 10s}
"#;

#[test]
fn both_ends_of_a_report_are_understood() {
    let listen = read(LISTENS).unwrap().listen.unwrap();
    assert_eq!(listen.address.to_string(), "[::]:8480");
    let tokens: Vec<_> = listen
        .agents
        .iter()
        .chain(&listen.clients)
        .map(|caller| (caller.name.as_str(), caller.token.reveal()))
        .collect();
    let of = |name: &str| format!("a secret of some length-of-{name}");
    let expected = ["ams1", "fra1", "reports"].map(|name| (name, of(name)));
    assert_eq!(
        tokens,
        expected.each_ref().map(|(name, token)| (*name, token.as_str()))
    );

    let config = read(AGENT).unwrap();
    let agent = config.agent.as_ref().unwrap();
    assert_eq!(
        (agent.name.as_str(), config.dns.vantage.as_str()),
        ("ams1", "ams1")
    );
    assert_eq!(agent.spool_dir, PathBuf::from("/var/lib/agent/agent"));
    let lines = config.describe();
    assert!(
        lines[0].starts_with("agent:   'ams1' reports to https://collector"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("dns:") && !lines.concat().contains("store:"),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("a secret of some length"));
}

#[test]
fn a_door_that_is_open_too_wide_and_an_agent_that_is_none_are_refused() {
    let agent = |more: &str| format!("{AGENT}{more}\n");
    let listen =
        |listen: &str, agents: &str| format!("listen: {listen}\nagents: [{agents}]\ndns: {{vantage: home}}");
    let ams1 = "{name: ams1, token: '0123456789abcdef'}";
    let local = "{address: '127.0.0.1:0'}";
    for (yaml, said) in [
        (
            listen("{address: '0.0.0.0:8480'}", ""),
            "is not loopback: give listen.tls",
        ),
        (
            listen("{address: 'host:8480'}", ""),
            "is not an address with a port",
        ),
        (listen("{}", ""), "listen needs an address"),
        (format!("agents: [{ams1}]"), "give listen.address"),
        (
            listen(local, "{name: ams1}"),
            "a token or token_file is missing here",
        ),
        (
            listen(local, "{name: ams1, token: short}"),
            "at least 16 characters",
        ),
        (
            listen(local, "{name: 'a b', token: '0123456789abcdef'}"),
            "letters, digits",
        ),
        (
            listen(local, &format!("{ams1}, {ams1}")),
            "stands here a second time",
        ),
        (
            listen(local, &format!("{ams1}, {{name: b, token: '0123456789abcdef'}}")),
            "has the token of 'ams1'",
        ),
        (
            listen(local, "{name: home, token: '0123456789abcdef'}"),
            "own dns.vantage",
        ),
        (
            agent("store: {embedded: x}"),
            "'store' belongs into that of its collector",
        ),
        (agent("alerts: {}"), "'alerts' belongs into that of its collector"),
        (
            AGENT.replace("names: [www", "prefixes: [192.0.2.0/24], names: [www"),
            "it watches names only",
        ),
        (AGENT.replace("www.example.com", ""), "nothing to ask"),
        (
            AGENT.replace("https://collector", "http://collector"),
            "reached over https://",
        ),
        (
            AGENT.replace("interval", "vantage: fra1, interval"),
            "leave dns.vantage out",
        ),
        (AGENT.replace("  name: ams1\n", ""), "agent.name is missing"),
        (AGENT.replace("10MB", "1MB"), "at least 4MB"),
    ] {
        let refused = refused(&yaml);
        assert!(refused.contains(said), "{yaml}\n{refused}");
    }
}

#[test]
fn a_printed_configuration_reads_back_equal_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    for yaml in [
        with_file_secret(folder.path()),
        TEMPLATE.to_owned(),
        String::new(),
        LISTENS.to_owned(),
        AGENT.to_owned(),
    ] {
        let config = read(&yaml).unwrap();
        let printed = config.to_yaml().unwrap();
        assert_eq!(
            read(&printed).map_err(|error| error.to_string()),
            Ok(config),
            "{printed}"
        );
        for secret in [
            "a secret of some length",
            "correct horse",
            "from a file",
            "hooks.example.com",
        ] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn a_secret_in_the_file_itself_is_printed_as_stars() {
    let config = read("store: {url: 'http://127.0.0.1:8123', password: hunter2}").unwrap();
    let printed = config.to_yaml().unwrap();
    assert!(
        printed.contains("***") && !printed.contains("hunter2"),
        "{printed}"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(refused(&printed).contains("config print"));
}

/// What is typed wrong, and what is said about it.
#[test]
fn every_mistake_gets_one_sentence_with_its_place() {
    let table = [
        (
            "wach: all",
            "netfault.yaml:1:1: unknown key 'wach', did you mean 'watch'?",
        ),
        (
            "watch:\n  prefix: [192.0.2.0/24]",
            "netfault.yaml:2:3: unknown key 'prefix', did you mean 'prefixes'?",
        ),
        (
            "store:\n  spool: {size: 1GB}",
            "netfault.yaml:2:11: unknown key 'size'; known here: dir, max_size",
        ),
        (
            "detect: {out_hold: 5}",
            "netfault.yaml:1:10: unknown key 'out_hold', did you mean 'out_hold_s'?",
        ),
        (
            "dns: {detect: {round: 5}}",
            "netfault.yaml:1:16: unknown key 'round', did you mean 'rounds'?",
        ),
        (
            "watch:\n  names:\n    - name: example.com\n      resolver: [192.0.2.1]",
            "netfault.yaml:4:7: unknown key 'resolver', did you mean 'resolvers'?",
        ),
        (
            "watch:\n  prefixes:\n    - 192.0.2.0/33",
            "netfault.yaml:3:7: '192.0.2.0/33' is not a prefix: give an address and a length, such as 192.0.2.0/24 \
             or 2001:db8::/32",
        ),
        (
            "watch: {origins: [AS99999999999]}",
            "netfault.yaml:1:19: 'AS99999999999' is not an AS number: give 64500 or AS64500, at most 4294967295",
        ),
        (
            "watch: {prefixes: [192.0.2.0/24, 192.0.2.1/24]}",
            "netfault.yaml:1:34: the prefix 192.0.2.0/24 stands here a second time",
        ),
        (
            "watch: {names: [example.com]}",
            "netfault.yaml:1:17: nobody can be asked about example.com: give it authorities or resolvers, or give \
             dns.resolvers for all names",
        ),
        (
            "dns:\n  interval: 30",
            "netfault.yaml:2:13: '30' is not a duration: give a number with a unit, such as 500ms, 30s, 10m, 24h or 7d",
        ),
        (
            "dns: {interval: 2s, resolver_timeout: 5s}",
            "netfault.yaml:1:39: '5s' is longer than dns.interval (2s)",
        ),
        (
            "journal: {max_size: 64}",
            "netfault.yaml:1:21: '64' is not a size: give a whole number with a unit, such as 64MB, 2GB or 512MiB",
        ),
        (
            "store: {url: 'localhost:8123'}",
            "netfault.yaml:1:14: 'localhost:8123' is not a URL: it begins with http:// or https:// and a host",
        ),
        (
            "store:\n  url: http://h\n  embedded: d",
            "netfault.yaml:3:13: store.url and store.embedded exclude each other: keep one",
        ),
        (
            "store: {embedded: d, listen: '0.0.0.0:8123'}",
            "netfault.yaml:1:30: the embedded store listens on loopback only, and 0.0.0.0 is not",
        ),
        (
            "store: {embedded: d, password: x}",
            "netfault.yaml:1:32: store.password belongs to store.url; the embedded store makes its own password",
        ),
        (
            "store: {url: 'http://h', password: '${NOPE}'}",
            "netfault.yaml:1:36: the environment variable NOPE is not set",
        ),
        (
            "store: {embedded: d, updates: some}",
            "netfault.yaml:1:31: unknown value 'some'; known here: watched, all, none",
        ),
        (
            "sources: {ris_live: {enabled: 7}}",
            "netfault.yaml:1:31: true or false belongs here",
        ),
        (
            "sources: {archive: {broker: 'ftp://b'}}",
            "netfault.yaml:1:29: 'ftp://b' is not an archive: give an http:// or https:// URL without user and query",
        ),
        (
            "sources: {archive: {url: 'http://b', dir: /srv}}",
            "netfault.yaml:1:43: sources.archive needs one of broker (the URL of a BGPKIT broker), url (a mirror of RIS \
             or RouteViews) and dir (a folder)",
        ),
        (
            "sources: {archive: {dir: /srv, collectors: [../etc]}}",
            "netfault.yaml:1:45: '../etc' is not the name of a collector: give one such as rrc00 or route-views2",
        ),
        (
            "detect: {min_peers: many}",
            "netfault.yaml:1:21: a whole number belongs here",
        ),
        (
            "watch: everything",
            "netfault.yaml:1:1: 'all' or a map of what to watch belongs here, not string \"everything\"",
        ),
        (
            "watch: {all: true}\nwatch: all",
            "netfault.yaml:2:1: the key 'watch' stands here a second time",
        ),
        (
            "alerts: {receivers: [{name: x}]}",
            "netfault.yaml:1:29: the receiver 'x' needs one of stdout, webhook, slack, pagerduty, alertmanager, email, ntfy and command; it has 0",
        ),
        (
            "alerts: {receivers: [{name: x, webhook: {}}]}",
            "netfault.yaml:1:41: 'url' is missing",
        ),
        (
            "alerts: {receivers: [{name: ../x, stdout: {}}]}",
            "netfault.yaml:1:29: '../x' is not a receiver name: give 1 to 64 letters, digits, '-' or '_'",
        ),
        (
            "alerts: {receivers: [{name: x, webhook: {url: 'hooks.example.com'}}]}",
            "netfault.yaml:1:47: this is not a URL of a webhook: it begins with http:// or https:// and a host",
        ),
    ];
    let mut wrong = Vec::new();
    for (yaml, sentence) in table {
        let said = refused(yaml);
        if said != sentence {
            wrong.push(format!("{yaml}\n  said:   {said}\n  wanted: {sentence}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn thresholds_that_contradict_are_refused_where_they_stand() {
    let said = refused("detect:\n  out_at: 0.7");
    assert!(
        said.starts_with("netfault.yaml:2:3: ") && said.contains("out_at"),
        "{said}"
    );
}

#[test]
fn broken_yaml_is_said_with_its_place() {
    for yaml in [
        "watch: [",
        "watch: {all: true",
        "\tall: 1",
        "watch: *nope",
        "--- {}\n--- {}",
    ] {
        let said = refused(yaml);
        assert!(
            said.starts_with("netfault.yaml:") && !said.contains('\n'),
            "{said}"
        );
    }
}

#[test]
fn a_missing_file_is_one_sentence() {
    let error = Config::load(Path::new("/nonexistent/netfault.yaml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the configuration /nonexistent/netfault.yaml: No such file or directory (os error 2)"
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netfault.yaml");
    std::fs::write(folder.path().join("secret"), "s3cret").unwrap();
    std::fs::write(&file, "store: {url: 'http://h', password_file: secret}").unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.data_dir, folder.path().join(".netfault"));
    let Some(Store {
        engine: Engine::Server {
            password: Some(password),
            ..
        },
        ..
    }) = config.store
    else {
        panic!("no password");
    };
    assert_eq!(password.reveal(), "s3cret");
}

#[test]
fn init_writes_what_runs_without_a_file_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netfault.yaml");
    init(&path).unwrap();
    let mut written = Config::load(&path).unwrap();
    let builtin = Config::builtin().unwrap();
    written.data_dir = builtin.data_dir.clone();
    assert_eq!(
        (&written.watch, &written.ris_live),
        (&builtin.watch, &builtin.ris_live)
    );
    assert!(builtin.store.is_some() && builtin.watch.prefixes.len() == 2);
    let said = init(&path).unwrap_err().to_string();
    assert!(said.ends_with("netfault does not overwrite it"), "{said}");
}

/// The comments of the template promise that each line works once its `#` is taken away.
#[test]
fn every_commented_line_of_the_template_works() {
    let mut lines = Vec::new();
    for line in TEMPLATE.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        match bare.strip_prefix("# ") {
            // A comment that is YAML has a key or a list item right after the sign.
            Some(yaml) if is_yaml(yaml) => lines.push(format!("{indent}{yaml}")),
            _ => lines.push(line.to_owned()),
        }
    }
    let mut yaml = lines.join("\n").replace("  embedded: .netfault/store\n", "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clickhouse.password");
    std::fs::write(&file, "x").unwrap();
    yaml = yaml.replace("/etc/netfault/clickhouse.password", &file.display().to_string());
    yaml = yaml.replace("${NETFAULT_WEBHOOK_SECRET}", "${PASSWORD}");
    yaml = yaml.replace("${NETFAULT_AMS1_TOKEN}", "${TOKEN}");
    let config = read(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert_eq!(config.alerts.receivers.len(), 2, "{yaml}");
    assert_eq!(
        (config.seed.len(), config.names.len(), config.watch.origins.len()),
        (1, 1, 1)
    );
}

fn is_yaml(comment: &str) -> bool {
    let word = comment.trim_start().trim_start_matches("- ");
    word.split_once(':')
        .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

#[test]
fn check_says_what_would_run() {
    let folder = tempfile::tempdir().unwrap();
    let lines = read(&with_file_secret(folder.path()))
        .unwrap()
        .describe()
        .join("\n");
    for part in [
        "every prefix",
        "2 DNS names",
        "ws://127.0.0.1:8080/",
        "vantage 'ams1'",
        "oncall (webhook, signed)",
    ] {
        assert!(lines.contains(part), "{lines}");
    }
    assert!(!lines.contains("correct horse"));
    assert!(
        lines.contains("kept:    bgp_updates 30d, dns_probes 7d, incidents forever, all else 400d"),
        "{lines}"
    );
    assert_eq!(read("").unwrap().describe().len(), 6);
    let sentence = refused("store:\n  embedded: s\n  retention: {hints: 5m}\n");
    assert!(
        sentence.contains("3:22") && sentence.contains("at least 1h"),
        "{sentence}"
    );
    let sentence = refused("store: {embedded: s, retention: {updates: 1d}}");
    assert!(
        sentence.contains("updates") && sentence.contains("bgp_updates"),
        "{sentence}"
    );
}

#[test]
fn every_file_in_examples_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let set = |_: &str| Some("https://set.example.com/".to_owned());
            if let Err(error) = Config::read(&text, &path, &set) {
                panic!("{error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0, "{} has no example", folder.display());
}
