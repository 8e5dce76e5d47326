//! What is wrong with a delegation, before there is an outage. Pure: from the record of a walk.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use netfault_model::Outcome;
use serde::{Deserialize, Serialize};

use super::keys;
use super::record::{End, Lame, Server, Unresolvable, Walk, Zone};
use crate::dns::check::Verdict;

/// Names or addresses in one sentence; more are counted.
const SHOWN: usize = 6;

/// One thing that is wrong, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkFinding {
    pub kind: FindingKind,
    pub level: Level,
    pub zone: String,
    /// For people.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing fails; but one failure elsewhere would take the whole zone.
    Risk,
    /// Some users, or all, are served worse than they could be.
    Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Parent and child name different servers.
    NsDiffers,
    /// The servers of the zone name different servers.
    NsDisagree,
    /// Glue has an address that the child does not give, or lacks one of the same family.
    GlueDiffers,
    /// A server below the zone that it serves, without glue.
    NoGlue,
    Lame,
    Unreachable,
    /// It answers, but nothing that can be read.
    Broken,
    /// A name server without an address.
    Unresolvable,
    NsIsAlias,
    NsLoop,
    AliasLoop,
    TooManyNs,
    SingleServer,
    SharedAddress,
    /// All in one /24 (IPv4) and one /48 (IPv6).
    SharedPrefix,
    SharedAs,
    NoIpv4,
    NoIpv6,
    DsWithoutDnskey,
    /// No DNSKEY has the key tag and the algorithm of any DS.
    DsMatchesNoDnskey,
    Limit,
}

pub(super) fn of(walk: &Walk) -> Vec<WalkFinding> {
    let mut findings = Vec::new();
    for zone in &walk.zones {
        let mut add = |kind, level, text: String| {
            let zone = zone.zone.clone();
            findings.push(WalkFinding {
                kind,
                level,
                zone,
                text,
            });
        };
        lists(zone, &mut add);
        glue(zone, &mut add);
        unresolved(zone, &mut add);
        servers(zone, walk, &mut add);
        signatures(zone, &mut add);
        if zone.examined && zone.parent.is_some() {
            shared_fate(zone, &mut add);
        }
    }
    // That names need each other has been said of the names already.
    let last = end(walk);
    let is_told = |end: &WalkFinding| {
        end.kind == FindingKind::NsLoop && findings.iter().any(|finding| finding.kind == FindingKind::NsLoop)
    };
    let last = last.filter(|end| !is_told(end));
    findings.extend(last);
    findings
}

type Add<'a> = &'a mut dyn FnMut(FindingKind, Level, String);

fn lists(zone: &Zone, add: Add<'_>) {
    if let (Some(parent), Some(child)) = (&zone.parent_ns, &zone.child_ns) {
        let only = |here: &[String], there: &[String]| -> Vec<String> {
            here.iter()
                .filter(|name| !there.contains(name))
                .cloned()
                .collect()
        };
        let (above, below) = (only(parent, child), only(child, parent));
        let parts = [
            ("only the parent names", above),
            ("only the zone itself names", below),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(who, names)| format!("{who} {}", list(names)))
            .collect();
        if !parts.is_empty() {
            add(FindingKind::NsDiffers, Level::Fault, parts.join("; "));
        }
    }
    if !zone.disagreeing.is_empty() {
        let text = format!(
            "{} name fewer name servers than others do",
            list(&zone.disagreeing)
        );
        add(FindingKind::NsDisagree, Level::Fault, text);
    }
    if zone.left_out > 0 {
        let text = format!("{} name servers too many; they were left out", zone.left_out);
        add(FindingKind::TooManyNs, Level::Fault, text);
    }
}

fn glue(zone: &Zone, add: Add<'_>) {
    for glue in &zone.glue {
        let Some(own) = zone.addresses.iter().find(|host| host.name == glue.name) else {
            continue;
        };
        let stale: Vec<IpAddr> = glue
            .addrs
            .iter()
            .filter(|addr| !own.addrs.contains(addr))
            .copied()
            .collect();
        let has_family = |addr: &IpAddr| glue.addrs.iter().any(|other| other.is_ipv4() == addr.is_ipv4());
        let lacking = own
            .addrs
            .iter()
            .filter(|addr| has_family(addr) && !glue.addrs.contains(addr));
        let lacking: Vec<IpAddr> = lacking.copied().collect();
        let mut parts = Vec::new();
        if !stale.is_empty() {
            parts.push(format!("the parent still says {}", list(&stale)));
        }
        if !lacking.is_empty() {
            parts.push(format!("its own zone says {}", list(&lacking)));
        }
        if !parts.is_empty() {
            let text = format!("{}: {}", glue.name, parts.join(", "));
            add(FindingKind::GlueDiffers, Level::Fault, text);
        }
    }
}

