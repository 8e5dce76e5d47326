//! Who depends on what: service → names → name servers → addresses → prefixes → origin (DESIGN section 7).
//!
//! Nobody types this in. Delegations come as inputs; [`join`] looks up the route of every address in our own table. What
//! is known of a name stands still while the name, or one of the routes that carry it, is failing: the way to a name has
//! to be known when it is gone.
//!
//! * [`Graph`] the names and what carries them, and how those fare now
//! * [`tie`] what makes two losses one story: a name, or a service, that depends on both
//! * `fate` what all name servers of a zone share
//! * `join` the engine's side: routes of addresses, prefixes that carry something are watched

mod fate;
mod join;
mod node;
pub mod tie;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_model::{Delegation, Output, Prefix, Service, State, Subject, Time, Transition, Watch};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::settings::secs;
pub use node::{Node, Standing};
pub use tie::Tie;

/// What of a name a prefix carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Load {
    /// An address of one of its name servers.
    Server,
    /// An address of its own.
    Address,
}

/// How a prefix that carries something fares, while it is not Normal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Condition {
    state: State,
    /// V↓, while it is at most 0.5, and since when it is.
    falling: f64,
    low_since: Option<Time>,
    /// That has lasted long enough to be told.
    ripe: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Graph {
    #[serde(skip)]
    services: BTreeMap<Arc<str>, Service>,
    #[serde(skip)]
    of_name: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    names: BTreeMap<Arc<str>, Node>,
    /// Names that depend on a prefix.
    carried: BTreeMap<Prefix, BTreeSet<(Arc<str>, Load)>>,
    conditions: BTreeMap<Prefix, Condition>,
    /// When a prefix that is low has been so for long enough.
    due: BTreeSet<(Time, Prefix)>,
}

impl Graph {
    pub fn new(watch: &Watch) -> Self {
        let mut graph = Graph::default();
        graph.configure(watch);
        graph
    }

