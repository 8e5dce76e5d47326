//! The cause: the rule that found it, and its numbers.

use netfault_model::{Baseline, Cause, CauseRule, Facts, Incident, Route};

use super::Case;
use super::text::{clean, clock, count, lasted};

pub fn section(case: &Case) -> String {
    let it = case.worst();
    let mut out = format!("\n## Cause\n\n{}.", sentence(it.cause));
    match it.rule {
        Some(rule) => out.push_str(&format!(" Found by rule {}: {}.\n", name(rule), law(rule))),
        None => out.push_str(" No rule connects it with a service or a name.\n"),
    }
    let mut facts: Vec<String> = it
        .facts
        .as_deref()
        .map(|facts| of_facts(facts, it))
        .unwrap_or_default();
    if it.prefixes > 0 {
        facts.push(format!(
            "{} of {} in it were lost at the worst moment",
            it.prefixes_down,
            count(it.prefixes as usize, "prefix", "prefixes")
        ));
    }
    let baseline = match it.baseline {
        Baseline::Held => "peers that had been seen to hold the routes for an hour",
        Baseline::Inferred => "peers whose withdrawals prove that they had held the routes",
    };
    facts.push(format!(
        "confidence {:.0} %, measured against {baseline}",
        it.confidence * 100.0
    ));
    out.push('\n');
    for fact in facts {
        out.push_str(&format!("- {fact}\n"));
    }
    out
}

fn name(rule: CauseRule) -> &'static str {
    match rule {
        CauseRule::R1 => "R1",
        CauseRule::R2 => "R2",
        CauseRule::R3 => "R3",
        CauseRule::R4 => "R4",
        CauseRule::R5 => "R5",
        CauseRule::R6 => "R6",
        CauseRule::R7 => "R7",
    }
}

/// What the rule asks for (DESIGN section 7).
fn law(rule: CauseRule) -> &'static str {
    match rule {
        CauseRule::R1 => {
            "prefixes that hold at least half of the name-server addresses were lost, and DNS failed"
        }
        CauseRule::R2 => {
            "prefixes of at least half of the name-server addresses were going while DNS still answered"
        }
        CauseRule::R3 => "the prefixes of the service's own addresses were lost, its name servers were fine",
        CauseRule::R4 => "the losses of at least three origins share one AS that is none of them",
        CauseRule::R5 => "another origin, or a more-specific route, came before the loss",
        CauseRule::R6 => "name servers failed while their prefixes were there",
        CauseRule::R7 => "only resolvers failed",
    }
}

fn sentence(cause: Cause) -> &'static str {
    match cause {
        Cause::PrefixWithdrawn => "Routes were withdrawn",
        Cause::OriginWithdrawn => "Nearly all routes of one origin AS were withdrawn",
        Cause::CountryWithdrawn => "A good part of the routes of one country was withdrawn",
        Cause::NameFailing => "A name failed",
        Cause::NameServersWithdrawn => "The routes to the name servers were withdrawn, so names failed",
        Cause::DnsOutagePredicted => "The routes to the name servers were going; names still resolved",
        Cause::ServiceWithdrawn => "The routes to the service's own addresses were withdrawn",
        Cause::TransitFailed => "A transit network failed",
        Cause::Hijacked => "Somebody else announced the routes",
        Cause::DnsServersFailed => "Name servers failed; their routes were there",
        Cause::ResolversFail => "Resolvers failed; name servers and routes were fine",
        Cause::DnssecBogus => "Resolvers refused the answers, because their signatures did not hold (DNSSEC)",
    }
}

fn of_facts(facts: &Facts, incident: &Incident) -> Vec<String> {
    let mut out = dependencies(facts);
    out.extend(views(facts, incident));
    out.extend(others(facts));
    out
}

/// What the name depends on, and how much of that is lost.
fn dependencies(facts: &Facts) -> Vec<String> {
    let mut out = Vec::new();
    let of_name = match &facts.name {
        Some(name) => format!(" of {}", clean(name)),
        None => String::new(),
    };
    if facts.servers > 0 {
        out.push(format!(
            "{} of {} name-server addresses{of_name} are in prefixes that were lost",
            facts.servers_lost, facts.servers
        ));
    }
    if facts.addresses > 0 {
        out.push(format!(
            "{} of {} addresses{of_name} itself are in prefixes that were lost",
            facts.addresses_lost, facts.addresses
        ));
    }
    if !facts.carriers.is_empty() {
        let show = |route: &Route| match route.origin {
            Some(origin) => format!("`{}` ({origin})", route.prefix),
            None => format!("`{}`", route.prefix),
        };
        let carriers: Vec<String> = facts.carriers.iter().map(show).collect();
        out.push(format!("carried by {}", carriers.join(", ")));
    }
    if facts.peers > 0 {
        out.push(format!(
            "{} of {} peer ASes lost the route that most of them lost",
            facts.peers_lost, facts.peers
        ));
    }
    out
}

/// What came first, and what the parent and the caches said.
fn views(facts: &Facts, incident: &Incident) -> Vec<String> {
    let mut out = Vec::new();
    let first = incident.first_evidence_at;
    if let Some(lead) = facts.lead_s {
        let word = if lead >= 0 { "before" } else { "after" };
        let time = lasted(lead.saturating_abs().saturating_mul(1_000_000));
        out.push(format!(
            "the first routing evidence came {time} {word} the first DNS failure"
        ));
    }
    if let Some(ok) = facts.parent_ok {
        let word = if ok { "still referred" } else { "did not refer" };
        out.push(format!("the parent zone {word} to the name servers"));
    }
    if let Some(at) = facts.mapped_at {
        let at = clock(at, first);
        out.push(format!("which addresses it depends on is known from {at}"));
    }
    if facts.caches > 0 {
        let until = facts.masked_until.map_or(String::new(), |at| {
            format!(", until {} at the latest", clock(at, first))
        });
        out.push(format!(
            "{} of {} resolvers still answered from their caches{until}",
            facts.caches_good, facts.caches
        ));
    }
    out
}

/// Networks in between, and whoever else announced it.
fn others(facts: &Facts) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(transit) = facts.transit {
        let link = facts
            .link
            .map_or(String::new(), |(a, b)| format!(", on the link {a} to {b}"));
        let origins = count(facts.origins as usize, "origin AS", "origin ASes");
        out.push(format!("{origins} lost routes through {transit}{link}"));
    }
    if !facts.other_origins.is_empty() {
        let others: Vec<String> = facts.other_origins.iter().map(ToString::to_string).collect();
        let word = match facts.exposed {
            true => "seen after the loss, so an effect of it",
            false => "seen before the loss",
        };
        out.push(format!("also announced by {}: {word}", others.join(", ")));
    }
    out
}
