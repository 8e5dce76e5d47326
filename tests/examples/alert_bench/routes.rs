//! Alerts about routes.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netfault_model::Time;
use netfault_sources::ris_live::server::record::Record;
use serde_json::{Value, json};

use crate::feed::{self, Feed};
use crate::receiver::{Fate, Receiver, Taken};
use crate::service::{Service, figures, millis, pause, wait_for};

const PEERS: u8 = 12;
/// Until all peers are in the baselines (`held_for_s: 3`).
const LEARNING: Duration = Duration::from_secs(6);
/// Of a full feed: four thousand messages a second are no more to the order window.
const CHATTER: Duration = Duration::from_millis(20);

fn prefix(n: usize) -> IpNet {
    format!("10.{}.{}.0/24", n / 250, n % 250)
        .parse()
        .expect("a prefix")
}

fn origin(n: usize) -> u32 {
    60_000 + u32::try_from(n).expect("a small number")
}

/// Every peer is a neighbour of every origin, so that each is an incident of its own.
fn route(n: usize) -> impl Iterator<Item = Record> {
    (1..=PEERS).map(move |peer| feed::announce(peer, &[origin(n)], &[prefix(n)]))
}

/// `hold`: seconds from the fall to Out.
fn config(feed: &Feed, hold: u64, receivers: &str, watch: &str) -> String {
    format!(
        "watch: {{{watch}}}\n\
         sources: {{ris_live: {{url: '{}', everything: true}}}}\n\
         detect: {{held_for_s: 3, degrading_hold_s: {}, out_hold_s: {hold}}}\n\
         alerts:\n  receivers:\n{receivers}",
        feed.url,
        hold.min(1),
    )
}

fn webhook(name: &str, url: &str) -> String {
    format!("    - {{name: {name}, webhook: {{url: '{url}'}}}}\n")
}

/// What is watched, and nothing else.
fn opened(receiver: &Receiver) -> Vec<Taken> {
    let mut taken = receiver.book().taken;
    taken.retain(|it| it.about == "target" && it.state == "open");
    taken
}

fn say(feed: &Feed, records: impl IntoIterator<Item = Record>) -> Time {
    feed.send(records).expect("the service listens")
}

/// Nothing happens for so long, but that peers speak, if they do.
fn wait(feed: &Feed, time: Duration, chatter: Option<Duration>) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        pause(chatter.map_or(left, |every| every.min(left)));
        if chatter.is_some() {
            say(feed, route(0));
        }
    }
}

fn listened_to(feed: &Feed, routes: usize) {
    wait_for("the service", || feed.session().is_some());
    say(feed, (0..=routes).flat_map(route));
    wait(feed, LEARNING, Some(CHATTER));
}

/// `losses` prefixes go, one after the other, at most twice `apart` from each other.
fn lose(feed: &Feed, losses: usize, apart: Duration, chatter: Option<Duration>) -> Vec<Time> {
    let mut random = fastrand::Rng::with_seed(7);
    let lost = |n| {
        wait(feed, apart.mul_f64(2.0 * random.f64()), chatter);
        say(feed, (1..=PEERS).map(|peer| feed::withdraw(peer, &[prefix(n)])))
    };
    (1..=losses).map(lost).collect()
}

/// The feed goes on until the last one is there, if it does.
fn all_opened(feed: &Feed, receiver: &Receiver, losses: usize, chatter: Option<Duration>) -> Vec<Taken> {
    wait_for("all alerts", || {
        wait(feed, CHATTER, chatter);
        opened(receiver).len() >= losses
    });
    opened(receiver)
}

fn latencies(opened: &[Taken], lost: &[Time], hold: u64) -> Vec<f64> {
    let of = |(n, at): (usize, &Time)| {
        let subject = prefix(n + 1).to_string();
        let alert = opened.iter().find(|it| it.subject.contains(&subject));
        millis(*at, alert.expect("one alert each").at) - hold as f64 * 1e3
    };
    lost.iter().enumerate().map(of).collect()
}

