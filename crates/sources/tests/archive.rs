//! Archives against a web server on loopback, in the shape of RIS, RouteViews and the BGPKIT broker.

mod archive_support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use archive_support::{Answer, Item, Server, gz, naive, rib, updates};
use netfault_model::{Collector, Gap, Input, Time};
use netfault_sources::archive::{Archive, ArchiveError, CacheSettings, Limits, Playback, Request, Source};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// 2021-10-04T15:00:00Z.
const T: i64 = 1_633_359_600;

fn at(secs: i64) -> Time {
    Time::from_secs(T + secs)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Quick to try again, slow to lose patience.
fn limits() -> Limits {
    Limits {
        backoff: Duration::from_millis(1),
        tries: 3,
        ..Limits::default()
    }
}

fn open(source: &str, cache: &Path, limits: Limits) -> Arc<Archive> {
    let settings = CacheSettings {
        dir: cache.to_owned(),
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(86_400),
    };
    Arc::new(Archive::open(source.parse().unwrap(), settings, limits).unwrap())
}

fn request(collector: &str, from: i64, to: i64) -> Request {
    Request {
        collectors: vec![Collector::new(collector)],
        from: at(from),
        to: at(to),
        seed: true,
        is_past: true,
    }
}

fn play(archive: &Arc<Archive>, request: &Request) -> Result<Vec<Input>, ArchiveError> {
    let runtime = runtime();
    let plan = runtime.block_on(archive.plan(request))?;
    let (_running, stop) = watch::channel(false);
    Ok(Playback::start(archive, plan, runtime.handle(), stop)
        .flatten()
        .collect())
}

fn gaps(inputs: &[Input]) -> Vec<&Gap> {
    let mut gaps = Vec::new();
    for input in inputs {
        if let Input::Gap(gap) = input {
            gaps.push(gap.as_ref());
        }
    }
    gaps
}

/// Seconds after T of every update.
fn times(inputs: &[Input]) -> Vec<i64> {
    let time = |input: &Input| match input {
        Input::Update(update) => Some(update.at.secs() - T),
        _ => None,
    };
    inputs.iter().filter_map(time).collect()
}

fn every(step: usize, from: i64, to: i64) -> Vec<i64> {
    (from..to).step_by(step).collect()
}

fn ris_name(secs: i64) -> String {
    let stamp = naive(T + secs).replace(['-', ':'], "").replace('T', ".");
    format!("updates.{}.gz", &stamp[..13])
}

fn ris_path(secs: i64) -> String {
    format!("/rrc00/2021.10/{}", ris_name(secs))
}

/// Five-minute files of rrc00 from T + `from` to T + `to`, an update every 20 s, and a page that lists them.
fn ris(server: &Server, from: i64, to: i64) -> Vec<i64> {
    let files = every(300, from, to);
    let mut names = vec!["bview.20211004.0800.gz".to_owned()];
    for &file in &files {
        server.file(&ris_path(file), &gz(&updates(T + file, T + file + 300, 20)));
        names.push(ris_name(file));
    }
    let dump = rib(T - 7 * 3600, &[1, 2, 3], &[1, 2], T - 86_400);
    server.file("/rrc00/2021.10/bview.20211004.0800.gz", &gz(&dump));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.index("/rrc00/2021.10/", &names);
    files
}

fn files_below(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                all.push(entry.path().strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_span_is_played_exactly_and_begins_with_the_newest_table_dump() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, -7 * 3600, 3600);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(&archive, &request("rrc00", 100, 1000)).unwrap();
    let dumped = inputs
        .iter()
        .filter(|input| matches!(input, Input::Rib(_)))
        .count();
    assert_eq!(dumped, 6, "three sessions, two prefixes");
    assert_eq!(
        times(&inputs),
        every(20, -7 * 3600, 1000),
        "since the dump, up to the end"
    );
    assert!(gaps(&inputs).is_empty());
    assert!(inputs.windows(2).all(|pair| pair[0].at() <= pair[1].at()));
    assert!(archive.bytes_fetched() > 0);

    let mut without = request("rrc00", 100, 1000);
    without.seed = false;
    let inputs = play(&archive, &without).unwrap();
    assert_eq!(times(&inputs), every(20, 100, 1000));
}

#[test]
fn what_is_in_the_cache_is_not_asked_for_again() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, -600, 1200);
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 900)
    };
    let first = play(&open(&server.url("/"), cache.path(), limits()), &span).unwrap();
    let asked = server.asked("updates.");
    assert_eq!(asked, 4, "three files of the span, and the one before it");
    let files = files_below(cache.path());
    assert!(
        files
            .iter()
            .all(|file| file.starts_with("rrc00/updates/updates.20211004.")),
        "{files:?}"
    );

    let again = play(&open(&server.url("/"), cache.path(), limits()), &span).unwrap();
    assert_eq!(first, again);
    assert_eq!(server.asked("updates."), asked, "{:#?}", server.log());
}

