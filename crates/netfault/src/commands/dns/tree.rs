//! A walk as a tree, for people.
//!
//! ```text
//! .
//! │ ns.root  192.0.2.1  ok    0.3 ms
//! └─ example  not signed
//!    │ ns1.example  192.0.2.2  ok    0.3 ms
//!    └─ a.example  DS 12345
//!         ns1.a.example  192.0.2.3  ok         0.3 ms
//!         ns2.a.example  192.0.2.4  refused    0.2 ms
//!
//! fault  a.example: ns2.a.example (192.0.2.4:53) refuses to answer for the zone
//! www.a.example has 192.0.2.9 (zone a.example, TTL 300)
//! ```

use std::collections::BTreeMap;

use netfault_model::State;
use netfault_sources::dns::walk::record::{AliasKind, NamedBy, Server, Zone};
use netfault_sources::dns::walk::{End, Walk};

use super::{coloured, findings};
use crate::render::Style;

/// Of a zone of which one good answer was enough, the servers that were not asked are only counted.
pub fn lines(walk: &Walk, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut below: BTreeMap<&str, Vec<&Zone>> = BTreeMap::new();
    for zone in &walk.zones {
        below
            .entry(zone.parent.as_deref().unwrap_or_default())
            .or_default()
            .push(zone);
    }
    // Zones stand below their parents, in the order in which they were entered.
    let mut waiting: Vec<(&Zone, String, bool)> = Vec::new();
    for zone in walk.zones.iter().filter(|zone| zone.parent.is_none()) {
        waiting.push((zone, String::new(), true));
    }
    while let Some((zone, stem, is_last)) = waiting.pop() {
        let children = below.remove(zone.zone.as_str()).unwrap_or_default();
        let (branch, pad) = match (zone.parent.is_some(), is_last) {
            (false, _) => ("", ""),
            (true, true) => ("└─ ", "   "),
            (true, false) => ("├─ ", "│  "),
        };
        lines.push(format!("{stem}{branch}{}{}", zone.zone, style.dim(&notes(zone))));
        let pad = stem + pad;
        let bar = if children.is_empty() { "  " } else { "│ " };
        lines.extend(server_lines(zone, &format!("{pad}{bar}"), style));
        let last = children.len();
        let children = children.into_iter().enumerate().rev();
        waiting.extend(children.map(|(n, child)| (child, pad.clone(), n + 1 == last)));
    }
    lines.push(String::new());
    for alias in &walk.aliases {
        let kind = match alias.kind {
            AliasKind::Cname => "CNAME",
            AliasKind::Dname => "DNAME",
        };
        lines.push(format!(
            "{} is an alias of {} ({kind} in {}, TTL {})",
            alias.from, alias.to, alias.zone, alias.ttl
        ));
    }
    lines.extend(findings(&walk.findings, style));
    lines.push(end(walk));
    lines.push(format!(
        "{} is {}: {} questions in {:.1} s",
        walk.name,
        coloured(walk.verdict, style),
        walk.queries,
        walk.took_ms / 1000.0
    ));
    lines
}

