//! One output of the engine as one line of JSON, in the fixed order of its fields
//! (`schemas/event.schema.json`). Fields are added behind the others, never changed.

use std::net::IpAddr;

use netfault_model::{
    Asn, Baseline, Collector, Cover, Evidence, Feed, FeedState, Finding, Gap, GapSource, Id, Output, Peer,
    State, Subject, Time, Transition,
};
use serde::Serialize;

/// The `v` of every line.
const VERSION: u8 = 1;

/// One line, without the line end. Absent values are null.
pub fn event_line(output: &Output) -> serde_json::Result<String> {
    match output {
        Output::Transition(transition) => serde_json::to_string(&TransitionEvent::from(transition.as_ref())),
        Output::Incident(incident) => serde_json::to_string(&tagged(output, incident)),
        Output::Notable(notable) => serde_json::to_string(&tagged(output, notable)),
        Output::Gap(gap) => serde_json::to_string(&GapEvent::from(gap)),
        Output::Feed(feed) => serde_json::to_string(&FeedEvent::from(feed)),
    }
}

/// A statement whose own fields are those of its line, in their order.
#[derive(Serialize)]
struct Tagged<'a, T> {
    v: u8,
    kind: &'static str,
    #[serde(flatten)]
    said: &'a T,
}

fn tagged<'a, T>(output: &Output, said: &'a T) -> Tagged<'a, T> {
    Tagged {
        v: VERSION,
        kind: output.kind(),
        said,
    }
}

#[derive(Serialize)]
struct TransitionEvent<'a> {
    v: u8,
    kind: &'static str,
    subject: &'a Subject,
    from: State,
    to: State,
    at: Time,
    first_evidence_at: Time,
    visibility: Option<f64>,
    peers_seen: Option<u32>,
    peers_lost: Option<u32>,
    peers_unknown: Option<u32>,
    peers_eligible: Option<u32>,
    baseline: Option<Baseline>,
    cover: Option<Cover>,
    finding: Option<Finding>,
    servers_ok: Option<u32>,
    servers_eligible: Option<u32>,
    resolvers_ok: Option<u32>,
    resolvers_eligible: Option<u32>,
    watched: bool,
    id: Id,
    beacon: bool,
    healed: bool,
    evidence: Option<&'a Evidence>,
}

impl<'a> From<&'a Transition> for TransitionEvent<'a> {
    fn from(t: &'a Transition) -> Self {
        TransitionEvent {
            v: VERSION,
            kind: "transition",
            subject: &t.subject,
            from: t.from,
            to: t.to,
            at: t.at,
            first_evidence_at: t.first_evidence_at,
            visibility: t.visibility,
            peers_seen: t.peers_seen,
            peers_lost: t.peers_lost,
            peers_unknown: t.peers_unknown,
            peers_eligible: t.peers_eligible,
            baseline: t.baseline,
            cover: t.cover,
            finding: t.finding,
            servers_ok: t.servers_ok,
            servers_eligible: t.servers_eligible,
            resolvers_ok: t.resolvers_ok,
            resolvers_eligible: t.resolvers_eligible,
            watched: t.watched,
            id: t.id(),
            beacon: t.beacon,
            healed: t.healed,
            evidence: t.evidence.as_deref(),
        }
    }
}

/// A peer beside a field that names its collector already.
#[derive(Serialize)]
struct PeerEvent {
    addr: IpAddr,
    asn: Asn,
}

impl From<Peer> for PeerEvent {
    fn from(peer: Peer) -> Self {
        PeerEvent {
            addr: peer.addr,
            asn: peer.asn,
        }
    }
}

#[derive(Serialize)]
struct GapEvent<'a> {
    v: u8,
    kind: &'static str,
    at: Time,
    source: GapSource,
    collector: Option<Collector>,
    peer: Option<PeerEvent>,
    from: Option<Time>,
    to: Option<Time>,
    offset: Option<u64>,
    reason: &'a str,
    lost: Option<u64>,
}

impl<'a> From<&'a Gap> for GapEvent<'a> {
    fn from(gap: &'a Gap) -> Self {
        GapEvent {
            v: VERSION,
            kind: "gap",
            at: gap.at,
            source: gap.source,
            collector: gap.collector.or(gap.peer.map(|peer| peer.collector)),
            peer: gap.peer.map(PeerEvent::from),
            from: gap.from,
            to: gap.to,
            offset: gap.offset,
            reason: &gap.reason,
            lost: gap.lost,
        }
    }
}

#[derive(Serialize)]
struct FeedEvent<'a> {
    v: u8,
    kind: &'static str,
    at: Time,
    collector: Collector,
    peer: Option<PeerEvent>,
    state: FeedState,
    reason: &'a str,
}