    /// Takes what the configuration says of services. Names that nobody watches any more are forgotten.
    pub fn configure(&mut self, watch: &Watch) {
        let services = watch.services.iter();
        self.services = services
            .map(|(name, service)| (name.as_str().into(), service.clone()))
            .collect();
        self.of_name.clear();
        for (service, what) in &self.services {
            for name in &what.names {
                let of_name = self.of_name.entry(name.as_str().into()).or_default();
                of_name.insert(service.clone());
            }
        }
        let is_gone = |name: &Arc<str>| !watch.names.contains(&**name);
        let gone: Vec<Arc<str>> = self.names.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in gone {
            self.names.remove(&name);
            self.uncarry(&name);
        }
    }

    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, &Service)> {
        self.services.iter()
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    /// Services that a name belongs to.
    pub fn services_of(&self, name: &str) -> impl Iterator<Item = &Arc<str>> {
        self.of_name.get(name).into_iter().flatten()
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.names.get(name)
    }

    /// Names that depend on this prefix, and with what.
    pub fn on(&self, prefix: Prefix) -> impl Iterator<Item = &(Arc<str>, Load)> {
        self.carried.get(&prefix).into_iter().flatten()
    }

    pub fn is_carrier(&self, prefix: Prefix) -> bool {
        self.carried.contains_key(&prefix)
    }

    pub fn carriers(&self) -> impl Iterator<Item = Prefix> {
        self.carried.keys().copied()
    }

    /// The present state of a prefix that carries something.
    pub fn state(&self, prefix: Prefix) -> State {
        self.conditions
            .get(&prefix)
            .map_or(State::Normal, |condition| condition.state)
    }

    /// True if neither the name nor a route that carries it is failing now.
    fn is_well(&self, name: &str) -> bool {
        let Some(node) = self.names.get(name) else {
            return true;
        };
        let settled = matches!(node.state, State::Ok | State::Unknown);
        settled && node.carriers().all(|prefix| self.state(prefix) == State::Normal)
    }

    fn uncarry(&mut self, name: &Arc<str>) -> Vec<Prefix> {
        let mut freed = Vec::new();
        self.carried.retain(|prefix, loads| {
            loads.retain(|(of, _)| of != name);
            if loads.is_empty() {
                freed.push(*prefix);
            }
            !loads.is_empty()
        });
        freed
    }

    /// The name depends on this from now on. Returns the prefixes that carry nothing any more.
    fn adopt(&mut self, delegation: Delegation) -> Vec<Prefix> {
        let name: Arc<str> = delegation.name.as_str().into();
        let freed = self.uncarry(&name);
        let servers = delegation.servers.iter().filter_map(|server| server.route);
        let addresses = delegation.addresses.iter().filter_map(|address| address.route);
        let loads = servers.map(|route| (route, Load::Server));
        let loads = loads.chain(addresses.map(|route| (route, Load::Address)));
        for (route, load) in loads {
            let carried = self.carried.entry(route.prefix).or_default();
            carried.insert((name.clone(), load));
        }
        let node = self.names.entry(name).or_default();
        node.delegation = Some(delegation);
        node.told_frozen = false;
        freed
            .into_iter()
            .filter(|prefix| !self.is_carrier(*prefix))
            .collect()
    }

    /// The visibility of a prefix that carries something, each time its votes were counted. `None` without a quorum.
    pub fn observe(&mut self, settings: &Settings, prefix: Prefix, falling: Option<f64>, now: Time) {
        if !self.is_carrier(prefix) {
            return;
        }
        let low = falling.is_some_and(|falling| falling <= settings.predict_at);
        let known = self.conditions.get(&prefix).copied();
        if !low && known.is_none_or(|condition| condition.low_since.is_none()) {
            return;
        }
        let condition = self.conditions.entry(prefix).or_insert(Condition {
            state: State::Normal,
            falling: 1.0,
            low_since: None,
            ripe: false,
        });
        condition.falling = falling.unwrap_or(1.0);
        match (low, condition.low_since) {
            (true, None) => {
                condition.low_since = Some(now);
                let due = now.plus_micros(secs(settings.predict_hold_s));
                self.due.insert((due, prefix));
            }
            (false, Some(since)) => {
                self.due
                    .remove(&(since.plus_micros(secs(settings.predict_hold_s)), prefix));
                condition.low_since = None;
                condition.ripe = false;
                self.tidy(prefix);
            }
            _ => {}
        }
    }

    /// A prefix that is Normal, and not low, has no condition.
    fn tidy(&mut self, prefix: Prefix) {
        let is_plain =
            |condition: &Condition| condition.state == State::Normal && condition.low_since.is_none();
        if self.conditions.get(&prefix).is_some_and(is_plain) {
            self.conditions.remove(&prefix);
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|&(due, _)| due)
    }

    /// The instant `now` is over: takes what was decided in it. Returns the prefixes that have now been low for long enough,
    /// each with its visibility.
    pub fn settle(&mut self, now: Time, decided: &[Output]) -> Vec<(Prefix, f64)> {
        for output in decided {
            if let Output::Transition(transition) = output {
                self.take(transition);
            }
        }
        let mut ripe = Vec::new();
        while let Some(&(due, prefix)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            if let Some(condition) = self.conditions.get_mut(&prefix) {
                condition.ripe = true;
                ripe.push((prefix, condition.falling));
            }
        }
        ripe
    }

    fn take(&mut self, transition: &Transition) {
        match &transition.subject {
            Subject::Prefix { prefix, .. } if self.is_carrier(*prefix) => {
                let state = match transition.to {
                    State::Gone => State::Normal,
                    to => to,
                };
                let condition = self.conditions.entry(*prefix).or_insert(Condition {
                    state,
                    falling: 1.0,
                    low_since: None,
                    ripe: false,
                });
                condition.state = state;
                self.tidy(*prefix);
            }
            Subject::Name { name } => self
                .names
                .entry(name.as_str().into())
                .or_default()
                .take(transition),
            _ => {}
        }
    }
}
