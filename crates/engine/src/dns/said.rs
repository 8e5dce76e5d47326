//! Statements that are no state of a name: about a vantage, about one resolver, about a name that flaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use netfault_model::{Id, Notable, NotableKind, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use super::settings::DnsSettings;
use super::vantage::Change;

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
    let offline = |since, over, text: &str| Notable {
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
    let resolver = |resolver: &std::net::SocketAddr, since, over, text: String| Notable {
        over,
        ..blank(
            NotableKind::ResolverFault,
            at,
            since,
            &[vantage, &resolver.to_string()],
            format!("Resolver {resolver}, asked from vantage {vantage}, {text}"),
        )
    };
    match change {
        Change::Offline { since } => offline(
            *since,
            false,
            "hears nobody: what it does not see says nothing about names",
        ),
        Change::Silent { since } => {
            let text = format!(
                "has not reported in time for {}: names are judged without it",
                lasted(*since, at)
            );
            offline(*since, false, &text)
        }
        Change::Forgotten { since, asked } => {
            let text = format!(
                "has not reported for {}: it is not counted any more",
                lasted(*asked, at)
            );
            offline(*since, true, &text)
        }
        Change::Online { since } => offline(*since, true, "sees the network again"),
        Change::Faulty {
            resolver: addr,
            since,
            of,
        } => {
            let text = if of.is_empty() {
                "fails for the control names of others too: its votes are void".to_owned()
            } else {
                format!("fails for {of}, while the name's servers and other resolvers answer")
            };
            resolver(addr, *since, false, text)
        }
        Change::Mended {
            resolver: addr,
            since,
        } => resolver(addr, *since, true, "fails no more".to_owned()),
    }
}

fn lasted(from: Time, to: Time) -> String {
    match to.since(from) / 1_000_000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Beginnings of outages of one name, oldest first: the last few only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Entries {
    at: Vec<Time>,
    told: bool,
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
        let within = settings.flap_within();
        let entries = self.names.entry(name.clone()).or_default();
        if entries.at.last().is_some_and(|last| *last + within < step.at) {
            *entries = Entries::default();
        }
        entries.at.retain(|at| step.at <= *at + within);
        entries.at.push(step.at);
        let needed = settings.flap_entries.max(2) as usize;
        if entries.told || entries.at.len() < needed {
            // Only the newest ones can make a further episode.
            let spare = entries.at.len().saturating_sub(needed);
            entries.at.drain(..spare);
            return None;
        }
        entries.told = true;
        let first = *entries.at.first()?;
        let times = entries.at.len();
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
