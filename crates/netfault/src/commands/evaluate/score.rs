//! Scoring, pure: what should have been said, what was said, and how far they are apart.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::id::Id;
use netfault_model::{Asn, Baseline, Prefix, State, Subject, Time};

use super::figures::Figures;
use super::heard::{Heard, Stay};
use super::truth::{Event, Group, Of, OriginLoss, Outage};

/// Stamps this far outside an outage still belong to it: their error is measured, it does not make them another
/// event. Microseconds.
const SLACK: i64 = 1_000_000;
/// An origin loss is found when this share of its prefixes is told to be out.
const MOST: f64 = 0.8;

/// One thing that is not as it should be, for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    pub group: String,
    pub text: String,
}

/// What a score is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    pub figures: Figures,
    pub complaints: Vec<Complaint>,
}

impl Scored {
    fn complain(&mut self, group: &str, text: String) {
        self.complaints.push(Complaint {
            group: group.to_owned(),
            text,
        });
    }
}

/// Which stays in Out belong to which outage of the same prefix: each stay to the outage whose span it begins in,
/// and if there are two, to the one whose Out is nearer. `None`: to none.
fn assign(outages: &[&Outage], stays: &[Stay]) -> Vec<Option<usize>> {
    let fits = |outage: &Outage, at: Time| {
        at.plus_micros(SLACK) >= outage.from
            && outage.until.is_none_or(|until| at <= until.plus_micros(SLACK))
    };
    let distance = |outage: &Outage, at: Time| at.since(outage.out_at.unwrap_or(outage.from)).abs();
    stays
        .iter()
        .map(|stay| {
            (0..outages.len())
                .filter(|&index| fits(outages[index], stay.at))
                .min_by_key(|&index| distance(outages[index], stay.at))
        })
        .collect()
}

/// Scores outages of prefixes. `end`: of the record.
pub fn outages(group: &str, expected: &[Outage], heard: &Heard, end: Time) -> Scored {
    let mut scored = Scored::default();
    let mut by_prefix: BTreeMap<Prefix, Vec<&Outage>> = BTreeMap::new();
    for outage in expected {
        by_prefix.entry(outage.prefix).or_default().push(outage);
    }
    let told = incidents_by_prefix(heard);
    scored.figures.found_held = Some(0);
    scored.figures.incidents = Some(0);
    scored.figures.untold = Some(0);
    for (prefix, outages) in by_prefix {
        let stays = heard
            .prefixes
            .get(&prefix)
            .map(|log| log.stays.as_slice())
            .unwrap_or_default();
        let belongs = assign(&outages, stays);
        for (index, outage) in outages.into_iter().enumerate() {
            if outage.optional {
                continue;
            }
            let own: Vec<&Stay> = stays
                .iter()
                .zip(&belongs)
                .filter(|(_, belongs)| **belongs == Some(index))
                .map(|(stay, _)| stay)
                .collect();
            outage_of(group, outage, &own, &mut scored);
            let told = told.get(&prefix).map(Vec::as_slice).unwrap_or_default();
            incidents_of(
                &mut scored.figures,
                told,
                outage.from,
                outage.until.unwrap_or(end),
            );
            scored.figures.unknown_s += unknown(heard, prefix, outage.from, outage.until.unwrap_or(end), end);
        }
    }
    scored
}

fn outage_of(group: &str, outage: &Outage, own: &[&Stay], scored: &mut Scored) {
    let figures = &mut scored.figures;
    figures.events += 1;
    figures.came_back += u64::from(outage.comes_back);
    let Some(first) = own.first() else {
        let what = outage.out_at.unwrap_or(outage.from);
        scored.complain(group, format!("missed: {} was out at {what}", outage.prefix));
        return;
    };
    figures.found += 1;
    if own.iter().any(|stay| stay.baseline == Baseline::Held) {
        figures.found_held = figures.found_held.map(|held| held + 1);
    }
    figures.repeated += u64::from(own.len() > 1);
    figures.flaps += own.len() as u64 - 1;
    let seconds = |later: Time, earlier: Time| later.since(earlier) as f64 / 1e6;
    if let Some(crossed) = outage.crossed_at {
        figures.delay.add(seconds(first.at, crossed));
    }
    if let (Some(degrading), Some(fifth)) = (first.degrading_at, outage.fifth_lost_at) {
        figures.degrading_delay.add(seconds(degrading, fifth));
    }
    let mut off = Vec::new();
    if let Some(out) = outage.out_at {
        let error = seconds(first.at, out);
        figures.out_error.add(error);
        off.extend((error.abs() > 1.0).then(|| format!("Out is {error:+} s off")));
    }
    let recovering = own.last().and_then(|stay| stay.recovering_at);
    match (outage.comes_back, recovering) {
        (true, Some(told)) => {
            figures.told_back += 1;
            if let Some(back) = outage.back_at {
                let error = seconds(told, back);
                figures.back_error.add(error);
                off.extend((error.abs() > 1.0).then(|| format!("Recovering is {error:+} s off")));
            }
        }
        (true, None) => off.push("it came back, and that is not told".to_owned()),
        (false, _) => {}
    }
    if own.len() > 1 {
        off.push(format!("told {} times", own.len()));
    }
    if !off.is_empty() {
        scored.complain(
            group,
            format!("{} out at {}: {}", outage.prefix, first.at, off.join("; ")),
        );
    }
}

