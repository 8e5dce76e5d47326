//! Flapping: a prefix that enters Partial or Out again and again.

use std::collections::BTreeMap;

use netfault_model::{Id, Notable, NotableKind, Output, Prefix, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use super::beacons::Beacons;
use crate::Settings;
use crate::flapping::Entries;
use crate::settings::secs;

/// Prefixes that entered Partial or Out lately.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Flaps {
    prefixes: BTreeMap<Prefix, Entries>,
    /// When the map was last rid of those that are quiet again.
    swept_at: Option<Time>,
}

impl Flaps {
    /// Counts the entries among `decided`, and tells of each prefix that flaps, once until it has been quiet.
    pub fn settle(&mut self, settings: &Settings, beacons: &Beacons, now: Time, decided: &mut Vec<Output>) {
        let mut told = Vec::new();
        for output in decided.iter() {
            if let Output::Transition(transition) = output
                && matches!(transition.to, State::Partial | State::Out)
                && !matches!(transition.from, State::Unknown)
                && let Subject::Prefix { prefix, origin } = transition.subject
                && !beacons.is_beacon(prefix, origin)
            {
                told.extend(self.enter(settings, prefix, transition));
            }
        }
        decided.extend(told.into_iter().map(|notable| Output::Notable(Box::new(notable))));
        self.sweep(secs(settings.flap_within_s), now);
    }

    fn enter(&mut self, settings: &Settings, prefix: Prefix, transition: &Transition) -> Option<Notable> {
        let within = secs(settings.flap_within_s);
        let entries = self.prefixes.entry(prefix).or_default();
        let (first, times) = entries.enter(transition.at, settings.flap_entries, within)?;
        let minutes = within / 60_000_000;
        Some(Notable {
            id: Id::of(&[
                "notable",
                NotableKind::Flapping.name(),
                "prefix",
                &prefix.to_string(),
                &first.micros().to_string(),
            ]),
            subject: Some(transition.subject.clone()),
            first_evidence_at: transition.first_evidence_at.min(first),
            baseline: transition.baseline,
            measured: Some(times as f64),
            watched: transition.watched,
            summary: format!("{prefix} is flapping: lost {times} times within {minutes} minutes"),
            ..Notable::blank(NotableKind::Flapping, transition.at)
        })
    }

    fn sweep(&mut self, within: i64, now: Time) {
        let swept_at = *self.swept_at.get_or_insert(now);
        if now.since(swept_at) > within {
            self.prefixes.retain(|_, entries| !entries.is_quiet(now, within));
            self.swept_at = Some(now);
        }
    }
}
