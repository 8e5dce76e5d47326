//! A name dies and comes back: real servers, the real schedule, the real states.
//!
//! Two authorities (NSD) and a resolver (Unbound) on loopback; both authorities are stopped, then started
//! again. Intervals are a fraction of a second, so that the whole course takes a few of them.

#[path = "../../crates/sources/tests/dns_lab/mod.rs"]
mod dns_lab;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dns_lab::*;
use netfault_engine::dns::{DnsSettings, Names};
use netfault_model::{Finding, Input, State, Time, Transition};
use netfault_sources::dns::schedule::{Clock, NamePlan, Plan, run};
use tokio::sync::{mpsc, watch};

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Time::from_micros(since.as_micros() as i64)
}

/// Feeds the states with what the schedule finds, until the name has taken one more step.
async fn next_step(inputs: &mut mpsc::Receiver<Vec<Input>>, names: &mut Names) -> Transition {
    let step = async {
        let mut out = Vec::new();
        loop {
            match tokio::time::timeout(Duration::from_millis(50), inputs.recv()).await {
                Ok(batch) => {
                    for input in batch.expect("the schedule has ended") {
                        let Input::Probe(probe) = input else { continue };
                        names.probe(probe.at, &probe, &mut out);
                    }
                }
                Err(_) => names.fire(now(), &mut out),
            }
            if !out.is_empty() {
                assert_eq!(out.len(), 1, "{out:?}");
                return out.remove(0);
            }
        }
    };
    tokio::time::timeout(PATIENCE, step)
        .await
        .expect("no step is taken")
}

#[tokio::test]
async fn a_name_goes_out_with_its_authorities_and_comes_back_with_them() {
    if !has(
        &["nsd", "unbound"],
        "a_name_goes_out_with_its_authorities_and_comes_back_with_them",
    ) {
        return;
    }
    let addrs = [free_port(), free_port()];
    let servers = [nsd(addrs[0], &zone("")).await, nsd(addrs[1], &zone("")).await];
    let resolver = unbound(free_port(), addrs[0], OPEN).await;
    let plan = Plan {
        interval: Duration::from_millis(400),
        authority_per_second: 1000.0,
        authority_timeout: Duration::from_millis(100),
        ..Plan::new(
            "lab",
            vec![NamePlan {
                name: name("www.example.com"),
                authorities: addrs.into(),
                resolvers: vec![resolver.addr.into()],
                expect: None,
                validate: false,
                private_ok: false,
            }],
        )
    };
    let (out, mut inputs) = mpsc::channel(16);
    let (_stop, shutdown) = watch::channel(false);
    let clock: Clock = Arc::new(now);
    tokio::spawn(run(plan, out, shutdown, clock));
    let mut names = Names::new(DnsSettings {
        round_grace_s: 1,
        ok_hold_s: 1,
        stale_s: 20,
        ..DnsSettings::default()
    });

    let step = next_step(&mut inputs, &mut names).await;
    assert_eq!(
        (step.from, step.to, step.finding),
        (State::Unknown, State::Ok, Some(Finding::None))
    );
    assert_eq!((step.servers_ok, step.servers_eligible), (Some(2), Some(2)));

    drop(servers);
    // The two are not stopped at one instant, so the name may pass through Degraded.
    let mut step = next_step(&mut inputs, &mut names).await;
    while step.to != State::Out {
        assert!(matches!(step.to, State::Partial | State::Degraded), "{step:?}");
        step = next_step(&mut inputs, &mut names).await;
    }
    assert_eq!(step.finding, Some(Finding::AuthorityUnreachable));
    assert_eq!((step.servers_ok, step.servers_eligible), (Some(0), Some(2)));
    assert_eq!(
        step.resolvers_ok,
        Some(1),
        "the resolver still has it in its cache, and that counts for nothing"
    );

    let _servers = [nsd(addrs[0], &zone("")).await, nsd(addrs[1], &zone("")).await];
    let back = next_step(&mut inputs, &mut names).await;
    assert_eq!((back.from, back.to), (State::Out, State::Recovering));
    let step = next_step(&mut inputs, &mut names).await;
    assert_eq!((step.from, step.to), (State::Recovering, State::Ok));
    assert!(step.at.since(back.at) >= 1_000_000, "the rise is held");
}
