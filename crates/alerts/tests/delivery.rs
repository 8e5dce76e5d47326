//! Delivery against a real HTTP server on loopback that answers, refuses, hangs, dies and returns.

mod server;

use std::path::Path;
use std::time::Duration;

use netfault_alerts::{Alerts, Counts, Notice, NoticeState, Receiver, Secret, To, Webhook};
use netfault_model::{Subject, Time};
use server::{Answer, Server};

fn notice(id: &str, state: NoticeState) -> Notice {
    let started = Time::from_secs(1_700_000_000);
    Notice {
        state,
        version: if state == NoticeState::Open { 1 } else { 2 },
        severity: 2,
        subject: Some(Subject::Name {
            name: format!("{id}.example.com"),
        }),
        title: format!("{id} is {}.", state.name()),
        started_at: started,
        ..Notice::blank(id, started + Duration::from_secs(60))
    }
}

fn open(id: &str) -> Notice {
    notice(id, NoticeState::Open)
}

fn resolved(id: &str) -> Notice {
    notice(id, NoticeState::Resolved)
}

fn receiver(server: &Server, timeout: Duration) -> Receiver {
    let headers = [("X-Token", Secret::new("t0ken"))];
    let webhook =
        Webhook::new(&server.url(), Some(Secret::new("Jefe")), timeout, headers).expect("the URL is a URL");
    Receiver::new("hook", To::Webhook(webhook))
}

fn start(server: &Server, folder: &Path) -> (Alerts, netfault_alerts::Open) {
    Alerts::start(vec![receiver(server, Duration::from_secs(5))], folder).expect("the folder is ours")
}

/// Accepted, retried, refused.
fn tally(counts: &Counts) -> (u64, u64, u64) {
    (counts.accepted, counts.retried, counts.refused)
}

fn counts(alerts: &Alerts) -> Counts {
    alerts.counts().next().expect("one receiver").1
}

