//! One incident, one sentence: the cause with its numbers, for people.

use netfault_model::{Asn, Cause, Facts, Finding, Incident, Layer, LayerKind, State, Time};

use super::origins_of;
use super::who::Who;
use crate::incidents::part::Part;

/// What a rule says of an incident that is open. `decider`: the name that decided. `None`: no rule has anything to say.
pub fn of(incident: &Incident, decider: Option<&Part>) -> Option<String> {
    incident.rule?;
    let facts = incident.facts.as_deref()?;
    let who = Who::concerned(incident, facts);
    let text = match incident.cause {
        Cause::NameServersWithdrawn => servers_withdrawn(&who, facts, incident.at),
        Cause::DnsOutagePredicted => predicted(&who, facts, incident.at),
        Cause::ServiceWithdrawn => service_withdrawn(&who, facts),
        Cause::TransitFailed => transit(facts, incident.prefixes),
        Cause::Hijacked => hijacked(incident, facts),
        Cause::DnsServersFailed => {
            let why = servers_fail(decider, who.its());
            format!("{who} {}: {why}{}", who.fails(), parent(facts))
        }
        Cause::ResolversFail => format!("Only resolvers fail {who}: {} name servers answer", who.its()),
        Cause::DnssecBogus => {
            format!(
                "Resolvers that validate refuse the answers for {who} (DNSSEC): {} name servers answer",
                who.its()
            )
        }
        Cause::PrefixWithdrawn | Cause::OriginWithdrawn | Cause::CountryWithdrawn | Cause::NameFailing => {
            return None;
        }
    };
    let recovering = match incident.level {
        State::Recovering => "; recovering",
        _ => "",
    };
    Some(format!("{text}{}{recovering}", exposed(facts)))
}

/// What is said of one that is over, where that is not simply that it is back.
pub fn over(incident: &Incident, lasted: &str) -> Option<String> {
    let facts = incident.facts.as_deref()?;
    let who = Who::concerned(incident, facts);
    match incident.cause {
        Cause::DnsOutagePredicted => Some(format!(
            "The DNS outage predicted for {who} did not come: the prefixes are back after {lasted}"
        )),
        Cause::Hijacked if incident.prefixes == 0 => {
            let prefix = facts
                .carriers
                .first()
                .map(|route| route.prefix.to_string())
                .unwrap_or_default();
            let others = list(&facts.other_origins);
            Some(format!(
                "{prefix} is not announced by {others} any more, after {lasted}"
            ))
        }
        Cause::NameServersWithdrawn | Cause::ServiceWithdrawn | Cause::DnsServersFailed => Some(format!(
            "{who} {} back after {lasted}{}",
            who.is(),
            recovered(incident)
        )),
        _ => None,
    }
}

/// ` (routes 21:07:39, names 21:12:47)`
fn recovered(incident: &Incident) -> String {
    let layer = |layer: &Layer| {
        let what = match layer.layer {
            LayerKind::Bgp => "routes",
            LayerKind::Dns => "names",
            LayerKind::Application => return None,
        };
        let at = layer.recovered_at?.to_string();
        Some(format!("{what} {}", at.get(11..19)?))
    };
    let layers: Vec<String> = incident.layers.iter().filter_map(layer).collect();
    match layers.is_empty() {
        true => String::new(),
        false => format!(" ({})", layers.join(", ")),
    }
}

fn servers_withdrawn(who: &Who, facts: &Facts, now: Time) -> String {
    let ago = match facts.lead_s {
        Some(0) | None => String::new(),
        Some(lead) if lead > 0 => format!(" {} earlier", span(lead)),
        Some(lag) => format!(" {} later", span(-lag)),
    };
    format!(
        "{who} {} because {} that {} withdrew{ago}{}{}{}",
        who.fails(),
        sit_in(facts.servers_lost, facts.servers, "name server", "name servers"),
        by(facts),
        peers(facts),
        parent(facts),
        caches(facts, now)
    )
}

fn service_withdrawn(who: &Who, facts: &Facts) -> String {
    let (lost, all, by, peers) = (facts.addresses_lost, facts.addresses, by(facts), peers(facts));
    let reached = match lost == all {
        true => "cannot be reached",
        false => "can be reached only in part",
    };
    match (&facts.name, all) {
        (Some(_), _) => format!(
            "{who} {reached}: {} that {by} withdrew{peers}; {} name servers are fine",
            sit_in(lost, all, "address", "addresses"),
            who.its()
        ),
        // A service that lists prefixes and no names.
        (None, 1) => format!("{who} {reached}: {by} withdrew its prefix{peers}"),
        (None, _) => format!("{who} {reached}: {by} withdrew {lost} of its {all} prefixes{peers}"),
    }
}

