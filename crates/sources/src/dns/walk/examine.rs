//! Every server of a zone, and what parent and child say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::{Name, RecordType};

use super::hints::Hints;
use super::keys;
use super::record::{Ds, Host, NamedBy, Server, Unresolvable, Unresolved, Zone};
use super::resolve::worse;
use super::said::{Referral, Said, ns_names};
use super::walker::{Stuck, Walker};
use crate::dns::wire::plain_name;

/// What is known of one zone's servers while they are asked.
struct Around {
    apex: Name,
    /// The parent's list; empty if it is hidden.
    parent_ns: BTreeSet<Name>,
    glue: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// Addresses by the zones of the names.
    found: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// What each server said: its list of name servers.
    said: BTreeMap<SocketAddr, BTreeSet<Name>>,
    asked: BTreeSet<SocketAddr>,
    stuck: Option<Stuck>,
}

impl Walker<'_> {
    pub async fn root(&mut self, hints: &Hints) {
        let root = Name::root();
        let mut zone = Zone::new(&root, None);
        for (name, addrs) in &hints.servers {
            let servers = addrs.iter().map(|addr| self.socket(*addr));
            zone.servers
                .extend(servers.map(|server| Server::named(name, server, NamedBy::Hints)));
        }
        let servers: Vec<SocketAddr> = self
            .sockets(hints.servers.values().flatten())
            .into_iter()
            .collect();
        self.known.insert(root.clone(), servers.clone());
        if self.limits.everywhere {
            zone.examined = true;
            // What became of them is kept by the walker; if all fail, the way down says so.
            let _ = self.ask_all(&root, &servers, &root, RecordType::NS, 1).await;
        }
        self.zones.push(zone);
    }

    /// The parent sent us to a zone below it: writes it down, and makes it known. Fails if none of its servers has an address.
    pub async fn examine(&mut self, parent: &Name, referral: Referral) -> Result<(), Stuck> {
        let apex = referral.zone.clone();
        let mut zone = Zone::new(&apex, Some(parent));
        zone.parent_ns = Some(names(&referral.ns));
        zone.left_out = referral.left_out;
        zone.glue = hosts(&referral.glue);
        let ds = referral.ds.as_deref().map(keys::ds);
        let thorough = apex.num_labels() > 1 || self.limits.everywhere;
        let mut around = Around::new(&apex, &referral);
        let entered = if thorough {
            self.look_around(&mut around, &mut zone).await
        } else {
            self.enter(&referral).await
        };
        around.write(self, &mut zone);
        if entered.is_ok() {
            self.signed(parent, &apex, &mut zone, ds).await;
        }
        self.zones.push(zone);
        entered
    }

    /// The same for a zone to which there is no referral, because its servers serve the parent as well.
    pub async fn examine_hidden(
        &mut self,
        parent: &Name,
        apex: &Name,
        server: SocketAddr,
    ) -> Result<(), Stuck> {
        let referral = Referral {
            zone: apex.clone(),
            ns: BTreeSet::new(),
            left_out: 0,
            glue: BTreeMap::new(),
            ds: None,
        };
        let mut zone = Zone::new(apex, Some(parent));
        let mut around = Around::new(apex, &referral);
        self.known.insert(apex.clone(), vec![server]);
        let asked = self
            .ask_for_ns(&mut around, &mut zone, BTreeSet::from([server]))
            .await;
        let entered = match asked {
            Ok(()) => self.look_around(&mut around, &mut zone).await,
            Err(stuck) => Err(stuck),
        };
        around.write(self, &mut zone);
        if entered.is_ok() {
            self.signed(parent, apex, &mut zone, None).await;
        }
        self.zones.push(zone);
        entered
    }

    /// Asks every address of every name server for the list of name servers; the parent's first, then those that only the zone names.
    async fn look_around(&mut self, around: &mut Around, zone: &mut Zone) -> Result<(), Stuck> {
        zone.examined = true;
        let apex = around.apex.clone();
        // With glue in hand the zone can be asked before anything else is looked for.
        let at_hand = self.sockets(around.glue.values().flatten());
        self.ask_for_ns(around, zone, at_hand).await?;
        let elsewhere: Vec<Name> = around
            .parent_ns
            .iter()
            .filter(|host| !apex.zone_of(host))
            .cloned()
            .collect();
        self.find(around, zone, elsewhere).await?;
        self.settle(around);
        // Names of its own it can tell itself; and names that only it knows are looked for now.
        let rest: Vec<Name> = around
            .all_ns()
            .into_iter()
            .filter(|host| !around.is_looked_for(host, zone))
            .collect();
        self.find(around, zone, rest).await?;
        self.settle(around);
        if around.asked.is_empty() {
            return Err(around.stuck.take().unwrap_or(Stuck::NoAddress(apex)));
        }
        Ok(())
    }

    /// Looks for the addresses of name servers, and asks those that are new.
    async fn find(&mut self, around: &mut Around, zone: &mut Zone, hosts: Vec<Name>) -> Result<(), Stuck> {
        let mut new = BTreeSet::new();
        for host in hosts {
            let below = around.apex.zone_of(&host);
            let why = if below && around.said.is_empty() {
                // Nobody can tell but the zone itself, which does not answer.
                match around.glue.contains_key(&host) {
                    true => continue,
                    false => Unresolvable::NoGlue,
                }
            } else {
                match Box::pin(self.resolve(&host)).await {
                    Ok(addrs) => {
                        new.extend(self.sockets(&addrs));
                        around.found.insert(host, addrs);
                        continue;
                    }
                    Err(why) => why,
                }
            };
            around.stuck = worse(around.stuck.take(), why.clone(), &around.apex);
            let name = plain_name(&host);
            zone.unresolved.push(Unresolved { name, why });
        }
        self.ask_for_ns(around, zone, new).await
    }

    async fn ask_for_ns(
        &mut self,
        around: &mut Around,
        zone: &mut Zone,
        servers: BTreeSet<SocketAddr>,
    ) -> Result<(), Stuck> {
        let new: Vec<SocketAddr> = servers.difference(&around.asked).copied().collect();
        let apex = around.apex.clone();
        for (server, said) in self.ask_all(&apex, &new, &apex, RecordType::NS, 1).await? {
            let names = match said {
                Said::Found { records } => {
                    let (names, left_out) = ns_names(&records);
                    zone.left_out = zone.left_out.max(left_out);
                    names
                }
                // It speaks for the zone, and names nobody.
                Said::Nodata { .. } => BTreeSet::new(),
                _ => continue,
            };
            around.said.insert(server, names);
        }
        around.asked.extend(new);
        Ok(())
    }

    /// From now on the zone is asked at those servers that speak for it; if none does, at all of them.
    fn settle(&mut self, around: &Around) {
        let servers: Vec<SocketAddr> = if around.said.is_empty() {
            around.asked.iter().copied().collect()
        } else {
            around.said.keys().copied().collect()
        };
        self.known.insert(around.apex.clone(), servers);
    }

    /// Its servers send the DS of a zone below along with the referral, or the proof that there is none (RFC 4035 §3.1.4): one
    /// question less to the servers that all walks need.
    pub fn is_signed(&self, zone: &Name) -> bool {
        let shown = plain_name(zone);
        let entry = self.zones.iter().find(|entry| entry.zone == shown);
        entry.is_some_and(|entry| entry.ds.as_ref().is_some_and(|ds| !ds.is_empty()))
    }

    /// DS at the parent, if they did not come with the referral; if there is one, DNSKEY at the zone. What cannot be asked stays
    /// unknown.
    async fn signed(&mut self, parent: &Name, apex: &Name, zone: &mut Zone, known: Option<Vec<Ds>>) {
        zone.ds = match known {
            Some(ds) => Some(ds),
            None => match self.ask_zone(parent, apex, RecordType::DS).await {
                Ok((_, Said::Found { records })) => Some(keys::ds(&records)),
                Ok((_, Said::Nodata { .. })) => Some(Vec::new()),
                _ => None,
            },
        };
        if zone.ds.as_ref().is_some_and(|ds| !ds.is_empty()) {
            zone.dnskey = match self.ask_zone(apex, apex, RecordType::DNSKEY).await {
                Ok((_, Said::Found { records })) => Some(keys::keys(&records)),
                Ok((_, Said::Nodata { .. })) => Some(Vec::new()),
                _ => None,
            };
        }
    }
}

