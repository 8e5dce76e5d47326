//! Holes of a live feed: the files that fill them, once the archive has them.

mod archive_support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archive_support::{Answer, Server, gz, updates};
use netfault_model::{Collector, Time};
use netfault_sources::archive::heal::{self, Healing, Hole, Pace};
use netfault_sources::archive::{Archive, CacheSettings, Limits};
use netfault_sources::mrt;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// 2021-10-04T15:00:00Z.
const T: i64 = 1_633_359_600;
const PATIENCE: Duration = Duration::from_secs(40);

fn archive(server: &Server, cache: &Path) -> Arc<Archive> {
    let settings = CacheSettings {
        dir: cache.to_owned(),
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(86_400),
    };
    let limits = Limits {
        backoff: Duration::from_millis(1),
        tries: 2,
        ..Limits::default()
    };
    Arc::new(Archive::open(server.url("/").parse().unwrap(), settings, limits).unwrap())
}

fn hole(from: i64, to: i64) -> Hole {
    Hole {
        collector: Collector::new("rrc00"),
        from: Time::from_secs(T + from),
        to: Time::from_secs(T + to),
    }
}

fn pace(give_up: Duration) -> Pace {
    Pace {
        margin: Duration::ZERO,
        wait: Duration::from_millis(20),
        longest_wait: Duration::from_millis(50),
        give_up,
    }
}

fn path(minute: i64) -> String {
    format!("/rrc00/2021.10/updates.20211004.15{minute:02}.gz")
}

/// A file of five minutes, an update every 20 s.
fn file(minute: i64) -> Vec<u8> {
    gz(&updates(T + minute * 60, T + minute * 60 + 300, 20))
}

/// Sends the holes and gives the answer to each of them, at a time when the hole is `age` old.
async fn heal(archive: Arc<Archive>, pace: Pace, holes: &[Hole], age: Duration) -> Vec<Healing> {
    let (send, receive) = mpsc::channel(8);
    let (answers, mut answered) = mpsc::channel(1);
    let (_stop, stopping) = watch::channel(false);
    let now = holes[0].to + age;
    let task = tokio::spawn(heal::run(archive, pace, move || now, receive, answers, stopping));
    for &hole in holes {
        send.send(hole).await.unwrap();
    }
    let first = timeout(PATIENCE, answered.recv()).await.unwrap().unwrap();
    let mut all = vec![first];
    drop(send);
    while let Some(more) = timeout(PATIENCE, answered.recv()).await.unwrap() {
        all.push(more);
    }
    task.await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hole_is_filled_once_its_last_file_is_there() {
    let (server, cache) = tokio::task::spawn_blocking(|| (Server::start(), tempfile::tempdir().unwrap()))
        .await
        .unwrap();
    server.file(&path(0), &file(0));
    server.file(&path(5), &file(5));
    let late = Answer::Body(file(10));
    server.answer(
        &path(10),
        [
            Answer::Status(404),
            Answer::Status(404),
            Answer::Status(503),
            Answer::Status(503),
            late,
        ],
    );
    let archive = archive(&server, cache.path());
    // Two holes of the same files are waited for together, and each is answered.
    let holes = [hole(400, 410), hole(430, 700)];
    let answers = heal(archive, pace(PATIENCE), &holes, Duration::from_secs(3600)).await;
    let [Healing::Filled(first), Healing::Filled(filled)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!([first.hole, filled.hole], holes);
    assert_eq!(first.paths(), filled.paths());
    let files: Vec<mrt::MrtFile> = filled.files.iter().map(|held| held.file.clone()).collect();
    let inputs: Vec<_> = mrt::Stream::open(files, mrt::Options::default())
        .unwrap()
        .flatten()
        .collect();
    let span = filled.hole.from..filled.hole.to;
    let within: Vec<i64> = inputs
        .iter()
        .filter(|input| span.contains(&input.at()))
        .map(|input| input.at().secs() - T)
        .collect();
    assert_eq!(within, (440..700).step_by(20).collect::<Vec<_>>());
    assert_eq!(filled.paths().len(), 3);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hole_that_stays_is_given_up_once() {
    let (server, cache) = tokio::task::spawn_blocking(|| (Server::start(), tempfile::tempdir().unwrap()))
        .await
        .unwrap();
    server.file(&path(0), &file(0));
    let archive = archive(&server, cache.path());
    let answers = heal(
        archive,
        pace(Duration::from_millis(200)),
        &[hole(100, 700)],
        Duration::from_secs(3600),
    )
    .await;
    let [Healing::GivenUp(given_up)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(given_up.hole, hole(100, 700));
    assert!(given_up.reason.contains("404"), "{}", given_up.reason);
    assert!(server.asked(&path(5)) >= 2, "{:#?}", server.log());
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_that_was_fetched_while_it_was_written_is_fetched_again() {
    let (server, cache) = tokio::task::spawn_blocking(|| (Server::start(), tempfile::tempdir().unwrap()))
        .await
        .unwrap();
    let whole = file(5);
    let half = whole[..whole.len() / 2].to_vec();
    server.file(&path(0), &file(0));
    server.answer(&path(5), [Answer::Body(half), Answer::Body(whole.clone())]);
    let archive = archive(&server, cache.path());
    let answers = heal(
        archive,
        pace(PATIENCE),
        &[hole(310, 500)],
        Duration::from_secs(3600),
    )
    .await;
    let [Healing::Filled(filled)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(std::fs::read(filled.paths().last().unwrap()).unwrap(), whole);
    assert_eq!(server.asked(&path(5)), 2);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_asked_before_the_file_can_be_there() {
    let (server, cache) = tokio::task::spawn_blocking(|| (Server::start(), tempfile::tempdir().unwrap()))
        .await
        .unwrap();
    server.file(&path(0), &file(0));
    let archive = archive(&server, cache.path());
    let (holes, receive) = mpsc::channel(8);
    let (answers, mut answered) = mpsc::channel(1);
    let (stop, stopping) = watch::channel(false);
    let now = hole(100, 200).to;
    let task = tokio::spawn(heal::run(
        archive,
        pace(PATIENCE),
        move || now,
        receive,
        answers,
        stopping,
    ));
    holes.send(hole(100, 200)).await.unwrap();
    // The hole ends now; its file ends, and is published, five minutes later.
    assert!(
        timeout(Duration::from_millis(300), answered.recv())
            .await
            .is_err()
    );
    assert_eq!(server.log(), Vec::<String>::new());
    stop.send(true).unwrap();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}