#[test]
fn a_missing_file_is_a_gap_in_its_place() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    // Without a page of files their usual names are tried.
    for file in [0, 600, 900] {
        server.file(&ris_path(file), &gz(&updates(T + file, T + file + 300, 20)));
    }
    let archive = open(&server.url("/"), cache.path(), limits());
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 1200)
    };
    let inputs = play(&archive, &span).unwrap();
    let expected: Vec<i64> = every(20, 0, 300)
        .into_iter()
        .chain(every(20, 600, 1200))
        .collect();
    assert_eq!(times(&inputs), expected);
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!(
        (gap.at, gap.from, gap.to),
        (at(300), Some(at(300)), Some(at(600)))
    );
    let named = server.url(&ris_path(300));
    assert!(
        gap.reason.contains(&named) && gap.reason.contains("404"),
        "{}",
        gap.reason
    );
    assert_eq!(
        server.asked(&ris_name(300)),
        1,
        "what is not there is not asked for again"
    );
    assert_eq!(gap.collector, Some(Collector::new("rrc00")));
}

#[test]
fn a_file_that_no_page_lists_is_a_gap_too() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 1800);
    let names: Vec<String> = [0, 300, 900, 1200, 1500].map(ris_name).to_vec();
    server.index(
        "/rrc00/2021.10/",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 1800)
        },
    )
    .unwrap();
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!((gap.from, gap.to), (Some(at(600)), Some(at(900))));
    assert_eq!(times(&inputs).len(), 5 * 15);
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T + 300, T + 600, 1));
    let cut = Answer::Cut(whole.clone(), whole.len() / 2);
    server.answer(&ris_path(300), [cut, Answer::Body(whole.clone())]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    assert!(gaps(&inputs).is_empty(), "{:?}", gaps(&inputs));
    assert_eq!(times(&inputs).len(), 15 + 300 + 15);
    assert_eq!(
        server.asked(&format!("{} bytes={}-", ris_name(300), whole.len() / 2)),
        1,
        "{:#?}",
        server.log()
    );
    let kept = std::fs::read(cache.path().join("rrc00/updates").join(ris_name(300))).unwrap();
    assert_eq!(kept, whole);
}

#[test]
fn a_file_that_is_always_cut_is_a_gap_and_not_kept() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T + 300, T + 600, 1));
    server.answer(&ris_path(300), [Answer::Cut(whole.clone(), 100)]);
    let archive = open(&server.url("/"), cache.path(), limits());
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
    assert!(
        gap.reason
            .contains(&format!("ended after 100 of {} bytes", whole.len())),
        "{}",
        gap.reason
    );
    assert_eq!(server.asked(&ris_name(300)), 3);
    let files = files_below(cache.path());
    assert_eq!(
        files,
        [ris_name(0), ris_name(600)].map(|name| format!("rrc00/updates/{name}"))
    );
}

#[test]
fn a_server_that_stalls_or_drips_is_given_up() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T, T + 300, 1));
    server.answer(&ris_path(0), [Answer::Stall(whole.clone(), 100)]);
    server.answer(&ris_path(300), [Answer::Drip]);
    let impatient = Limits {
        read: Duration::from_millis(300),
        overall: Duration::from_millis(2500),
        tries: 2,
        connect: Duration::from_secs(10),
        ..limits()
    };
    let archive = open(&server.url("/"), cache.path(), impatient);
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    let reasons: Vec<&str> = gaps(&inputs).iter().map(|gap| gap.reason.as_ref()).collect();
    assert!(
        matches!(reasons[..], [stall, drip] if stall.contains("sent nothing for 300ms") && drip.contains("not here after 2.5s")),
        "{reasons:?}"
    );
    assert_eq!((server.asked(&ris_name(0)), server.asked(&ris_name(300))), (2, 1));
    assert_eq!(times(&inputs), every(20, 600, 900));
}

