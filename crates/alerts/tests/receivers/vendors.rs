//! Slack, PagerDuty, ntfy, Alertmanager and a webhook through errors, silence, death and return.

use std::net::SocketAddr;
use std::time::Duration;

use netfault_alerts::heartbeat::{Beat, Heartbeat, Url};
use netfault_alerts::receivers::{Ntfy, PagerDuty, Slack};
use netfault_alerts::{Alerts, Health, Receiver, Secret, To, Webhook};
use netfault_model::{Id, Time};
use serde_json::Value;

use crate::server::{Answer, Check, Received, Server};
use crate::{counts, drained, open, resolved, schemas, until, update, with_updates};

const TIMEOUT: Duration = Duration::from_secs(2);
const KEY: &str = "0123456789abcdef0123456789abcdef";
const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A vendor: how its server answers, and the receiver that speaks to it.
struct Vendor {
    check: Check,
    accepts: (u16, &'static str),
    to: fn(&Server) -> To,
}

/// Everything that a server can do to us, and in the end one open, one update, one resolve, each as documented.
async fn through_everything(vendor: Vendor, says: fn(&Received) -> String) -> Vec<Received> {
    let trouble = vec![
        Answer::Status(500),
        Answer::RetryAfter(429, "1"),
        Answer::Status(503),
        Answer::Cut,
        Answer::Hang,
    ];
    let server = Server::like(SocketAddr::from(ANYWHERE), trouble, vendor.check, vendor.accepts).await;
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new("vendor", (vendor.to)(&server));
    receiver.link = Some("https://netfault.example.com/i/{id}".into());
    let setup = with_updates(receiver);
    let (alerts, _) = Alerts::start(setup.clone(), folder.path()).unwrap();
    alerts.send(&[open("a")]).await;
    assert_eq!(drained(&alerts).await.retried, 5);
    alerts.send(&[update("a")]).await;
    drained(&alerts).await;
    assert_eq!(server.wrong(), [""; 0]);
    let mut heard = server.accepted();
    let waited = server.between(1, 2);
    assert!(
        waited >= Duration::from_secs(1),
        "Retry-After was not honoured: {waited:?}"
    );

    // It dies; the resolve comes; we are restarted; it returns.
    let addr = server.stop().await;
    alerts.send(&[resolved("a")]).await;
    until("a failed attempt", || counts(&alerts).retried > 5).await;
    let closed = alerts.close(Duration::ZERO).await;
    assert_eq!(closed.pending, 1);
    let server = Server::like(addr, vec![], vendor.check, vendor.accepts).await;
    let (alerts, _) = Alerts::start(setup, folder.path()).unwrap();
    drained(&alerts).await;
    assert_eq!(server.wrong(), [""; 0]);
    heard.extend(server.accepted());
    let said: Vec<String> = heard.iter().map(says).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "{said:?}");
    heard
}

fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_webhook_gets_cloud_events() {
    let vendor = Vendor {
        check: |request| schemas::fits(&schemas::cloudevents(), &request.body),
        accepts: (202, ""),
        to: |server| To::Webhook(Webhook::new(&server.url(), Some(Secret::new("s")), TIMEOUT, []).unwrap()),
    };
    let heard = through_everything(vendor, |request| text(&request.body, "id").to_owned()).await;
    let ids: Vec<&str> = heard.iter().map(|request| text(&request.body, "id")).collect();
    assert_eq!(ids, ["a-open", "a-update-2", "a-resolved"]);
}

#[tokio::test]
async fn slack_gets_blocks() {
    let vendor = Vendor {
        check: |request| schemas::fits(&schemas::slack(), &request.body),
        accepts: (200, "ok"),
        to: |server| {
            To::Slack(Slack::webhook(&format!("{}/services/T/B/x", server.root()), TIMEOUT).unwrap())
        },
    };
    let heard = through_everything(vendor, |request| text(&request.body, "text")[..8].to_owned()).await;
    let words: Vec<&str> = heard
        .iter()
        .map(|request| &text(&request.body, "text")[..8])
        .collect();
    assert_eq!(words, ["a is ope", "UPDATE: ", "RESOLVED"]);
    assert!(text(&heard[0].body, "text").contains("&amp; &lt;b&gt;"));
}