fn predicted(who: &Who, facts: &Facts, now: Time) -> String {
    let hidden = match facts.masked_until.filter(|until| *until > now) {
        Some(until) => format!(
            "; caches will hide it for up to {}",
            span(until.since(now) / 1_000_000)
        ),
        None => String::new(),
    };
    format!(
        "DNS outage predicted for {who}: {} that {} is withdrawing{}; it still resolves{hidden}",
        sit_in(facts.servers_lost, facts.servers, "name server", "name servers"),
        by(facts),
        peers(facts)
    )
}

/// `4 of 4 name servers sit in prefixes`
fn sit_in(lost: u32, all: u32, one: &str, many: &str) -> String {
    let (noun, verb) = match all {
        1 => (one, "sits"),
        _ => (many, "sit"),
    };
    format!("{lost} of {all} {noun} {verb} in prefixes")
}

fn by(facts: &Facts) -> String {
    match origins_of(facts).as_slice() {
        [] => "their origin".to_owned(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first} and {} more ASes", others.len()),
    }
}

fn peers(facts: &Facts) -> String {
    match facts.peers {
        0 => String::new(),
        all => format!("; {} of {all} peers agree", facts.peers_lost),
    }
}

fn parent(facts: &Facts) -> &'static str {
    match facts.parent_ok {
        Some(true) => "; the parent delegation is healthy",
        Some(false) => "; the parent gives no delegation",
        None => "",
    }
}

fn caches(facts: &Facts, now: Time) -> String {
    match facts
        .masked_until
        .filter(|until| *until > now && facts.caches > 0)
    {
        Some(until) => format!(
            "; caches hide it at {} of {} resolvers for another {}",
            facts.caches_good,
            facts.caches,
            span(until.since(now) / 1_000_000)
        ),
        None => String::new(),
    }
}

fn servers_fail(name: Option<&Part>, its: &str) -> String {
    let there = "their prefixes are there";
    match name.and_then(|name| name.finding) {
        Some(Finding::RecordMissing) => {
            format!("{its} name servers answer, but without the record, and {there}")
        }
        Some(Finding::AnswerChanged) => {
            format!("{its} name servers answer, but not as expected, and {there}")
        }
        Some(Finding::DelegationBroken) => {
            format!("{its} name servers do not serve {its} zone, though {there}")
        }
        _ => {
            let (lost, all) = name.map_or((0, 0), |name| name.lost);
            format!("{lost} of {all} name servers do not answer, though {there}: DNS servers or data plane")
        }
    }
}

fn transit(facts: &Facts, prefixes: u32) -> String {
    let asn = facts.transit.map(|asn| asn.to_string()).unwrap_or_default();
    let link = match facts.link {
        Some((from, to)) => format!(" over the link {from}–{to}"),
        None => String::new(),
    };
    format!(
        "{asn} carries no routes any more{link}: {} origins behind it lost {prefixes} prefixes",
        facts.origins
    )
}

fn hijacked(incident: &Incident, facts: &Facts) -> String {
    let prefix = facts
        .carriers
        .first()
        .map(|route| route.prefix.to_string())
        .unwrap_or_default();
    let owner = facts.carriers.first().and_then(|route| route.origin);
    let of = owner.map(|owner| format!(" of {owner}")).unwrap_or_default();
    let since = incident.first_evidence_at.to_string();
    format!(
        "{prefix}{of} is announced by {} since {}: possible hijack",
        list(&facts.other_origins),
        since.get(11..19).unwrap_or(&since)
    )
}

fn exposed(facts: &Facts) -> String {
    match facts.exposed {
        true => format!(
            "; {} announces it since then, which is an effect of the loss and not its cause",
            list(&facts.other_origins)
        ),
        false => String::new(),
    }
}

fn list(asns: &[Asn]) -> String {
    let shown: Vec<String> = asns.iter().take(3).map(Asn::to_string).collect();
    match asns.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `12 s`, `5 min 12 s`, `3 min`, `3 h 4 min`
pub fn span(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
