//! What is not told, or not at once: silences while the service runs, waits, groups, caps, a dead receiver.

mod server;

use std::path::Path;
use std::time::Duration;

use netfault_alerts::{
    Alerts, Counts, GroupBy, Notice, NoticeState, Receiver, Route, Routing, Setup, Silence, SilenceFile, To,
    Webhook,
};
use netfault_model::{Subject, Time};
use server::Server;

fn now() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Time::from_secs(0) + since
}

fn notice(id: &str, state: NoticeState) -> Notice {
    Notice {
        state,
        version: if state == NoticeState::Open { 1 } else { 9 },
        severity: 3,
        services: vec!["shop".into()],
        subject: Some(Subject::Name {
            name: format!("{id}.example.com"),
        }),
        title: format!("{id} is {}.", state.name()),
        ..Notice::blank(id, now())
    }
}

fn open(id: &str) -> Notice {
    notice(id, NoticeState::Open)
}

fn resolved(id: &str) -> Notice {
    notice(id, NoticeState::Resolved)
}

fn route() -> Route {
    Route {
        name: "all".into(),
        matcher: Default::default(),
        receivers: vec!["hook".into()],
        group_by: Vec::new(),
        wait: Duration::ZERO,
        repeat: None,
        updates: None,
        goes_on: false,
    }
}

fn setup(server: &Server, route: Route, rate: Option<&str>) -> Setup {
    let to = Webhook::new(&server.url(), None, Duration::from_secs(20), []).unwrap();
    let mut receiver = Receiver::new("hook", To::Webhook(to));
    receiver.rate = rate.map(|text| text.parse().unwrap());
    Setup {
        receivers: vec![receiver],
        routing: Routing { routes: vec![route] },
        ..Setup::default()
    }
}

fn start(setup: Setup, folder: &Path) -> Alerts {
    Alerts::start(setup, &folder.join("outbox")).unwrap().0
}

fn counts(alerts: &Alerts) -> Counts {
    alerts.counts().next().unwrap().1
}

fn events(server: &Server) -> Vec<String> {
    let heard = server.accepted();
    heard
        .iter()
        .map(|request| request.body["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn titles(server: &Server) -> Vec<String> {
    let heard = server.accepted();
    let title = |body: &serde_json::Value| body["data"]["title"].as_str().unwrap_or_default().to_owned();
    heard.iter().map(|request| title(&request.body)).collect()
}

async fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}

#[tokio::test]
async fn a_silence_made_while_we_run_holds_and_its_end_tells_what_is_still_open() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let file = SilenceFile::new(folder.path().join("silences.json"));
    let mut setup = setup(&server, route(), None);
    setup.silences = Some(file.clone());
    let alerts = start(setup.clone(), folder.path());
    alerts.send(&[open("before")]).await;
    until("the first", || events(&server) == ["before-open"]).await;
    let matcher: netfault_alerts::Matcher = "name=*.example.com".parse().unwrap();
    let silence = Silence::new(
        matcher,
        now(),
        now() + Duration::from_secs(3_600),
        "patching",
        "ann",
    );
    file.change(|all| all.push(silence), now()).unwrap();
    // It is read within a second; an alert about another name shows when.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let other = Notice {
        subject: Some(Subject::Name {
            name: "other.net".into(),
        }),
        ..open("other")
    };
    alerts.send(&[open("short"), open("long"), other]).await;
    until("the other", || events(&server).len() == 2).await;
    // A restart does not take what was silenced for sent.
    alerts.close(Duration::from_secs(20)).await;
    let alerts = start(setup, folder.path());
    alerts.send(&[resolved("short"), resolved("before")]).await;
    until("the end of what was told", || events(&server).len() == 3).await;
    file.change(|all| all.iter_mut().for_each(|one| one.until = now()), now())
        .unwrap();
    until("what is still open", || events(&server).len() == 4).await;
    assert_eq!(
        events(&server),
        ["before-open", "other-open", "before-resolved", "long-open"]
    );
}

#[tokio::test]
async fn what_is_over_within_the_wait_is_never_told() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let patient = Route {
        wait: Duration::from_secs(2),
        ..route()
    };
    let alerts = start(setup(&server, patient, None), folder.path());
    let opened = std::time::Instant::now();
    alerts.send(&[open("short"), open("long")]).await;
    alerts.send(&[resolved("short")]).await;
    until("the long one", || !events(&server).is_empty()).await;
    assert!(
        opened.elapsed() >= Duration::from_millis(1_500),
        "{:?}",
        opened.elapsed()
    );
    alerts.send(&[resolved("long")]).await;
    until("its end", || events(&server).len() == 2).await;
    assert_eq!(events(&server), ["long-open", "long-resolved"]);
}

