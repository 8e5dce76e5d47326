//! Addresses of name servers: further walks, each only as far as needed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};

use super::record::Unresolvable;
use super::said::{Referral, Said, addresses};
use super::walker::{Stuck, Walker, Way};
use crate::dns::wire::plain_name;

/// Name servers that are needed to find name servers. Four are known from the wild.
const MAX_DEPTH: usize = 8;
/// Of a zone on a side way: so many of its name servers are looked up, if none comes with an address.
const ENOUGH_HOSTS: usize = 2;

impl Walker<'_> {
    /// Addresses of a name server in both families, from the zone of its name.
    pub async fn resolve(&mut self, host: &Name) -> Result<BTreeSet<IpAddr>, Unresolvable> {
        if let Some(found) = self.hosts.get(host) {
            return found.clone();
        }
        if let Some(at) = self.needed.iter().position(|needed| needed == host) {
            let path = self.needed[at..].iter().chain([host]).map(plain_name).collect();
            return Err(Unresolvable::Loop { path });
        }
        if self.needed.len() >= MAX_DEPTH {
            let what = "name servers that need name servers".to_owned();
            return Err(Unresolvable::Limit { what });
        }
        if let Some(addrs) = self.shared.and_then(|shared| shared.host(host)) {
            self.hosts.insert(host.clone(), Ok(addrs.clone()));
            return Ok(addrs);
        }
        self.recall(host, Way::Aside);
        self.needed.push(host.clone());
        let found = self.look_up(host).await;
        self.needed.pop();
        // What failed because of where we came from may work from elsewhere.
        let depends = matches!(found, Err(Unresolvable::Loop { .. } | Unresolvable::Limit { .. }));
        if !depends || self.needed.is_empty() {
            self.hosts.insert(host.clone(), found.clone());
        }
        found
    }

    async fn look_up(&mut self, host: &Name) -> Result<BTreeSet<IpAddr>, Unresolvable> {
        let mut addrs = BTreeSet::new();
        for qtype in [RecordType::A, RecordType::AAAA] {
            match Box::pin(self.descend(host, qtype, Way::Aside)).await {
                Ok((_, Said::Found { records })) => addrs.extend(addresses(&records)),
                Ok((_, Said::Alias { .. })) => return Err(Unresolvable::IsAlias),
                Ok((_, Said::Nxdomain { .. })) => break,
                Ok(_) => {}
                Err(stuck) if addrs.is_empty() => return Err(stuck.unresolvable()),
                Err(_) => break,
            }
        }
        if addrs.is_empty() {
            return Err(Unresolvable::NoAddress);
        }
        Ok(addrs)
    }

    /// Makes a zone known on a side way, or on the main way where one good answer is enough.
    pub async fn enter(&mut self, referral: &Referral) -> Result<(), Stuck> {
        let apex = &referral.zone;
        let mut addrs: BTreeSet<IpAddr> = referral.glue.values().flatten().copied().collect();
        let mut stuck = None;
        let mut found = 0;
        if addrs.is_empty() {
            // Names below the zone itself cannot be found without it.
            for host in referral.ns.iter().filter(|host| !apex.zone_of(host)) {
                match Box::pin(self.resolve(host)).await {
                    Ok(more) => {
                        addrs.extend(more);
                        found += 1;
                    }
                    Err(why) => stuck = worse(stuck, why, apex),
                }
                if found == ENOUGH_HOSTS {
                    break;
                }
            }
        }
        if addrs.is_empty() {
            return Err(stuck.unwrap_or(Stuck::NoAddress(apex.clone())));
        }
        let servers = self.sockets(&addrs).into_iter().collect();
        self.known.insert(apex.clone(), servers);
        Ok(())
    }
}

/// A loop or a limit says more about why there is no address than any other reason.
pub(super) fn worse(before: Option<Stuck>, why: Unresolvable, apex: &Name) -> Option<Stuck> {
    match (before, why) {
        (Some(known @ Stuck::Loop(_)), _) => Some(known),
        (_, Unresolvable::Loop { path }) => Some(Stuck::Loop(path)),
        (Some(known), _) => Some(known),
        (None, Unresolvable::Limit { what }) => Some(Stuck::Limit(what)),
        (None, _) => Some(Stuck::NoAddress(apex.clone())),
    }
}
