//! Each receiver against a server in the shape of its vendor: every payload is checked against the vendor's documented
//! schema, while the server answers with errors, hangs, dies and returns.

mod alertmanager;
mod command;
mod email;
mod schemas;
#[path = "../server/mod.rs"]
mod server;
mod vendors;

use std::time::Duration;

use netfault_alerts::{Alerts, Counts, Notice, NoticeState, Receiver, Route, Routing, Setup};
use netfault_model::{Subject, Time};

/// An alert in one of its states; the version grows with the state.
fn notice(id: &str, state: NoticeState, version: u32) -> Notice {
    let started = Time::from_secs(1_700_000_000);
    Notice {
        state,
        version,
        severity: 4,
        opened_severity: 4,
        subject: Some(Subject::Name {
            name: format!("{id}.example.com"),
        }),
        services: vec!["shop".into()],
        // What a vendor's limits are made for.
        title: format!(
            "{id} is {} & <b>“broken”</b>. {}",
            state.name(),
            "ä".repeat(2_000)
        ),
        text: "Why: a reason.\n".repeat(2_000),
        started_at: started,
        ..Notice::blank(id, started + Duration::from_secs(60))
    }
}

fn open(id: &str) -> Notice {
    notice(id, NoticeState::Open, 1)
}

fn update(id: &str) -> Notice {
    notice(id, NoticeState::Update, 2)
}

fn resolved(id: &str) -> Notice {
    notice(id, NoticeState::Resolved, 3)
}

/// One receiver, sent updates whatever it likes.
fn with_updates(receiver: Receiver) -> Setup {
    let route = Route {
        name: "all".into(),
        matcher: Default::default(),
        receivers: vec![receiver.name.clone()],
        group_by: Vec::new(),
        wait: Duration::ZERO,
        repeat: None,
        updates: Some(true),
        goes_on: false,
    };
    Setup {
        receivers: vec![receiver],
        routing: Routing { routes: vec![route] },
        ..Setup::default()
    }
}

fn counts(alerts: &Alerts) -> Counts {
    alerts.counts().next().expect("one receiver").1
}

/// Waits, for at most a minute, for what `is_there` wants.
async fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}

async fn drained(alerts: &Alerts) -> Counts {
    until("an empty outbox", || counts(alerts).pending == 0).await;
    counts(alerts)
}
