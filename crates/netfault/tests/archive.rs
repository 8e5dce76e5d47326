//! `netfault replay --from --to --collector --archive`, and `run` seeded from an archive: against a web server on
//! loopback in the shape of RIS and of the BGPKIT broker.

#[path = "../../sources/tests/archive_support/mod.rs"]
mod archive_support;
mod common;

use std::path::Path;

use archive_support::{Answer, Server, gz, naive, rib, update};
use common::*;
use serde_json::Value;

/// 2021-10-04T15:00:00Z.
const T: i64 = 1_633_359_600;
const SESSIONS: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn path_of(at: i64) -> String {
    let stamp = naive(at).replace(['-', ':'], "").replace('T', ".");
    format!(
        "/rrc00/{}.{}/updates.{}.gz",
        &stamp[..4],
        &stamp[4..6],
        &stamp[..13]
    )
}

/// Twelve sessions that hold 10.0.1.0/24, 10.0.2.0/24 and 10.0.3.0/24 since yesterday; the last of these is said again
/// every minute. Of an hour before T until an hour after it: the second is gone from -1800 to +600, the first from
/// +1200 on.
fn story(server: &Server) {
    server.file(
        "/rrc00/2021.10/bview.20211004.1400.gz",
        &gz(&rib(T - 3600, &SESSIONS, &[1, 2, 3], T - 86_400)),
    );
    let mut names = vec!["bview.20211004.1400.gz".to_owned()];
    for file in (-3600..3600).step_by(300) {
        let mut bytes = Vec::new();
        for minute in (file..file + 300).step_by(60) {
            for n in SESSIONS {
                match minute {
                    -1800 => update(&mut bytes, T + minute, n, 2, false),
                    600 => update(&mut bytes, T + minute, n, 2, true),
                    1200 => update(&mut bytes, T + minute, n, 1, false),
                    _ => {}
                }
                update(&mut bytes, T + minute, n, 3, true);
            }
        }
        let path = path_of(T + file);
        server.file(&path, &gz(&bytes));
        names.push(path.rsplit('/').next().unwrap().to_owned());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.index("/rrc00/2021.10/", &names);
}

fn replay(dir: &Path, args: &[&str]) -> Ended {
    run(dir, &[&["--format", "ndjson", "replay"][..], args].concat())
}

const SPAN: [&str; 6] = [
    "--from",
    "2021-10-04T15:00",
    "--to",
    "2021-10-04T15:40",
    "--collector",
    "rrc00",
];

fn with<'a>(archive: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&SPAN[..], &["--archive", archive], more].concat()
}

/// (prefix, state, time) of every transition.
fn told(ended: &Ended) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = ended
        .transitions()
        .into_iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["subject"]["type"] == "prefix")
        .map(|line| {
            (
                text(&line["subject"]["prefix"]),
                text(&line["to"]),
                text(&line["at"]),
            )
        })
        .collect()
}

