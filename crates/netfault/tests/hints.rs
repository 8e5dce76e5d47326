//! Hints through the real program: web servers and a status page that are asked, reports that are pushed and imported, and what of
//! it stands in the journal and in the store.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use common::*;
use netfault_model::{Hint, HintKind, HttpPhase, Input};
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Answers everybody the same; its address.
fn web_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut line = String::new();
                let mut reader = BufReader::new(&stream);
                while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                let _ = (&stream).write_all(answer.as_bytes()); // who asked may have gone
            });
        }
    });
    addr
}

fn configured(dir: &Path, more: &str) -> String {
    let path = dir.join("netfault.yaml");
    let text = format!(
        "sources: {{ris_live: {{enabled: false}}}}\n\
         listen: {{address: '127.0.0.1:0', clients: [{{name: helpdesk, token: {TOKEN}}}]}}\n{more}\n"
    );
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn started(dir: &Path, config: &str) -> (Running, String) {
    let mut command = netfault(dir);
    command.args(["--format", "ndjson", "run", "-c", config]);
    let running = Running::start(command, dir, "live");
    let addr = wait_for("the address of the door", || {
        let err = running.err();
        let (_, after) = err.split_once("listening on http://")?;
        after
            .split_once(char::is_whitespace)
            .map(|(addr, _)| addr.trim().to_owned())
    });
    (running, addr)
}

/// Status and body.
fn post(addr: &str, token: &str, body: &str) -> (u16, Value) {
    let send = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        write!(
            stream,
            "POST /api/v1/reports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    // It listens before it serves: the answer comes once the pipeline is ready.
    let answer = send().expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (
        head[9..12].parse().expect("a status"),
        serde_json::from_str(body).expect("JSON"),
    )
}

/// All hints of the journal.
fn journalled(dir: &Path) -> Vec<Hint> {
    let journal = dir.join(".netfault/journal");
    let Ok(reader) = netfault_sources::journal::Reader::open(&journal) else {
        return Vec::new();
    };
    let hint = |input: Input| match input {
        Input::Hint(hint) => Some(*hint),
        _ => None,
    };
    reader.flatten().filter_map(hint).collect()
}

#[test]
fn what_the_web_says_and_others_report_is_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let shop = web_server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let page = web_server(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"status\":{\"indicator\":\"major\",\"description\":\"Down\"}}",
    );
    let more = format!(
        "services: {{Shop: {{prefixes: [192.0.2.0/24], urls: ['http://{shop}/'], status_page: 'http://{page}'}}}}\n\
         hints: {{interval: 1s}}"
    );
    let config = configured(dir.path(), &more);
    let (running, addr) = started(dir.path(), &config);
    let one = r#"{"service":"Shop","interval_s":60,"count":500000}"#;
    assert_eq!(post(&addr, TOKEN, one).0, 202);
    assert_eq!(post(&addr, "wrong", one).0, 401);
    let (status, said) = post(&addr, TOKEN, &one.replace("Shop", "Chop"));
    assert_eq!(status, 422);
    assert_eq!(
        said["error"],
        "item 1: the service 'Chop' is not in the configuration, which has Shop"
    );

    let has =
        |hints: &[Hint], wanted: &dyn Fn(&HintKind) -> bool| hints.iter().any(|hint| wanted(&hint.what));
    let probed = |what: &HintKind| {
        matches!(
            what,
            HintKind::Http {
                reached: HttpPhase::Done,
                status: Some(503),
                error: Some(_),
                ..
            }
        )
    };
    let said = |what: &HintKind| matches!(what, HintKind::Status { indicator, .. } if indicator == "major");
    let reported =
        |what: &HintKind| matches!(what, HintKind::Reports { count, usual: None, .. } if *count == 500_000.0);
    wait_for("all kinds of hints in the journal", || {
        let hints = journalled(dir.path());
        (has(&hints, &probed) && has(&hints, &said) && has(&hints, &reported)).then_some(())
    });
    let ended = running.stop().0.ok();
    assert!(!ended.err.contains("ERROR"), "{}", ended.err);
    // A hint is no verdict.
    assert_eq!(incidents(&ended.out), Vec::<Value>::new());
    let hints = journalled(dir.path());
    assert!(hints.iter().all(|hint| hint.service == "Shop"), "{hints:?}");
    let sources: Vec<&str> = hints.iter().map(|hint| hint.source.as_str()).collect();
    assert!(sources.contains(&"helpdesk") && sources.contains(&format!("http://{shop}/").as_str()));
}

/// Another netfault is the web server: its door has a certificate of a private authority.
#[test]
fn a_web_server_of_a_private_authority_is_believed_where_its_file_is_given() {
    let dir = tempfile::tempdir().unwrap();
    authority::authority(dir.path(), "127.0.0.1");
    let door = dir.path().join("door.yaml");
    let text = format!(
        "data_dir: door\nsources: {{ris_live: {{enabled: false}}}}\n\
         listen: {{address: '127.0.0.1:0', tls: {{cert: cert.pem, key: key.pem}}, clients: [{{name: helpdesk, token: {TOKEN}}}]}}\n"
    );
    std::fs::write(&door, text).unwrap();
    let mut command = netfault(dir.path());
    command.args(["run", "-c", &door.display().to_string()]);
    let mut web = Running::start(command, dir.path(), "door");
    web.says("listening on https://");
    let said = web.err();
    let (_, addr) = said.split_once("listening on https://").unwrap();
    let addr = addr.split_whitespace().next().unwrap();

    let asked = |more: &str| {
        let client = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem").display().to_string();
        let more = format!(
            "services: {{Shop: {{prefixes: [192.0.2.0/24], urls: ['https://{addr}/']}}}}\n\
             hints: {{interval: 1s{}}}",
            more.replace("CA", &ca)
        );
        let config = configured(client.path(), &more);
        let (running, _) = started(client.path(), &config);
        let hint = wait_for("a hint", || journalled(client.path()).pop());
        running.stop().0.ok();
        hint.what
    };
    let HintKind::Http { reached, status, .. } = asked(", ca_file: 'CA'") else {
        panic!("no probe");
    };
    assert_eq!((reached, status), (HttpPhase::Done, Some(404)));
    let HintKind::Http { reached, error, .. } = asked("") else {
        panic!("no probe");
    };
    assert_eq!(reached, HttpPhase::Connected);
    assert!(error.is_some_and(|error| error.contains("TLS handshake")));
}

/// The only thing that is asked says nothing that anybody understands.
#[test]
fn that_no_hints_come_any_more_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let page = web_server("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let hook = Hook::start();
    let more = format!(
        "services: {{Shop: {{prefixes: [192.0.2.0/24], status_page: 'http://{page}'}}}}\n\
         hints: {{interval: 1s}}\n\
         alerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}",
        hook.url
    );
    let config = configured(dir.path(), &more);
    let (_running, _) = started(dir.path(), &config);
    let told = wait_for("an alert about ourselves", || hook.bodies().pop());
    assert_eq!(told["data"]["about"], "self");
    let title = told["data"]["title"].as_str().unwrap();
    assert!(title.starts_with("Nothing has come from hints for "), "{title}");
}

/// Eight days, every quarter of an hour, 20 reports each.
fn history() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let last = now.as_secs() / 900 * 900;
    let lines = (1..=8 * 96).map(|n| format!("{},Shop,20,900,helpdesk\n", last - n * 900));
    format!(
        "at,service,count,interval_s,source\n{}",
        lines.collect::<String>()
    )
}

