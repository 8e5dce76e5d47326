//! What the plan asks about: watched names and controls, and the servers that each is asked at.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};

use super::NamePlan;
use crate::dns::expect::Expectation;
use crate::dns::probe::Reply;
use crate::dns::walk::Authorities;
use crate::dns::wire::plain_name;

/// The servers of a name are asked within this time, so that a round is still one look at one moment: the engine waits 12 s
/// for the last of them, and a resolver may take 10 s for its two questions.
const MAX_SPREAD: Duration = Duration::from_secs(2);

/// Who is asked, about which subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub subject: usize,
    pub role: Role,
    pub server: SocketAddr,
}

/// A subject of questions.
#[derive(Debug)]
pub(super) struct Subject {
    /// As it stands in probes.
    pub label: String,
    pub what: What,
    /// Everybody who is asked in a round, and how long after its beginning.
    servers: Vec<(Role, SocketAddr, Duration)>,
    /// Servers with an unanswered question: one in flight per (name, server).
    busy: BTreeSet<(Role, SocketAddr)>,
    pub round: u64,
}

#[derive(Debug)]
pub(super) enum What {
    Watched(Box<Watched>),
    /// A name of others, asked at the resolvers.
    ControlName(Name),
    /// A zone of others, asked at its servers.
    ControlZone(Name),
}

#[derive(Debug)]
pub(super) struct Watched {
    pub plan: NamePlan,
    /// Apex of the zone that the name is in, once known: there a SOA is found.
    pub zone: Option<Name>,
    /// Found by a walk; kept while that fails.
    found: BTreeSet<SocketAddr>,
}

impl Watched {
    /// True if its authorities have to be looked up.
    pub fn is_automatic(&self) -> bool {
        self.plan.authorities.is_empty()
    }

    pub fn authorities(&self) -> &BTreeSet<SocketAddr> {
        match self.is_automatic() {
            true => &self.found,
            false => &self.plan.authorities,
        }
    }
}

impl Subject {
    pub fn watched(plan: NamePlan, interval: Duration) -> Self {
        let label = plain_name(&plan.name);
        let watched = Watched {
            plan,
            zone: None,
            found: BTreeSet::new(),
        };
        let mut subject = Subject::new(label, What::Watched(Box::new(watched)));
        subject.line_up(interval);
        subject
    }

    pub fn control_name(name: &Name, resolvers: &BTreeSet<SocketAddr>, interval: Duration) -> Self {
        let mut subject = Subject::new(plain_name(name), What::ControlName(name.clone()));
        subject.servers = spread(Role::ControlResolver, resolvers, interval);
        subject
    }

    pub fn control_zone(zone: &Name, servers: &BTreeSet<SocketAddr>, interval: Duration) -> Self {
        let mut subject = Subject::new(plain_name(zone), What::ControlZone(zone.clone()));
        subject.servers = spread(Role::ControlAuthority, servers, interval);
        subject
    }

    fn new(label: String, what: What) -> Self {
        Subject {
            label,
            what,
            servers: Vec::new(),
            busy: BTreeSet::new(),
            round: 0,
        }
    }

    pub fn as_watched(&self) -> Option<&Watched> {
        match &self.what {
            What::Watched(watched) => Some(watched),
            _ => None,
        }
    }

    /// The watched name is meant to have private addresses.
    pub fn private_ok(&self) -> bool {
        self.as_watched().is_some_and(|watched| watched.plan.private_ok)
    }

    /// What resolvers must say of it.
    pub fn expect(&self, role: Role) -> Option<Arc<Expectation>> {
        let watched = self.as_watched().filter(|_| role == Role::Resolver)?;
        watched.plan.expect.clone()
    }

    /// What resolvers say of it is validated by ourselves.
    pub fn validates(&self, role: Role) -> bool {
        let watched = self.as_watched().filter(|_| role == Role::Resolver);
        watched.is_some_and(|watched| watched.plan.validate)
    }

    fn line_up(&mut self, interval: Duration) {
        let What::Watched(watched) = &self.what else {
            return;
        };
        let resolvers: BTreeSet<SocketAddr> = watched.plan.resolvers.iter().map(|it| it.addr).collect();
        self.servers = spread(Role::Authority, watched.authorities(), interval);
        self.servers.extend(spread(Role::Resolver, &resolvers, interval));
    }

    pub fn servers(&self) -> impl Iterator<Item = (Role, SocketAddr, Duration)> + '_ {
        self.servers.iter().copied()
    }

    /// False if a question to this server is still out.
    pub fn take(&mut self, server: (Role, SocketAddr)) -> bool {
        self.busy.insert(server)
    }

    pub fn release(&mut self, server: (Role, SocketAddr)) {
        self.busy.remove(&server);
    }

    /// Question number `step` of a round; `None` after the last.
    pub fn question(&self, step: usize, role: Role) -> Option<(Name, RecordType)> {
        let (name, types): (&Name, &[RecordType]) = match (&self.what, role) {
            (What::ControlZone(zone), _) => (zone, &[RecordType::SOA]),
            (What::ControlName(name), _) => (name, &[RecordType::A]),
            (What::Watched(it), Role::Authority) => {
                (it.zone.as_ref().unwrap_or(&it.plan.name), &[RecordType::SOA])
            }
            (What::Watched(it), _) => (&it.plan.name, &[RecordType::A, RecordType::AAAA]),
        };
        types.get(step).map(|qtype| (name.clone(), *qtype))
    }

    /// From now on these servers are asked.
    pub fn adopt(&mut self, found: Authorities, interval: Duration) {
        if let What::Watched(watched) = &mut self.what {
            watched.zone = Some(found.zone);
            watched.found = found.servers;
        }
        self.line_up(interval);
    }

    /// An authority that denies the SOA names the zone in the same breath (RFC 2308 §3).
    pub fn learn(&mut self, reply: &Reply) {
        let denies = reply.outcome == Outcome::Nodata && reply.details.authoritative;
        if let What::Watched(watched) = &mut self.what
            && let Some(zone) = &reply.details.zone
            && denies
            && zone.zone_of(&watched.plan.name)
        {
            watched.zone = Some(zone.clone());
        }
    }
}

/// The servers of one role one after the other, always in the same order: the rounds of each are an interval apart.
fn spread(
    role: Role,
    servers: &BTreeSet<SocketAddr>,
    interval: Duration,
) -> Vec<(Role, SocketAddr, Duration)> {
    let span = (interval / 10).min(MAX_SPREAD);
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
    let step = span / count;
    servers
        .iter()
        .zip(0u32..)
        .map(|(server, n)| (role, *server, step * n))
        .collect()
}
