//! The names of a plan and the servers that each is asked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};

use super::NamePlan;
use crate::dns::probe::Reply;
use crate::dns::walk::Authorities;
use crate::dns::wire::plain_name;

/// Who is asked, about which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub name: usize,
    pub role: Role,
    pub server: SocketAddr,
}

#[derive(Debug)]
pub(super) struct Watched {
    pub plan: NamePlan,
    /// As it stands in probes.
    pub label: String,
    /// Apex of the zone that the name is in, once known: there a SOA is found.
    zone: Option<Name>,
    /// Found by a walk; kept while that fails.
    found: BTreeSet<SocketAddr>,
    /// Servers with an unanswered question: one in flight per (name, server).
    busy: BTreeMap<(Role, SocketAddr), ()>,
    pub round: u64,
}

impl Watched {
    pub fn new(plan: NamePlan) -> Self {
        Watched {
            label: plain_name(&plan.name),
            plan,
            zone: None,
            found: BTreeSet::new(),
            busy: BTreeMap::new(),
            round: 0,
        }
    }

    /// True if its authorities have to be looked up.
    pub fn is_automatic(&self) -> bool {
        self.plan.authorities.is_empty()
    }

    pub fn has_servers(&self) -> bool {
        !self.plan.authorities.is_empty() || !self.found.is_empty()
    }

    /// Everybody who is asked in a round.
    pub fn servers(&self) -> Vec<(Role, SocketAddr)> {
        let authorities = if self.is_automatic() {
            &self.found
        } else {
            &self.plan.authorities
        };
        let authorities = authorities.iter().map(|server| (Role::Authority, *server));
        let resolvers: BTreeSet<SocketAddr> = self.plan.resolvers.iter().copied().collect();
        authorities
            .chain(resolvers.into_iter().map(|server| (Role::Resolver, server)))
            .collect()
    }

    /// False if a question to this server is still out.
    pub fn take(&mut self, server: (Role, SocketAddr)) -> bool {
        self.busy.insert(server, ()).is_none()
    }

    pub fn release(&mut self, server: (Role, SocketAddr)) {
        self.busy.remove(&server);
    }

    /// Question number `step` of a round; `None` after the last.
    pub fn question(&self, role: Role, step: usize) -> Option<(Name, RecordType)> {
        match (role, step) {
            (Role::Authority, 0) => Some((
                self.zone.clone().unwrap_or_else(|| self.plan.name.clone()),
                RecordType::SOA,
            )),
            (Role::Resolver, 0) => Some((self.plan.name.clone(), RecordType::A)),
            (Role::Resolver, 1) => Some((self.plan.name.clone(), RecordType::AAAA)),
            _ => None,
        }
    }

    pub fn adopt(&mut self, found: Authorities) {
        self.zone = Some(found.zone);
        self.found = found.servers;
    }

    /// An authority that denies the SOA names the zone in the same breath (RFC 2308 §3).
    pub fn learn(&mut self, reply: &Reply) {
        let denies = reply.outcome == Outcome::Nodata && reply.details.authoritative;
        if let Some(zone) = &reply.details.zone
            && denies
            && zone.zone_of(&self.plan.name)
        {
            self.zone = Some(zone.clone());
        }
    }
}