#[test]
fn a_past_span_is_fetched_and_played_and_what_was_before_is_only_learnt() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    story(&server);
    let url = server.url("");
    let ended = replay(dir.path(), &with(&url, &[])).ok();
    let told = told(&ended);
    assert!(
        told.iter().all(|(_, _, at)| at.as_str() >= "2021-10-04T15:00:00"),
        "{told:?}"
    );
    let of = |prefix: &str, state: &str| told.iter().filter(|(p, s, _)| p == prefix && s == state).count();
    // Withdrawn in the span by peers that held it since before: found, although the span is short.
    assert_eq!(
        (
            of("10.0.1.0/24", "out"),
            of("10.0.2.0/24", "out"),
            of("10.0.3.0/24", "out")
        ),
        (1, 0, 0)
    );
    // Its loss was before; that it is back is in the span.
    assert_eq!(of("10.0.2.0/24", "recovering"), 1);
    assert!(ended.err.contains("learnt"), "{}", ended.err);

    // A second time the cache has it all, and the answer is the same.
    let asked = server.asked(".gz");
    let again = replay(dir.path(), &with(&url, &[])).ok();
    assert_eq!(again.out, ended.out);
    assert_eq!(server.asked(".gz"), asked, "{:#?}", server.log());
    assert!(
        dir.path()
            .join(".netfault/archive/rrc00/ribs/bview.20211004.1400.gz")
            .exists()
    );

    // The cache is a folder of MRT files like any other.
    let cache = dir.path().join(".netfault/archive").display().to_string();
    let local = replay(dir.path(), &with(&cache, &[])).ok();
    assert_eq!(local.out, ended.out);

    // Without the dump nothing is known of before.
    let unseeded = replay(dir.path(), &with(&url, &["--seed-rib", "false"])).ok();
    let lines = unseeded.transitions();
    assert!(
        !lines
            .iter()
            .any(|line| line.contains(r#""to":"out""#) && line.contains(r#""baseline":"held""#))
    );
}

#[test]
fn a_span_that_begins_with_the_dump_says_what_its_files_say() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    story(&server);
    let args = [
        "--from",
        "2021-10-04T14:00",
        "--to",
        "2021-10-04T16:00",
        "--collector",
        "rrc00",
        "--archive",
    ];
    let url = server.url("");
    let fetched = replay(dir.path(), &[&args[..], &[&url]].concat()).ok();
    let cache = dir.path().join(".netfault/archive").display().to_string();
    let files = replay(dir.path(), &[&cache]).ok();
    assert!(fetched.transitions().len() > 4);
    assert_eq!(fetched.out, files.out);
}

