//! Which servers have authority for a name, as a resolver sees it.
//!
//! The thin version: one resolver is asked for the zone, its NS set and their addresses. The walk from the
//! root, with the parent's view, glue and DS, comes with the DNS monitor.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::transport::{End, Ignored, tcp, udp};
use super::wire::{self, Answer, Flags};

/// More names or addresses than any sane zone has (the root has 13 names); what is beyond is left out.
const MAX_SERVERS: usize = 32;

/// Servers of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    pub zone: Name,
    pub servers: BTreeSet<SocketAddr>,
}

/// Why no servers were found.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoDelegation {
    #[error("none of {0} resolvers knows a zone for {1}")]
    NoZone(usize, Name),
    #[error("the servers of {0} have no addresses")]
    NoAddresses(Name),
}

/// Asks the resolvers in turn; the first that can tell is believed. `port` is 53 but in laboratories.
pub async fn find(
    name: &Name,
    resolvers: &[SocketAddr],
    port: u16,
    timeout: Duration,
) -> Result<Delegation, NoDelegation> {
    let mut failure = NoDelegation::NoZone(resolvers.len(), name.clone());
    for &resolver in resolvers {
        match (Via { resolver, timeout }).find(name, port).await {
            Ok(delegation) => return Ok(delegation),
            Err(Some(why)) => failure = why,
            Err(None) => {}
        }
    }
    Err(failure)
}

/// One resolver, asked several things. A lookup is no probe: it is not recorded.
struct Via {
    resolver: SocketAddr,
    timeout: Duration,
}

impl Via {
    /// `Err(None)`: this resolver could not tell.
    async fn find(&self, name: &Name, port: u16) -> Result<Delegation, Option<NoDelegation>> {
        let zone = self.zone(name).await.ok_or(None)?;
        let names = self.lookup(&zone, RecordType::NS).await.ok_or(None)?;
        let mut servers = BTreeSet::new();
        for record in names.answers.iter().take(MAX_SERVERS) {
            let RData::NS(host) = &record.data else { continue };
            for qtype in [RecordType::A, RecordType::AAAA] {
                let Some(answer) = self.lookup(&host.0, qtype).await else {
                    continue;
                };
                let addrs = answer.answers.iter().filter_map(|record| record.data.ip_addr());
                servers.extend(addrs.map(|addr| SocketAddr::new(addr, port)).take(MAX_SERVERS));
            }
        }
        if servers.is_empty() {
            return Err(Some(NoDelegation::NoAddresses(zone)));
        }
        while servers.len() > MAX_SERVERS {
            servers.pop_last();
        }
        Ok(Delegation { zone, servers })
    }

    /// The zone of a name: SOA of the name itself, or the one that a negative answer brings; else label by label upwards.
    async fn zone(&self, name: &Name) -> Option<Name> {
        let mut at = name.clone();
        loop {
            if let Some(answer) = self.lookup(&at, RecordType::SOA).await {
                let found = answer
                    .answers
                    .iter()
                    .chain(&answer.authorities)
                    .find(|record| is_soa_of(record, &at));
                if let Some(soa) = found {
                    return Some(soa.name.to_lowercase());
                }
            }
            if at.is_root() {
                return None;
            }
            at = at.base_name();
        }
    }

    /// NOERROR and NXDOMAIN (which names the zone, too); anything else is no help.
    async fn lookup(&self, name: &Name, qtype: RecordType) -> Option<Answer> {
        let mut ignored = Ignored::default();
        for random_case in [true, false] {
            let flags = Flags {
                recurse: true,
                no_validation: false,
                random_case,
            };
            let query = wire::query(name, qtype, flags).ok()?;
            let answer = match udp(self.resolver, &query, self.timeout).await.end {
                End::Answer(answer) if answer.truncated => {
                    tcp(self.resolver, &query, self.timeout, &mut ignored)
                        .await
                        .ok()?
                }
                End::Answer(answer) => answer,
                End::CaseDiffers => continue,
                End::Failed(_) => return None,
            };
            return matches!(answer.rcode, 0 | 3).then_some(answer);
        }
        None
    }
}

/// A SOA whose owner is the name, or above it.
fn is_soa_of(record: &Record, name: &Name) -> bool {
    record.record_type() == RecordType::SOA && record.name.zone_of(name)
}
