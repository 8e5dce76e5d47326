//! Archives against a web server on loopback, in the shape of RIS, RouteViews and the BGPKIT broker.

#[path = "../archive_support/mod.rs"]
mod archive_support;
mod brokers;
mod downloads;

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
