use std::path::Path;

use crate::config::{Config, ConfigError};

fn read(yaml: &str) -> Result<Config, ConfigError> {
    Config::read(yaml, Path::new("netfault.yaml"), &|_| None)
}

fn refused(yaml: &str) -> String {
    read(yaml)
        .err()
        .map_or_else(|| panic!("was accepted: {yaml}"), |error| error.to_string())
}

const FULL: &str = r#"
dns: {resolvers: [192.0.2.1]}
watch:
  prefixes: [192.0.2.0/24]
  names:
    - {name: www.example.com, authorities: [192.0.2.53]}
services:
  Shop:
    names: [WWW.example.com., {name: api.example.com, private_ok: true}]
    urls: ["https://www.example.com/", "http://192.0.2.1:8080/x?y=1"]
    prefixes: [192.0.2.0/24, 198.51.100.0/24]
    origins: [64500]
    status_page: https://status.example.com
  Mail:
    names: [api.example.com, mail.example.com]
    origins: [AS64500]
hints: {interval: 30s, timeout: 5s}
"#;

#[test]
fn what_a_service_lists_is_watched_and_a_name_has_its_options_once() {
    let config = read(FULL).unwrap();
    let watch = &config.watch;
    assert_eq!((watch.prefixes.len(), watch.origins.len()), (2, 1));
    let names: Vec<&String> = watch.names.iter().collect();
    assert_eq!(names, ["api.example.com", "mail.example.com", "www.example.com"]);
    let asked = |name: &str| config.names.iter().find(|it| it.name == name).unwrap();
    assert_eq!(config.names.len(), 3);
    assert!(
        asked("api.example.com").private_ok,
        "Mail refers to what Shop says"
    );
    assert_eq!(asked("www.example.com").authorities.len(), 1);
    let shop = &watch.services["Shop"];
    assert_eq!(
        (shop.names.len(), shop.prefixes.len(), shop.origins.len()),
        (2, 2, 1)
    );
    assert!(watch.services["Mail"].names.contains("api.example.com"));
    let web = &config.hints.services["Shop"];
    assert_eq!(web.urls.len(), 2);
    assert_eq!(
        web.status_page.as_ref().unwrap().url(),
        "https://status.example.com/api/v2/summary.json"
    );
    assert_eq!(config.hints.services["Mail"], Default::default());
    assert_eq!(
        (config.hints.interval.as_secs(), config.hints.timeout.as_secs()),
        (30, 5)
    );
}

#[test]
fn it_reads_back_equal() {
    let config = read(FULL).unwrap();
    let printed = config.to_yaml().unwrap();
    assert_eq!(read(&printed).unwrap(), config, "{printed}");
    // Without services there is nothing to say and nothing to ask.
    let empty = read("").unwrap();
    assert!(empty.hints.services.is_empty() && empty.describe().iter().all(|line| !line.contains("service")));
    assert_eq!(read(&empty.to_yaml().unwrap()).unwrap(), empty);
}

#[test]
fn it_is_said_in_words() {
    let lines = read(FULL).unwrap().describe();
    let line = lines.iter().find(|line| line.starts_with("services:")).unwrap();
    assert_eq!(
        line,
        "services: Mail (2 names, 1 origin AS), Shop (2 names, 2 prefixes, 1 origin AS, 2 URLs, a status page); the web is \
         asked every 30s"
    );
}

#[test]
fn the_table_of_mistakes() {
    for (yaml, sentence) in [
        (
            "services: {Shop: {}}",
            "netfault.yaml:1:18: the service 'Shop' needs names, prefixes or origins: what of it is the network?",
        ),
        (
            "services: {Shop: {urls: ['https://x.example/']}}",
            "the service 'Shop' needs names",
        ),
        (
            "services: {' Shop': {origins: [1]}}",
            "' Shop' is no name of a service",
        ),
        ("services: {Shop: {origins: [1], colour: red}}", "colour"),
        (
            "services: {Shop: {origins: [1], urls: [x.example]}}",
            "'x.example' is no URL: give one such as https://www.example.com/",
        ),
        (
            "services: {Shop: {origins: [1], urls: ['ftp://x.example/']}}",
            "'ftp://x.example/' is neither http:// nor https://",
        ),
        (
            "services: {Shop: {origins: [1], urls: ['http://x.example/', 'http://x.example/']}}",
            "stands here a second time",
        ),
        (
            "services: {Shop: {origins: [1], urls: ['https://u:p@x.example/']}}",
            "carries a user name or password",
        ),
        ("services: {Shop: {origins: [nine]}}", "nine"),
        ("services: {Shop: {prefixes: [10.0.0.0/99]}}", "10.0.0.0/99"),
        (
            "services: {Shop: {names: [x.example]}}",
            "nobody can be asked about x.example",
        ),
        (
            "dns: {resolvers: [192.0.2.1]}\nservices: {Shop: {names: [x.example, X.example]}}",
            "the name x.example stands in 'Shop' a second time",
        ),
        (
            "dns: {resolvers: [192.0.2.1]}\nwatch: {names: [x.example]}\nservices: {Shop: {names: [{name: x.example, private_ok: true}]}}",
            "netfault.yaml:3:27: the name x.example of 'Shop' has other options elsewhere: give them once, and only the name here",
        ),
        (
            "hints: {interval: 100ms}",
            "'100ms' is too short: give at least 1s",
        ),
        (
            "hints: {interval: 5s, timeout: 10s}",
            "'10s' is longer than hints.interval (5s)",
        ),
        ("hints: {timeout: 0s}", "a timeout of nothing"),
        ("hints: {ca_file: /nowhere.pem}", "/nowhere.pem: "),
    ] {
        let said = refused(yaml);
        assert!(said.contains(sentence), "{yaml}: {said}");
    }
}

#[test]
fn certificates_of_web_servers_are_a_file_that_reads_back_equal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let own = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    std::fs::write(&path, own.cert.pem()).unwrap();
    let config = read(&format!("hints: {{ca_file: '{}'}}", path.display())).unwrap();
    assert_eq!(config.hints.ca_file, Some(path));
    let printed = config.to_yaml().unwrap();
    assert_eq!(read(&printed).unwrap(), config, "{printed}");
}

/// The interval alone makes sense.
#[test]
fn the_timeout_follows_a_short_interval() {
    assert_eq!(read("hints: {interval: 2s}").unwrap().hints.timeout.as_secs(), 2);
}
