//! Ten thousand prefixes of fifty ASes go at once: how many messages is that, and how soon are they there? From the
//! engine's input to the request that a receiver on loopback has accepted, through the outbox on disk.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::*;
use netfault_alerts::{Alerts, Open, Policy, Receiver, To, Webhook, from_incident};
use netfault_engine::dns::DnsSettings;
use netfault_engine::{Engine, Settings};
use netfault_model::{
    Announcement, Arrival, Asn, Collector, Input, Nlri, Output, Peer, Prefix, Time, Update, Watch,
};

const ORIGINS: u32 = 50;
const PREFIXES: u32 = 200;
const PEERS: u32 = 20;
/// An origin that nobody watches, and that stays.
const NOBODYS: u32 = 99;
const START: i64 = 1_700_000_000;

fn origin(n: u32) -> Asn {
    Asn(64_500 + n)
}

fn prefixes(n: u32) -> Vec<Prefix> {
    (0..PREFIXES)
        .map(|p| format!("10.{n}.{p}.0/24").parse().expect("a prefix"))
        .collect()
}

/// One peer says something about all prefixes of one origin.
fn update(at: Time, peer: u32, of: u32, announce: bool) -> Input {
    let nlri: Vec<Nlri> = prefixes(of)
        .into_iter()
        .map(|prefix| Nlri { prefix, path_id: 0 })
        .collect();
    let path = vec![Asn(100 + peer), Asn(1_000 + of % 7), origin(of)].into_boxed_slice();
    Input::Update(Update {
        at,
        peer: Peer {
            collector: Collector::new(if peer.is_multiple_of(2) { "rrc00" } else { "rrc01" }),
            addr: format!("192.0.2.{peer}").parse().expect("an address"),
            asn: Asn(100 + peer),
        },
        arrival: Arrival::InTime,
        announced_from: if announce { 0 } else { nlri.len() as u32 },
        nlri: nlri.into_boxed_slice(),
        announcement: announce.then(|| Announcement {
            origin: Some(origin(of)),
            path,
        }),
    })
}

struct World {
    engine: Engine,
    open: Open,
    alerts: Alerts,
    hook: Hook,
    /// From the input that decided to the last of its messages that was accepted.
    latencies: Vec<Duration>,
    sent: usize,
}

impl World {
    fn new(folder: &std::path::Path) -> Self {
        let watch = Watch {
            origins: (0..ORIGINS).map(origin).collect(),
            ..Watch::default()
        };
        let settings = Settings {
            held_for_s: 60,
            ..Settings::default()
        };
        let hook = Hook::start();
        let to = Webhook::new(&hook.url, None, Duration::from_secs(20), []).expect("a URL");
        let receivers = vec![Receiver::new("hook", To::Webhook(to))];
        let (alerts, open) = Alerts::start(receivers, folder).expect("the outbox");
        World {
            engine: Engine::new(settings, DnsSettings::default(), watch),
            open,
            alerts,
            hook,
            latencies: Vec::new(),
            sent: 0,
        }
    }

    async fn push(&mut self, input: Input) {
        let begun = Instant::now();
        let mut outputs = Vec::new();
        self.engine.push(input, &mut outputs);
        let said = outputs.iter().filter_map(|output| match output {
            Output::Incident(incident) => from_incident(incident, Policy::default(), &mut self.open),
            _ => None,
        });
        // Updates go to no webhook by default; they are handed over all the same.
        let notices: Vec<_> = said.collect();
        let expected = notices
            .iter()
            .filter(|it| matches!(it.state.name(), "open" | "resolved"))
            .count();
        self.alerts.send(&notices).await;
        self.sent += expected;
        if expected == 0 {
            return;
        }
        wait_for("the messages", || {
            (self.hook.bodies().len() >= self.sent).then_some(())
        });
        self.latencies.push(begun.elapsed());
    }

    /// A second passes, `n` times. Every peer says something else every minute, or it would be taken for silent.
    async fn tick(&mut self, from: i64, n: i64) {
        for second in 1..=n {
            let at = Time::from_secs(from + second);
            for peer in (0..PEERS).filter(|_| second % 60 == 0) {
                self.push(update(at, peer, NOBODYS, true)).await;
            }
            self.push(Input::Tick(at)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_losses_of_fifty_ases_are_few_messages_and_soon() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for peer in 0..PEERS {
        for of in 0..ORIGINS {
            world.push(update(Time::from_secs(START), peer, of, true)).await;
        }
    }
    world.tick(START, 100).await;
    assert_eq!(world.sent, 0);
    // Everything goes within two seconds.
    for peer in 0..PEERS {
        let at = Time::from_secs(START + 101).plus_micros(i64::from(peer) * 100_000);
        for of in 0..ORIGINS {
            world.push(update(at, peer, of, false)).await;
        }
    }
    world.tick(START + 103, 190).await;
    let lost = world.sent;
    // And comes back.
    for peer in 0..PEERS {
        for of in 0..ORIGINS {
            world
                .push(update(Time::from_secs(START + 300), peer, of, true))
                .await;
        }
    }
    world.tick(START + 300, 700).await;

    let bodies = world.hook.bodies();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in &bodies {
        let text = |key: &str| body["data"][key].as_str().expect("a text").to_owned();
        told.entry(text("id")).or_default().push(text("state"));
    }
    let subjects: BTreeSet<String> = bodies
        .iter()
        .map(|body| body["data"]["subject"].to_string())
        .collect();
    let total = (ORIGINS * PREFIXES) as usize;
    println!(
        "{total} prefixes of {ORIGINS} ASes lost: {lost} notifications; with their ends {}",
        bodies.len()
    );
    assert!(
        subjects.len() >= ORIGINS as usize,
        "each AS is told of: {}",
        subjects.len()
    );
    assert!(lost <= 55, "{lost} notifications for the loss");
    assert!(
        told.values().all(|states| states == &["open", "resolved"]),
        "{told:?}"
    );
    world.latencies.sort_unstable();
    let at = |share: f64| world.latencies[((world.latencies.len() - 1) as f64 * share) as usize];
    println!(
        "from the deciding input to the last accepted message of it, {} inputs that decided something: median {:?}, p99 {:?}",
        world.latencies.len(),
        at(0.5),
        at(0.99)
    );
    // On a machine that does ten other things at once the last one may be late.
    assert!(at(0.5) <= Duration::from_secs(2), "{:?}", at(0.5));
}
