//! The client against the test server, over a real WebSocket: what is served arrives, and what cannot
//! arrive is a gap with its number.

mod ris_live_common;

use std::path::PathBuf;
use std::time::Duration;

use netfault_model::{Arrival, Input, Prefix, SessionState, Time, Update};
use netfault_sources::ris_live::server::{Faults, Speed, Stamps};
use netfault_sources::ris_live::{Lateness, Subscription, system_clock};
use ris_live_common::*;

const N: u32 = 2000;

fn served(n: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = make_mrt(dir.path(), n);
    (dir, path)
}

/// Collectors differ by name: the file's folder against the server's host. Verdicts are each source's own.
fn comparable(updates: Vec<Update>) -> Vec<(Time, std::net::IpAddr, Update)> {
    let strip = |mut update: Update| {
        update.arrival = Arrival::InTime;
        (update.at, update.peer.addr, update)
    };
    updates.into_iter().map(strip).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_served_arrives_in_order() {
    let (_dir, path) = served(N);
    let server = start_server(server_config(&path)).await;
    let (inputs, stats) = run_to_end(client_config(&server.url), still_clock(), server).await;
    let wanted = updates_of(&path);
    assert_eq!(wanted.len(), N as usize);
    assert_eq!(comparable(updates(inputs.clone())), comparable(wanted));
    assert!(
        updates(inputs.clone())
            .iter()
            .all(|update| update.arrival == Arrival::InTime)
    );
    assert_eq!(
        (stats.updates.get(), stats.duplicates.get(), stats.garbage.get()),
        (u64::from(N), 0, 0)
    );
    assert!(
        gaps(&inputs)
            .iter()
            .all(|gap| gap.reason.starts_with("connection lost: ")),
        "only the end of the server"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_and_fields_give_the_same_over_the_wire() {
    let (_dir, path) = served(200);
    let server = start_server(server_config(&path)).await;
    let mut config = client_config(&server.url);
    config.include_raw = true;
    let (inputs, stats) = run_to_end(config, still_clock(), server).await;
    assert_eq!(comparable(updates(inputs)), comparable(updates_of(&path)));
    assert!(stats.bytes.get() > 200 * 400, "raw came along");
}

/// A real archive over the wire, read by bgpkit-parser at the server, against our own MRT reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_archive_over_the_wire_is_what_our_mrt_reader_reads() {
    let root = std::env::var_os("NETFAULT_SHARED_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let path = root.join("route-views2-20080224/updates.20080224.0007.bz2");
    if !path.is_file() {
        println!(
            "SKIPPED: ../shared/data is absent: a_real_archive_over_the_wire_is_what_our_mrt_reader_reads"
        );
        return;
    }
    let server = start_server(server_config(&path)).await;
    let mut config = client_config(&server.url);
    config.lateness = Lateness::Trust;
    let (inputs, stats) = run_to_end(config, system_clock(), server).await;
    let (got, mut wanted) = (comparable(updates(inputs)), comparable(updates_of(&path)));
    // Zebra cut two messages of this peer to records of 4,096 octets. The second breaks off inside a prefix:
    // our reader keeps the prefixes before that (and tells a gap), bgpkit-parser drops them all.
    let cut = (
        Time::from_secs(1_203_811_625),
        std::net::IpAddr::from([195, 219, 96, 239]),
    );
    let before = wanted.len();
    wanted.retain(|(at, peer, update)| (*at, *peer) != cut || update.nlri.len() < 500);
    assert_eq!(before - wanted.len(), 1);
    assert!(wanted.len() > 1000, "{} updates in the file", wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!(
            got == wanted,
            "{} {} over the wire, {} {} in the file",
            got.0,
            got.1,
            wanted.0,
            wanted.1
        );
    }
    assert_eq!(
        got.len(),
        wanted.len(),
        "all of the shorter are alike; then comes {:?}",
        got.get(wanted.len())
    );
    assert_eq!((stats.overflow.get(), stats.duplicates.get()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_comes_back_and_both_ends_of_the_hole_are_told() {
    let (_dir, path) = served(N);
    let mut config = server_config(&path);
    config.speed = Speed::PerSecond(4000.0);
    config.faults = Faults {
        cut_after: Some(300),
        ..Faults::default()
    };
    let server = start_server(config).await;
    let (inputs, stats) = run_to_end(client_config(&server.url), still_clock(), server).await;
    assert!(stats.connects.get() >= 2, "{:?}", stats.all());
    let began = |input: &Input| matches!(input, Input::Gap(gap) if gap.reason.starts_with("connection lost"));
    let ended = |input: &Input| matches!(input, Input::Gap(gap) if gap.reason.starts_with("connected again"));
    let ends = inputs.iter().filter(|input| ended(input)).count();
    assert!(ends >= 1 && inputs.iter().filter(|input| began(input)).count() >= ends);
    for (n, input) in inputs.iter().enumerate().filter(|(_, input)| ended(input)) {
        let Input::Gap(gap) = input else { continue };
        let before = updates(inputs[..n].to_vec()).pop().map(|update| update.at);
        assert_eq!(gap.from, before, "from the last message");
        assert_eq!(gap.to, Some(inputs[n + 1].at()), "to the first message after it");
    }
    let times: Vec<Time> = updates(inputs).iter().map(|update| update.at).collect();
    assert!(times.is_sorted() && times.len() > 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_falls_silent_is_dropped_and_taken_up_again() {
    let (_dir, path) = served(600);
    let mut config = server_config(&path);
    config.speed = Speed::PerSecond(2000.0);
    config.faults = Faults {
        stall: Some((200, Duration::from_secs(3))),
        ..Faults::default()
    };
    let server = start_server(config).await;
    let mut config = client_config(&server.url);
    config.limits.silence = Duration::from_millis(200);
    let (inputs, stats) = run_to_end(config, still_clock(), server).await;
    assert!(stats.breaks.get() >= 1);
    let reasons: Vec<&str> = gaps(&inputs).iter().map(|gap| &*gap.reason).collect();
    assert!(
        reasons.contains(&"connection lost: no message for 200ms"),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_garbage_and_session_states_leave_the_updates_whole() {
    let (_dir, path) = served(N);
    let mut config = server_config(&path);
    config.faults = Faults {
        duplicate_every: Some(3),
        garbage_every: Some(10),
        state_every: Some(50),
        ..Faults::default()
    };
    let server = start_server(config).await;
    let (inputs, stats) = run_to_end(client_config(&server.url), still_clock(), server).await;
    assert_eq!(comparable(updates(inputs.clone())), comparable(updates_of(&path)));
    assert_eq!(stats.duplicates.get(), u64::from(N / 3));
    let count = |wanted: SessionState| {
        inputs
            .iter()
            .filter(|input| matches!(input, Input::Peer(state) if state.state == wanted))
            .count()
    };
    assert_eq!(
        (count(SessionState::Down), count(SessionState::Up)),
        ((N / 50) as usize, (N / 50) as usize)
    );
    let bad = |gap: &&&netfault_model::Gap| gap.reason.contains("JSON") || gap.reason.contains("binary");
    let lost: u64 = gaps(&inputs).iter().filter(bad).filter_map(|gap| gap.lost).sum();
    assert_eq!(lost, u64::from(N / 10), "every garbage frame is counted in a gap");
    assert_eq!(stats.garbage.get() + stats.binary.get(), u64::from(N / 10));
    assert_eq!(stats.connects.get(), 1, "garbage does not cost the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_list_brings_its_prefixes_and_their_more_specifics() {
    let (_dir, path) = served(N);
    let server = start_server(server_config(&path)).await;
    let mut config = client_config(&server.url);
    let watched: Vec<Prefix> = ["10.1.0.0/16", "10.1.16.0/20", "10.3.7.0/24"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    config.subscription = Subscription::Prefixes {
        prefixes: watched.clone(),
        less_specific: false,
    };
    let (inputs, stats) = run_to_end(config, still_clock(), server).await;
    let mut wanted = updates_of(&path);
    wanted.retain(|update| watched.iter().any(|prefix| prefix.covers(update.nlri[0].prefix)));
    assert_eq!(wanted.len(), 256 + 1);
    assert_eq!(comparable(updates(inputs)), comparable(wanted));
    assert_eq!(stats.acknowledged.get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_slow_pipeline_loses_is_counted_to_the_last_frame() {
    let (_dir, path) = served(20_000);
    let server = start_server(server_config(&path)).await;
    let mut config = client_config(&server.url);
    config.limits.queue_frames = 64;
    config.limits.batch = 16;
    let mut client = start_client(config, still_clock(), 1);
    // Nothing is read until the server has sent everything: the socket must not have waited for us.
    let stats = &client.stats;
    tokio::time::timeout(PATIENCE, server.done)
        .await
        .expect("the server was not held up")
        .unwrap();
    until("the client notices the end", || stats.connected.get() == 0).await;
    let first = client.inputs.recv().await.unwrap();
    client.shutdown.send(true).unwrap();
    let mut inputs = first;
    while let Some(batch) = client.inputs.recv().await {
        inputs.extend(batch);
    }
    let overflow = stats.overflow.get();
    assert!(overflow > 10_000, "{:?}", stats.all());
    let lost: u64 = gaps(&inputs).iter().filter_map(|gap| gap.lost).sum();
    assert_eq!(lost, overflow);
    let other = stats.pongs.get() + stats.acknowledged.get();
    assert_eq!(
        updates(inputs).len() as u64 + overflow + other,
        stats.frames.get()
    );
    client.done.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_another_day_is_late_unless_it_is_shifted_or_trusted() {
    let (_dir, path) = served(100);
    for (stamps, lateness, wanted) in [
        (Stamps::Keep, Lateness::Trust, Arrival::InTime),
        (Stamps::Shift, Lateness::Judge, Arrival::InTime),
        (Stamps::Sent, Lateness::Judge, Arrival::InTime),
    ] {
        let mut config = server_config(&path);
        config.stamps = stamps;
        let server = start_server(config).await;
        let mut config = client_config(&server.url);
        config.lateness = lateness;
        let (inputs, _) = run_to_end(config, system_clock(), server).await;
        let updates = updates(inputs);
        assert_eq!(updates.len(), 100);
        assert!(
            updates.iter().all(|update| update.arrival == wanted),
            "{stamps:?} {lateness:?}"
        );
    }
    let server = start_server(server_config(&path)).await;
    let clock: netfault_sources::ris_live::Clock = std::sync::Arc::new(|| Time::from_secs(START + 100_000));
    let (inputs, stats) = run_to_end(client_config(&server.url), clock, server).await;
    assert_eq!(stats.late.get(), 100);
    assert!(
        updates(inputs.clone())
            .iter()
            .all(|update| update.arrival == Arrival::Late)
    );
    let lost: u64 = gaps(&inputs)
        .iter()
        .filter(|gap| gap.reason == "late time stamp")
        .filter_map(|gap| gap.lost)
        .sum();
    assert_eq!(lost, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_tried_until_it_is() {
    let (_dir, path) = served(100);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let client = start_client(client_config(&format!("ws://{address}/")), still_clock(), 1024);
    until("two attempts", || client.stats.connect_failures.get() >= 2).await;
    let mut config = server_config(&path);
    config.listen = address;
    let server = start_server(config).await;
    until("all updates", || client.stats.updates.get() == 100).await;
    server.done.await.unwrap();
    client.shutdown.send(true).unwrap();
    client.done.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_ends_when_told_and_when_nobody_listens() {
    let (_dir, path) = served(100);
    for drop_receiver in [false, true] {
        let mut config = server_config(&path);
        config.once = false;
        let server = start_server(config).await;
        let client = start_client(client_config(&server.url), still_clock(), 1024);
        until("all updates", || client.stats.updates.get() == 100).await;
        if drop_receiver {
            drop(client.inputs);
        } else {
            client.shutdown.send(true).unwrap();
        }
        tokio::time::timeout(Duration::from_secs(10), client.done)
            .await
            .expect("the client ends")
            .unwrap();
        server.shutdown.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(10), server.done)
            .await
            .expect("the server ends")
            .unwrap();
    }
}