fn server_lines(zone: &Zone, pad: &str, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let shown: Vec<&Server> = zone
        .servers
        .iter()
        .filter(|server| zone.examined || server.outcome.is_some())
        .collect();
    let word = |server: &Server| outcome(server).unwrap_or("not asked");
    let width = |text: &dyn Fn(&Server) -> usize| shown.iter().map(|server| text(server)).max().unwrap_or(0);
    let names = width(&|server| server.name.len());
    let addrs = width(&|server| server.server.ip().to_string().len());
    let words = width(&|server| word(server).len());
    for server in &shown {
        let state = match (server.is_healthy(), server.outcome) {
            (true, _) => State::Ok,
            (false, None) => State::Unknown,
            (false, Some(_)) => State::Out,
        };
        let outcome = format!("{:<words$}", word(server));
        let latency = server
            .latency_ms
            .map(|ms| format!("{ms:>7.1} ms"))
            .unwrap_or_default();
        let line = format!(
            "{pad}{:<names$}  {:<addrs$}  {}{latency}{}",
            server.name,
            server.server.ip().to_string(),
            style.state(state, &outcome),
            named_by(zone, server)
        );
        lines.push(line.trim_end().to_owned());
    }
    let is_shown = |name: &str| shown.iter().any(|server| server.name == name);
    for missing in zone.unresolved.iter().filter(|missing| !is_shown(&missing.name)) {
        let text = style.state(State::Out, "no address");
        lines.push(format!("{pad}{:<names$}  {text}", missing.name));
    }
    let not_asked = zone.servers.len() - shown.len();
    if not_asked > 0 {
        lines.push(format!(
            "{pad}{}",
            style.dim(&format!("and {not_asked} more, not asked"))
        ));
    }
    lines
}

/// What a server did, in a word: the way in which it is lame, or its outcome.
pub fn outcome(server: &Server) -> Option<&'static str> {
    use netfault_sources::dns::walk::record::Lame;
    let outcome = server.outcome?;
    Some(match server.lame {
        None => outcome.name(),
        Some(Lame::Refused) => "refused",
        Some(Lame::NotAuth) => "not auth",
        Some(Lame::Failed) => outcome.name(),
        Some(Lame::NotAuthoritative) => "no authority",
        Some(Lame::SelfReferral) => "refers to self",
        Some(Lame::UpwardReferral) => "refers upwards",
        Some(Lame::NoSuchZone) => "no such zone",
    })
}

fn named_by(zone: &Zone, server: &Server) -> &'static str {
    match server.named_by {
        NamedBy::Parent if zone.child_ns.is_some() => "  named by the parent only",
        NamedBy::Child if zone.parent_ns.is_some() => "  named by the zone only",
        _ => "",
    }
}

fn notes(zone: &Zone) -> String {
    let mut notes = Vec::new();
    if zone.parent.is_some() && zone.parent_ns.is_none() {
        notes.push("its servers serve the parent as well".to_owned());
    }
    if let Some(ds) = zone.ds.as_ref().filter(|ds| !ds.is_empty()) {
        let tags: Vec<String> = ds.iter().map(|ds| ds.key_tag.to_string()).collect();
        notes.push(format!("DS {}", tags.join(" ")));
    } else if zone.ds.is_some() {
        notes.push("not signed".to_owned());
    }
    if notes.is_empty() {
        return String::new();
    }
    format!("  {}", notes.join(", "))
}

fn end(walk: &Walk) -> String {
    let last = walk.aliases.last().map_or(&walk.name, |alias| &alias.to);
    match &walk.end {
        End::Answer { zone } => {
            let ttl = walk.ttl.map(|ttl| format!(", TTL {ttl}")).unwrap_or_default();
            format!("{last} has {} (zone {zone}{ttl})", walk.answers.join(", "))
        }
        End::Nodata { zone } => format!("{last} exists, and has no address (zone {zone})"),
        End::Nxdomain { zone } => format!("{last} does not exist (zone {zone})"),
        End::NoServer { zone } if zone == "." => "no root server answers for the root".to_owned(),
        End::NoServer { zone } => format!("no server of {zone} answers for it"),
        End::NoAddress { zone } => format!("no name server of {zone} has an address"),
        End::Loop { .. } => format!("there is no way to {last}: it goes round"),
        End::TooManyAliases => format!("there is no way to {last}: too many aliases"),
        End::Limit { what } => format!("given up on the way to {last}: too much ({what})"),
        End::Intercepted => "the root servers answer without authority: something on the way to them (a DNS proxy) answers in \
                             their place, and no walk is possible from here"
            .to_owned(),
        End::Offline => {
            "no root server answers: this host may be offline, or not allowed to ask (port 53)".to_owned()
        }
    }
}
