//! What resolvers say while servers fail, or we do, is not held against the wrong one.

use std::time::Duration;

use netfault_model::{Finding, Outcome, Role, State};

use super::lab::Lab;

/// In one round the resolvers fall silent while the servers are still heard; in the next one nobody is, and the resolvers
/// come first.
#[test]
fn a_cut_in_the_middle_of_a_round_is_no_fault_of_the_resolvers() {
    let mut lab = Lab::new(&["a"]);
    lab.from[0].controls.clear();
    lab.from[0].canaries.clear();
    lab.rounds(5);
    assert_eq!(lab.took(), [(State::Ok, Finding::None)]);
    lab.resolvers(Outcome::Timeout);
    for round in 0..7 {
        if round == 1 {
            lab.authorities(Outcome::Timeout);
        }
        lab.names.fire(lab.now, &mut lab.steps);
        let mut probes = lab.probes();
        probes.sort_by_key(|probe| probe.role == Role::Authority);
        for (n, probe) in probes.iter_mut().enumerate() {
            probe.at = lab.now + Duration::from_millis(n as u64);
            lab.names.probe(probe.at, probe, &mut lab.steps);
        }
        lab.now = lab.now + Duration::from_secs(30);
    }
    assert_eq!(lab.took(), [(State::Unknown, Finding::VantageOffline)]);
}

/// Real resolvers answer SERVFAIL in milliseconds from the failure cache, while silence takes 4 s to be noticed.
#[test]
fn resolvers_that_notice_dead_servers_first_are_not_at_fault() {
    let mut lab = Lab::settled(&["a"]);
    lab.authorities(Outcome::Timeout);
    lab.resolvers(Outcome::Servfail);
    for _ in 0..2 {
        lab.names.fire(lab.now, &mut lab.steps);
        let mut probes = lab.probes();
        for probe in probes.iter_mut().filter(|probe| probe.role == Role::Authority) {
            probe.at = probe.at + Duration::from_secs(4);
        }
        probes.sort_by_key(|probe| probe.at);
        for probe in &probes {
            lab.names.probe(probe.at, probe, &mut lab.steps);
        }
        lab.now = lab.now + Duration::from_secs(30);
    }
    assert_eq!(lab.took(), [(State::Out, Finding::AuthorityUnreachable)]);
}

/// Unbound keeps a key that it could not fetch as a bad one for a minute: what it cannot validate then is no new fault.
#[test]
fn validation_that_failed_with_the_servers_is_old_news_when_they_are_back() {
    let mut lab = Lab::new(&["a"]);
    lab.from[0].resolvers.push(Outcome::Ok);
    lab.from[0].canaries.push([Outcome::Ok; 2]);
    lab.rounds(5);
    lab.authorities(Outcome::Lame);
    lab.resolvers(Outcome::Bogus);
    lab.rounds(3);
    assert_eq!(lab.took().last(), Some(&(State::Out, Finding::DelegationBroken)));
    lab.authorities(Outcome::Ok);
    lab.from[0].resolvers[0] = Outcome::Ok;
    lab.rounds(2);
    assert_eq!(lab.took(), [(State::Recovering, Finding::None)]);
    let mut mended = lab.clone();
    // It has not ended when the quiet time has: the zone came back with bad signatures.
    lab.rounds(13);
    assert_eq!(lab.took().last(), Some(&(State::Degraded, Finding::DnssecBogus)));
    // It ends: the five minutes of the rise did not wait for it.
    mended.rounds(3);
    mended.resolvers(Outcome::Ok);
    mended.rounds(8);
    assert_eq!(mended.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn validation_that_begins_to_fail_after_a_recovery_is_news() {
    let mut lab = Lab::settled(&["a"]);
    lab.authorities(Outcome::Timeout);
    lab.rounds(3);
    lab.authorities(Outcome::Ok);
    lab.rounds(3);
    lab.resolvers(Outcome::Bogus);
    lab.rounds(3);
    assert_eq!(lab.took().last(), Some(&(State::Out, Finding::DnssecBogus)));
}
