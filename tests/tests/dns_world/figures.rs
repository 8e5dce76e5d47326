//! Figures that were promised, measured.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use netfault_model::{Outcome, Time};
use serde_json::Value;

use crate::program::netfault;
use crate::watching::{Setup, time, watch_until_ok};
use crate::world::{Fault, Layout, World};
use crate::zones::{NAME, SHOP};

fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    Time::from_micros(since.as_micros() as i64)
}

/// Every default as it stands: rounds of 30 s, 2 s and one retry. Two rounds may be 66 s apart from what came before them,
/// the last one takes 4 s to be silent.
#[test]
fn dead_authorities_are_found_within_70_seconds() {
    let Some(mut world) = World::new("dead_authorities_are_found_within_70_seconds", Layout::default())
    else {
        return;
    };
    let setup = Setup {
        interval: "30s",
        authority_timeout: "2s",
        resolver_timeout: "5s",
        detect: "{ok_hold_s: 1}".to_owned(),
        ..Setup::default()
    };
    let mut watching = watch_until_ok(&world, &setup);
    let (broken, clock) = (now(), Instant::now());
    world.break_(Fault::Frozen(vec![1, 2, 3, 4]));
    let step = watching.until_state("out");
    let told = clock.elapsed();
    let decided = Duration::from_micros(time(&step, "at").since(broken).max(0) as u64);
    println!("all authorities dead: decided after {decided:.1?}, told after {told:.1?}");
    assert!(decided <= Duration::from_secs(70), "{decided:?}");
    watching.stop().leaves_the_other_alone();
}

/// Ten thousand names below one top-level domain share the limits of its servers: what each walk asks them decides how long a
/// refresh of all takes. One question is for the keys of the domain itself, once for all walks of a schedule.
#[test]
fn a_walk_asks_the_servers_above_the_zone_one_question() {
    let test = "a_walk_asks_the_servers_above_the_zone_one_question";
    let Some(world) = World::new(test, Layout::default()) else {
        return;
    };
    world.net.count("v4", "ip daddr 198.18.0.2 udp dport 53");
    world.net.count("v6", "ip6 daddr fd00:18::2 udp dport 53");
    let walked = netfault(&world)
        .args(["-q", "--format", "json", "dns", "walk", NAME, "--root-hints"])
        .arg(world.hints())
        .output()
        .expect("the program starts");
    let walk: Value = serde_json::from_slice(&walked.stdout).expect("a walk");
    let zones = walk["zones"].as_array().expect("zones");
    let shop = zones.iter().find(|zone| zone["zone"] == SHOP).expect("the zone");
    assert_eq!(
        shop["ds"].as_array().map(Vec::len),
        Some(1),
        "it came with the referral"
    );
    assert_eq!(world.net.counted("v4") + world.net.counted("v6"), 2);
}

/// By the kernel's own count of what left the vantage.
#[test]
fn a_probe_without_failure_is_one_packet_and_with_failure_at_most_two() {
    let test = "a_probe_without_failure_is_one_packet_and_with_failure_at_most_two";
    let Some(mut world) = World::new(test, Layout::default()) else {
        return;
    };
    // Not one of the three that are asked for the addresses of the name besides.
    let server: IpAddr = "198.18.1.4".parse().expect("an address");
    world
        .net
        .count("asked", &format!("ip daddr {server} udp dport 53"));
    let mut watching = watch_until_ok(&world, &Setup::default());
    world.break_(Fault::Frozen(vec![1, 2, 3, 4]));
    watching.until_state("out");
    let course = watching.stop();
    let counted = world.net.counted("asked");
    let asked = course
        .probes
        .iter()
        .filter(|probe| probe.name == NAME && probe.server.ip() == server);
    let (healthy, dead): (Vec<_>, Vec<_>) = asked
        .filter(|probe| probe.role.is_authority())
        .partition(|probe| probe.outcome != Outcome::Timeout);
    assert!(
        healthy.len() >= 2 && dead.len() >= 2,
        "{} {}",
        healthy.len(),
        dead.len()
    );
    assert!(healthy.iter().all(|probe| probe.packets_sent == 1));
    assert!(
        dead.iter().all(|probe| probe.packets_sent == 2),
        "the question and one retry"
    );
    let sent = (healthy.len() + 2 * dead.len()) as u64;
    println!(
        "packets: {} probes answered, {} not, {sent} sent, {counted} counted",
        healthy.len(),
        dead.len()
    );
    // A question that was under way at the end is in no journal.
    assert!(
        (sent..=sent + 2).contains(&counted),
        "{counted} packets, {sent} accounted for"
    );
}
