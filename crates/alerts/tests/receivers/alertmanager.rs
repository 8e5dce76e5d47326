//! A real Alertmanager (Debian's prometheus-alertmanager): it opens, changes, ends, forgets and is told again.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netfault_alerts::heartbeat::{Beat, Heartbeat};
use netfault_alerts::receivers::Alertmanager;
use netfault_alerts::{Alerts, Health, Receiver, Setup, To};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{drained, notice, open, resolved, schemas, with_updates};
use netfault_alerts::NoticeState;

const PROGRAM: &str = "prometheus-alertmanager";

struct Running {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(test: &str) -> bool {
    let found = Command::new(PROGRAM)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_err() {
        println!("SKIPPED: {PROGRAM} is absent (scripts/setup.sh test): {test}");
    }
    found.is_ok()
}

/// Starts it on `addr` with a memory of its own, and waits until it answers.
async fn start(folder: &Path, addr: SocketAddr) -> Running {
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
    let memory = tempfile::tempdir_in(folder).unwrap();
    let child = Command::new(PROGRAM)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", memory.path().display()))
        .arg(format!("--web.listen-address={addr}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running { child, addr };
    for _ in 0..3_000 {
        if get(addr).await.is_some() {
            return running;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{PROGRAM} does not answer");
}

/// What is active now: labels to annotations; `None`: it does not answer.
async fn get(addr: SocketAddr) -> Option<Vec<Value>> {
    let mut stream = tokio::net::TcpStream::connect(addr).await.ok()?;
    let request = format!("GET /api/v2/alerts?active=true HTTP/1.0\r\nHost: {addr}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let body = answer.split_once("\r\n\r\n")?.1;
    serde_json::from_str(body).ok()
}

async fn active(addr: SocketAddr) -> BTreeMap<String, String> {
    let alerts = get(addr).await.unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    alerts
        .iter()
        .map(|alert| {
            let labels = &alert["labels"];
            let id = labels.get("id").unwrap_or(&labels["alertname"]);
            (text(id), text(&alert["annotations"]["severity"]))
        })
        .collect()
}

async fn becomes(addr: SocketAddr, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(id, severity)| ((*id).to_owned(), (*severity).to_owned()))
        .collect();
    let mut last = BTreeMap::new();
    for _ in 0..3_000 {
        last = active(addr).await;
        if last == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{last:?} is active, not {expected:?}");
}

fn to(addr: SocketAddr) -> Alertmanager {
    let labels = BTreeMap::from([("team".to_owned(), "net".to_owned())]);
    let (timeout, refresh) = (Duration::from_secs(5), Duration::from_secs(1));
    Alertmanager::new(&format!("http://{addr}"), labels, Vec::new(), timeout, refresh).unwrap()
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn alertmanager_opens_changes_ends_forgets_and_is_told_again() {
    if !is_there("alertmanager_opens_changes_ends_forgets_and_is_told_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), free()).await;
    let addr = running.addr;
    let setup = with_updates(Receiver::new("am", To::Alertmanager(to(addr))));
    let outbox = folder.path().join("outbox");
    let (alerts, _) = Alerts::start(setup.clone(), &outbox).unwrap();
    alerts.send(&[open("a"), open("b"), open("c")]).await;
    becomes(addr, &[("a", "4"), ("b", "4"), ("c", "4")]).await;

    // A change is a change, and no second alert.
    let mut worse = notice("a", NoticeState::Update, 2);
    worse.severity = 5;
    alerts.send(&[worse]).await;
    becomes(addr, &[("a", "5"), ("b", "4"), ("c", "4")]).await;
    alerts.send(&[resolved("c")]).await;
    becomes(addr, &[("a", "5"), ("b", "4")]).await;

    // It dies with its memory while one ends; we are restarted; it comes back and knows nothing.
    drop(running);
    alerts.send(&[resolved("b")]).await;
    alerts.close(Duration::ZERO).await;
    let (alerts, _) = Alerts::start(setup, &outbox).unwrap();
    let running = start(folder.path(), addr).await;
    becomes(addr, &[("a", "5")]).await;
    drained(&alerts).await;
    alerts.send(&[resolved("a")]).await;
    becomes(addr, &[]).await;
    drop(running);
}

#[tokio::test]
async fn the_alert_that_always_fires_ends_when_we_are_not_well() {
    if !is_there("the_alert_that_always_fires_ends_when_we_are_not_well") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), free()).await;
    let addr = running.addr;
    let health = std::sync::Arc::new(Health::new(netfault_model::Time::from_secs(0)));
    let setup = Setup {
        heartbeats: vec![Heartbeat {
            name: "always".into(),
            every: Duration::from_secs(1),
            to: Beat::Alertmanager(to(addr)),
        }],
        health: Some(std::sync::Arc::clone(&health)),
        ..Setup::default()
    };
    let wall = || {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        netfault_model::Time::from_secs(0) + since
    };
    health.turned(wall());
    let (_alerts, _) = Alerts::start(setup, &folder.path().join("outbox")).unwrap();
    becomes(addr, &[("NetfaultHeartbeat", "")]).await;
    // The pipeline stands still: it went round last a minute ago.
    health.turned(wall() - Duration::from_secs(60));
    becomes(addr, &[]).await;
    health.turned(wall());
    becomes(addr, &[("NetfaultHeartbeat", "")]).await;
    drop(running);
}

/// What is sent is what Alertmanager's own API description says.
#[tokio::test]
async fn alerts_are_as_the_open_api_says() {
    let server = crate::server::Server::like(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        vec![
            crate::server::Answer::Status(500),
            crate::server::Answer::RetryAfter(429, "1"),
        ],
        |request| match request.path.as_str() {
            "/api/v2/alerts" => schemas::fits(&schemas::alertmanager(), &request.body),
            other => Err(other.to_owned()),
        },
        (200, ""),
    )
    .await;
    let addr: SocketAddr = server.root().trim_start_matches("http://").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let setup = with_updates(Receiver::new("am", To::Alertmanager(to(addr))));
    let (alerts, _) = Alerts::start(setup, folder.path()).unwrap();
    alerts.send(&[open("a"), open("b")]).await;
    drained(&alerts).await;
    // Two opens, and a refresh of both in one request.
    crate::until("a refresh", || {
        server
            .accepted()
            .iter()
            .any(|request| request.body.as_array().is_some_and(|all| all.len() == 2))
    })
    .await;
    alerts.send(&[resolved("a"), resolved("b")]).await;
    drained(&alerts).await;
    assert_eq!(server.wrong(), [""; 0]);
}
