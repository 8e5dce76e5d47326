//! What is not known: the honest end of a report.

use std::collections::BTreeMap;

use netfault_model::{Baseline, LayerKind, Subject, Transition};

use super::Case;
use super::layers::layer_of;
use super::seen::worst_steps;
use super::text::{clean, count, moment};

pub fn section(case: &Case) -> String {
    let mut out = String::from("\n## What is not known\n\n");
    let mut gaps = vec![
        "Why it was done: routes and names say what happened and who saw it, not who did it or meant it."
            .to_owned(),
    ];
    gaps.extend(state(case));
    gaps.extend(evidence(case));
    gaps.extend(layers(case));
    gaps.extend(troubles(case));
    for gap in gaps {
        out.push_str(&format!("- {gap}\n"));
    }
    out
}

fn state(case: &Case) -> Vec<String> {
    let it = case.newest();
    let mut gaps = Vec::new();
    if it.cleared_at.is_none() && it.merged_into.is_none() {
        gaps.push(format!(
            "How it ends: it was not over at {}, when this version was written.",
            moment(it.at)
        ));
    }
    if it.baseline == Baseline::Inferred {
        gaps.push(
            "How many peers had the routes before: no table had been learnt yet, so the baseline is inferred from \
             withdrawals, and the confidence is capped."
                .to_owned(),
        );
    }
    if it.rule.is_none() && !it.services.is_empty() {
        gaps.push("The cause: no rule fits what was seen.".to_owned());
    }
    if case.worst().confidence < 0.5 {
        gaps.push(format!(
            "Whether it was all of that: confidence is {:.0} % only.",
            case.worst().confidence * 100.0
        ));
    }
    gaps
}

fn evidence(case: &Case) -> Vec<String> {
    let mut gaps = Vec::new();
    let worst = worst_steps(&case.transitions);
    let evidence: Vec<_> = worst.iter().filter_map(|step| step.evidence.as_deref()).collect();
    if let Some(most) = evidence
        .iter()
        .map(|it| it.collectors)
        .max()
        .filter(|most| *most == 1)
    {
        gaps.push(format!(
            "What others saw: everything about routes comes from {}.",
            count(most as usize, "collector", "collectors")
        ));
    }
    let unknown: usize = evidence.iter().map(|it| it.unknown.len()).max().unwrap_or(0);
    if unknown > 0 {
        gaps.push(format!(
            "What {} saw at the worst moment: their sessions were silent or down.",
            count(unknown, "peer AS", "peer ASes")
        ));
    }
    let inferred: usize = evidence
        .iter()
        .map(|it| it.lost.iter().filter(|lost| lost.inferred).count())
        .max()
        .unwrap_or(0);
    if inferred > 0 {
        gaps.push(format!(
            "When exactly {} lost a route: it was missing when their sessions had come back.",
            count(inferred, "peer AS", "peer ASes")
        ));
    }
    let bare = |step: &&&Transition| step.evidence.is_none() && step.dns.is_none();
    let without = worst.iter().filter(bare).count();
    if without > 0 {
        gaps.push(format!(
            "Who saw {}: no evidence is kept of it.",
            count(without, "part", "parts")
        ));
    }
    gaps
}

fn layers(case: &Case) -> Vec<String> {
    let it = case.newest();
    let has = |kind: LayerKind| {
        it.children
            .iter()
            .any(|child| layer_of(&child.subject) == Some(kind))
    };
    let mut gaps = Vec::new();
    if !has(LayerKind::Dns) {
        gaps.push(
            "What it did to DNS: no watched name is part of it. Names that are not watched are not asked."
                .to_owned(),
        );
    }
    if !has(LayerKind::Bgp) {
        gaps.push("Whether routes played a part: no prefix is part of it.".to_owned());
    }
    let names = case
        .transitions
        .iter()
        .filter(|step| matches!(step.subject, Subject::Name { .. }));
    let vantages = names
        .filter_map(|step| step.dns.as_deref())
        .map(|dns| dns.vantages.len())
        .max();
    if vantages == Some(1) {
        gaps.push("How names looked from elsewhere: one vantage asked.".to_owned());
    }
    if case.hints.is_empty() {
        let why = match it.services.is_empty() {
            true => "no service of the configuration is part of it",
            false => "there was no HTTP probe, report or status page of its services",
        };
        gaps.push(format!("What users noticed: {why}."));
    }
    gaps
}

/// What kept us from seeing, by collector.
fn troubles(case: &Case) -> Vec<String> {
    let mut by: BTreeMap<(&str, &str), (usize, u64)> = BTreeMap::new();
    for trouble in &case.troubles {
        let what = match trouble.source.is_empty() {
            true => trouble.state.as_str(),
            false => "hole",
        };
        let slot = by.entry((trouble.collector.as_str(), what)).or_default();
        slot.0 += 1;
        slot.1 += trouble.lost.unwrap_or(0);
    }
    by.into_iter()
        .map(|((collector, what), (times, lost))| {
            let whose = match collector {
                "" => "our own inputs".to_owned(),
                name => format!("the feed of {}", clean(name)),
            };
            let lost = match lost {
                0 => String::new(),
                lost => format!(", {lost} messages lost"),
            };
            let what = match what {
                "hole" => count(times, "hole", "holes"),
                state => format!("{} {state}", count(times, "time", "times")),
            };
            format!("What {whose} would have said: {what} while it lasted{lost}.")
        })
        .collect()
}