#[test]
fn a_missing_file_is_a_gap_and_the_rest_is_played() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    story(&server);
    server.answer(&path_of(T + 300), [Answer::Status(404)]);
    let ended = replay(dir.path(), &with(&server.url(""), &[])).ok();
    let gap = ended
        .out
        .lines()
        .find(|line| line.contains(r#""kind":"gap""#))
        .expect("a gap");
    assert!(gap.contains("updates.20211004.1505.gz answered 404"), "{gap}");
    assert!(ended.err.contains("answered 404"), "{}", ended.err);
    assert!(
        ended
            .transitions()
            .iter()
            .any(|line| line.contains(r#""to":"out""#))
    );
}

/// One sentence on standard error, nothing on standard output, and the code.
#[track_caller]
fn fails(dir: &Path, args: &[&str], code: i32, sentence: &str) {
    let ended = run(dir, &[&["-q", "replay"], args].concat());
    assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
    assert!(ended.err.contains(sentence), "{args:?}: {}", ended.err);
    assert_eq!(ended.out, "");
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

#[test]
fn what_is_wrong_is_one_sentence_with_a_code() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let dir = dir.path();
    let url = server.url("");
    fails(dir, &[], 64, "PATH");
    fails(dir, &["--from", "2021-10-04"], 64, "--to");
    fails(
        dir,
        &["--from", "2021-10-04", "--to", "2021-10-05"],
        64,
        "--collector",
    );
    fails(dir, &with(&url, &["somewhere"]), 64, "cannot be used with");
    let backwards = [
        "--from",
        "2021-10-05",
        "--to",
        "2021-10-04",
        "--collector",
        "rrc00",
        "--archive",
        &url,
    ];
    fails(dir, &backwards, 64, "is not before --to 2021-10-04T00:00:00");
    let long = [
        "--from",
        "2011-10-05",
        "--to",
        "2021-10-04",
        "--collector",
        "rrc00",
        "--archive",
        &url,
    ];
    fails(dir, &long, 64, "is more than a year");
    let elsewhere = [
        "--from",
        "2021-10-04",
        "--to",
        "2021-10-05",
        "--collector",
        "../x",
        "--archive",
        &url,
    ];
    fails(dir, &elsewhere, 64, "'../x' is not the name of a collector");
    fails(
        dir,
        &with("ftp://host/", &[]),
        64,
        "'ftp://host/' is not an archive: give an http:// or https:// URL",
    );
    fails(dir, &with("nowhere", &[]), 65, "nowhere: no such file or folder");

    let broker = format!("broker:{}", server.url("/broker"));
    server.file("/broker/search", b"<html>maintenance</html>");
    fails(
        dir,
        &with(&broker, &[]),
        65,
        "its answer is not the JSON of a broker",
    );
    server.broker(Vec::new(), 100);
    fails(
        dir,
        &with(&broker, &[]),
        69,
        "has no updates of rrc00 from 2021-10-04T15:00:00",
    );
    let (_held, nobody) = taken_port();
    let gone = format!("http://{nobody}");
    drop(_held);
    fails(dir, &with(&gone, &[]), 69, "cannot be reached");
    // Every usual name is asked for, and none is there: each is a gap, and the whole is a failure.
    let ended = run(
        dir,
        &[&["-q", "--format", "ndjson", "replay"], &with(&url, &[])[..]].concat(),
    );
    assert_eq!(ended.code, Some(69), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("none of the 8 files of updates could be fetched"),
        "{}",
        ended.err
    );
    assert_eq!(
        ended
            .out
            .lines()
            .filter(|line| line.contains(r#""kind":"gap""#))
            .count(),
        8
    );
}

/// An archive of now: a dump of half an hour ago, and files up to five minutes ago.
fn archive_of_now(server: &Server, now: i64) {
    let begin = now.div_euclid(300) * 300 - 1800;
    let dump = path_of(begin).replace("updates", "bview");
    server.file(&dump, &gz(&rib(begin, &SESSIONS, &[1, 2, 3], begin - 86_400)));
    let mut folders: Vec<(String, Vec<String>)> = Vec::new();
    let mut list = |path: &str| {
        let (folder, name) = path.rsplit_once('/').unwrap();
        let folder = format!("{folder}/");
        match folders.iter_mut().find(|(known, _)| *known == folder) {
            Some((_, names)) => names.push(name.to_owned()),
            None => folders.push((folder, vec![name.to_owned()])),
        }
    };
    list(&dump);
    for file in (begin..begin + 1500).step_by(300) {
        let mut bytes = Vec::new();
        for minute in (file..file + 300).step_by(60) {
            SESSIONS
                .iter()
                .for_each(|&n| update(&mut bytes, minute, n, 3, true));
        }
        server.file(&path_of(file), &gz(&bytes));
        list(&path_of(file));
    }
    for (folder, names) in &folders {
        server.index(folder, &names.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn unix_now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    since.as_secs().cast_signed()
}

fn service(dir: &Path, archive: &str) -> Running {
    let path = dir.join("netfault.yaml");
    let text = format!(
        "watch: all\nsources:\n  ris_live: {{enabled: false}}\n  archive: {{{archive}, collectors: [rrc00]}}\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut command = netfault(dir);
    command.args(["-v", "--format", "ndjson", "run"]);
    Running::start(command, dir, "live")
}

#[test]
fn the_service_is_seeded_from_the_archive() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    archive_of_now(&server, unix_now());
    let archive = format!("url: '{}'", server.url(""));
    let mut running = service(dir.path(), &archive);
    running.says("seeded from the archive inputs=336");
    let (ended, _) = running.stop();
    let ended = ended.ok();
    assert!(!ended.err.contains("ERROR"), "{}", ended.err);
    assert!(
        server.asked("bview.") == 1 && server.asked("updates.") == 5,
        "{:#?}",
        server.log()
    );

    // What it learnt is kept: another start is not another seed.
    let mut running = service(dir.path(), &archive);
    running.says("restored");
    let (ended, _) = running.stop();
    assert!(!ended.ok().err.contains("seeding the table"));
    assert_eq!(server.asked("bview."), 1);
}

#[test]
fn the_service_runs_without_the_archive_when_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let (held, nobody) = taken_port();
    drop(held);
    let mut running = service(dir.path(), &format!("broker: 'http://{nobody}'"));
    running.says("nothing is seeded: the archive cannot be asked");
    let (ended, _) = running.stop();
    ended.ok();
}