/// Waits, for at most 20 s, until the receiver has nothing more to be told.
async fn drained(alerts: &Alerts) -> Counts {
    for _ in 0..2_000 {
        let counts = counts(alerts);
        if counts.pending == 0 {
            return counts;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still waiting: {:?}", counts(alerts));
}

fn ids(server: &Server) -> Vec<String> {
    server
        .accepted()
        .iter()
        .map(|request| request.body["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn an_open_and_its_resolve_are_two_signed_cloud_events() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let (alerts, _) = start(&server, folder.path());
    alerts.send(&[open("a")]).await;
    drained(&alerts).await;
    alerts.send(&[resolved("a")]).await;
    assert_eq!(tally(&drained(&alerts).await), (2, 0, 0));
    assert_eq!(ids(&server), ["a-open", "a-resolved"]);

    let request = &server.accepted()[0];
    assert_eq!(
        request.header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(request.header("x-token"), "t0ken");
    assert!(request.header("netfault-signature").starts_with("v1="));
    assert!(request.header("netfault-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(request.body["specversion"], "1.0");
    assert_eq!(request.body["type"], "netfault.alert.open");
    assert_eq!(request.body["data"]["subject"]["name"], "a.example.com");
    assert_eq!(request.body["data"]["started_at"], "2023-11-14T22:13:20.000000Z");
}

#[tokio::test]
async fn errors_and_rate_limits_are_retried_until_it_is_accepted() {
    let answers = vec![
        Answer::Status(500),
        Answer::RetryAfter(429, "1"),
        Answer::Status(503),
        Answer::Cut,
    ];
    let (server, folder) = (Server::start(answers).await, tempfile::tempdir().unwrap());
    let (alerts, _) = start(&server, folder.path());
    alerts.send(&[open("a")]).await;
    assert_eq!(tally(&drained(&alerts).await), (1, 4, 0));
    assert_eq!(ids(&server), ["a-open"]);
    let waited = server.between(1, 2);
    assert!(
        waited >= Duration::from_secs(1),
        "Retry-After: 1 was not honoured: {waited:?}"
    );
}

#[tokio::test]
async fn a_notice_that_chokes_the_receiver_does_not_hold_up_the_others() {
    let (server, folder) = (
        Server::start(vec![Answer::Status(500)]).await,
        tempfile::tempdir().unwrap(),
    );
    let (alerts, _) = start(&server, folder.path());
    alerts.send(&[open("a"), open("b"), open("c")]).await;
    drained(&alerts).await;
    assert_eq!(ids(&server), ["b-open", "c-open", "a-open"]);
}

#[tokio::test]
async fn a_hanging_receiver_costs_its_timeout_and_delays_no_sender() {
    let (server, folder) = (
        Server::start(vec![Answer::Hang]).await,
        tempfile::tempdir().unwrap(),
    );
    let hook = receiver(&server, Duration::from_millis(300));
    let (alerts, _) = Alerts::start(vec![hook], folder.path()).unwrap();
    alerts.send(&[open("a")]).await;
    server.seen(1).await;
    // While the first attempt hangs, the queue is still taken and saved.
    alerts.send(&[open("b"), resolved("a")]).await;
    assert_eq!(counts(&alerts).accepted, 0);
    assert_eq!(tally(&drained(&alerts).await), (2, 1, 0));
    assert_eq!(
        ids(&server),
        ["a-resolved", "b-open"],
        "the newest state of a stands in its place"
    );
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_and_counted() {
    let (server, folder) = (
        Server::start(vec![Answer::Status(400)]).await,
        tempfile::tempdir().unwrap(),
    );
    let (alerts, _) = start(&server, folder.path());
    alerts.send(&[open("a"), open("b")]).await;
    assert_eq!(tally(&drained(&alerts).await), (1, 0, 1));
    assert_eq!(ids(&server), ["b-open"]);
}

/// The receiver holds the alert as open: its end is owed, however often it is refused.
#[tokio::test]
async fn a_refused_resolve_of_an_accepted_open_stays_in_the_outbox() {
    let (server, folder) = (
        Server::start(vec![Answer::Status(200), Answer::Status(401)]).await,
        tempfile::tempdir().unwrap(),
    );
    let (alerts, _) = start(&server, folder.path());
    alerts.send(&[open("a")]).await;
    drained(&alerts).await;
    alerts.send(&[resolved("a")]).await;
    server.seen(2).await;
    let closed = alerts.close(Duration::from_secs(5)).await;
    assert_eq!(
        (closed.pending, closed.in_time),
        (1, true),
        "it waits for its next turn, on disk"
    );
    // After the token was mended and netfault restarted, it goes out.
    let (alerts, _) = start(&server, folder.path());
    drained(&alerts).await;
    assert_eq!(ids(&server), ["a-open", "a-resolved"]);
}

#[tokio::test]
async fn a_receiver_that_died_and_returned_gets_everything_in_order() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let (alerts, _) = start(&server, folder.path());
    let addr = server.stop().await;
    alerts.send(&[open("a"), open("b")]).await;
    alerts.send(&[resolved("b"), open("c")]).await;
    for _ in 0..1_000 {
        if counts(&alerts).retried > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        counts(&alerts).retried > 0,
        "nobody listens, so the first attempt fails"
    );
    let server = Server::start_at(addr, vec![]).await;
    drained(&alerts).await;
    assert_eq!(ids(&server), ["a-open", "b-resolved", "c-open"]);
}

#[tokio::test]
async fn a_restart_forgets_neither_what_waits_nor_what_is_open() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let (alerts, nothing) = start(&server, folder.path());
    assert!(nothing.is_empty());
    alerts.send(&[open("told")]).await;
    drained(&alerts).await;
    let addr = server.stop().await;
    alerts.send(&[open("waits")]).await;
    // Dropped, not closed: as a kill would leave it. The runtime's tasks end before the next start.
    let closed = alerts.close(Duration::ZERO).await;
    assert_eq!(closed.pending, 1);

    let server = Server::start_at(addr, vec![]).await;
    let (alerts, open) = start(&server, folder.path());
    assert_eq!(open.len(), 2, "both are open: one is told, one is about to be");
    drained(&alerts).await;
    assert_eq!(
        ids(&server),
        ["waits-open"],
        "what was accepted before is not sent again"
    );
    alerts.send(&[resolved("told"), resolved("waits")]).await;
    drained(&alerts).await;
    drop(alerts);
    assert_eq!(ids(&server), ["waits-open", "told-resolved", "waits-resolved"]);
}

#[tokio::test]
async fn two_processes_do_not_share_an_outbox() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let (_alerts, _) = start(&server, folder.path());
    let second = Alerts::start(vec![receiver(&server, Duration::from_secs(5))], folder.path());
    assert!(
        second
            .unwrap_err()
            .to_string()
            .contains("another netfault is using it")
    );
}

#[tokio::test]
async fn a_test_alert_is_opened_and_resolved_and_says_what_went_wrong() {
    let server = Server::start(vec![]).await;
    let now = Time::from_secs(1_700_000_000);
    netfault_alerts::test(&receiver(&server, Duration::from_secs(5)), now)
        .await
        .unwrap();
    assert_eq!(
        ids(&server),
        ["test-1700000000000000-open", "test-1700000000000000-resolved"]
    );

    let server = Server::start(vec![Answer::Status(403)]).await;
    let failure = netfault_alerts::test(&receiver(&server, Duration::from_secs(5)), now)
        .await
        .unwrap_err();
    assert_eq!(failure.to_string(), "it answered 403 Forbidden: as scripted");
}
