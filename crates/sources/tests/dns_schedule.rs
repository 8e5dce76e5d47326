//! The schedule against real and silent servers, with intervals of a fraction of a second.

mod dns_lab;
mod dns_walk_world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dns_lab::*;
use dns_walk_world::World;
use netfault_model::{Gap, GapSource, Input, Outcome, Probe, Role, Time};
use netfault_sources::dns::schedule::{Clock, Counters, NamePlan, Plan, run};
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
    inputs: mpsc::Receiver<Vec<Input>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Counters>,
}

fn start(plan: Plan) -> Running {
    let (out, inputs) = mpsc::channel(16);
    let (stop, shutdown) = watch::channel(false);
    Running {
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
        resolvers: resolvers.to_vec(),
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

    // Without the root there is no way to the name, and its servers are asked all the same.
    world.daemons.remove(0);
    let (probes, _) = running.until(|probes, _| probes.len() >= 30).await;
    assert!(probes.iter().all(|probe| probe.outcome == Outcome::Ok));
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
