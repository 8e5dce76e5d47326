//! What all name servers of a zone share, by our own route table: a risk, before there is an outage.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netfault_model::{Delegation, DelegationFinding, Route};

/// Adds that all addresses of the zone's name servers are carried by one prefix, or by one origin. Nothing is said where the route of
/// one of them is not known, nor of a single address (the walk says that).
pub(super) fn add_shared(delegation: &mut Delegation) {
    let Some(zone) = delegation.zone.clone() else {
        return;
    };
    let servers = delegation.servers.iter().filter(|server| server.zone == zone);
    let routes: Vec<(IpAddr, Option<Route>)> = servers.map(|server| (server.addr, server.route)).collect();
    let addresses: BTreeSet<IpAddr> = routes.iter().map(|(addr, _)| *addr).collect();
    let known: Option<Vec<Route>> = routes.iter().map(|(_, route)| *route).collect();
    let Some(known) = known.filter(|_| addresses.len() > 1) else {
        return;
    };
    let prefixes: BTreeSet<_> = known.iter().map(|route| route.prefix).collect();
    let origins: BTreeSet<_> = known.iter().map(|route| route.origin).collect();
    let (kind, text) = match (prefixes.len(), origins.first(), origins.len()) {
        (1, ..) => (
            "shared_prefix",
            format!("one route carries all name servers: {}", known[0].prefix),
        ),
        (_, Some(Some(origin)), 1) => ("shared_as", format!("all name servers are in {origin}")),
        _ => return,
    };
    if !delegation
        .findings
        .iter()
        .any(|finding| finding.kind == kind && finding.zone == zone)
    {
        delegation.findings.push(DelegationFinding {
            fault: false,
            kind: kind.to_owned(),
            zone,
            text,
        });
    }
}