impl<'a> From<&'a Feed> for FeedEvent<'a> {
    fn from(feed: &'a Feed) -> Self {
        FeedEvent {
            v: VERSION,
            kind: "feed",
            at: feed.at,
            collector: feed.collector,
            peer: feed.peer.map(PeerEvent::from),
            state: feed.state,
            reason: &feed.reason,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::Path;

    pub(in crate::render) fn transition() -> Transition {
        Transition {
            subject: Subject::Prefix {
                prefix: "84.205.71.0/24".parse().unwrap(),
                origin: Some(Asn(12654)),
            },
            from: State::Degrading,
            to: State::Out,
            at: "2008-02-24T02:03:42Z".parse().unwrap(),
            first_evidence_at: "2008-02-24T02:01:13Z".parse().unwrap(),
            visibility: Some(0.18),
            peers_seen: Some(7),
            peers_lost: Some(31),
            peers_unknown: Some(0),
            peers_eligible: Some(38),
            baseline: Some(Baseline::Held),
            cover: Some(Cover::None),
            finding: None,
            servers_ok: None,
            servers_eligible: None,
            resolvers_ok: None,
            resolvers_eligible: None,
            watched: true,
            beacon: false,
            healed: false,
            evidence: None,
        }
    }

    pub(in crate::render) fn name() -> Transition {
        Transition {
            subject: Subject::Name {
                name: "www.example.com".into(),
            },
            from: State::Partial,
            visibility: None,
            peers_seen: None,
            peers_lost: None,
            peers_unknown: None,
            peers_eligible: None,
            baseline: None,
            cover: None,
            finding: Some(Finding::AuthorityUnreachable),
            servers_ok: Some(0),
            servers_eligible: Some(4),
            resolvers_ok: Some(1),
            resolvers_eligible: Some(2),
            ..transition()
        }
    }

    pub(in crate::render) fn gap() -> Gap {
        Gap {
            at: "2008-02-24T02:00:00Z".parse().unwrap(),
            source: GapSource::Mrt,
            collector: Some(Collector::new("route-views2")),
            peer: None,
            from: Some("2008-02-24T02:00:00Z".parse().unwrap()),
            to: None,
            offset: Some(15024),
            reason: "bad record length".into(),
            lost: None,
        }
    }

    pub(in crate::render) fn feed() -> Feed {
        let collector = Collector::new("route-views2");
        Feed {
            at: "2008-02-24T02:10:00.5Z".parse().unwrap(),
            collector,
            peer: Some(Peer {
                collector,
                addr: "192.0.2.1".parse().unwrap(),
                asn: Asn(64500),
            }),
            state: FeedState::Suspect,
            reason: "silent for 183 s".into(),
        }
    }

    pub(in crate::render) fn outputs() -> Vec<Output> {
        let unpeered = Feed {
            peer: None,
            state: FeedState::Up,
            ..feed()
        };
        let peered = Gap {
            peer: feed().peer,
            lost: Some(7),
            ..gap()
        };
        let unknown = Transition {
            subject: Subject::Prefix {
                prefix: "2001:db8::/32".parse().unwrap(),
                origin: None,
            },
            to: State::Unknown,
            baseline: Some(Baseline::Inferred),
            cover: Some(Cover::OtherOrigin),
            watched: false,
            ..transition()
        };
        vec![
            Output::Gap(gap()),
            Output::Gap(peered),
            Output::Transition(Box::new(transition())),
            Output::Transition(Box::new(name())),
            Output::Transition(Box::new(unknown)),
            Output::Feed(feed()),
            Output::Feed(unpeered),
        ]
    }

    fn validator() -> jsonschema::Validator {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/event.schema.json");
        let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    }

    /// The two lines that issue 2 promises, with their times filled in; what comes behind was added.
    #[test]
    fn the_promised_lines_word_for_word() {
        assert_eq!(
            event_line(&Output::Transition(Box::new(transition()))).unwrap(),
            r#"{"v":1,"kind":"transition","subject":{"type":"prefix","prefix":"84.205.71.0/24","origin":12654},"from":"degrading","to":"out","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:01:13.000000Z","visibility":0.18,"peers_seen":7,"peers_lost":31,"peers_unknown":0,"peers_eligible":38,"baseline":"held","cover":"none","finding":null,"servers_ok":null,"servers_eligible":null,"resolvers_ok":null,"resolvers_eligible":null,"watched":true}"#
        );
        assert_eq!(
            event_line(&Output::Gap(gap())).unwrap(),
            r#"{"v":1,"kind":"gap","at":"2008-02-24T02:00:00.000000Z","source":"mrt","collector":"route-views2","peer":null,"from":"2008-02-24T02:00:00.000000Z","to":null,"offset":15024,"reason":"bad record length","lost":null}"#
        );
    }

    #[test]
    fn every_line_is_valid() {
        let validator = validator();
        for output in outputs() {
            let line = event_line(&output).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&serde_json::from_str(&line).unwrap())
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{errors:?}\n{line}");
        }
    }

    /// The examples of the issue, as they stand there (with a time for each "…").
    #[test]
    fn the_examples_of_the_issue_are_valid() {
        let validator = validator();
        for line in [
            r#"{"v":1,"kind":"transition","subject":{"type":"prefix","prefix":"84.205.71.0/24","origin":12654},"from":"degrading","to":"out","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:01:13.000000Z","visibility":0.18,"peers_seen":7,"peers_lost":31,"peers_unknown":0,"peers_eligible":38,"baseline":"held","cover":"none"}"#,
            r#"{"v":1,"kind":"gap","at":"2008-02-24T02:00:00.000000Z","source":"mrt","collector":"route-views2","peer":null,"from":"2008-02-24T02:00:00.000000Z","to":"2008-02-24T02:00:01.000000Z","offset":15024,"reason":"bad record length","lost":null}"#,
        ] {
            assert!(validator.is_valid(&serde_json::from_str(line).unwrap()), "{line}");
        }
    }

    #[test]
    fn the_schema_is_not_satisfied_by_anything_else() {
        let validator = validator();
        let good = event_line(&Output::Transition(Box::new(transition()))).unwrap();
        assert!(validator.is_valid(&serde_json::from_str(&good).unwrap()));
        for (from, to) in [
            (r#""v":1"#, r#""v":2"#),
            (r#""to":"out""#, r#""to":"down""#),
            (r#""visibility":0.18"#, r#""visibility":"0.18""#),
            ("02:03:42.000000Z", "02:03:42Z"),
            (r#""peers_seen":7,"#, ""),
            (r#""kind":"transition""#, r#""kind":"gap""#),
        ] {
            assert!(good.contains(from));
            let bad = good.replace(from, to);
            assert!(!validator.is_valid(&serde_json::from_str(&bad).unwrap()), "{bad}");
        }
    }
}
