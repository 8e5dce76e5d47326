//! Statements that are no state of a name: about a vantage, about one resolver, about a name that flaps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use netfault_model::{Id, Notable, NotableKind, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use super::settings::DnsSettings;
use super::vantage::Change;
use crate::cause::sentence::span;
use crate::flapping::Entries;
use crate::settings::secs;

fn blank(what: NotableKind, at: Time, since: Time, key: &[&str], summary: String) -> Notable {
    let since = since.min(at);
    let moment = since.micros().to_string();
    let mut parts = vec!["notable", what.name()];
    parts.extend_from_slice(key);
    parts.push(&moment);
    Notable {
        id: Id::of(&parts),
        first_evidence_at: since,
        summary,
        ..Notable::blank(what, at)
    }
}

/// What has happened to a vantage, or to one resolver as it sees it.
pub(super) fn about(vantage: &str, at: Time, change: &Change) -> Notable {
    let of_vantage = |since, over, text: &str| Notable {
        over,
        watched: true,
        ..blank(
            NotableKind::VantageOffline,
            at,
            since,
            &[vantage],
            format!("Vantage {vantage} {text}"),
        )
    };
    match change {
        Change::Offline { since } => of_vantage(
            *since,
            false,
            "hears nobody: what it does not see says nothing about names",
        ),
        Change::Silent { since } => {
            let lasted = span(at.since(*since) / 1_000_000);
            let text = format!("has not reported in time for {lasted}: names are judged without it");
            of_vantage(*since, false, &text)
        }
        Change::Online { since } => of_vantage(*since, true, "sees the network again"),
        Change::Forgotten { since, asked } => {
            let lasted = span(at.since(*asked) / 1_000_000);
            let text = format!("has not reported for {lasted}: it is not counted any more");
            of_vantage(*since, true, &text)
        }
        Change::Faulty { resolver, since, of } => {
            let text = match of.is_empty() {
                true => "fails for the control names of others too: its votes are void".to_owned(),
                false => format!("fails for {of}, while the name's servers and other resolvers answer"),
            };
            of_resolver((vantage, resolver), at, *since, &text)
        }
        Change::Mended { resolver, since } => Notable {
            over: true,
            ..of_resolver((vantage, resolver), at, *since, "fails no more")
        },
    }
}

fn of_resolver((vantage, resolver): (&str, &SocketAddr), at: Time, since: Time, text: &str) -> Notable {
    blank(
        NotableKind::ResolverFault,
        at,
        since,
        &[vantage, &resolver.to_string()],
        format!("Resolver {resolver}, asked from vantage {vantage}, {text}"),
    )
}

/// Names that fell lately.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flaps {
    names: BTreeMap<Arc<str>, Entries>,
}

impl Flaps {
    /// Counts the beginning of an outage: from Ok, or from Recovering to Out. What a name passes through on its way
    /// down or up is the same episode.
    pub fn step(&mut self, name: &Arc<str>, step: &Transition, settings: &DnsSettings) -> Option<Notable> {
        use State::{Degraded, Ok, Out, Partial, Recovering};
        if !matches!(
            (step.from, step.to),
            (Ok, Partial | Degraded | Out) | (Recovering, Out)
        ) {
            return None;
        }
        let entries = self.names.entry(name.clone()).or_default();
        let (first, times) = entries.enter(step.at, settings.flap_entries, secs(settings.flap_within_s))?;
        let minutes = settings.flap_within_s / 60;
        let summary = format!("{name} is flapping: it failed {times} times within {minutes} minutes");
        Some(Notable {
            subject: Some(Subject::Name {
                name: name.to_string(),
            }),
            first_evidence_at: step.first_evidence_at.min(first),
            measured: Some(times as f64),
            watched: step.watched,
            ..blank(NotableKind::Flapping, step.at, first, &["name", name], summary)
        })
    }
}
