//! Who saw it: peer ASes and collectors for routes, vantages and resolvers for names.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, State, Subject, Transition};

use super::Case;
use super::text::{Table, clean, clock};

const MOST_SUBJECTS: usize = 20;
/// Peer ASes that are named; the rest is counted.
const MOST_PEERS: usize = 30;

pub fn section(case: &Case) -> String {
    let worst = worst_steps(&case.transitions);
    let mut out = String::from("\n## Who saw it\n");
    out.push_str(&routes(case, &worst));
    out.push_str(&names(case, &worst));
    if worst.is_empty() {
        out.push_str("\nNo evidence of it is left in the store.\n");
    }
    out
}

/// Of each subject the first transition to its worst state.
pub fn worst_steps(transitions: &[Transition]) -> Vec<&Transition> {
    let rank = |state: State| match state {
        State::Out => 3,
        State::Partial => 2,
        State::Degrading | State::Degraded => 1,
        _ => 0,
    };
    let mut worst: BTreeMap<_, &Transition> = BTreeMap::new();
    for step in transitions.iter().filter(|step| rank(step.to) > 0) {
        let slot = worst.entry(step.subject.key()).or_insert(step);
        if rank(step.to) > rank(slot.to) {
            *slot = step;
        }
    }
    worst.into_values().collect()
}

fn routes(case: &Case, worst: &[&Transition]) -> String {
    let routes: Vec<&&Transition> = worst
        .iter()
        .filter(|step| matches!(step.subject, Subject::Prefix { .. }))
        .collect();
    if routes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["prefix", "at", "lost by", "kept by", "not known", "collectors"]);
    let (mut lost, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for step in &routes {
        let Some(evidence) = step.evidence.as_deref() else {
            continue;
        };
        lost.extend(evidence.lost.iter().map(|it| it.peer_asn));
        kept.extend(evidence.kept.iter().copied());
        if table.rows() < MOST_SUBJECTS {
            table.row([
                format!("`{}`", step.subject.key().1),
                format!(
                    "{} {}",
                    step.to.name(),
                    clock(step.at, case.newest().first_evidence_at)
                ),
                evidence.lost.len().to_string(),
                evidence.kept.len().to_string(),
                evidence.unknown.len().to_string(),
                evidence.collectors.to_string(),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "\n### Routes\n\nPeer ASes of the baseline, at the first moment of the worst state of each prefix.\n\n",
    );
    out.push_str(&table.finish());
    let more = routes.len().saturating_sub(MOST_SUBJECTS);
    if more > 0 {
        out.push_str(&format!("\nand {more} more prefixes.\n"));
    }
    out.push_str(&format!("\nLost at least one of them: {}.\n", list(&lost)));
    let stayed: BTreeSet<Asn> = kept.difference(&lost).copied().collect();
    if !stayed.is_empty() {
        out.push_str(&format!(
            "\nKept every one of them at that moment: {}.\n",
            list(&stayed)
        ));
    }
    out
}

fn list(peers: &BTreeSet<Asn>) -> String {
    let named: Vec<String> = peers.iter().take(MOST_PEERS).map(Asn::to_string).collect();
    match peers.len().saturating_sub(MOST_PEERS) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn names(case: &Case, worst: &[&Transition]) -> String {
    let first = case.newest().first_evidence_at;
    let mut servers = Table::new(&["name", "at", "vantage", "name servers that answered"]);
    let mut caches = Table::new(&["name", "at", "vantage", "resolver", "answers", "cached until"]);
    let names = worst
        .iter()
        .filter(|step| matches!(step.subject, Subject::Name { .. }));
    for step in names.take(MOST_SUBJECTS) {
        let Some(dns) = step.dns.as_deref() else { continue };
        let name = format!("`{}`", step.subject.key().1);
        let at = format!("{} {}", step.to.name(), clock(step.at, first));
        for view in &dns.vantages {
            let blind = if view.sighted {
                ""
            } else {
                " (it saw nothing else either: not counted)"
            };
            let answered = format!("{} of {}{blind}", view.servers_ok, view.servers_eligible);
            servers.row([name.clone(), at.clone(), clean(&view.vantage), answered]);
        }
        for view in &dns.caches {
            let verdict = match (view.good, view.stale) {
                (true, true) => "stale",
                (true, false) => "yes",
                (false, _) => "no",
            };
            let until = view.until.map_or("–".to_owned(), |until| clock(until, first));
            caches.row([
                name.clone(),
                at.clone(),
                clean(&view.vantage),
                view.resolver.to_string(),
                verdict.to_owned(),
                until,
            ]);
        }
    }
    let mut out = String::new();
    if !servers.is_empty() {
        out.push_str("\n### Name servers\n\n");
        out.push_str(&servers.finish());
    }
    if !caches.is_empty() {
        out.push_str("\n### Resolvers\n\n");
        out.push_str(&caches.finish());
    }
    out
}
