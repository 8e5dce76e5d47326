//! The schedule against real and silent servers, with intervals of a fraction of a second.

mod dns_lab;
mod dns_walk_world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use dns_lab::*;
use dns_walk_world::World;
use netfault_model::{Delegation, Gap, GapSource, Input, Outcome, Probe, Role, Time};
use netfault_sources::dns::resolver::Resolver;
use netfault_sources::dns::schedule::{Clock, Controls, Counters, NamePlan, Plan, run};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Time::from_micros(since.as_micros() as i64)
    })
}

struct Running {
    /// As they came, besides what `until` returns.
    delegations: Vec<Delegation>,
    inputs: mpsc::Receiver<Vec<Input>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Counters>,
}

fn start(plan: Plan) -> Running {
    let (out, inputs) = mpsc::channel(16);
    let (stop, shutdown) = watch::channel(false);
    Running {
        delegations: Vec::new(),
        inputs,
        stop,
        task: tokio::spawn(run(plan, out, shutdown, wall_clock())),
    }
}

impl Running {
    /// Takes inputs until `enough`.
    async fn until(&mut self, enough: impl Fn(&[Probe], &[Gap]) -> bool) -> (Vec<Probe>, Vec<Gap>) {
        let (mut probes, mut gaps) = (Vec::new(), Vec::new());
        let collect = async {
            while !enough(&probes, &gaps) {
                for input in self.inputs.recv().await.expect("the schedule has ended") {
                    match input {
                        Input::Probe(probe) => probes.push(*probe),
                        Input::Gap(gap) => gaps.push(*gap),
                        Input::Delegation(it) => self.delegations.push(*it),
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, collect)
            .await
            .expect("the schedule is too slow");
        (probes, gaps)
    }

    async fn stop(self) -> Counters {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("shutdown hangs")
            .unwrap()
    }
}

fn quick(names: Vec<NamePlan>) -> Plan {
    Plan {
        interval: Duration::from_millis(200),
        authority_per_second: 1000.0,
        resolver_per_second: 1000.0,
        authority_timeout: Duration::from_millis(100),
        resolver_timeout: Duration::from_millis(1000),
        ..Plan::new("lab", names)
    }
}

fn plan_of(text: &str, authorities: &[SocketAddr], resolvers: &[SocketAddr]) -> NamePlan {
    NamePlan {
        name: name(text),
        authorities: authorities.iter().copied().collect(),
        resolvers: resolvers.iter().map(|addr| Resolver::udp(*addr)).collect(),
        expect: None,
        validate: false,
        private_ok: false,
    }
}

#[tokio::test]
async fn every_server_is_asked_in_every_round() {
    if !has(&["nsd", "unbound"], "every_server_is_asked_in_every_round") {
        return;
    }
    let first = nsd(free_port(), &zone("")).await;
    let second = nsd(free_port(), &zone("")).await;
    let recursive = unbound(free_port(), first.addr, OPEN).await;
    let names = ["www.example.com", "example.com"];
    let plans = names.map(|text| plan_of(text, &[first.addr, second.addr], &[recursive.addr]));
    let mut running = start(quick(plans.to_vec()));
    let asked = |probes: &[Probe], text: &str, role, qtype: &str| {
        probes
            .iter()
            .filter(|probe| probe.name == text && probe.role == role && probe.qtype == qtype)
            .count()
    };
    let (probes, _) = running
        .until(|probes, _| {
            names.iter().all(|text| {
                asked(probes, text, Role::Authority, "SOA") >= 10
                    && asked(probes, text, Role::Resolver, "A") >= 5
                    && asked(probes, text, Role::Resolver, "AAAA") >= 5
            })
        })
        .await;
    let counters = running.stop().await;
    assert!(counters.probes >= probes.len() as u64 && counters.mismatched == 0);
    assert!(
        probes.windows(2).all(|pair| pair[0].at <= pair[1].at),
        "in the order in which they ended"
    );
    assert!(probes.iter().all(|probe| probe.vantage == "lab"));
    // The first question is for the name; its denial names the zone, and from then on the apex is asked.
    let www: Vec<_> = probes
        .iter()
        .filter(|p| p.name == "www.example.com" && p.role == Role::Authority)
        .collect();
    assert_eq!(
        (www[0].qname.as_str(), www[0].outcome),
        ("www.example.com", Outcome::Nodata)
    );
    let later = www.last().unwrap();
    assert_eq!(
        (later.qname.as_str(), later.outcome),
        ("example.com", Outcome::Ok)
    );
}

#[tokio::test]
async fn authorities_are_found_by_a_walk_and_kept_while_it_fails() {
    if !has(&["nsd"], "authorities_are_found_by_a_walk") {
        return;
    }
    let mut world = World::new().await;
    let plan = Plan {
        hints: Arc::new(world.hints()),
        refresh: Duration::from_millis(300),
        ..quick(vec![plan_of("www.outside.example", &[], &[])])
    };
    let mut running = start(plan);
    let (probes, _) = running.until(|probes, _| probes.len() >= 10).await;
    let seen: BTreeSet<SocketAddr> = probes.iter().map(|probe| probe.server).collect();
    assert_eq!(
        seen,
        BTreeSet::from([world.at("127.0.1.1"), world.at("127.0.2.1")])
    );
    assert!(
        probes
            .iter()
            .all(|p| (p.qname.as_str(), p.outcome) == ("outside.example", Outcome::Ok))
    );

    let first = &running.delegations[0];
    assert!(first.complete, "{first:?}");
    assert_eq!(first.zone.as_deref(), Some("outside.example"));
    assert_eq!(first.parent_ns, ["ns1.hosting.test", "ns2.hosting.test"]);
    assert_eq!(first.child_ns, first.parent_ns);
    let servers: BTreeSet<String> = first
        .servers
        .iter()
        .map(|it| format!("{} {}", it.name, it.addr))
        .collect();
    let expected = ["ns1.hosting.test 127.0.1.1", "ns2.hosting.test 127.0.2.1"];
    assert_eq!(servers, expected.map(String::from).into());
    assert!(
        first
            .servers
            .iter()
            .all(|it| it.in_parent && it.in_child && !it.glue && it.outcome == Some(Outcome::Ok))
    );
    assert_eq!(first.addresses[0].addr.to_string(), "192.0.2.1");

    // Without the root there is no way to the name, and its servers are asked all the same.
    world.daemons.remove(0);
    let mut probes = Vec::new();
    while running.delegations.iter().all(|it| it.complete) {
        probes.extend(running.until(|probes, _| probes.len() >= 30).await.0);
    }
    assert!(probes.iter().all(|probe| probe.outcome == Outcome::Ok));
    let failed = running.delegations.iter().find(|it| !it.complete).unwrap();
    assert_eq!(
        (failed.end.as_str(), failed.servers.len()),
        ("no root server answers", 0)
    );
    let counters = running.stop().await;
    assert!(
        counters.refreshed >= 1 && counters.refresh_failed >= 1,
        "{counters:?}"
    );
}

#[tokio::test]
async fn a_round_that_is_not_finished_is_skipped_and_counted() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan {
        authority_timeout: Duration::from_millis(500),
        ..quick(vec![plan_of("example.com", &[silent.local_addr().unwrap()], &[])])
    };
    let mut running = start(plan);
    let (probes, gaps) = running
        .until(|probes, gaps| !probes.is_empty() && !gaps.is_empty())
        .await;
    assert!(
        probes
            .iter()
            .all(|probe| (probe.outcome, probe.packets_sent) == (Outcome::Timeout, 2))
    );
    assert_eq!(gaps[0].source, GapSource::Dns);
    assert!(gaps[0].reason.contains("has not ended") && gaps[0].lost.is_some_and(|lost| lost > 0));
    let start = tokio::time::Instant::now();
    let counters = running.stop().await;
    assert!(
        counters.skipped > 0 && start.elapsed() < Duration::from_millis(400),
        "questions in flight are dropped"
    );
}

#[tokio::test]
async fn a_server_is_spared_what_is_over_its_limit() {
    let server = responder(|query| vec![response(query, AA, 0, &[], &[])]).await;
    let names = (0..20)
        .map(|n| plan_of(&format!("n{n}.example.com"), &[server.addr], &[]))
        .collect();
    let plan = Plan {
        authority_per_second: 20.0,
        ..quick(names)
    };
    let started = tokio::time::Instant::now();
    let mut running = start(plan);
    let (probes, gaps) = running
        .until(|probes, gaps| probes.len() >= 40 && !gaps.is_empty())
        .await;
    let rate = probes.len() as f64 / started.elapsed().as_secs_f64();
    assert!(rate <= 21.5, "{rate} a second");
    assert!(gaps.iter().any(|gap| {
        gap.reason
            .contains("more questions than this server may be asked")
    }));
    running.stop().await;
}

#[tokio::test]
async fn controls_are_asked_once_in_a_round_whatever_the_number_of_names() {
    let resolver =
        responder(|query| vec![response(query, 0, 0, &[&a_record([192, 0, 2, 7], 60)], &[])]).await;
    let root = responder(|query| vec![response(query, AA, 0, &[], &[])]).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dark = silent.local_addr().unwrap();
    let names = (0..5)
        .map(|n| plan_of(&format!("n{n}.example.com"), &[dark], &[resolver.addr]))
        .collect();
    let plan = Plan {
        controls: Controls {
            names: vec![name("www.control.test"), name("www.other.test")],
            authorities: BTreeMap::from([(name("."), BTreeSet::from([root.addr, dark]))]),
        },
        ..quick(names)
    };
    let mut running = start(plan);
    let of = |probes: &[Probe], role| {
        probes
            .iter()
            .filter(|probe| probe.role == role)
            .cloned()
            .collect::<Vec<_>>()
    };
    let (probes, _) = running
        .until(|probes, _| {
            of(probes, Role::ControlAuthority).len() >= 8 && of(probes, Role::ControlResolver).len() >= 8
        })
        .await;
    running.stop().await;
    for probe in of(&probes, Role::ControlResolver) {
        assert_eq!(
            (probe.server, probe.qtype.as_str(), &probe.name),
            (resolver.addr, "A", &probe.qname)
        );
        assert!(["www.control.test", "www.other.test"].contains(&probe.name.as_str()));
    }
    for probe in of(&probes, Role::ControlAuthority) {
        assert_eq!(
            (probe.name.as_str(), probe.qname.as_str(), probe.qtype.as_str()),
            (".", ".", "SOA")
        );
        let expected = if probe.server == dark {
            Outcome::Timeout
        } else {
            Outcome::Nodata
        };
        assert_eq!(probe.outcome, expected);
    }
    // Five names, and each canary as often as one of them.
    let asked = |name: &str| {
        probes
            .iter()
            .filter(|probe| probe.name == name && probe.qtype == "A")
            .count()
    };
    let (canary, watched) = (asked("www.control.test"), asked("n0.example.com"));
    assert!(canary.abs_diff(watched) <= 2, "{canary} and {watched}");
}

#[tokio::test]
async fn a_name_with_configured_servers_has_a_delegation_without_a_walk() {
    if !has(
        &["nsd"],
        "a_name_with_configured_servers_has_a_delegation_without_a_walk",
    ) {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan {
        refresh: Duration::from_millis(300),
        hints: Arc::new(netfault_sources::dns::walk::Hints::at([silent
            .local_addr()
            .unwrap()])),
        ..quick(vec![plan_of("www.example.com", &[server.addr], &[])])
    };
    let mut running = start(plan);
    while running.delegations.len() < 3 {
        running.until(|probes, _| probes.len() >= 2).await;
    }
    let (first, last) = (&running.delegations[0], running.delegations.last().unwrap());
    assert!(first.complete && first.findings.is_empty());
    assert_eq!(
        (last.name.as_str(), last.zone.as_deref()),
        ("www.example.com", Some("example.com"))
    );
    assert_eq!(last.servers.len(), 1);
    assert_eq!(
        (last.servers[0].addr, last.servers[0].outcome),
        (server.addr.ip(), Some(Outcome::Ok))
    );
    assert!(!last.addresses.is_empty() && last.addresses == first.addresses);
    running.stop().await;
}

/// A domain name on the wire.
fn wire_name(text: &str) -> Vec<u8> {
    let labels = text.split('.');
    let mut bytes: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

/// A root that knows `example` and `test` at the world's servers, and has nothing else to say.
fn referral(query: &[u8]) -> Vec<u8> {
    let mut message = response(query, 0, 0, &[], &[]);
    let question = String::from_utf8_lossy(&query[12..]).to_ascii_lowercase();
    let (zone, server) = if question.contains("example") {
        ("example", 12)
    } else {
        ("test", 13)
    };
    let is_ds = query[query.len() - 15..]
        .windows(4)
        .any(|end| end == [0, 43, 0, 1])
        || message.ends_with(&[0, 43, 0, 1]);
    if is_ds {
        message[2] |= AA;
        return message;
    }
    let host = wire_name(&format!("ns1.{zone}"));
    for (owner, kind, data) in [
        (wire_name(zone), 2, host.clone()),
        (host, 1, vec![127, 0, 0, server]),
    ] {
        message.extend(owner);
        message.extend([0, kind, 0, 1, 0, 0, 1, 44, 0, data.len() as u8]);
        message.extend(data);
    }
    (message[9], message[11]) = (1, 1);
    message
}

#[tokio::test]
async fn walks_to_many_names_do_not_all_begin_at_the_root() {
    if !has(&["nsd"], "walks_to_many_names_do_not_all_begin_at_the_root") {
        return;
    }
    let mut world = World::new().await;
    world.daemons.remove(0);
    let root = UdpSocket::bind(world.at("127.0.0.11")).await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0u8; 1500];
        while let Ok((len, client)) = root.recv_from(&mut buffer).await {
            count.fetch_add(1, Relaxed);
            root.send_to(&referral(&buffer[..len]), client).await.unwrap();
        }
    });
    let names = [
        "healthy", "outside", "single", "differs", "signed", "glue", "otherkey", "keyless",
    ];
    let plans = names.map(|zone| plan_of(&format!("www.{zone}.example"), &[], &[]));
    let plan = Plan {
        hints: Arc::new(world.hints()),
        interval: Duration::from_secs(4),
        ..quick(plans.to_vec())
    };
    let mut running = start(plan);
    let complete = |running: &Running| {
        let found = running.delegations.iter().filter(|it| it.complete);
        found.map(|it| it.name.clone()).collect::<BTreeSet<_>>()
    };
    let begun = std::time::Instant::now();
    while complete(&running).len() < names.len() {
        assert!(begun.elapsed() < PATIENCE, "only {:?}", complete(&running));
        running.until(|probes, _| !probes.is_empty()).await;
    }
    running.stop().await;
    // The way to each of two top-level domains, and whether they are signed; once more where two walks were under way at once.
    let asked = asked.load(Relaxed);
    assert!(
        (2..=8).contains(&asked),
        "{asked} questions to the root for {} names",
        names.len()
    );
}

#[tokio::test]
async fn a_host_that_stood_still_makes_up_for_nothing() {
    let server = responder(|query| vec![response(query, AA, 0, &[], &[])]).await;
    let names = (0..200)
        .map(|n| plan_of(&format!("n{n}.example.com"), &[server.addr], &[]))
        .collect();
    let plan = Plan {
        interval: Duration::from_secs(4),
        ..quick(names)
    };
    let mut running = start(plan);
    running.until(|probes, _| probes.len() >= 100).await;
    // This is the only thread of the runtime: the schedule stands still, with 150 rounds due.
    #[allow(clippy::disallowed_methods)] // standing still is what is tested
    std::thread::sleep(Duration::from_secs(3));
    let stood = |gap: &Gap| gap.reason == "the probe host stood still";
    let (_, gaps) = running.until(|_, gaps| gaps.iter().any(stood)).await;
    let gap = gaps.into_iter().find(stood).unwrap();
    let (from, to) = (gap.from.unwrap(), gap.to.unwrap());
    assert!((1_900_000..30_000_000).contains(&to.since(from)), "{gap:?}");
    let (probes, _) = running.until(|probes, _| probes.len() >= 100).await;
    let soon = probes.iter().filter(|probe| probe.at.since(to) < 500_000).count();
    assert!(
        soon <= 80,
        "{soon} in the half second after it, where there are 25 otherwise"
    );
    let counters = running.stop().await;
    assert!(counters.stood_still >= 1, "{counters:?}");
}

#[tokio::test]
async fn an_outage_changes_nothing_in_the_plan() {
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    let servers: Vec<SocketAddr> = silent.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let names: Vec<NamePlan> = (0..50)
        .map(|n| plan_of(&format!("n{n}.example.com"), &servers, &[]))
        .collect();
    let plan = Plan {
        interval: Duration::from_secs(2),
        refresh: Duration::from_secs(600),
        // A timeout and a retry end before the next round; a round is 200 packets to begin with.
        authority_timeout: Duration::from_millis(300),
        max_in_flight: 150,
        ..quick(names)
    };
    let mut running = start(plan);
    let (probes, gaps) = running.until(|probes, _| probes.len() >= 1000).await;
    let counters = running.stop().await;
    assert!(gaps.iter().all(|gap| gap.lost.is_none()), "{gaps:?}");
    assert_eq!(counters.skipped, 0, "{counters:?}");
    let mut asked: BTreeMap<(String, SocketAddr), u32> = BTreeMap::new();
    for probe in &probes {
        assert_eq!((probe.outcome, probe.packets_sent), (Outcome::Timeout, 2));
        *asked.entry((probe.name.clone(), probe.server)).or_default() += 1;
    }
    // Five rounds of 200; each server of each name in each of them, and in no other.
    assert_eq!(asked.len(), 200);
    assert!(asked.values().all(|rounds| (4..=6).contains(rounds)), "{asked:?}");
}
