//! What the program said, and questions about it.

use std::collections::BTreeMap;

use netfault_model::Time;
use serde_json::Value;

use crate::world::BEGIN;

pub struct Said {
    pub text: String,
    pub lines: Vec<Value>,
}

/// Seconds from the beginning of the world, of a field that is a time.
pub fn at(line: &Value, field: &str) -> i64 {
    let text = line[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}: {line}"));
    text.parse::<Time>().expect("a time").secs() - BEGIN
}

impl Said {
    pub fn new(text: String) -> Self {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        Said { text, lines }
    }

    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["kind"] == kind).collect()
    }

    /// Transitions of one prefix.
    pub fn transitions(&self, prefix: &str) -> Vec<&Value> {
        let all = self.of_kind("transition").into_iter();
        all.filter(|line| line["subject"]["prefix"] == prefix).collect()
    }

    /// When one prefix came into which state.
    pub fn story(&self, prefix: &str) -> Vec<(i64, &str)> {
        let told = self.transitions(prefix).into_iter();
        told.map(|line| (at(line, "at"), line["to"].as_str().expect("a state")))
            .collect()
    }

    /// Prefixes that have any transition.
    #[track_caller]
    pub fn only_about(&self, prefixes: &[&str]) {
        for line in self.of_kind("transition") {
            let subject = line["subject"]["prefix"].as_str();
            if let Some(prefix) = subject {
                assert!(prefixes.contains(&prefix), "nothing happened to {prefix}: {line}");
            }
        }
    }

    #[track_caller]
    pub fn none(&self, kind: &str) {
        let said = self.of_kind(kind);
        assert!(said.is_empty(), "there should be no {kind}: {}", said[0]);
    }

    /// No outage and no sign of one: no transition but to and from Unknown, no incident.
    #[track_caller]
    pub fn no_loss(&self) {
        self.none("incident");
        for line in self.of_kind("transition") {
            let states = [line["from"].as_str(), line["to"].as_str()];
            let known = states
                .iter()
                .all(|state| matches!(state, Some("unknown" | "normal")));
            assert!(known, "nothing was lost: {line}");
        }
    }

    /// Notables of one kind.
    pub fn notables(&self, what: &str) -> Vec<&Value> {
        self.of_kind("notable")
            .into_iter()
            .filter(|line| line["what"] == what)
            .collect()
    }

    /// Nothing notable but what the program knows about its own learning, which is news on every day.
    #[track_caller]
    pub fn nothing_notable(&self) {
        for line in self.of_kind("notable") {
            let own = line["subject"].is_null() && (line["what"] == "baseline" || line["what"] == "space");
            assert!(own, "nothing notable happened: {line}");
        }
    }

    /// Nothing but that most of our feeds were lost, and came back: a fault of ours (R0).
    pub fn only_a_monitor_fault(&self) {
        let notables = self.of_kind("notable").into_iter();
        let about = notables.filter(|line| line["what"] != "baseline" && line["what"] != "space");
        let about: Vec<_> = about
            .map(|line| (line["what"].as_str(), line["over"].as_bool()))
            .collect();
        let fault = |over| (Some("monitor_fault"), Some(over));
        assert_eq!(about, [fault(false), fault(true)]);
    }

    /// The versions of each incident, by id.
    pub fn incidents(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for line in self.of_kind("incident") {
            found
                .entry(line["id"].as_str().expect("an id"))
                .or_default()
                .push(line);
        }
        found
    }

    /// The versions of the only incident.
    #[track_caller]
    pub fn one_incident(&self) -> Vec<&Value> {
        let mut incidents = self.incidents();
        assert_eq!(incidents.len(), 1, "one incident, not {:?}", incidents.keys());
        let (_, versions) = incidents.pop_first().expect("it was counted");
        versions
    }

    /// … which is over by now, and was opened once.
    #[track_caller]
    pub fn one_incident_and_resolved(&self) {
        let states: Vec<_> = self
            .one_incident()
            .iter()
            .map(|line| line["state"].clone())
            .collect();
        assert_eq!(states.first(), Some(&"open".into()), "{states:?}");
        assert_eq!(states.last(), Some(&"resolved".into()), "{states:?}");
        assert_eq!(
            states.iter().filter(|&state| state == "open").count(),
            1,
            "{states:?}"
        );
    }
}

/// A prefix's story in short: when it came into which state, as an expectation is written.
#[track_caller]
pub fn tells(said: &Said, prefix: &str, expected: &[(i64, &str)]) {
    assert_eq!(said.story(prefix), expected, "{prefix}");
}
