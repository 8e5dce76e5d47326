//! A client and a server on the loopback interface, and MRT files that are made here.

#![allow(dead_code)] // each test binary uses its own part

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use netfault_model::{Gap, Input, Time, Update};
use netfault_sources::mrt;
use netfault_sources::ris_live::server::{Served, ServedFile, ServerConfig, Speed, Stamps, serve};
use netfault_sources::ris_live::{Backoff, ClientConfig, Clock, Stats, Subscription, run};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// 2026-09-08T00:00:00Z.
pub const START: i64 = 1_788_825_600;
/// Nothing here should take so long, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `n` updates of 8 peers, 10 ms apart, as BGP4MP_ET (RFC 6396 §3). The i-th announces 10.x.y.0/24 with
/// xy = i; every fifth withdraws it instead.
pub fn make_mrt(dir: &Path, n: u32) -> PathBuf {
    let mut bytes = Vec::new();
    for i in 0..n {
        let micros = START * 1_000_000 + i64::from(i) * 10_000;
        let peer = 1 + (i % 8) as u8;
        let asn = 64_500 + u32::from(peer);
        let message = update(i, peer, asn);
        let mut body = Vec::new();
        body.extend(((micros % 1_000_000) as u32).to_be_bytes());
        body.extend(asn.to_be_bytes());
        body.extend(12_654u32.to_be_bytes());
        body.extend([0, 0, 0, 1, 192, 0, 2, peer, 192, 0, 2, 254]);
        body.extend(message);
        bytes.extend(((micros / 1_000_000) as u32).to_be_bytes());
        bytes.extend([0, 17, 0, 4]);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
    }
    let path = dir.join("updates.20260908.0000");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn update(i: u32, peer: u8, asn: u32) -> Vec<u8> {
    let nlri = [24, 10, (i >> 8) as u8, i as u8];
    let mut message = vec![0xff; 16];
    if i % 5 == 4 {
        message.extend([0, 0, 2, 0, 4]);
        message.extend(nlri);
        message.extend([0, 0]);
    } else {
        let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 14, 2, 3];
        for asn in [asn, 65_000, 64_999] {
            attributes.extend(asn.to_be_bytes());
        }
        attributes.extend([0x40, 3, 4, 192, 0, 2, peer]);
        message.extend([0, 0, 2, 0, 0, 0, attributes.len() as u8]);
        message.extend(attributes);
        message.extend(nlri);
    }
    let length = message.len() as u16;
    message[16..18].copy_from_slice(&length.to_be_bytes());
    message
}

/// What our own MRT reader makes of a file.
pub fn updates_of(path: &Path) -> Vec<Update> {
    let files = mrt::discover(&[path.display().to_string()]).unwrap();
    let stream = mrt::Stream::open(files, mrt::Options::default()).unwrap();
    updates(stream.flatten())
}

pub fn updates(inputs: impl IntoIterator<Item = Input>) -> Vec<Update> {
    let updates = inputs.into_iter().filter_map(|input| match input {
        Input::Update(update) => Some(update),
        _ => None,
    });
    updates.collect()
}

pub fn gaps(inputs: &[Input]) -> Vec<&Gap> {
    let gaps = inputs.iter().filter_map(|input| match input {
        Input::Gap(gap) => Some(gap.as_ref()),
        _ => None,
    });
    gaps.collect()
}

/// Serves `path` on a port of its own, as fast as it is read, once, with its own stamps.
pub fn server_config(path: &Path) -> ServerConfig {
    let files = mrt::discover(&[path.display().to_string()]).unwrap();
    let files: Vec<ServedFile> = files.into_iter().map(ServedFile::from).collect();
    let mut config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), files);
    config.speed = Speed::Max;
    config.stamps = Stamps::Keep;
    config.once = true;
    config
}

pub struct Server {
    pub url: String,
    pub done: JoinHandle<Served>,
    pub shutdown: watch::Sender<bool>,
}

pub async fn start_server(config: ServerConfig) -> Server {
    let (ready, address) = oneshot::channel();
    let (shutdown, stop) = watch::channel(false);
    let done = tokio::spawn(async move { serve(config, ready, stop).await.unwrap() });
    Server {
        url: format!("ws://{}/v1/ws/", address.await.unwrap()),
        done,
        shutdown,
    }
}

pub fn client_config(url: &str) -> ClientConfig {
    let mut config = ClientConfig::new(url, Subscription::Everything);
    config.backoff = Backoff {
        first: Duration::from_millis(1),
        max: Duration::from_millis(50),
    };
    config
}

pub struct Client {
    pub inputs: mpsc::Receiver<Vec<Input>>,
    pub stats: Arc<Stats>,
    pub shutdown: watch::Sender<bool>,
    pub done: JoinHandle<()>,
}

/// A clock that stands still at the time of the made files.
pub fn still_clock() -> Clock {
    Arc::new(|| Time::from_secs(START + 10))
}

pub fn start_client(config: ClientConfig, clock: Clock, depth: usize) -> Client {
    let (out, inputs) = mpsc::channel(depth);
    let (shutdown, stop) = watch::channel(false);
    let stats = Arc::new(Stats::default());
    let done = tokio::spawn(run(config, out, clock, stop, Arc::clone(&stats)));
    Client {
        inputs,
        stats,
        shutdown,
        done,
    }
}

/// Waits for a condition that another task makes true.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Runs both until the server has served everything and the client has taken it; then stops the client.
pub async fn run_to_end(config: ClientConfig, clock: Clock, server: Server) -> (Vec<Input>, Arc<Stats>) {
    let mut client = start_client(config, clock, 1024);
    let stats = Arc::clone(&client.stats);
    let mut inputs = Vec::new();
    let end = async {
        let served = server.done.await.unwrap();
        until("the client notices the end", || stats.connected.get() == 0).await;
        client.shutdown.send(true).unwrap();
        served
    };
    let read = async {
        while let Some(batch) = client.inputs.recv().await {
            inputs.extend(batch);
        }
    };
    let both = async { tokio::join!(end, read) };
    let (served, ()) = tokio::time::timeout(PATIENCE, both)
        .await
        .expect("client and server end");
    client.done.await.unwrap();
    assert_eq!(served.unreadable, 0);
    (inputs, stats)
}