fn unresolved(zone: &Zone, add: Add<'_>) {
    for entry in &zone.unresolved {
        let name = &entry.name;
        let (kind, text) = match &entry.why {
            Unresolvable::NoGlue => (
                FindingKind::NoGlue,
                format!("{name} is below the zone that it serves, and the parent gives no address of it"),
            ),
            Unresolvable::NoAddress => (
                FindingKind::Unresolvable,
                format!("the zone of {name} gives it no address"),
            ),
            Unresolvable::IsAlias => (
                FindingKind::NsIsAlias,
                format!("{name} is an alias, which the name of a server must not be (RFC 2181 §10.3)"),
            ),
            Unresolvable::Loop { path } => (
                FindingKind::NsLoop,
                format!("the address of {name} needs itself: {}", path.join(" → ")),
            ),
            Unresolvable::NoServer { zone } => (
                FindingKind::Unresolvable,
                format!("the address of {name} cannot be found: no server answers for {zone}"),
            ),
            Unresolvable::Limit { what } => (
                FindingKind::Limit,
                format!("the address of {name} was not looked for to the end: too many {what}"),
            ),
        };
        add(kind, Level::Fault, text);
    }
}

fn servers(zone: &Zone, walk: &Walk, add: Add<'_>) {
    let mut told = BTreeSet::new();
    for server in &zone.servers {
        if server.is_healthy() || !told.insert(server.server) {
            continue;
        }
        let who = format!("{} ({})", server.name, server.server);
        match (server.lame, server.outcome) {
            // What stands in for all the root servers says nothing about each of them.
            (Some(_), _) if walk.end == End::Intercepted => {}
            (Some(lame), _) => add(FindingKind::Lame, Level::Fault, format!("{who} {}", lame.text())),
            (None, Some(outcome)) if is_silent(outcome) => {
                // No server of that family answered at all: that says something about this host.
                if sighted(walk, server) {
                    let text = format!("{who} cannot be reached: {}", outcome.name());
                    add(FindingKind::Unreachable, Level::Fault, text);
                }
            }
            (None, Some(Outcome::Void) | None) => {}
            (None, Some(outcome)) => {
                let text = format!("{who} gives no answer that can be used: {}", outcome.name());
                add(FindingKind::Broken, Level::Fault, text);
            }
        }
    }
}

fn is_silent(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Timeout | Outcome::NetUnreachable | Outcome::ConnRefused
    )
}

fn sighted(walk: &Walk, server: &Server) -> bool {
    match server.server {
        SocketAddr::V4(_) => walk.sighted_v4,
        SocketAddr::V6(_) => walk.sighted_v6,
    }
}

fn signatures(zone: &Zone, add: Add<'_>) {
    let (Some(ds), Some(dnskey)) = (&zone.ds, &zone.dnskey) else {
        return;
    };
    if ds.is_empty() {
        return;
    }
    let tags: Vec<u16> = ds.iter().map(|ds| ds.key_tag).collect();
    if dnskey.is_empty() {
        let text = format!("the parent has a DS ({}), and the zone has no key", list(&tags));
        add(FindingKind::DsWithoutDnskey, Level::Fault, text);
    } else if !keys::matches(ds, dnskey) {
        let own: Vec<u16> = dnskey.iter().map(|key| key.key_tag).collect();
        let text = format!(
            "the parent's DS ({}) is for none of the zone's keys ({})",
            list(&tags),
            list(&own)
        );
        add(FindingKind::DsMatchesNoDnskey, Level::Fault, text);
    }
}

fn shared_fate(zone: &Zone, add: Add<'_>) {
    let names: BTreeSet<&str> = zone.servers.iter().map(|server| server.name.as_str()).collect();
    let addrs: BTreeSet<IpAddr> = zone.servers.iter().map(|server| server.server.ip()).collect();
    let Some(first) = addrs.first() else {
        return;
    };
    let networks: BTreeSet<(bool, u128)> = addrs.iter().map(|addr| network(*addr)).collect();
    let per_family = |v4: bool| networks.iter().filter(|(is_v4, _)| *is_v4 == v4).count();
    if names.len() == 1 && zone.unresolved.is_empty() {
        let text = format!("{} is the only name server", list(&Vec::from_iter(names)));
        add(FindingKind::SingleServer, Level::Risk, text);
    } else if addrs.len() == 1 {
        add(
            FindingKind::SharedAddress,
            Level::Risk,
            format!("all name servers are at {first}"),
        );
    } else if per_family(true) <= 1 && per_family(false) <= 1 {
        let text = "all name servers are in one /24 (IPv4), one /48 (IPv6)".to_owned();
        add(FindingKind::SharedPrefix, Level::Risk, text);
    }
    if per_family(true) == 0 {
        add(
            FindingKind::NoIpv4,
            Level::Risk,
            "no name server has an IPv4 address".into(),
        );
    }
    if per_family(false) == 0 {
        add(
            FindingKind::NoIpv6,
            Level::Risk,
            "no name server has an IPv6 address".into(),
        );
    }
}