#[test]
fn what_has_moved_is_followed_to_another_host() {
    let (server, other) = (Server::start(), Server::start());
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 1500);
    for (file, status) in [(0, 301), (300, 302), (600, 307), (900, 308)] {
        let there = format!("/elsewhere/{file}");
        other.file(&there, &gz(&updates(T + file, T + file + 300, 20)));
        server.answer(&ris_path(file), [Answer::Moved(status, other.url(&there))]);
    }
    server.answer(&ris_path(1200), [Answer::Moved(301, ris_path(1200))]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 1500)
        },
    )
    .unwrap();
    assert_eq!(times(&inputs), every(20, 0, 1200));
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert!(gap.reason.contains("moved more than 5 times"), "{}", gap.reason);
    assert_eq!(files_below(cache.path()).len(), 4);

    server.answer(
        &ris_path(1200),
        [Answer::Moved(301, "file:///etc/passwd".to_owned())],
    );
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 1200, 1500)
        },
    )
    .unwrap();
    assert!(
        gaps(&inputs)[0]
            .reason
            .contains("moved to what is no http or https URL")
    );
}

#[test]
fn a_server_error_is_tried_again() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 600);
    let whole = gz(&updates(T, T + 300, 20));
    server.answer(
        &ris_path(0),
        [Answer::Status(503), Answer::Status(429), Answer::Body(whole)],
    );
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 600)
        },
    )
    .unwrap();
    assert!(gaps(&inputs).is_empty());
}

#[test]
fn an_older_dump_is_taken_when_the_newest_cannot_be_had() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, -7 * 3600, 600);
    let names: Vec<String> = every(300, -7 * 3600, 600).into_iter().map(ris_name).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend([
        "bview.20211004.0800.gz",
        "bview.20211004.1200.gz",
        "bview.20211004.1600.gz",
    ]);
    server.index("/rrc00/2021.10/", &names);
    server.answer("/rrc00/2021.10/bview.20211004.1200.gz", [Answer::Status(500)]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let plan = runtime()
        .block_on(archive.plan(&request("rrc00", 0, 600)))
        .unwrap();
    let seeds: Vec<_> = plan.seeds().map(|(_, dumped)| dumped).collect();
    assert_eq!(seeds, [Some(at(-7 * 3600))]);
    assert_eq!(
        server.asked("bview.20211004.1600"),
        0,
        "it is after the beginning"
    );
}

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

#[test]
fn route_views2_is_found_without_a_folder_of_its_own() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let bz2 = |bytes: &[u8]| {
        use std::io::Write;
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    for (file, folder) in [(0, "/bgpdata"), (900, "/route-views2/bgpdata")] {
        let name = ris_name(file).replace(".gz", ".bz2");
        let bytes = bz2(&updates(T + file, T + file + 900, 60));
        server.file(&format!("{folder}/2021.10/UPDATES/{name}"), &bytes);
    }
    let dump = bz2(&rib(T - 3600, &[1], &[1], T - 86_400));
    server.file("/bgpdata/2021.10/RIBS/rib.20211004.1400.bz2", &dump);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(&archive, &request("route-views2", 0, 1800)).unwrap();
    assert_eq!(
        inputs
            .iter()
            .filter(|input| matches!(input, Input::Rib(_)))
            .count(),
        1
    );
    assert_eq!(times(&inputs), every(60, 0, 1800));
    assert_eq!(gaps(&inputs).len(), 4, "a quarter of an hour each since the dump");
}