/// Of stays that are judged, those that touch no outage of the record.
pub fn unconfirmed(
    group: &str,
    record: &[Outage],
    heard: &Heard,
    judged: impl Fn(Prefix, &Stay) -> bool,
    scored: &mut Scored,
) {
    let mut by_prefix: BTreeMap<Prefix, Vec<&Outage>> = BTreeMap::new();
    for outage in record {
        by_prefix.entry(outage.prefix).or_default().push(outage);
    }
    let mut count = 0;
    for (&prefix, log) in &heard.prefixes {
        for stay in log.stays.iter().filter(|stay| judged(prefix, stay)) {
            count += 1;
            let touches = |outage: &&&Outage| {
                stay.until
                    .is_none_or(|until| until.plus_micros(SLACK) >= outage.out_at.unwrap_or(outage.from))
                    && outage
                        .until
                        .is_none_or(|until| stay.at <= until.plus_micros(SLACK))
            };
            let known = by_prefix.get(&prefix).map(Vec::as_slice).unwrap_or_default();
            if known.iter().find(touches).is_none() {
                scored.figures.unconfirmed += 1;
                let (at, of) = (stay.at, stay.eligible);
                scored.complain(
                    group,
                    format!("unconfirmed: {prefix} is called out at {at} (of {of} peer ASes)"),
                );
            }
        }
    }
    scored.figures.judged = Some(count);
}

/// Scores one group of a truth file.
pub fn group(group: &Group, heard: &Heard, end: Time) -> Scored {
    let listed: Vec<Outage> = group
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Outage(outage) => Some(outage.clone()),
            _ => None,
        })
        .collect();
    let mut scored = if listed.is_empty() {
        Scored::default()
    } else {
        outages(&group.name, &listed, heard, end)
    };
    if group.complete {
        let subjects: BTreeSet<Prefix> = listed.iter().map(|outage| outage.prefix).collect();
        unconfirmed(
            &group.name,
            &listed,
            heard,
            |prefix, _| subjects.contains(&prefix),
            &mut scored,
        );
    }
    for event in &group.events {
        match event {
            Event::Outage(_) => {}
            Event::OriginLoss(loss) => origin_loss(&group.name, loss, heard, &mut scored),
            Event::OriginChange {
                prefix,
                origins,
                at,
                within_s,
            } => origin_change(&group.name, *prefix, origins, *at, *within_s, heard, &mut scored),
            Event::NeverOut { of, from, until } => {
                never_out(&group.name, *of, *from, *until, heard, &mut scored)
            }
        }
    }
    scored
}

fn origin_loss(group: &str, loss: &OriginLoss, heard: &Heard, scored: &mut Scored) {
    let within =
        |stay: &Stay| stay.at.plus_micros(SLACK) >= loss.from && stay.at <= loss.until.plus_micros(SLACK);
    let lost: BTreeSet<Prefix> = heard
        .prefixes
        .iter()
        .filter(|(_, log)| {
            log.stays
                .iter()
                .any(|stay| stay.origin == Some(loss.origin) && within(stay))
        })
        .map(|(&prefix, _)| prefix)
        .collect();
    // An older trouble of another prefix of that origin is not a second telling of this loss.
    let concerned = |subject: &Subject| match subject {
        Subject::Prefix { prefix, .. } => lost.contains(prefix),
        Subject::Origin { origin } => *origin == loss.origin,
        Subject::Name { .. } | Subject::Country { .. } | Subject::Service { .. } => false,
    };
    let told: Vec<(Id, Time, Time)> = parts(heard)
        .filter(|(subject, ..)| concerned(subject))
        .map(|(_, id, from, until)| (id, from, until))
        .collect();
    scored.figures.events += 1;
    if lost.len() as f64 >= MOST * loss.prefixes as f64 {
        scored.figures.found += 1;
    } else {
        let (origin, from, all, out) = (loss.origin, loss.from, loss.prefixes, lost.len());
        scored.complain(
            group,
            format!("missed: {out} of {all} prefixes of {origin} are called out from {from} on"),
        );
    }
    let incidents = incidents_of(&mut scored.figures, &told, loss.from, loss.until);
    if incidents.len() != 1 {
        let ids: Vec<String> = incidents.iter().map(Id::to_string).collect();
        let (origin, from) = (loss.origin, loss.from);
        scored.complain(
            group,
            format!(
                "{} incidents for {origin} at {from}: {}",
                ids.len(),
                ids.join(" ")
            ),
        );
    }
}