impl Around {
    fn new(apex: &Name, referral: &Referral) -> Self {
        Around {
            apex: apex.clone(),
            parent_ns: referral.ns.clone(),
            glue: referral.glue.clone(),
            found: BTreeMap::new(),
            said: BTreeMap::new(),
            asked: BTreeSet::new(),
            stuck: None,
        }
    }

    fn child_ns(&self) -> BTreeSet<Name> {
        self.said
            .values()
            .flatten()
            .take(4 * super::said::MAX_NS)
            .cloned()
            .collect()
    }

    fn all_ns(&self) -> BTreeSet<Name> {
        self.parent_ns.union(&self.child_ns()).cloned().collect()
    }

    fn is_looked_for(&self, host: &Name, zone: &Zone) -> bool {
        let name = plain_name(host);
        self.found.contains_key(host) || zone.unresolved.iter().any(|entry| entry.name == name)
    }

    fn write(&self, walker: &Walker<'_>, zone: &mut Zone) {
        let child = self.child_ns();
        if !self.said.is_empty() {
            zone.child_ns = Some(names(&child));
            let differs = |(_, said): &(&SocketAddr, &BTreeSet<Name>)| **said != child;
            zone.disagreeing = self
                .said
                .iter()
                .filter(differs)
                .map(|(server, _)| *server)
                .collect();
        }
        zone.addresses = hosts(&self.found);
        for host in self.all_ns() {
            let named_by = match (self.parent_ns.contains(&host), child.contains(&host)) {
                (true, true) => NamedBy::Both,
                (false, true) => NamedBy::Child,
                _ => NamedBy::Parent,
            };
            let addrs = [self.glue.get(&host), self.found.get(&host)];
            let addrs: BTreeSet<IpAddr> = addrs.into_iter().flatten().flatten().copied().collect();
            let servers = walker.sockets(&addrs).into_iter();
            zone.servers
                .extend(servers.map(|server| Server::named(&host, server, named_by)));
        }
    }
}

impl Zone {
    fn new(apex: &Name, parent: Option<&Name>) -> Self {
        Zone {
            zone: plain_name(apex),
            parent: parent.map(plain_name),
            parent_ns: None,
            child_ns: None,
            disagreeing: Vec::new(),
            glue: Vec::new(),
            addresses: Vec::new(),
            unresolved: Vec::new(),
            ds: None,
            dnskey: None,
            examined: false,
            left_out: 0,
            servers: Vec::new(),
        }
    }
}

impl Server {
    fn named(name: &Name, server: SocketAddr, named_by: NamedBy) -> Self {
        Server {
            name: plain_name(name),
            server,
            named_by,
            outcome: None,
            lame: None,
            rcode: None,
            latency_ms: None,
        }
    }
}

fn names(names: &BTreeSet<Name>) -> Vec<String> {
    names.iter().map(plain_name).collect()
}

fn hosts(hosts: &BTreeMap<Name, BTreeSet<IpAddr>>) -> Vec<Host> {
    hosts
        .iter()
        .map(|(name, addrs)| Host {
            name: plain_name(name),
            addrs: addrs.iter().copied().collect(),
        })
        .collect()
}
