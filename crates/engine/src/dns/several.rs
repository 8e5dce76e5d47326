//! Several vantages, control authorities and canaries: who is to blame.

use std::time::Duration;

use netfault_model::{Finding, NotableKind, Outcome, Role, State};

use super::lab::{Lab, server6};
use super::tests::{probe, server};
use super::{DnsSettings, MAX_VANTAGES, Names};

const A: &[&str] = &["a"];
const ABC: &[&str] = &["a", "b", "c"];
const OUT: (State, Finding) = (State::Out, Finding::AuthorityUnreachable);

#[test]
fn the_upper_median_of_the_vantages_decides() {
    for (vantages, failing, expected) in [
        (&["a", "b"][..], 1, vec![]),
        (&["a", "b"][..], 2, vec![OUT]),
        (ABC, 1, vec![]),
        (ABC, 2, vec![OUT]),
        (&["a", "b", "c", "d"][..], 2, vec![]),
    ] {
        let mut lab = Lab::settled(vantages);
        for from in &mut lab.from[..failing] {
            from.authorities
                .iter_mut()
                .for_each(|(_, it)| *it = Outcome::Timeout);
        }
        lab.rounds(4);
        let took: Vec<_> = lab.took().last().copied().into_iter().collect();
        assert_eq!(took, expected, "{failing} of {vantages:?}");
    }
}

/// The resolver beside the probe answers canaries and names from its cache, then nothing but SERVFAIL.
#[test]
fn a_cut_uplink_is_one_statement_about_ourselves_and_none_about_names() {
    let mut lab = Lab::new(A);
    lab.watched = vec!["example.com", "example.net"];
    lab.rounds(5);
    assert_eq!(lab.took(), [(State::Ok, Finding::None); 2]);
    lab.from[0].cut();
    lab.rounds(3);
    lab.resolvers(Outcome::Servfail);
    lab.rounds(20);
    lab.from[0].canaries.fill([Outcome::Servfail; 2]);
    lab.rounds(20);
    assert_eq!(lab.took(), [(State::Unknown, Finding::VantageOffline); 2]);
    assert_eq!(lab.heard(), [(NotableKind::VantageOffline, false)]);
    lab.from = Lab::new(A).from;
    lab.rounds(5);
    assert_eq!(lab.took(), [(State::Ok, Finding::None); 2]);
    assert_eq!(lab.heard(), [(NotableKind::VantageOffline, true)]);
}

#[test]
fn without_controls_a_silent_world_is_our_own_fault_too() {
    let mut lab = Lab::new(A);
    lab.from[0].controls.clear();
    lab.from[0].canaries.clear();
    lab.rounds(5);
    lab.took();
    lab.from[0].cut();
    lab.resolvers(Outcome::Timeout);
    lab.rounds(10);
    assert_eq!(lab.took(), [(State::Unknown, Finding::VantageOffline)]);
    assert_eq!(lab.heard(), [(NotableKind::VantageOffline, false)]);
    lab.authorities(Outcome::Ok);
    lab.rounds(3);
    assert_eq!(lab.heard(), [(NotableKind::VantageOffline, true)]);
}

#[test]
fn one_vantage_of_three_is_cut_off_and_the_others_go_on() {
    let mut lab = Lab::settled(ABC);
    lab.from[0].cut();
    lab.rounds(10);
    assert_eq!(lab.took(), []);
    assert_eq!(lab.heard(), [(NotableKind::VantageOffline, false)]);
    for from in &mut lab.from[1..] {
        from.authorities
            .iter_mut()
            .for_each(|(_, it)| *it = Outcome::Timeout);
    }
    lab.rounds(3);
    assert_eq!(
        lab.took(),
        [(State::Degraded, Finding::AuthorityPartial), OUT][1..]
    );
}

#[test]
fn a_family_that_the_vantage_cannot_see_is_left_out() {
    let v6_fails = |lab: &mut Lab| {
        let servers = lab.from[0]
            .authorities
            .iter_mut()
            .filter(|(addr, _)| addr.is_ipv6());
        servers.for_each(|(_, it)| *it = Outcome::NetUnreachable);
    };
    let mut lab = Lab::settled(A);
    v6_fails(&mut lab);
    lab.rounds(10);
    assert_eq!(
        lab.took(),
        [(State::Degraded, Finding::AuthorityPartial)],
        "the name's own IPv6"
    );
    let mut lab = Lab::settled(A);
    v6_fails(&mut lab);
    lab.from[0].controls[2].1 = Outcome::NetUnreachable;
    lab.rounds(10);
    assert_eq!(lab.took(), [], "ours");
    assert_eq!(lab.heard(), [], "the other family is seen");
    lab.authorities(Outcome::Timeout);
    lab.rounds(3);
    assert_eq!(lab.took(), [OUT]);
}