#[tokio::test]
async fn a_slack_bot_answers_in_the_thread_it_began() {
    let vendor = Vendor {
        check: |request| match (request.path.as_str(), request.header("authorization")) {
            ("/api/chat.postMessage", "Bearer xoxb-1") => schemas::fits(&schemas::slack(), &request.body),
            other => Err(format!("{other:?}")),
        },
        accepts: (200, r#"{"ok":true,"channel":"C1","ts":"1700000000.000100"}"#),
        to: |server| {
            let api = format!("{}/api", server.root());
            To::Slack(Slack::bot(&api, Secret::new("xoxb-1"), "#noc", TIMEOUT).unwrap())
        },
    };
    let heard = through_everything(vendor, |request| text(&request.body, "text")[..8].to_owned()).await;
    let threads: Vec<&str> = heard
        .iter()
        .map(|request| text(&request.body, "thread_ts"))
        .collect();
    // Also across the restart: what Slack calls it is in the outbox.
    assert_eq!(threads, ["", "1700000000.000100", "1700000000.000100"]);
    assert_eq!(heard[2].body["reply_broadcast"], true);
}

fn pagerduty(server: &Server) -> To {
    let url = format!("{}/v2/enqueue", server.root());
    To::PagerDuty(PagerDuty::new(&url, Secret::new(KEY), TIMEOUT).unwrap())
}

fn pagerduty_check(request: &Received) -> Result<(), String> {
    schemas::fits(&schemas::pagerduty(), &request.body)
}

const PAGERDUTY_OK: (u16, &str) = (
    202,
    r#"{"status":"success","message":"Event processed","dedup_key":"a"}"#,
);

#[tokio::test]
async fn pagerduty_gets_events_with_one_dedup_key() {
    let vendor = Vendor {
        check: pagerduty_check,
        accepts: PAGERDUTY_OK,
        to: pagerduty,
    };
    let heard = through_everything(vendor, |request| {
        let body = &request.body;
        format!(
            "{}{}",
            text(body, "event_action"),
            body["payload"]["custom_details"]["state"]
        )
    })
    .await;
    let actions: Vec<(&str, &str)> = heard
        .iter()
        .map(|request| {
            (
                text(&request.body, "event_action"),
                text(&request.body, "dedup_key"),
            )
        })
        .collect();
    assert_eq!(actions, [("trigger", "a"), ("trigger", "a"), ("resolve", "a")]);
    assert_eq!(heard[0].body["payload"]["severity"], "error");
}

#[tokio::test]
async fn an_acknowledgement_goes_to_pagerduty_and_ends_repeats() {
    let server = Server::like(SocketAddr::from(ANYWHERE), vec![], pagerduty_check, PAGERDUTY_OK).await;
    let folder = tempfile::tempdir().unwrap();
    let mut setup = with_updates(Receiver::new("page", pagerduty(&server)));
    setup.routing.routes[0].repeat = Some(Duration::from_millis(300));
    let (alerts, _) = Alerts::start(setup, folder.path()).unwrap();
    let incident = Id(0xabc);
    let id = format!("{incident}-2");
    alerts.send(&[open(&id)]).await;
    server.seen(3).await; // it opened, and was said again
    alerts.ack(incident, "ann", Time::from_secs(1)).await; // of an earlier opening
    alerts.ack(incident, "ann", now()).await;
    let acks = || {
        let heard = server.accepted();
        heard
            .iter()
            .filter(|request| text(&request.body, "event_action") == "acknowledge")
            .count()
    };
    until("the acknowledgement", || acks() == 1).await;
    let heard = server.accepted().len();
    alerts.send(&[open("another")]).await;
    until("three repeats of another one", || {
        let heard = server.accepted();
        heard
            .iter()
            .filter(|request| text(&request.body, "dedup_key") == "another")
            .count()
            >= 4
    })
    .await;
    let of_first = |request: &&Received| text(&request.body, "dedup_key") == id;
    assert_eq!(
        server.accepted().iter().skip(heard).filter(of_first).count(),
        0,
        "no repeats any more"
    );
    assert_eq!((acks(), server.wrong()), (1, vec![]));
}

#[tokio::test]
async fn ntfy_gets_priority_tags_and_click() {
    let vendor = Vendor {
        check: |request| {
            let bytes = text(&request.body, "message").len();
            match (request.path.as_str(), bytes) {
                ("/", 1..=4096) => schemas::fits(&schemas::ntfy(), &request.body),
                other => Err(format!("{other:?}")),
            }
        },
        accepts: (200, r#"{"id":"x","event":"message"}"#),
        to: |server| To::Ntfy(Ntfy::new(&server.root(), "noc", Vec::new(), TIMEOUT).unwrap()),
    };
    let heard = through_everything(vendor, |request| text(&request.body, "title")[..8].to_owned()).await;
    let priorities: Vec<i64> = heard
        .iter()
        .filter_map(|request| request.body["priority"].as_i64())
        .collect();
    assert_eq!(priorities, [4, 4, 3]);
}

#[tokio::test]
async fn a_heartbeat_stops_when_something_is_stale_and_goes_on_after() {
    let server = Server::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let health = std::sync::Arc::new(Health::new(now()));
    let url = Url::new(&format!("{}/beat", server.root()), false, Vec::new(), TIMEOUT).unwrap();
    let setup = netfault_alerts::Setup {
        heartbeats: vec![Heartbeat {
            name: "dead".into(),
            every: Duration::from_secs(1),
            to: Beat::Url(url),
        }],
        health: Some(std::sync::Arc::clone(&health)),
        receivers: vec![Receiver::new(
            "hook",
            To::Webhook(Webhook::new(&server.url(), None, TIMEOUT, []).unwrap()),
        )],
        ..Default::default()
    };
    let beats = || {
        server
            .accepted()
            .iter()
            .filter(|request| request.path == "/beat")
            .count()
    };
    let told = || -> Vec<String> {
        let heard = server.accepted();
        let hooks = heard.iter().filter(|request| request.path == "/hook");
        hooks
            .map(|request| text(&request.body, "type").to_owned())
            .collect()
    };
    let (alerts, _) = Alerts::start(setup, folder.path()).unwrap();
    // Before the pipeline has gone round once there is no sign of life. Then there is.
    tokio::time::sleep(Duration::from_millis(1_500)).await; // nothing is what is waited for
    assert_eq!(beats(), 0);
    let turns = |is_there: bool| {
        health.turned(now());
        is_there
    };
    health.turned(now());
    health.expect("ris_live", Duration::from_secs(5), None, now());
    until("a sign of life", || turns(beats() > 0)).await;
    // The feed falls silent: an alert about ourselves, and no signs of life.
    until("the alert", || turns(told() == ["netfault.alert.open"])).await;
    let before = beats();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(beats() <= before + 1, "one may have been under way");
    health.expect("ris_live", Duration::from_secs(600), None, now());
    until("its end", || {
        turns(told() == ["netfault.alert.open", "netfault.alert.resolved"])
    })
    .await;
    until("signs of life again", || turns(beats() > before + 1)).await;
    drop(alerts);
}

fn now() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Time::from_secs(0) + since
}
