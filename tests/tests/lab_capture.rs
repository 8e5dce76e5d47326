//! The lab capture (examples/lab-capture) through decoder and engine, held against what its script wrote down while it
//! was made: what was withdrawn is found, in time, and nothing else is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netfault_engine::{Engine, Settings, dns::DnsSettings};
use netfault_model::{Cover, FeedState, Output, Prefix, State, Subject, Time, Transition, Watch};
use netfault_sources::mrt;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-capture")
}

/// What was done, from `timeline.jsonl`.
struct Timeline(Vec<Value>);

impl Timeline {
    fn read() -> Self {
        let text = std::fs::read_to_string(folder().join("timeline.jsonl")).expect("the timeline");
        Timeline(
            text.lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect(),
        )
    }

    fn event(&self, name: &str) -> &Value {
        self.0
            .iter()
            .find(|entry| entry["event"] == name)
            .unwrap_or_else(|| panic!("no {name} in the timeline"))
    }

    fn at(&self, name: &str) -> Time {
        self.event(name)["at"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time")
    }

    fn prefixes(&self, name: &str) -> Vec<Prefix> {
        let listed = self.event(name)["prefixes"].as_array().expect("prefixes");
        listed
            .iter()
            .map(|prefix| prefix.as_str().expect("a prefix").parse().expect("a prefix"))
            .collect()
    }
}

/// The answer with the settings of the demo (netfault.yaml beside the capture): a minute stands for the hour.
fn replay() -> Vec<Output> {
    let paths = [folder().display().to_string()];
    let files = mrt::discover(&paths).expect("the capture");
    let stream = mrt::Stream::open(files, mrt::Options::default()).expect("a readable capture");
    let settings = Settings {
        held_for_s: 60,
        ..Settings::default()
    };
    let mut engine = Engine::new(
        settings,
        DnsSettings::default(),
        Watch {
            all: true,
            ..Watch::default()
        },
    );
    let mut outputs = Vec::new();
    for input in stream.flatten() {
        engine.push(input, &mut outputs);
    }
    engine.finish(None, &mut outputs);
    outputs
}

fn by_prefix(outputs: &[Output]) -> BTreeMap<Prefix, Vec<&Transition>> {
    let mut found: BTreeMap<Prefix, Vec<&Transition>> = BTreeMap::new();
    for output in outputs {
        if let Output::Transition(transition) = output
            && let Subject::Prefix { prefix, .. } = transition.subject
        {
            found.entry(prefix).or_default().push(transition);
        }
    }
    found
}

fn assert_within(what: &str, at: Time, from: Time, seconds: u64) {
    assert!(
        from <= at && at <= from + Duration::from_secs(seconds),
        "{what}: {at} is not {seconds} s after {from}"
    );
}

#[test]
fn the_name_servers_prefixes_go_out_and_come_back_when_the_lab_says_so() {
    let timeline = Timeline::read();
    let (withdrawn, announced) = (
        timeline.at("withdraw_name_servers"),
        timeline.at("announce_name_servers"),
    );
    let outputs = replay();
    let transitions = by_prefix(&outputs);
    let prefixes = timeline.prefixes("withdraw_name_servers");
    assert_eq!(prefixes.len(), 4);
    for prefix in prefixes {
        let story = &transitions[&prefix];
        let states: Vec<State> = story.iter().map(|transition| transition.to).collect();
        assert_eq!(
            states,
            [State::Degrading, State::Out, State::Recovering, State::Normal],
            "{prefix}: {story:#?}"
        );
        let [degrading, out, recovering, normal] = story[..] else {
            unreachable!()
        };

        // Path hunting is over in half a minute; then the holds of the states: 10 s, 30 s; back: 30 s, 300 s.
        assert_within("Degrading", degrading.at, withdrawn + Duration::from_secs(10), 30);
        assert_within("Out", out.at, withdrawn + Duration::from_secs(30), 30);
        assert_within("first evidence", out.first_evidence_at, withdrawn, 30);
        assert_within(
            "Recovering",
            recovering.at,
            announced + Duration::from_secs(30),
            30,
        );
        assert_within("Normal", normal.at, announced + Duration::from_secs(300), 30);
        assert_eq!(
            (out.peers_seen, out.peers_eligible),
            (Some(0), Some(14)),
            "{prefix}"
        );
        assert_eq!(
            out.cover,
            Some(Cover::SameOrigin),
            "{prefix}: the less-specific route stayed"
        );
    }
}

#[test]
fn nothing_else_goes_out() {
    let timeline = Timeline::read();
    let withdrawn = timeline.prefixes("withdraw_name_servers");
    let outputs = replay();
    for (prefix, story) in by_prefix(&outputs) {
        let fell = story
            .iter()
            .find(|transition| matches!(transition.to, State::Out | State::Partial));
        assert!(
            fell.is_none() || withdrawn.contains(&prefix),
            "{prefix}: {fell:#?}"
        );
    }
}

#[test]
fn the_cut_session_is_seen_as_a_session_and_not_as_an_outage() {
    let timeline = Timeline::read();
    let (cut, back) = (timeline.at("session_cut"), timeline.at("session_back"));
    let asn = timeline.event("session_cut")["peer_asn"]
        .as_u64()
        .expect("an AS number");
    let outputs = replay();
    let of_peer = outputs.iter().filter_map(|output| match output {
        Output::Feed(feed) if feed.peer.is_some_and(|peer| u64::from(peer.asn.0) == asn) => Some(feed),
        _ => None,
    });
    let down: Vec<_> = of_peer.filter(|feed| feed.state == FeedState::Down).collect();
    assert_eq!(down.len(), 2, "one session for each family: {down:#?}");
    for feed in down {
        assert_within("Down", feed.at, cut, 5);
    }
    let gaps: Vec<_> = outputs
        .iter()
        .filter(|output| matches!(output, Output::Gap(_)))
        .collect();
    assert_eq!(gaps, Vec::<&Output>::new(), "the files are whole");
    let fallen_meanwhile = outputs.iter().filter_map(|output| match output {
        Output::Transition(transition) if (cut..back).contains(&transition.at) => Some(transition.to),
        _ => None,
    });
    assert_eq!(fallen_meanwhile.collect::<Vec<_>>(), Vec::<State>::new());
}