#[tokio::test]
async fn a_group_is_one_alert_that_grows_and_ends_with_its_last_member() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let grouped = Route {
        group_by: vec![GroupBy::Service],
        ..route()
    };
    let settings = setup(&server, grouped, None);
    let alerts = start(settings.clone(), folder.path());
    alerts.send(&[open("a")]).await;
    until("the first", || events(&server).len() == 1).await;
    alerts.send(&[open("b")]).await;
    until("the second", || events(&server).len() == 2).await;
    alerts.send(&[resolved("a")]).await;
    alerts.close(Duration::from_secs(20)).await;
    // It goes on after a restart.
    let (alerts, known) = Alerts::start(settings, &folder.path().join("outbox")).unwrap();
    assert!(known.has("b") && !known.has("a"));
    alerts.send(&[resolved("b")]).await;
    until("the end", || events(&server).len() == 3).await;
    assert_eq!(
        titles(&server),
        [
            "a is open.",
            "2 alerts are open. The worst: a is open.",
            "All 2 alerts are over."
        ]
    );
    let ids: std::collections::BTreeSet<String> = server
        .accepted()
        .iter()
        .map(|request| request.body["subject"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_cap_says_how_many_more_there_are_instead_of_nothing() {
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let alerts = start(setup(&server, route(), Some("5/1h")), folder.path());
    let all: Vec<String> = (0..200).map(|n| format!("n{n:03}")).collect();
    let opens: Vec<Notice> = all.iter().map(|id| open(id)).collect();
    alerts.send(&opens).await;
    until("the summary", || events(&server).len() == 6).await;
    assert!(
        titles(&server)[5].starts_with("195 more alerts suppressed by the rate cap. The worst: n005"),
        "{}",
        titles(&server)[5]
    );
    assert_eq!(counts(&alerts).suppressed, 195);
    // Ends do not count, and what was never told has none of its own.
    let ends: Vec<Notice> = all.iter().map(|id| resolved(id)).collect();
    alerts.send(&ends).await;
    until("the ends", || events(&server).len() == 12).await;
    let last = titles(&server).pop().unwrap();
    assert!(
        titles(&server).contains(&"The 195 alerts that the rate cap held back are over.".to_owned()),
        "{last}"
    );
    assert_eq!(counts(&alerts).pending, 0);
}

/// Bounded, counted, and in order when it comes back.
#[tokio::test]
async fn an_outbox_under_a_dead_receiver_drains_in_order() {
    const ALERTS: usize = 2_000;
    let (server, folder) = (Server::start(vec![]).await, tempfile::tempdir().unwrap());
    let settings = setup(&server, route(), None);
    let addr = server.stop().await;
    let alerts = start(settings.clone(), folder.path());
    let ids: Vec<String> = (0..ALERTS).map(|n| format!("n{n:05}")).collect();
    let started = now();
    for (batch, chunk) in ids.chunks(100).enumerate() {
        let opens: Vec<Notice> = chunk
            .iter()
            .map(|id| Notice {
                opened_at: started.plus_micros(batch as i64),
                ..open(id)
            })
            .collect();
        alerts.send(&opens).await;
    }
    until("a failed attempt", || counts(&alerts).retried > 0).await;
    let waiting = counts(&alerts);
    assert_eq!((waiting.pending, waiting.overflowed), (ALERTS as u64, 0));
    assert!(waiting.oldest.is_some() && waiting.failing_since.is_some() && waiting.last_error.is_some());
    let size = std::fs::metadata(folder.path().join("outbox/hook.jsonl"))
        .unwrap()
        .len();
    println!(
        "{ALERTS} alerts wait for a dead receiver in {size} bytes, {} each",
        size / ALERTS as u64
    );
    alerts.close(Duration::ZERO).await;
    let server = Server::start_at(addr, vec![]).await;
    let begun = std::time::Instant::now();
    let alerts = start(settings, folder.path());
    until("an empty outbox", || counts(&alerts).pending == 0).await;
    println!("drained in {:?}", begun.elapsed());
    let expected: Vec<String> = ids.iter().map(|id| format!("{id}-open")).collect();
    assert!(events(&server) == expected, "not in order");
}