/// The /24 or /48 that an address is in.
fn network(addr: IpAddr) -> (bool, u128) {
    match addr {
        IpAddr::V4(addr) => (true, u128::from(addr.to_bits() >> 8)),
        IpAddr::V6(addr) => (false, addr.to_bits() >> 80),
    }
}

fn end(walk: &Walk) -> Option<WalkFinding> {
    let zone = walk
        .zones
        .last()
        .map_or_else(|| ".".to_owned(), |zone| zone.zone.clone());
    let (kind, text) = match &walk.end {
        End::Loop { path } if walk.aliases.iter().any(|alias| Some(&alias.to) == path.last()) => (
            FindingKind::AliasLoop,
            format!("the aliases go round: {}", path.join(" → ")),
        ),
        End::Loop { path } => {
            let kind = FindingKind::NsLoop;
            (
                kind,
                format!("the name servers need each other: {}", path.join(" → ")),
            )
        }
        End::TooManyAliases => (
            FindingKind::AliasLoop,
            format!("{} aliases in a row", walk.aliases.len()),
        ),
        End::Limit { what } => (FindingKind::Limit, format!("given up: too much ({what})")),
        _ => return None,
    };
    Some(WalkFinding {
        kind,
        level: Level::Fault,
        zone,
        text,
    })
}

/// Out if the name cannot be come to or does not exist; unknown if that may be our own fault; degraded if something is wrong.
pub(super) fn verdict(walk: &Walk) -> Verdict {
    match &walk.end {
        End::Offline | End::Intercepted | End::Limit { .. } => Verdict::Unknown,
        End::NoServer { zone } if zone == "." => Verdict::Unknown,
        End::NoServer { zone } => {
            let servers = walk
                .zones
                .iter()
                .filter(|entry| entry.zone == *zone)
                .flat_map(|entry| &entry.servers);
            let mut seen = servers.filter(|server| sighted(walk, server)).peekable();
            if seen.peek().is_some() {
                Verdict::Out
            } else {
                Verdict::Unknown
            }
        }
        End::NoAddress { .. } | End::Loop { .. } | End::TooManyAliases | End::Nxdomain { .. } => Verdict::Out,
        End::Answer { .. } | End::Nodata { .. } => {
            let faulty = walk.findings.iter().any(|finding| finding.level == Level::Fault);
            if faulty { Verdict::Degraded } else { Verdict::Ok }
        }
    }
}

impl Walk {
    /// Adds the finding that all servers of a zone are in one AS, where `origin` knows the origin of every address.
    pub fn with_origins(&mut self, origin: impl Fn(IpAddr) -> Option<u32>) {
        for zone in self
            .zones
            .iter()
            .filter(|zone| zone.examined && zone.parent.is_some())
        {
            let origins: Option<BTreeSet<u32>> = zone.servers.iter().map(|s| origin(s.server.ip())).collect();
            let addrs: BTreeSet<IpAddr> = zone.servers.iter().map(|server| server.server.ip()).collect();
            if let Some(asn) = origins
                .filter(|all| all.len() == 1 && addrs.len() > 1)
                .and_then(|all| all.first().copied())
            {
                self.findings.push(WalkFinding {
                    kind: FindingKind::SharedAs,
                    level: Level::Risk,
                    zone: zone.zone.clone(),
                    text: format!("all name servers are in AS{asn}"),
                });
            }
        }
    }
}

impl Lame {
    /// With the server before it, a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Lame::Refused => "refuses to answer for the zone",
            Lame::NotAuth => "says that it has no authority for the zone",
            Lame::Failed => "fails to answer for the zone",
            Lame::NotAuthoritative => "answers without authority",
            Lame::SelfReferral => "refers to the zone that it should serve",
            Lame::UpwardReferral => "refers to a zone above",
            Lame::NoSuchZone => "says that the zone does not exist",
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    if items.len() > SHOWN {
        shown.push(format!("and {} more", items.len() - SHOWN));
    }
    shown.join(", ")
}
