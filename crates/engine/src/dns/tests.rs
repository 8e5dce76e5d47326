//! The edges, each on a small world of servers that answer as a script says.

use std::net::SocketAddr;
use std::time::Duration;

use netfault_model::{Finding, Outcome, Probe, Role, State, Time, Transition, Transport};

use super::{DnsSettings, Names};

pub(super) const T0: Time = Time::from_secs(1_600_000_000);

pub(super) fn server(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 53))
}

pub(super) fn probe(
    at: Time,
    name: &str,
    role: Role,
    addr: SocketAddr,
    qtype: &str,
    outcome: Outcome,
) -> Probe {
    Probe {
        at,
        vantage: "test".into(),
        name: name.into(),
        role,
        server: addr,
        qname: name.into(),
        qtype: qtype.into(),
        outcome,
        rcode: None,
        authoritative: role == Role::Authority && !matches!(outcome, Outcome::Lame | Outcome::Refused),
        ede: None,
        nsid: None,
        latency_us: 1000,
        ttl: None,
        answers: Vec::new(),
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: netfault_model::Arrival::InTime,
        detail: None,
    }
}

/// A world of one name: what each authority and each resolver says now.
pub(super) struct World {
    pub names: Names,
    pub now: Time,
    pub authorities: Vec<Outcome>,
    pub resolvers: Vec<Outcome>,
    pub out: Vec<Transition>,
}

impl World {
    pub fn new(authorities: usize, resolvers: usize) -> Self {
        World {
            names: Names::new(DnsSettings::default()),
            now: T0,
            authorities: vec![Outcome::Ok; authorities],
            resolvers: vec![Outcome::Ok; resolvers],
            out: Vec::new(),
        }
    }

    /// One round of 30 s: authorities a millisecond apart, then resolvers.
    fn round(&mut self) {
        self.names.fire(self.now, &mut self.out);
        let mut at = self.now;
        for (n, outcome) in self.authorities.clone().into_iter().enumerate() {
            at = at + Duration::from_millis(1);
            let probe = probe(
                at,
                "example.com",
                Role::Authority,
                server(n as u8),
                "SOA",
                outcome,
            );
            self.names.probe(at, &probe, &mut self.out);
        }
        for (n, outcome) in self.resolvers.clone().into_iter().enumerate() {
            for qtype in ["A", "AAAA"] {
                at = at + Duration::from_millis(1);
                let probe = probe(
                    at,
                    "example.com",
                    Role::Resolver,
                    server(100 + n as u8),
                    qtype,
                    outcome,
                );
                self.names.probe(at, &probe, &mut self.out);
            }
        }
        self.now = self.now + Duration::from_secs(30);
    }

    fn rounds(&mut self, count: usize) {
        (0..count).for_each(|_| self.round());
    }

    /// The states gone through since the last call, with what was found.
    fn took(&mut self) -> Vec<(State, Finding)> {
        self.out
            .drain(..)
            .map(|step| (step.to, step.finding.unwrap_or(Finding::None)))
            .collect()
    }

    /// A world that has been Ok for a while.
    fn settled(authorities: usize, resolvers: usize) -> Self {
        let mut world = World::new(authorities, resolvers);
        world.rounds(5);
        assert_eq!(world.took(), [(State::Ok, Finding::None)]);
        world
    }
}