fn origin_change(
    group: &str,
    prefix: Prefix,
    origins: &[Asn],
    at: Time,
    within_s: u64,
    heard: &Heard,
    scored: &mut Scored,
) {
    let latest = at.plus_micros(
        i64::try_from(within_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000),
    );
    scored.figures.events += 1;
    let mut named = heard.changes.iter().filter(|change| {
        change.prefix == prefix
            && change.at.plus_micros(SLACK) >= at
            && change.at <= latest
            && origins.iter().all(|origin| change.origins.contains(origin))
    });
    match named.next() {
        Some(change) => {
            scored.figures.found += 1;
            scored.figures.repeated += u64::from(named.next().is_some());
            scored.figures.delay.add(change.at.since(at) as f64 / 1e6);
        }
        None => {
            let said: Vec<String> = heard
                .changes
                .iter()
                .filter(|change| change.prefix == prefix)
                .map(|change| format!("{} {:?}", change.at, change.origins))
                .collect();
            scored.complain(
                group,
                format!(
                    "missed: origin change of {prefix} at {at}; named were: [{}]",
                    said.join(", ")
                ),
            );
        }
    }
}

fn never_out(group: &str, of: Of, from: Time, until: Time, heard: &Heard, scored: &mut Scored) {
    let concerns = |prefix: Prefix, stay: &Stay| match of {
        Of::Prefix(only) => prefix == only,
        Of::Origin(origin) => stay.origin == Some(origin),
    };
    let wrong: Vec<String> = heard
        .prefixes
        .iter()
        .flat_map(|(&prefix, log)| log.stays.iter().map(move |stay| (prefix, stay)))
        .filter(|(prefix, stay)| concerns(*prefix, stay) && stay.at >= from && stay.at <= until)
        .map(|(prefix, stay)| format!("{prefix} at {}", stay.at))
        .collect();
    scored.figures.events += 1;
    if wrong.is_empty() {
        scored.figures.found += 1;
    } else {
        scored.complain(group, format!("called out, and never was: {}", wrong.join(", ")));
    }
}

/// Every prefix or origin that an incident tells of as Out or Partial: subject, root incident, from, until.
fn parts(heard: &Heard) -> impl Iterator<Item = (&Subject, Id, Time, Time)> {
    heard.incidents.iter().flat_map(|(&id, story)| {
        let root = heard.root(id);
        let ended = story.last.cleared_at.unwrap_or(Time::MAX);
        let down = |state: State| matches!(state, State::Out | State::Partial | State::Gone);
        story
            .last
            .children
            .iter()
            .filter(move |child| down(child.worst))
            .map(move |child| {
                (
                    &child.subject,
                    root,
                    child.first_evidence_at,
                    child.cleared_at.unwrap_or(ended),
                )
            })
    })
}

fn incidents_by_prefix(heard: &Heard) -> BTreeMap<Prefix, Vec<(Id, Time, Time)>> {
    let mut by_prefix: BTreeMap<Prefix, Vec<(Id, Time, Time)>> = BTreeMap::new();
    for (subject, id, from, until) in parts(heard) {
        if let Subject::Prefix { prefix, .. } = subject {
            by_prefix.entry(*prefix).or_default().push((id, from, until));
        }
    }
    by_prefix
}

/// Counts the incidents that tell of something in a span.
fn incidents_of(figures: &mut Figures, told: &[(Id, Time, Time)], from: Time, until: Time) -> BTreeSet<Id> {
    let ids: BTreeSet<Id> = told
        .iter()
        .filter(|(_, began, ended)| *began <= until && *ended >= from)
        .map(|(id, ..)| *id)
        .collect();
    figures.incidents = Some(figures.incidents.unwrap_or_default() + ids.len() as u64);
    figures.untold = Some(figures.untold.unwrap_or_default() + u64::from(ids.is_empty()));
    ids
}

/// Seconds of Unknown within a span.
fn unknown(heard: &Heard, prefix: Prefix, from: Time, until: Time, end: Time) -> f64 {
    let Some(log) = heard.prefixes.get(&prefix) else {
        return 0.0;
    };
    let overlap = |&(began, ended): &(Time, Option<Time>)| {
        ended.unwrap_or(end).min(until).since(began.max(from)).max(0) as f64 / 1e6
    };
    log.unknown.iter().map(overlap).sum()
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
