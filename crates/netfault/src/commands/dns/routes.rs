//! Prefix and origin of addresses: out of table dumps, or out of the store of the configuration.
//!
//! Of a dump only what covers a wanted address is kept, so a whole table passes by without being held. The store knows the addresses
//! that watched names depend on, as our own route table had them at the last walk; without it everything is as it was before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use netfault_model::{Asn, Family, Input, Prefix, Route};
use netfault_sources::mrt;
use netfault_store::query::routes_of;
use netfault_store::{Client, StoreTarget};

use crate::cli::{ConfigArg, RouteArgs};
use crate::commands::{config_file, load};
use crate::exit::{Failure, Result, sentence};
use crate::stores;

/// Nobody waits longer for a store, since the check is worth as much without it. A guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// Routes of addresses, each looked up once.
pub struct Known {
    ribs: Vec<String>,
    store: Option<StoreTarget>,
    looked_up: BTreeSet<IpAddr>,
    routes: Routes,
}

impl Known {
    /// # Errors
    /// The configuration was asked for and cannot be read.
    pub fn new(args: &RouteArgs) -> Result<Known> {
        let store = match args.rib.is_empty() {
            true => store(&args.config)?,
            false => None,
        };
        Ok(Known {
            ribs: args.rib.clone(),
            store,
            looked_up: BTreeSet::new(),
            routes: Routes::default(),
        })
    }

    /// # Errors
    /// A dump cannot be read. A store that does not answer is said, and not asked again.
    pub async fn look_up(&mut self, addrs: BTreeSet<IpAddr>) -> Result<()> {
        let new: BTreeSet<IpAddr> = addrs.difference(&self.looked_up).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.looked_up.extend(&new);
        if !self.ribs.is_empty() {
            let (ribs, wanted) = (self.ribs.clone(), self.looked_up.clone());
            // Files, and decompression: nothing for a thread that answers others.
            let read = tokio::task::spawn_blocking(move || Routes::read(&ribs, &wanted)).await;
            self.routes =
                read.map_err(|error| Failure::bug(format_args!("reading the table dump: {error}")))??;
        } else if let Some(store) = self.store.take() {
            let asked = tokio::time::timeout(PATIENCE, routes_of(&Client::new(&store), &new)).await;
            let why = match asked {
                Ok(Ok(found)) => {
                    self.routes.stored.extend(found);
                    self.store = Some(store);
                    return Ok(());
                }
                Ok(Err(error)) => sentence(&error),
                Err(_) => format!("{} does not answer within {} s", store.url, PATIENCE.as_secs()),
            };
            tracing::warn!("no routes from the store: {why}");
        }
        Ok(())
    }

    pub fn of(&self, addr: IpAddr) -> Option<Route> {
        self.routes.of(addr)
    }
}

/// Of the configuration, where there is one and its store needs no starting.
fn store(arg: &ConfigArg) -> Result<Option<StoreTarget>> {
    if config_file(arg).is_none() {
        return Ok(None);
    }
    let config = match load(arg) {
        Ok(config) => config,
        // Nobody asked for the one that lies here.
        Err(failure) if arg.config.is_none() => {
            tracing::warn!("no routes from the store: {failure}");
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let target = config.store.as_ref().and_then(stores::running);
    if target.is_none() {
        tracing::debug!("no routes from the store: none is running");
    }
    Ok(target)
}

/// Longer prefixes are internal routes that a peer let out; they count only where there is nothing else.
fn is_usual(prefix: Prefix) -> bool {
    prefix.len()
        <= match prefix.family() {
            Family::V4 => 24,
            Family::V6 => 48,
        }
}

/// The longest prefix of each address, and the AS that most peers see it originated by.
#[derive(Debug, Default)]
struct Routes {
    covering: BTreeMap<Prefix, BTreeMap<Option<Asn>, u32>>,
    stored: BTreeMap<IpAddr, Route>,
}

impl Routes {
    /// Reads whole files: some seconds for a table of the Internet.
    fn read(paths: &[String], wanted: &BTreeSet<IpAddr>) -> Result<Routes> {
        let mut routes = Routes::default();
        if paths.is_empty() || wanted.is_empty() {
            return Ok(routes);
        }
        let files = mrt::discover(paths).map_err(|error| Failure::data(sentence(&error)))?;
        let stream = mrt::Stream::open(files, mrt::Options::default());
        let stream = stream.map_err(|error| Failure::data(sentence(&error)))?;
        let mut seen = 0u64;
        for input in stream.flatten() {
            if let Input::Rib(route) = input {
                seen += 1;
                routes.add(route.nlri.prefix, route.announcement.origin, wanted);
            }
        }
        match seen {
            0 => Err(Failure::data(format_args!(
                "{}: there is no route of a table dump in it",
                paths.join(", ")
            ))),
            _ => Ok(routes),
        }
    }

    fn add(&mut self, prefix: Prefix, origin: Option<Asn>, wanted: &BTreeSet<IpAddr>) {
        // A default route covers everything and says nothing.
        if prefix.len() > 0 && wanted.iter().any(|addr| prefix.contains(*addr)) {
            let peers = self
                .covering
                .entry(prefix)
                .or_default()
                .entry(origin)
                .or_default();
            *peers = peers.saturating_add(1);
        }
    }

    fn of(&self, addr: IpAddr) -> Option<Route> {
        if let Some(route) = self.stored.get(&addr) {
            return Some(*route);
        }
        let covering = self.covering.iter().filter(|(prefix, _)| prefix.contains(addr));
        let (prefix, origins) = covering.max_by_key(|(prefix, _)| (is_usual(**prefix), prefix.len()))?;
        // Of equals the lowest number: the same file, the same answer.
        let origin = origins.iter().rev().max_by_key(|(_, peers)| **peers);
        Some(Route {
            prefix: *prefix,
            origin: origin.and_then(|(origin, _)| *origin),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_usual_prefix_and_its_usual_origin() {
        let wanted: BTreeSet<IpAddr> = ["192.0.2.1", "198.51.100.9"]
            .map(|text| text.parse().unwrap())
            .into();
        let mut routes = Routes::default();
        for (prefix, origin) in [
            ("0.0.0.0/0", 1),
            ("192.0.0.0/16", 64500),
            ("192.0.2.0/24", 64501),
            ("192.0.2.0/24", 64502),
            ("192.0.2.0/24", 64502),
            ("192.0.2.0/28", 64503),
            ("198.51.100.0/25", 64504),
            ("203.0.113.0/24", 64505),
        ] {
            routes.add(prefix.parse().unwrap(), Some(Asn(origin)), &wanted);
        }
        assert_eq!(routes.covering.len(), 4, "what covers nothing wanted is not kept");
        let of = |addr: &str| {
            let found = routes.of(addr.parse().unwrap());
            found.map(|route| (route.prefix.to_string(), route.origin.map(|asn| asn.0)))
        };
        assert_eq!(of("192.0.2.1"), Some(("192.0.2.0/24".to_owned(), Some(64502))));
        assert_eq!(
            of("198.51.100.9"),
            Some(("198.51.100.0/25".to_owned(), Some(64504)))
        );
        assert_eq!(of("203.0.113.1"), None);
    }
}
