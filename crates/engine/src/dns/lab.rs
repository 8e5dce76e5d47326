//! Several vantages, each with control authorities, canaries, authorities in two families and resolvers that answer
//! as a script says.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use netfault_model::{Finding, Notable, NotableKind, Outcome, Probe, Role, State, Time, Transition};

use super::tests::{T0, probe, server};
use super::{DnsSettings, Names};

pub(super) fn server6(n: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), 53))
}

/// What is found from one vantage now.
#[derive(Clone)]
pub(super) struct From {
    pub vantage: &'static str,
    /// It is asked at all; an agent that is gone asks nothing.
    pub asks: bool,
    pub authorities: Vec<(SocketAddr, Outcome)>,
    pub resolvers: Vec<Outcome>,
    /// The resolvers answer from beyond the TTL (EDE 3).
    pub stale: bool,
    pub controls: Vec<(SocketAddr, Outcome)>,
    /// Two control names per resolver.
    pub canaries: Vec<[Outcome; 2]>,
}

impl From {
    /// The whole uplink is cut. A resolver beside the probe still answers from its cache.
    pub fn cut(&mut self) {
        let servers = self.authorities.iter_mut().chain(&mut self.controls);
        servers.for_each(|(_, outcome)| *outcome = Outcome::Timeout);
    }
}

#[derive(Clone)]
pub(super) struct Lab {
    pub names: Names,
    pub now: Time,
    pub watched: Vec<&'static str>,
    pub from: Vec<From>,
    pub ttl: u32,
    pub steps: Vec<Transition>,
    pub said: Vec<Notable>,
}

impl Lab {
    /// Four authorities (two of IPv6), two resolvers with canaries, and three control authorities at each vantage.
    pub fn new(vantages: &[&'static str]) -> Self {
        let fine = |servers: Vec<SocketAddr>| servers.into_iter().map(|it| (it, Outcome::Ok)).collect();
        let from = vantages.iter().map(|vantage| From {
            vantage,
            asks: true,
            authorities: fine(vec![server(1), server(2), server6(1), server6(2)]),
            resolvers: vec![Outcome::Ok; 2],
            stale: false,
            controls: fine(vec![server(201), server(202), server6(201)]),
            canaries: vec![[Outcome::Ok; 2]; 2],
        });
        Lab {
            names: Names::new(DnsSettings::default()),
            now: T0,
            watched: vec!["example.com"],
            from: from.collect(),
            ttl: 300,
            steps: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Five quiet rounds.
    pub fn settled(vantages: &[&'static str]) -> Self {
        let mut lab = Lab::new(vantages);
        lab.rounds(5);
        assert_eq!(lab.took(), [(State::Ok, Finding::None)]);
        assert_eq!(lab.said, []);
        lab
    }

    pub fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for from in self.from.iter().filter(|from| from.asks) {
            let mut add = |name, role, addr, qtype, outcome| {
                let at = self.now + Duration::from_millis(1 + probes.len() as u64);
                let stale = from.stale && role == Role::Resolver;
                probes.push(Probe {
                    vantage: from.vantage.into(),
                    ttl: (outcome == Outcome::Ok).then_some(if stale { 30 } else { self.ttl }),
                    ede: stale.then(|| (3, String::new())),
                    ..probe(at, name, role, addr, qtype, outcome)
                });
            };
            for (addr, outcome) in &from.controls {
                add("control.example", Role::ControlAuthority, *addr, "SOA", *outcome);
            }
            for (n, canaries) in from.canaries.iter().enumerate() {
                for (name, outcome) in ["canary.example", "canary.test"].into_iter().zip(canaries) {
                    add(name, Role::ControlResolver, server(100 + n as u8), "A", *outcome);
                }
            }
            for name in &self.watched {
                for (addr, outcome) in &from.authorities {
                    add(name, Role::Authority, *addr, "SOA", *outcome);
                }
                for (n, outcome) in from.resolvers.iter().enumerate() {
                    add(name, Role::Resolver, server(100 + n as u8), "A", *outcome);
                    add(name, Role::Resolver, server(100 + n as u8), "AAAA", *outcome);
                }
            }
        }
        probes
    }

    pub fn round(&mut self) {
        self.names.fire(self.now, &mut self.steps);
        for probe in self.probes() {
            self.names.probe(probe.at, &probe, &mut self.steps);
        }
        self.now = self.now + Duration::from_secs(30);
        self.said.extend(self.names.take_said());
    }

    pub fn rounds(&mut self, count: usize) {
        (0..count).for_each(|_| self.round());
    }

    /// Every authority answers like this, from every vantage.
    pub fn authorities(&mut self, outcome: Outcome) {
        let servers = self.from.iter_mut().flat_map(|from| &mut from.authorities);
        servers.for_each(|(_, it)| *it = outcome);
    }

    pub fn resolvers(&mut self, outcome: Outcome) {
        self.from.iter_mut().for_each(|from| from.resolvers.fill(outcome));
    }

    /// The states gone through since the last call, with what was found.
    pub fn took(&mut self) -> Vec<(State, Finding)> {
        let steps = self.steps.drain(..);
        steps
            .map(|step| (step.to, step.finding.unwrap_or(Finding::None)))
            .collect()
    }

    /// What was said since the last call, and whether it is over.
    pub fn heard(&mut self) -> Vec<(NotableKind, bool)> {
        self.said.drain(..).map(|it| (it.what, it.over)).collect()
    }
}
