//! A walk as the delegation of its name: what the dependency graph is made of. Pure.

use std::collections::BTreeSet;

use netfault_model::{Address, Delegation, DelegationFinding, NameServer, Outcome, Time};

use super::findings::{FindingKind, Level};
use super::record::{End, NamedBy, Server, Walk, Zone};

impl Walk {
    /// The way to the name and its servers, without routes. `at` is when the walk ended.
    pub fn delegation(&self, at: Time, vantage: &str) -> Delegation {
        let own = self.zone.as_ref().and_then(|apex| self.zone_at(apex));
        let zones: BTreeSet<&str> = self
            .zone
            .iter()
            .chain(self.aliases.iter().map(|alias| &alias.zone))
            .chain(self.end.zone())
            .map(String::as_str)
            .collect();
        let servers = zones.iter().filter_map(|apex| self.zone_at(apex));
        Delegation {
            at,
            vantage: vantage.to_owned(),
            name: self.name.clone(),
            complete: matches!(self.end, End::Answer { .. } | End::Nodata { .. }),
            end: self.end.words(),
            zone: self.zone.clone(),
            parent_ns: own.and_then(|zone| zone.parent_ns.clone()).unwrap_or_default(),
            child_ns: own.and_then(|zone| zone.child_ns.clone()).unwrap_or_default(),
            ds: own.map(key_tags).unwrap_or_default(),
            servers: servers.flat_map(name_servers).collect(),
            aliases: self.aliases.iter().map(|alias| alias.to.clone()).collect(),
            addresses: self.addresses().collect(),
            findings: self.findings.iter().map(finding).collect(),
            frozen: false,
        }
    }

    fn zone_at(&self, apex: &str) -> Option<&Zone> {
        // The root's servers are nobody's name servers here.
        self.zones
            .iter()
            .find(|zone| zone.zone == apex && zone.parent.is_some())
    }

    fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        let addrs = self.answers.iter().filter_map(|text| text.parse().ok());
        addrs.map(|addr| Address { addr, route: None })
    }
}

fn key_tags(zone: &Zone) -> Vec<u16> {
    let tags: BTreeSet<u16> = zone.ds.iter().flatten().map(|ds| ds.key_tag).collect();
    tags.into_iter().collect()
}

fn name_servers(zone: &Zone) -> impl Iterator<Item = NameServer> + '_ {
    zone.servers.iter().map(|server| NameServer {
        zone: zone.zone.clone(),
        name: server.name.clone(),
        addr: server.server.ip(),
        in_parent: matches!(server.named_by, NamedBy::Parent | NamedBy::Both),
        in_child: matches!(server.named_by, NamedBy::Child | NamedBy::Both),
        glue: has_glue(zone, server),
        outcome: match server.lame {
            // It may well have answered: that it does not serve the zone is what counts.
            Some(_) if server.outcome == Some(Outcome::Ok) => Some(Outcome::Lame),
            _ => server.outcome,
        },
        route: None,
    })
}

fn has_glue(zone: &Zone, server: &Server) -> bool {
    let addr = server.server.ip();
    zone.glue
        .iter()
        .any(|host| host.name == server.name && host.addrs.contains(&addr))
}

fn finding(finding: &super::WalkFinding) -> DelegationFinding {
    DelegationFinding {
        fault: finding.level == Level::Fault,
        kind: finding.kind.name().to_owned(),
        zone: finding.zone.clone(),
        text: finding.text.clone(),
    }
}

impl End {
    /// The zone in which the walk ended.
    fn zone(&self) -> Option<&String> {
        match self {
            End::Answer { zone }
            | End::Nodata { zone }
            | End::Nxdomain { zone }
            | End::NoServer { zone }
            | End::NoAddress { zone } => Some(zone),
            _ => None,
        }
    }

    /// For people, a few words.
    pub fn words(&self) -> String {
        match self {
            End::Answer { zone } => format!("answered by {zone}"),
            End::Nodata { zone } => format!("no address in {zone}"),
            End::Nxdomain { zone } => format!("does not exist in {zone}"),
            End::NoServer { zone } => format!("no server of {zone} answers for it"),
            End::NoAddress { zone } => format!("no name server of {zone} has an address"),
            End::Loop { path } => format!("goes round: {}", path.join(" → ")),
            End::TooManyAliases => "too many aliases in a row".to_owned(),
            End::Limit { what } => format!("given up: too much ({what})"),
            End::Offline => "no root server answers".to_owned(),
            End::Intercepted => "something answers in place of the root servers".to_owned(),
        }
    }
}

impl FindingKind {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::NsDiffers => "ns_differs",
            FindingKind::NsDisagree => "ns_disagree",
            FindingKind::GlueDiffers => "glue_differs",
            FindingKind::NoGlue => "no_glue",
            FindingKind::Lame => "lame",
            FindingKind::Unreachable => "unreachable",
            FindingKind::Broken => "broken",
            FindingKind::Unresolvable => "unresolvable",
            FindingKind::NsIsAlias => "ns_is_alias",
            FindingKind::NsLoop => "ns_loop",
            FindingKind::AliasLoop => "alias_loop",
            FindingKind::TooManyNs => "too_many_ns",
            FindingKind::SingleServer => "single_server",
            FindingKind::SharedAddress => "shared_address",
            FindingKind::SharedPrefix => "shared_prefix",
            FindingKind::SharedAs => "shared_as",
            FindingKind::NoIpv4 => "no_ipv4",
            FindingKind::NoIpv6 => "no_ipv6",
            FindingKind::DsWithoutDnskey => "ds_without_dnskey",
            FindingKind::DsMatchesNoDnskey => "ds_matches_no_dnskey",
            FindingKind::Limit => "limit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_findings_are_those_of_their_json() {
        use FindingKind::*;
        for kind in [
            NsDiffers,
            NsDisagree,
            GlueDiffers,
            NoGlue,
            Lame,
            Unreachable,
            Broken,
            Unresolvable,
            NsIsAlias,
            NsLoop,
            AliasLoop,
            TooManyNs,
            SingleServer,
            SharedAddress,
            SharedPrefix,
            SharedAs,
            NoIpv4,
            NoIpv6,
            DsWithoutDnskey,
            DsMatchesNoDnskey,
            FindingKind::Limit,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