#[test]
fn the_family_that_is_left_may_not_turn_half_an_outage_into_a_whole_one() {
    let mut lab = Lab::settled(A);
    for (addr, outcome) in &mut lab.from[0].authorities {
        if addr.is_ipv4() {
            *outcome = Outcome::Timeout;
        }
    }
    lab.rounds(5);
    assert_eq!(lab.took(), [(State::Degraded, Finding::AuthorityPartial)]);
    for (addr, outcome) in lab.from[0]
        .authorities
        .iter_mut()
        .chain([(server6(201), Outcome::Ok)].iter_mut())
    {
        if addr.is_ipv6() {
            *outcome = Outcome::Timeout;
        }
    }
    lab.from[0].controls[2].1 = Outcome::Timeout;
    lab.rounds(30);
    assert_eq!(lab.took(), []);
}

#[test]
fn one_bad_canary_voids_nothing_and_both_void_the_vote() {
    for (canary, expected) in [
        (
            [Outcome::Ok, Outcome::Servfail],
            vec![(State::Degraded, Finding::ResolverFault)],
        ),
        ([Outcome::Servfail, Outcome::Timeout], vec![]),
    ] {
        let mut lab = Lab::settled(A);
        lab.resolvers(Outcome::Servfail);
        lab.from[0].canaries.fill(canary);
        lab.rounds(10);
        assert_eq!(lab.took(), expected, "{canary:?}");
    }
}

#[test]
fn a_resolver_that_fails_for_everybody_is_said_once() {
    let mut lab = Lab::settled(A);
    lab.watched.push("example.net");
    lab.rounds(5);
    lab.took();
    lab.from[0].resolvers[1] = Outcome::Timeout;
    lab.from[0].canaries[1] = [Outcome::Timeout; 2];
    lab.rounds(10);
    lab.from[0].resolvers[1] = Outcome::Ok;
    lab.from[0].canaries[1] = [Outcome::Ok; 2];
    lab.rounds(5);
    assert_eq!(lab.took(), []);
    let said = [
        (NotableKind::ResolverFault, false),
        (NotableKind::ResolverFault, true),
    ];
    assert_eq!(lab.heard(), said);
}

#[test]
fn a_resolver_that_fails_for_one_name_alone_is_said_and_the_name_stays_ok() {
    for outcome in [
        Outcome::Servfail,
        Outcome::Nxdomain,
        Outcome::Bogus,
        Outcome::Bogon,
        Outcome::Timeout,
    ] {
        let mut lab = Lab::settled(A);
        lab.from[0].resolvers[1] = outcome;
        lab.rounds(6);
        lab.from[0].resolvers[1] = Outcome::Ok;
        lab.rounds(3);
        assert_eq!(lab.took(), [], "{}", outcome.name());
        let said = [
            (NotableKind::ResolverFault, false),
            (NotableKind::ResolverFault, true),
        ];
        assert_eq!(lab.heard(), said, "{}", outcome.name());
    }
}

/// A single resolver: only where its canaries show that it is right about others is it believed.
#[test]
fn one_resolver_convicts_a_name_only_with_its_canaries() {
    for (outcome, finding) in [
        (Outcome::Nxdomain, Finding::RecordMissing),
        (Outcome::Bogus, Finding::DnssecBogus),
        (Outcome::WrongAnswer, Finding::AnswerChanged),
        (Outcome::Bogon, Finding::AnswerChanged),
    ] {
        for (canaries, expected) in [(1, vec![(State::Out, finding)]), (0, vec![])] {
            let mut lab = Lab::new(A);
            lab.from[0].resolvers.truncate(1);
            lab.from[0].canaries.truncate(canaries);
            lab.rounds(5);
            lab.took();
            lab.resolvers(outcome);
            lab.rounds(10);
            assert_eq!(
                lab.took(),
                expected,
                "{} with {canaries} canaries",
                outcome.name()
            );
        }
    }
}

#[test]
fn a_resolver_that_does_not_validate_does_not_hide_bogus_signatures() {
    let mut lab = Lab::settled(A);
    lab.from[0].resolvers = vec![Outcome::Bogus, Outcome::Bogus, Outcome::Ok];
    lab.rounds(6);
    assert_eq!(lab.took(), [(State::Degraded, Finding::DnssecBogus)]);
}

#[test]
fn what_all_resolvers_and_what_all_servers_say_of_the_record() {
    for (outcome, finding) in [
        (Outcome::WrongAnswer, Finding::AnswerChanged),
        (Outcome::Bogon, Finding::AnswerChanged),
        (Outcome::Nxdomain, Finding::RecordMissing),
    ] {
        let mut lab = Lab::settled(A);
        lab.resolvers(outcome);
        lab.rounds(4);
        assert_eq!(lab.took(), [(State::Out, finding)], "{}", outcome.name());
        lab.resolvers(Outcome::Ok);
        lab.rounds(20);
        assert_eq!(lab.took().last(), Some(&(State::Ok, Finding::None)));

        // The servers are asked for the record as well, and resolvers still have it in their caches.
        let mut lab = Lab::settled(A);
        for _ in 0..4 {
            for (n, (addr, _)) in lab.from[0].authorities.clone().into_iter().enumerate() {
                let at = lab.now + Duration::from_millis(500 + n as u64);
                let said = probe(at, "example.com", Role::Authority, addr, "A", outcome);
                lab.names.probe(at, &said, &mut lab.steps);
            }
            lab.round();
        }
        assert_eq!(
            lab.took(),
            [(State::Out, finding)],
            "{} at the servers",
            outcome.name()
        );
    }
}