#[test]
fn a_folder_is_an_archive_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("rrc00/2021.10");
    std::fs::create_dir_all(&folder).unwrap();
    for file in every(300, -600, 1200) {
        let bytes = gz(&updates(T + file, T + file + 300, 20));
        std::fs::write(folder.join(ris_name(file)), bytes).unwrap();
    }
    std::fs::write(
        folder.join("bview.20211004.1450.gz"),
        gz(&rib(T - 600, &[1], &[1], T - 86_400)),
    )
    .unwrap();
    let archive = open(
        &dir.path().display().to_string(),
        &dir.path().join("unused"),
        limits(),
    );
    assert!(matches!(archive.source(), Source::Folder(_)));
    let inputs = play(&archive, &request("rrc00", 0, 600)).unwrap();
    assert_eq!(times(&inputs), every(20, -600, 600));
    assert!(matches!(inputs[0], Input::Rib(_)));
    assert!(!dir.path().join("unused").exists());
    let error = play(&archive, &request("rrc01", 0, 600)).unwrap_err();
    assert!(error.to_string().contains("has no updates of rrc01"), "{error}");
}

#[test]
fn two_collectors_are_merged_by_time() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    for file in [0, 300] {
        let bytes = gz(&updates(T + file, T + file + 300, 20));
        server.file(&ris_path(file), &bytes);
        server.file(&ris_path(file).replace("rrc00", "rrc01"), &bytes);
    }
    let archive = open(&server.url("/"), cache.path(), limits());
    let both = Request {
        collectors: vec![Collector::new("rrc01"), Collector::new("rrc00")],
        seed: false,
        ..request("rrc00", 0, 600)
    };
    let inputs = play(&archive, &both).unwrap();
    let order: Vec<(i64, &str)> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Update(update) => Some((update.at.secs() - T, update.peer.collector.name())),
            _ => None,
        })
        .collect();
    let expected: Vec<(i64, &str)> = every(20, 0, 600)
        .into_iter()
        .flat_map(|at| [(at, "rrc00"), (at, "rrc01")])
        .collect();
    assert_eq!(order, expected);
}

#[test]
fn a_few_files_are_fetched_ahead_and_no_more() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let files = ris(&server, 0, 6000);
    for &file in &files {
        server.answer(
            &ris_path(file),
            [Answer::Late(gz(&updates(T + file, T + file + 300, 20)))],
        );
    }
    let ahead = Limits { ahead: 3, ..limits() };
    let archive = open(&server.url("/"), cache.path(), ahead);
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 6000)
    };
    let inputs = play(&archive, &span).unwrap();
    assert_eq!(times(&inputs), every(20, 0, 6000), "in order all the same");
    let most = server.most_at_once.load(Ordering::SeqCst);
    // Three in the queue, and the one that the reader waits for.
    assert!((2..=4).contains(&most), "{most}");
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_in_use() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    ris(&server, 0, 6000);
    let size = gz(&updates(T, T + 300, 20)).len() as u64;
    let settings = CacheSettings {
        dir: dir.path().to_owned(),
        max_bytes: 5 * size + size / 2,
        max_age: Duration::from_secs(86_400),
    };
    let foreign = dir.path().join("notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    let source = server.url("/").parse().unwrap();
    let archive = Arc::new(Archive::open(source, settings, limits()).unwrap());
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 6000)
    };
    let inputs = play(&archive, &span).unwrap();
    assert_eq!(
        times(&inputs),
        every(20, 0, 6000),
        "nothing was removed before it was read"
    );
    let files = files_below(dir.path());
    assert!(files.len() <= 1 + 6 && files.len() >= 4, "{files:?}");
    assert!(foreign.exists());
}

#[test]
fn a_playback_that_is_told_to_stop_ends() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    server.answer(&ris_path(300), [Answer::Stall(gz(&updates(T, T + 300, 1)), 10)]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let runtime = runtime();
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 900)
    };
    let plan = runtime.block_on(archive.plan(&span)).unwrap();
    let (running, stop) = watch::channel(false);
    let mut playback = Playback::start(&archive, plan, runtime.handle(), stop);
    let first = playback.next().unwrap();
    assert!(!first.is_empty());
    running.send(true).unwrap();
    // Without the stop this would wait for half a minute, and then try again.
    let rest: Vec<Input> = playback.flatten().collect();
    assert!(times(&rest).iter().all(|at| *at < 300), "{rest:?}");
    // The download that was given up removes its temporary file as its task ends, a moment later.
    let gone = async {
        while files_below(cache.path()).len() > 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), gone).await });
    assert!(waited.is_ok(), "{:?}", files_below(cache.path()));
}