fn measure(program: &Path, losses: usize, hold: u64, apart: Duration, chatter: Option<Duration>) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let (feed, receiver) = (Feed::start(), Receiver::start(|_| Fate::Answered));
    let config = config(
        &feed,
        hold,
        &webhook("hook", &receiver.url),
        "prefixes: [10.0.0.0/8]",
    );
    let _service = Service::start(program, folder.path(), &config);
    listened_to(&feed, losses);
    let lost = lose(&feed, losses, apart, chatter);
    figures(latencies(
        &all_opened(&feed, &receiver, losses, chatter),
        &lost,
        hold,
    ))
}

/// The withdrawal itself decides, and nothing else is said: engine time moves by the clock alone.
pub fn quiet(program: &Path) -> Value {
    measure(program, 30, 0, Duration::from_millis(1_300), None)
}

/// The end of a hold decides.
pub fn held(program: &Path) -> Value {
    measure(program, 300, 3, Duration::from_millis(100), Some(CHATTER))
}

/// The withdrawal itself decides. A second receiver is dead all the time, and then comes back.
pub fn busy(program: &Path) -> Value {
    const LOSSES: usize = 400;
    let folder = tempfile::tempdir().expect("a folder");
    let (feed, receiver) = (Feed::start(), Receiver::start(|_| Fate::Answered));
    let dead: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let receivers = webhook("hook", &receiver.url) + &webhook("dead", &format!("http://{dead}/"));
    let config = config(&feed, 0, &receivers, "prefixes: [10.0.0.0/8]");
    let service = Service::start(program, folder.path(), &config);
    listened_to(&feed, LOSSES);
    let lost = lose(&feed, LOSSES, Duration::from_millis(80), Some(CHATTER));
    let mut all = figures(latencies(
        &all_opened(&feed, &receiver, LOSSES, Some(CHATTER)),
        &lost,
        0,
    ));
    service.stop(); // its pauses have become long
    let outbox = std::fs::metadata(folder.path().join(".netfault/outbox/dead.jsonl")).expect("an outbox");
    let returned = Receiver::start_at(dead, |_| Fate::Answered);
    let (_service, begun) = (Service::start(program, folder.path(), &config), Instant::now());
    wait_for("an empty outbox", || opened(&returned).len() >= LOSSES);
    let drained = begun.elapsed().as_millis();
    let in_order = opened(&returned).is_sorted_by_key(|it| it.opened_at);
    all["dead_receiver"] = json!({ "alerts": LOSSES, "outbox_bytes": outbox.len(), "drained_ms": drained, "in_order": in_order });
    all
}

/// Ten thousand prefixes of fifty ASes behind a few transits go within a second.
pub fn many(program: &Path) -> Value {
    const ORIGINS: usize = 50;
    const HOLD: u64 = 3;
    let prefixes = |of: usize| -> Vec<IpNet> {
        let text = |p| format!("10.{of}.{p}.0/24");
        (0..200).map(|p| text(p).parse().expect("a prefix")).collect()
    };
    let path = |of: usize| [1_000 + origin(of) % 7, origin(of)];
    let folder = tempfile::tempdir().expect("a folder");
    let (feed, receiver) = (Feed::start(), Receiver::start(|_| Fate::Answered));
    let origins: Vec<String> = (1..=ORIGINS).map(|of| format!("AS{}", origin(of))).collect();
    let watch = format!("origins: [{}]", origins.join(", "));
    let config = config(&feed, HOLD, &webhook("hook", &receiver.url), &watch);
    let _service = Service::start(program, folder.path(), &config);
    wait_for("the service", || feed.session().is_some());
    let all = |of| (1..=PEERS).map(move |peer| feed::announce(peer, &path(of), &prefixes(of)));
    say(&feed, (1..=ORIGINS).flat_map(all));
    wait(&feed, LEARNING, Some(CHATTER));
    for peer in 1..=PEERS {
        say(&feed, (1..=ORIGINS).map(|of| feed::withdraw(peer, &prefixes(of))));
        wait(&feed, Duration::from_millis(50), None);
    }
    let lost = say(&feed, route(0));
    wait(&feed, Duration::from_secs(HOLD + 10), Some(CHATTER));
    let opened = opened(&receiver);
    let last = opened.iter().map(|it| it.at).max().expect("alerts");
    json!({
        "prefixes": ORIGINS * 200, "ases": ORIGINS, "notifications": opened.len(),
        "last_after_hold_ms": (millis(lost, last) - HOLD as f64 * 1e3).round(),
    })
}
