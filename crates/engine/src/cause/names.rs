//! R1, R2, R3, R6, R7: rules about one name and what it depends on.

use netfault_model::{Cause, CauseRule, Facts, Finding, State, Subject, Time};

use super::{Case, Verdict, World, fails, floor};
use crate::graph::{Node, Standing};
use crate::incidents::part::{Key, Part};

/// What the rules say of one name.
struct Found {
    rule: Option<CauseRule>,
    cause: Cause,
    standing: Standing,
}

/// Of all names that depend on what fell, or that fail: the first rule, and of equals the name with most servers lost.
pub(super) fn judge(case: &Case, world: World) -> Option<Verdict> {
    let mut best: Option<(&str, Found)> = None;
    for name in case.names() {
        let Some(found) = of_name(case, world, name) else {
            continue;
        };
        let rank = |found: &Found| {
            (
                found.rule.is_none(),
                found.rule,
                u32::MAX - found.standing.servers_lost,
            )
        };
        if best.as_ref().is_none_or(|(_, known)| rank(&found) < rank(known)) {
            best = Some((name, found));
        }
    }
    let (name, found) = best?;
    let facts = facts(case, world, name, &found);
    Some(Verdict {
        rule: found.rule,
        cause: Some(found.cause),
        subject: found.rule.map(|_| subject(world, name)),
        floor: found.rule.map_or(0, |rule| floor(rule, &found.standing)),
        facts: Some(Box::new(facts)),
        services: Vec::new(),
    })
}

fn of_name(case: &Case, world: World, name: &str) -> Option<Found> {
    let nothing = Node::default();
    let node = world.graph.node(name).unwrap_or(&nothing);
    let part = case.parts.get(&Key::Name(name.to_owned()));
    let standing = node.standing(|prefix| case.fell(prefix));
    let failed = part.is_some_and(|part| fails(part.worst));
    let finding = part.and_then(|part| part.finding).unwrap_or(Finding::None);
    let (rule, cause, standing) = match finding {
        _ if failed && standing.servers_gone() => (CauseRule::R1, Cause::NameServersWithdrawn, standing),
        Finding::ResolverFault if failed => (CauseRule::R7, Cause::ResolversFail, standing),
        Finding::DnssecBogus if failed => (CauseRule::R7, Cause::DnssecBogus, standing),
        // Where no route is known, nobody can say that the routes are there.
        _ if standing.servers_routed > 0 && (failed || part.is_some() && standing.servers_lost == 0) => {
            (CauseRule::R6, Cause::DnsServersFailed, standing)
        }
        _ => return without_dns_failure(case, node, part, standing),
    };
    Some(Found {
        rule: Some(rule),
        cause,
        standing,
    })
}

/// The name resolves, as far as anybody can tell.
fn without_dns_failure(case: &Case, node: &Node, part: Option<&Part>, fell: Standing) -> Option<Found> {
    let going = node.standing(|prefix| case.low.contains(&prefix) || case.fell(prefix));
    let out = |prefix| case.prefix(prefix).is_some_and(|part| part.worst == State::Out);
    let own = node.standing(out);
    let (rule, cause, standing) = if going.servers_gone() {
        (Some(CauseRule::R2), Cause::DnsOutagePredicted, going)
    } else if own.addresses_gone() {
        (Some(CauseRule::R3), Cause::ServiceWithdrawn, own)
    } else {
        part?;
        (None, Cause::NameFailing, fell)
    };
    Some(Found {
        rule,
        cause,
        standing,
    })
}

/// The service of the name; of several the first; of none the name itself.
fn subject(world: World, name: &str) -> Subject {
    match world.graph.services_of(name).next() {
        Some(service) => Subject::Service {
            service: service.to_string(),
        },
        None => Subject::Name {
            name: name.to_owned(),
        },
    }
}

fn facts(case: &Case, world: World, name: &str, found: &Found) -> Facts {
    let standing = &found.standing;
    let node = world.graph.node(name);
    let carriers = standing.carriers.iter();
    let carriers = carriers.filter_map(|route| case.prefix(route.prefix));
    let (peers_lost, peers) = case.most_lost(&standing.carriers);
    let routing = carriers.map(|part| part.first_evidence).min();
    let part = case.parts.get(&Key::Name(name.to_owned()));
    let failing = part.map(|part| part.first_evidence);
    let caches = world
        .names
        .seen(name, case.now)
        .map(|seen| seen.caches)
        .unwrap_or_default();
    let hides = |until: &Time| *until > case.now;
    let masked: Vec<Time> = caches
        .iter()
        .filter_map(|cache| cache.until)
        .filter(hides)
        .collect();
    Facts {
        name: Some(name.to_owned()),
        servers: standing.servers,
        servers_lost: standing.servers_lost,
        addresses: standing.addresses,
        addresses_lost: standing.addresses_lost,
        mapped_at: node.and_then(|node| node.delegation.as_ref()).map(|it| it.at),
        carriers: standing.carriers.clone(),
        lead_s: failing
            .zip(routing)
            .map(|(failing, routing)| failing.since(routing) / 1_000_000),
        peers_lost,
        peers,
        parent_ok: node.and_then(|node| node.parent_ok),
        caches_good: masked.len() as u32,
        caches: caches.len() as u32,
        masked_until: masked.into_iter().max(),
        ..Facts::default()
    }
}