#[test]
fn caches_hide_a_dead_name_until_their_ttl_ends_and_are_never_healthy_servers() {
    let mut lab = Lab::settled(A);
    let last = lab.now;
    lab.ttl = 3600;
    lab.round();
    lab.authorities(Outcome::Timeout);
    // From the cache: the TTL runs down, so that its end stays where it is.
    lab.ttl = 3570;
    lab.round();
    lab.ttl = 3540;
    lab.round();
    let step = lab.steps.last().unwrap().clone();
    assert_eq!(lab.took().last(), Some(&OUT));
    let dns = step.dns.unwrap();
    let late = dns.masked_until.unwrap().since(last + Duration::from_secs(3600));
    assert!((0..100_000).contains(&late), "{late}");
    assert_eq!((dns.caches.len(), dns.vantages[0].servers_ok), (2, 0));
    assert!(dns.caches.iter().all(|cache| cache.good && !cache.stale));
}

/// RFC 8767: the answer is old, and says so (EDE 3).
#[test]
fn resolvers_that_serve_stale_answers_tell_of_dead_servers() {
    let mut lab = Lab::settled(A);
    let until = lab.now + Duration::from_secs(300);
    lab.authorities(Outcome::Timeout);
    lab.from[0].stale = true;
    lab.rounds(3);
    let step = lab.steps.last().unwrap().clone();
    assert_eq!(lab.took(), [OUT]);
    let dns = step.dns.unwrap();
    assert!(dns.caches.iter().all(|cache| cache.good && cache.stale));
    assert!(
        dns.masked_until.unwrap() < until,
        "a stale answer does not wind the clock"
    );

    let mut lab = Lab::new(A);
    lab.from[0].authorities.clear();
    lab.rounds(5);
    lab.took();
    lab.from[0].stale = true;
    lab.rounds(5);
    assert_eq!(lab.took(), [(State::Degraded, Finding::AuthorityUnreachable)]);
}

#[test]
fn the_third_failure_within_half_an_hour_is_flapping_once() {
    let mut lab = Lab::settled(A);
    for _ in 0..6 {
        lab.authorities(Outcome::Timeout);
        lab.rounds(2);
        lab.authorities(Outcome::Ok);
        lab.rounds(3);
    }
    let flapping: Vec<_> = lab
        .heard()
        .into_iter()
        .filter(|it| it.0 == NotableKind::Flapping)
        .collect();
    assert_eq!(flapping, [(NotableKind::Flapping, false)]);
}

#[test]
fn servers_that_took_over_in_the_middle_of_an_outage_end_it() {
    let mut lab = Lab::new(A);
    lab.rounds(150);
    lab.took();
    lab.authorities(Outcome::Timeout);
    lab.rounds(4);
    assert_eq!(lab.took(), [OUT]);
    // One of the old ones is still in the NS set, and dead.
    lab.from[0].authorities.truncate(1);
    lab.from[0]
        .authorities
        .extend([10, 11, 12].map(|n| (server(n), Outcome::Ok)));
    lab.rounds(8);
    assert_eq!(lab.took(), [(State::Recovering, Finding::AuthorityPartial)]);
}

#[test]
fn vantages_beyond_the_limit_are_counted_and_not_listened_to() {
    let mut names = Names::new(DnsSettings::default());
    for n in 0..MAX_VANTAGES + 3 {
        let mut asked = probe(
            super::tests::T0,
            "example.com",
            Role::Authority,
            server(1),
            "SOA",
            Outcome::Ok,
        );
        asked.vantage = format!("v{n}");
        names.probe(asked.at, &asked, &mut Vec::new());
    }
    assert_eq!(names.refused(), 3);
}

/// A checkpoint in the middle of anything: what is loaded goes on as what was saved would have.
#[test]
fn a_saved_state_goes_on_where_it_was() {
    let mut lab = Lab::settled(ABC);
    lab.authorities(Outcome::Timeout);
    lab.from[1].cut();
    lab.from[2].resolvers[0] = Outcome::Bogus;
    lab.rounds(1);
    let mut other = Lab::settled(ABC);
    other.from = lab.from.clone();
    other.now = lab.now;
    other.names = postcard::from_bytes(&postcard::to_stdvec(&lab.names).unwrap()).unwrap();
    other.names.resume(DnsSettings::default());
    for lab in [&mut lab, &mut other] {
        lab.rounds(6);
        lab.authorities(Outcome::Ok);
        lab.rounds(20);
    }
    assert_eq!(lab.steps.len(), 3, "{:?}", lab.took());
    assert_eq!((lab.steps, lab.said), (other.steps, other.said));
}
