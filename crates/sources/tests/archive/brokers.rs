//! What a broker says, and does not say.

use super::*;

fn items(server: &Server, files: &[i64]) -> Vec<Item> {
    let item = |&file: &i64| Item {
        starts: T + file,
        ends: T + file + 300,
        collector: "rrc00".to_owned(),
        kind: "updates",
        url: server.url(&ris_path(file)),
    };
    files.iter().map(item).collect()
}

#[test]
fn a_broker_names_the_files_page_by_page() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let files = ris(&server, -600, 3000);
    let mut items = items(&server, &files);
    items.reverse();
    items.push(Item {
        starts: T - 7 * 3600,
        ends: T - 7 * 3600,
        collector: "rrc00".to_owned(),
        kind: "rib",
        url: server.url("/rrc00/2021.10/bview.20211004.0800.gz"),
    });
    server.broker(items, 4);
    let archive = open(
        &format!("broker:{}", server.url("/broker")),
        cache.path(),
        limits(),
    );
    let inputs = play(&archive, &request("rrc00", 0, 2400)).unwrap();
    assert_eq!(
        times(&inputs),
        every(20, -600, 2400),
        "from the dump on, as far as there are files"
    );
    let pages = server.asked("data_type=updates");
    assert!(pages >= 3, "{:#?}", server.log());
    assert_eq!(
        server.asked("GET /rrc00/2021.10/ "),
        0,
        "no page of a folder is asked for"
    );
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!((gap.from, gap.to), (Some(at(-7 * 3600)), Some(at(-600))));
}

#[test]
fn a_broker_that_is_down_or_talks_nonsense_is_one_sentence() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 600)
    };
    let broker = format!("broker:{}", server.url("/broker"));

    server.answer("/broker/search", [Answer::Status(500)]);
    let error = play(&open(&broker, cache.path(), limits()), &span).unwrap_err();
    assert!(matches!(error, ArchiveError::Http(_)) && !error.is_about_data());
    assert_eq!(server.asked("/broker/search"), 3);

    for nonsense in [
        "<html>Hello</html>",
        "{\"data\": 7}",
        "",
        "{\"data\":[],\"error\":\"the database is away\"}",
    ] {
        server.file("/broker/search", nonsense.as_bytes());
        let error = play(&open(&broker, cache.path(), limits()), &span).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Answer { .. }) && error.is_about_data(),
            "{nonsense}: {error:?}"
        );
    }

    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let archive = open(&format!("broker:http://{nobody}"), cache.path(), limits());
    let error = play(&archive, &span).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("cannot be reached"), "{cause}");
}

#[test]
fn a_broker_that_never_ends_is_cut_off() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let item = format!(
        r#"{{"ts_start":"{}","ts_end":"{}","collector_id":"rrc00","data_type":"updates","url":"{}"}}"#,
        naive(T),
        naive(T + 300),
        server.url(&ris_path(0))
    );
    let page = format!(r#"{{"count":1,"page":1,"page_size":1,"error":null,"data":[{item}]}}"#);
    server.file("/broker/search", page.as_bytes());
    let archive = open(
        &format!("broker:{}", server.url("/broker")),
        cache.path(),
        limits(),
    );
    let error = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 600)
        },
    )
    .unwrap_err();
    assert!(matches!(error, ArchiveError::Endless { .. }), "{error}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("a/b/cache");
    ris(&server, 0, 900);
    let mut items = items(&server, &[0, 300, 600]);
    items[1].url = server.url("/x/..%2f..%2f..%2fupdates.20211004.1505.gz");
    items.push(Item {
        url: server.url("/x/../../updates.20211004.1505.gz/.."),
        ..items[1].clone()
    });
    items.push(Item {
        url: "file:///etc/updates.20211004.1505.gz".to_owned(),
        ..items[1].clone()
    });
    server.broker(items, 1000);
    let archive = open(&format!("broker:{}", server.url("/broker")), &cache, limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!((gap.from, gap.to), (Some(at(300)), Some(at(600))));
    let files = files_below(dir.path());
    assert_eq!(
        files,
        [ris_name(0), ris_name(600)].map(|name| format!("a/b/cache/rrc00/updates/{name}"))
    );

    let bad = Request {
        collectors: vec![Collector::new("../rrc00")],
        ..request("rrc00", 0, 900)
    };
    assert!(matches!(play(&archive, &bad), Err(ArchiveError::Collector(_))));
}

#[test]
fn an_archive_without_the_collector_says_so() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    server.broker(Vec::new(), 1000);
    let archive = open(
        &format!("broker:{}", server.url("/broker")),
        cache.path(),
        limits(),
    );
    let error = play(&archive, &request("rrc99", 0, 900)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no updates of rrc99 from 2021-10-04T15:00:00"),
        "{error}"
    );
}
