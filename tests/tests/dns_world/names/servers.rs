//! Its servers fail.

use std::time::Duration;

use netfault_model::{Outcome, Role, State};
use serde_json::Value;

use super::{ALL, Case, play};
use crate::watching::{Setup, watch_until_ok};
use crate::world::{Fault, Layout, World};
use crate::zones::{NAME, Parent, Shop};

#[test]
fn one_server_of_four_dead_is_partial() {
    let case = Case {
        test: "one_server_of_four_dead_is_partial",
        fault: Fault::Frozen(vec![1]),
        state: State::Partial,
        finding: "authority_partial",
        recovers: false,
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(6), &Value::from(8))
    );
    assert_eq!(course.states(NAME), ["ok", "partial", "ok"]);
    course.has("198.18.1.1", Role::Authority, Outcome::Timeout);
    for n in 2..=4 {
        let outcomes = course.outcomes(&format!("198.18.1.{n}"), Role::Authority);
        // Nodata: the zone is not known before the first answer.
        assert!(
            outcomes.iter().skip(1).all(|outcome| *outcome == Outcome::Ok),
            "{outcomes:?}"
        );
    }
}

#[test]
fn a_server_that_refuses_is_partial() {
    let case = Case {
        test: "a_server_that_refuses_is_partial",
        fault: Fault::Refusing,
        state: State::Partial,
        finding: "authority_partial",
        recovers: false,
        ..Case::default()
    };
    let Some((course, _)) = play(case) else { return };
    course.has("198.18.1.3", Role::Authority, Outcome::Refused);
}

#[test]
fn one_family_dead_is_degraded() {
    let case = Case {
        test: "one_family_dead_is_degraded",
        fault: Fault::FamilyDead { v6: true },
        state: State::Degraded,
        finding: "authority_partial",
        recovers: false,
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(4), &Value::from(8))
    );
    course.has("fd00:18:1::1", Role::Authority, Outcome::Timeout);
}

#[test]
fn all_servers_hanging_is_out_and_over_when_they_go_on() {
    let case = Case {
        test: "all_servers_hanging_is_out_and_over_when_they_go_on",
        fault: Fault::Frozen(ALL.to_vec()),
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(0), &Value::from(8))
    );
    for n in ALL {
        course.has(&format!("198.18.1.{n}"), Role::Authority, Outcome::Timeout);
        course.has(&format!("fd00:18:1::{n}"), Role::Authority, Outcome::Timeout);
    }
    assert!(
        course.probes.iter().all(|probe| probe.packets_sent <= 2),
        "a question is at most two packets"
    );
}

#[test]
fn all_ports_closed_is_out() {
    let case = Case {
        test: "all_ports_closed_is_out",
        fault: Fault::Stopped(ALL.to_vec()),
        ..Case::default()
    };
    let Some((course, _)) = play(case) else { return };
    for n in ALL {
        course.has(&format!("198.18.1.{n}"), Role::Authority, Outcome::ConnRefused);
    }
    course.has("198.18.2.2", Role::Resolver, Outcome::Servfail);
}

#[test]
fn a_firewall_before_all_of_them_is_out() {
    let case = Case {
        test: "a_firewall_before_all_of_them_is_out",
        fault: Fault::Firewalled(ALL.to_vec()),
        ..Case::default()
    };
    play(case);
}

#[test]
fn all_servers_lame_is_a_broken_delegation() {
    let case = Case {
        test: "all_servers_lame_is_a_broken_delegation",
        fault: Fault::Lame(ALL.to_vec()),
        finding: "delegation_broken",
        ..Case::default()
    };
    let Some((course, _)) = play(case) else { return };
    course.has("198.18.1.1", Role::Authority, Outcome::Lame);
}

/// What the world asks of servers that come back: they answer little of it at first.
#[test]
fn a_retry_storm_at_the_recovery_neither_prolongs_nor_repeats_the_outage() {
    let test = "a_retry_storm_at_the_recovery_neither_prolongs_nor_repeats_the_outage";
    let Some(mut world) = World::new(test, Layout::default()) else {
        return;
    };
    world.net.count("asked", "ip daddr 198.18.1.0/24 udp dport 53");
    let mut watching = watch_until_ok(&world, &Setup::default());
    world.break_(Fault::Frozen(ALL.to_vec()));
    watching.until_state("out");
    let before = world.net.counted("asked");
    let begun = std::time::Instant::now();
    crate::daemon::pause(Duration::from_secs(9));
    let sent = (world.net.counted("asked") - before) as f64 / begun.elapsed().as_secs_f64();
    // Four addresses, two packets (the retry) every 3 s give or take 10 %: 2.7 a second; the limit is one a second each.
    assert!(sent <= 3.3, "{sent} packets a second in the outage");
    let storm = crate::storm::Storm::begin(&world, &ALL);
    world.mend();
    watching.until_state("recovering");
    watching.until_state("ok");
    assert!(storm.end() > 5_000, "it was a storm");
    watching.until_alert("RESOLVED");
    let course = watching.stop();
    course.leaves_the_other_alone().alerted(1);
    let states = course.states(NAME);
    let after: Vec<_> = states
        .iter()
        .skip_while(|state| **state != "recovering")
        .collect();
    assert_eq!(after, [&"recovering", &"ok"], "{states:?}");
}

/// The operator gives up on its servers and delegates to those of another one. The walk goes on while the name is out.
#[test]
fn name_servers_moved_in_the_middle_of_an_incident_end_it() {
    let test = "name_servers_moved_in_the_middle_of_an_incident_end_it";
    let layout = Layout {
        servers: Some(6),
        ..Layout::default()
    };
    let Some(mut world) = World::new(test, layout) else {
        return;
    };
    let mut watching = watch_until_ok(
        &world,
        &Setup {
            given: false,
            ..Setup::default()
        },
    );
    world.break_(Fault::Stopped(ALL.to_vec()));
    let step = watching.until_state("out");
    assert_eq!(
        (&step["finding"], &step["servers_eligible"]),
        (&"authority_unreachable".into(), &8.into())
    );
    let servers = vec![5, 6];
    world.break_(Fault::Shop(Shop {
        servers: servers.clone(),
        ..Shop::default()
    }));
    world.break_(Fault::Parent(Parent {
        servers,
        ..Parent::default()
    }));
    watching.until_state("recovering");
    watching.until_state("ok");
    watching.until_alert("RESOLVED");
    let course = watching.stop();
    course.leaves_the_other_alone().alerted(1);
    assert_eq!(course.states(NAME).last(), Some(&"ok"), "and it stays so");
    for n in [5, 6] {
        course.has(&format!("198.18.1.{n}"), Role::Authority, Outcome::Ok);
    }
}
