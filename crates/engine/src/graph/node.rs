//! One name: what it depends on, and how it fares.

use std::collections::BTreeSet;

use netfault_model::{Delegation, Prefix, Route, State, Transition};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// With routes, as it was before the present failure.
    pub delegation: Option<Delegation>,
    /// What the last walk of all says of the parent: it refers to the name servers.
    pub parent_ok: Option<bool>,
    pub state: State,
    /// That the mapping stands still has been said.
    pub told_frozen: bool,
}

impl Default for Node {
    fn default() -> Self {
        Node {
            delegation: None,
            parent_ok: None,
            state: State::Unknown,
            told_frozen: false,
        }
    }
}

/// How much of what a name depends on is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    pub servers: u32,
    pub servers_lost: u32,
    /// Servers whose route was known.
    pub servers_routed: u32,
    pub addresses: u32,
    pub addresses_lost: u32,
    /// Lost routes that carry either, sorted.
    pub carriers: Vec<Route>,
}

impl Standing {
    /// Half of the name servers' addresses, or more.
    pub fn servers_gone(&self) -> bool {
        self.servers > 0 && self.servers_lost * 2 >= self.servers
    }

    pub fn addresses_gone(&self) -> bool {
        self.addresses > 0 && self.addresses_lost * 2 >= self.addresses
    }
}

impl Node {
    pub fn carriers(&self) -> impl Iterator<Item = Prefix> {
        let routes = self.delegation.iter().flat_map(Delegation::routes);
        routes.map(|route| route.prefix)
    }

    /// Counts what stands on prefixes that are `lost`. An address with two servers counts once.
    pub fn standing(&self, lost: impl Fn(Prefix) -> bool) -> Standing {
        let mut standing = Standing::default();
        let Some(delegation) = &self.delegation else {
            return standing;
        };
        let mut carriers = BTreeSet::new();
        let mut is_lost = |route: Option<Route>| {
            let route = route.filter(|route| lost(route.prefix));
            carriers.extend(route);
            u32::from(route.is_some())
        };
        let mut seen = BTreeSet::new();
        for server in delegation
            .servers
            .iter()
            .filter(|server| seen.insert(server.addr))
        {
            standing.servers += 1;
            standing.servers_routed += u32::from(server.route.is_some());
            standing.servers_lost += is_lost(server.route);
        }
        for address in &delegation.addresses {
            standing.addresses += 1;
            standing.addresses_lost += is_lost(address.route);
        }
        standing.carriers = carriers.into_iter().collect();
        standing
    }

    pub(super) fn take(&mut self, transition: &Transition) {
        self.state = transition.to;
    }
}