#[test]
fn a_healthy_name_becomes_ok_after_two_rounds_and_stays() {
    let mut world = World::new(4, 2);
    world.rounds(1);
    assert_eq!(world.took(), []);
    world.rounds(200);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn one_lost_round_is_nothing() {
    let mut world = World::settled(2, 1);
    world.authorities = vec![Outcome::Timeout; 2];
    world.rounds(1);
    world.authorities = vec![Outcome::Ok; 2];
    world.rounds(10);
    assert_eq!(world.took(), []);
}

#[test]
fn all_authorities_dead_is_out_in_the_second_round_whatever_caches_say() {
    let mut world = World::settled(4, 2);
    let dead = world.now;
    world.authorities = vec![Outcome::Timeout; 4];
    world.rounds(2);
    let step = world.out[0].clone();
    assert_eq!(world.took(), [(State::Out, Finding::AuthorityUnreachable)]);
    assert!(step.at.since(dead) < 31_000_000, "{}", step.at);
    assert_eq!(step.first_evidence_at, dead + Duration::from_millis(1));
    assert_eq!((step.servers_ok, step.servers_eligible), (Some(0), Some(4)));
    assert_eq!((step.resolvers_ok, step.resolvers_eligible), (Some(2), Some(2)));
}

#[test]
fn recovery_takes_two_rounds_and_then_five_minutes() {
    let mut world = World::settled(4, 1);
    world.authorities = vec![Outcome::ConnRefused; 4];
    world.resolvers = vec![Outcome::Servfail];
    world.rounds(10);
    assert_eq!(world.took(), [(State::Out, Finding::AuthorityUnreachable)]);
    world.authorities = vec![Outcome::Ok; 4];
    let back = world.now;
    world.rounds(3); // the resolver still answers from its failure cache: not news
    world.resolvers = vec![Outcome::Ok];
    world.rounds(20);
    let times: Vec<i64> = world
        .out
        .iter()
        .map(|step| step.at.since(back) / 1_000_000)
        .collect();
    assert_eq!(times, [30, 330]);
    assert_eq!(
        world.took(),
        [(State::Recovering, Finding::None), (State::Ok, Finding::None)]
    );
}

#[test]
fn some_authorities_dead_is_partial_then_degraded_and_back() {
    let mut world = World::settled(8, 1);
    world.authorities[0] = Outcome::Timeout;
    world.rounds(4);
    assert_eq!(world.took(), [(State::Partial, Finding::AuthorityPartial)]);
    world.authorities[1..3].fill(Outcome::Refused);
    world.rounds(4);
    assert_eq!(world.took(), [(State::Degraded, Finding::AuthorityPartial)]);
    world.authorities[1..3].fill(Outcome::Ok);
    world.rounds(14);
    assert_eq!(world.took(), [(State::Partial, Finding::AuthorityPartial)]);
    world.authorities[0] = Outcome::Ok;
    world.rounds(14);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn servers_that_answer_but_not_for_the_zone_are_a_broken_delegation() {
    for outcome in [Outcome::Lame, Outcome::Refused] {
        let mut world = World::settled(2, 0);
        world.authorities = vec![outcome; 2];
        world.rounds(3);
        assert_eq!(world.took(), [(State::Out, Finding::DelegationBroken)]);
    }
}

#[test]
fn an_authority_that_denies_the_record_with_authority_is_healthy() {
    let mut world = World::new(2, 0);
    world.authorities = vec![Outcome::Nodata, Outcome::Nxdomain];
    world.rounds(3);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn what_only_resolvers_say() {
    let cases = [
        (Outcome::Bogus, vec![(State::Out, Finding::DnssecBogus)]),
        (Outcome::Nxdomain, vec![(State::Out, Finding::RecordMissing)]),
        (Outcome::Nodata, vec![(State::Out, Finding::RecordMissing)]),
        (Outcome::Servfail, vec![(State::Degraded, Finding::ResolverFault)]),
        (Outcome::Timeout, vec![(State::Degraded, Finding::ResolverFault)]),
    ];
    for (outcome, expected) in cases {
        let mut world = World::settled(4, 2);
        world.resolvers = vec![outcome; 2];
        world.rounds(5);
        assert_eq!(world.took(), expected, "{}", outcome.name());
        let mut world = World::settled(4, 2);
        world.resolvers[0] = outcome;
        world.rounds(20);
        assert_eq!(world.took(), [], "one resolver of two: {}", outcome.name());
    }
}

#[test]
fn a_name_without_addresses_is_no_outage() {
    let mut world = World::new(2, 2);
    world.resolvers = vec![Outcome::Nodata; 2];
    world.rounds(20);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn without_known_authorities_two_resolvers_convict_and_one_does_not() {
    for (resolvers, expected) in [
        (2, (State::Out, Finding::AuthorityUnreachable)),
        (1, (State::Degraded, Finding::ResolverFault)),
    ] {
        let mut world = World::settled(0, resolvers);
        world.resolvers.fill(Outcome::Servfail);
        world.rounds(4);
        assert_eq!(world.took(), [expected]);
    }
}

#[test]
fn a_vantage_that_hears_nobody_says_unknown_and_not_out() {
    for silence in [Outcome::Timeout, Outcome::NetUnreachable] {
        let mut world = World::settled(4, 2);
        world.authorities.fill(silence);
        world.resolvers.fill(silence);
        world.rounds(20);
        assert_eq!(world.took(), [(State::Unknown, Finding::VantageOffline)]);
        world.authorities.fill(Outcome::Ok);
        world.resolvers.fill(Outcome::Ok);
        world.rounds(3);
        assert_eq!(world.took(), [(State::Ok, Finding::None)]);
    }
}

#[test]
fn a_name_nobody_asks_about_any_more_is_unknown() {
    let mut world = World::settled(2, 1);
    let last = world.now;
    world.names.fire(last + Duration::from_secs(3600), &mut world.out);
    assert_eq!(world.took(), [(State::Unknown, Finding::VantageOffline)]);
    // What is left is to forget the vantage.
    world
        .names
        .fire(last + Duration::from_secs(86_400), &mut world.out);
    assert_eq!((world.names.next_deadline(), world.names.vantages()), (None, 0));
    assert_eq!(world.took(), []);
}

#[test]
fn a_server_that_never_worked_leaves_the_denominator_after_an_hour() {
    let mut world = World::new(4, 1);
    world.authorities[3] = Outcome::Timeout;
    world.rounds(4);
    assert_eq!(world.took(), [(State::Partial, Finding::AuthorityPartial)]);
    world.rounds(140);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn a_server_that_is_not_asked_any_more_is_forgotten() {
    let mut world = World::settled(2, 0);
    world.authorities[1] = Outcome::Timeout;
    world.rounds(3);
    assert_eq!(world.took(), [(State::Degraded, Finding::AuthorityPartial)]);
    world.authorities.pop();
    world.rounds(20);
    assert_eq!(world.took(), [(State::Ok, Finding::None)]);
}

#[test]
fn a_void_answer_is_as_if_nobody_had_asked() {
    let mut world = World::settled(2, 1);
    world.authorities[1] = Outcome::Void;
    world.rounds(3);
    assert_eq!(world.took(), []);
}
