//! R3 for a service that lists prefixes and no names: nobody has to be asked to know that it cannot be reached.

use netfault_model::{Cause, CauseRule, Facts, Prefix, Route, Service, State, Subject};

use super::{Case, Verdict, World, floor};
use crate::graph::{Standing, Tie};
use crate::incidents::part::{Key, Part};

/// Of all such services that depend on what fell: the one that lost most of its prefixes.
pub(super) fn judge(case: &Case, world: World) -> Option<Verdict> {
    let services = case.ties.iter().filter_map(|tie| match tie {
        Tie::Service(name) => Some((name, world.graph.service(name)?)),
        Tie::Name(_) | Tie::Servers(_) => None,
    });
    let standings = services
        .filter(|(_, service)| service.names.is_empty())
        .map(|(name, service)| (name, standing(case, service)))
        .filter(|(_, standing)| standing.addresses_gone());
    let (name, standing) = standings.min_by_key(|(_, standing)| u32::MAX - standing.addresses_lost)?;
    let (peers_lost, peers) = case.most_lost(&standing.carriers);
    Some(Verdict {
        rule: Some(CauseRule::R3),
        cause: Some(Cause::ServiceWithdrawn),
        subject: Some(Subject::Service {
            service: name.to_string(),
        }),
        floor: floor(CauseRule::R3, &standing),
        facts: Some(Box::new(Facts {
            addresses: standing.addresses,
            addresses_lost: standing.addresses_lost,
            carriers: standing.carriers,
            peers_lost,
            peers,
            ..Facts::default()
        })),
        services: Vec::new(),
    })
}

/// Its prefixes stand for its addresses: which of them those are, nobody has said.
fn standing(case: &Case, service: &Service) -> Standing {
    let mut standing = Standing::default();
    for &listed in &service.prefixes {
        let out: Vec<Route> = outermost(case, listed).collect();
        standing.addresses += 1;
        standing.addresses_lost += u32::from(share(listed, &out) >= 0.5);
        standing.carriers.extend(out);
    }
    standing
}

/// Routes at or below `listed` that are Out, without those below another one of them.
fn outermost<'a>(case: &'a Case, listed: Prefix) -> impl Iterator<Item = Route> + 'a {
    let mut last: Option<Prefix> = None;
    // A prefix is followed by what it covers.
    let parts = case.parts.range(Key::Prefix(listed)..);
    let below = parts.map_while(move |(key, part)| match key {
        Key::Prefix(prefix) if listed.covers(*prefix) => Some((*prefix, part)),
        _ => None,
    });
    let is_out = |(_, part): &(Prefix, &Part)| part.worst == State::Out;
    below.filter(is_out).filter_map(move |(prefix, part)| {
        if last.is_some_and(|cover| cover.covers(prefix)) {
            return None;
        }
        last = Some(prefix);
        let origin = part.origin();
        Some(Route { prefix, origin })
    })
}

/// Of the space of `listed`: a service may list what is announced in pieces.
fn share(listed: Prefix, out: &[Route]) -> f64 {
    let of = |route: &Route| 0.5f64.powi(i32::from(route.prefix.len()) - i32::from(listed.len()));
    out.iter().map(of).sum()
}