#[test]
fn store_what_was_imported_says_what_is_usual_of_what_is_reported() {
    if !has_engine("imported reports") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = configured(
        dir.path(),
        "services: {Shop: {prefixes: [192.0.2.0/24]}}\nstore: {embedded: store}",
    );
    std::fs::write(dir.path().join("history.csv"), history()).unwrap();
    let import = [
        "-q",
        "--format",
        "ndjson",
        "import",
        "reports",
        "-c",
        &config,
        "history.csv",
    ];
    for _ in 0..2 {
        let imported: Value = serde_json::from_str(&run(dir.path(), &import).ok().out).unwrap();
        assert_eq!(
            (&imported["service"], &imported["rows"]),
            (&Value::from("Shop"), &Value::from(768))
        );
    }
    let (running, addr) = started(dir.path(), &config);
    let one = r#"{"service":"Shop","interval_s":900,"count":2580}"#;
    assert_eq!(post(&addr, TOKEN, one).0, 202);
    let hint = wait_for("the report in the journal", || journalled(dir.path()).pop());
    let HintKind::Reports { count, usual, .. } = hint.what else {
        panic!("{hint:?}")
    };
    assert_eq!(count - usual.expect("a history"), 2560.0, "above normal");
    running.stop().0.ok();
    let count = "SELECT count(), countIf(usual = 20 AND count = 2580) FROM reports FINAL";
    let stored = run(
        dir.path(),
        &["-q", "--format", "csv", "db", "sql", "-c", &config, count],
    )
    .ok();
    assert!(
        stored.out.contains("769,1"),
        "imported twice, there once: {}",
        stored.out
    );
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(
        dir.path(),
        "services: {Shop: {prefixes: [192.0.2.0/24]}}\nstore: {url: 'http://127.0.0.1:9'}",
    );
    let refused = |text: &str, more: &[&str]| {
        std::fs::write(dir.path().join("reports.csv"), text).unwrap();
        let mut args = vec!["import", "reports", "-c", &config, "reports.csv"];
        args.extend(more);
        let ended = run(dir.path(), &args);
        assert_eq!(ended.out, "");
        (ended.code, ended.err)
    };
    let shop = ["--service", "Shop", "--source", "helpdesk"];
    for (text, more, sentence) in [
        (
            "at,count\nnever,1\n",
            &shop[..],
            "reports.csv:2: 'never' is not a time",
        ),
        (
            "at,count\n2026-01-01 00:15,1\n2026-01-01 00:30,-1\n",
            &shop,
            "reports.csv:3: '-1' is no count",
        ),
        ("at,count\n2026-01-01 00:15,1,2\n", &shop, "reports.csv:2: "),
        (
            "at,count,interval_s\n2026-01-01,1,0\n",
            &shop,
            "reports.csv:2: an interval has 1 to 86400 seconds",
        ),
        (
            "at,count,colour\n",
            &shop,
            "reports.csv:1: the column 'colour' is not one of at, service,",
        ),
        ("at\n", &shop, "there is no column 'count'"),
        (
            "at,count\n",
            &[],
            "there is no column 'service': give one, or --service",
        ),
        (
            "at,count,service\n",
            &[],
            "there is no column 'source': give one, or --source",
        ),
        (
            "at,count,service,source\n2026-01-01,1,Chop,x\n",
            &[],
            "the service 'Chop' is not in the configuration, which has Shop",
        ),
        (
            "at,count,service,source\n",
            &shop,
            "there is a column 'service', and --service is given too: keep one",
        ),
    ] {
        let (code, err) = refused(text, more);
        assert_eq!(code, Some(65), "{text}: {err}");
        assert!(err.contains(sentence), "{text}: {err}");
    }
    let (code, err) = refused("at,count\n", &["--service", "Chop", "--source", "x"]);
    assert_eq!(
        (code, err.contains("the service 'Chop' is not in")),
        (Some(64), true),
        "{err}"
    );
}
