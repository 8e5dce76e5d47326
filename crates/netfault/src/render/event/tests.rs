use super::*;
use netfault_model::{
    Cause, Child, Family, Incident, IncidentState, Lost, Notable, NotableKind, Rule, Share,
};
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
        evidence: Some(Box::new(evidence())),
        dns: None,
    }
}

pub(in crate::render) fn evidence() -> Evidence {
    let lost = |asn, at: &str, inferred| Lost {
        peer_asn: Asn(asn),
        at: at.parse().unwrap(),
        inferred,
    };
    Evidence {
        rule: Rule::Out,
        threshold: Some(0.2),
        since: Some("2008-02-24T02:03:12Z".parse().unwrap()),
        hold_s: 30,
        lost: vec![
            lost(64501, "2008-02-24T02:01:13Z", false),
            lost(64502, "2008-02-24T02:03:12Z", true),
        ],
        kept: vec![Asn(64510), Asn(64511)],
        unknown: vec![Asn(64520)],
        zombies: vec![Asn(64511)],
        collectors: 3,
        one_collector: 0.5,
        known: 0.97,
        share: None,
    }
}

pub(in crate::render) fn incident() -> Incident {
    let at = |text: &str| text.parse().unwrap();
    Incident {
        id: Id(0x0123_4567_89ab_cdef),
        version: 1,
        state: IncidentState::Open,
        subject: Subject::Origin { origin: Asn(12654) },
        cause: Cause::OriginWithdrawn,
        at: at("2008-02-24T02:03:42Z"),
        first_evidence_at: at("2008-02-24T02:01:13Z"),
        raised_at: at("2008-02-24T02:03:42Z"),
        cleared_at: None,
        confidence: 0.9,
        baseline: Baseline::Held,
        children: vec![
            Child {
                subject: transition().subject,
                state: State::Out,
                worst: State::Out,
                first_evidence_at: at("2008-02-24T02:01:13Z"),
                cleared_at: None,
            },
            Child {
                subject: name().subject,
                state: State::Ok,
                worst: State::Partial,
                first_evidence_at: at("2008-02-24T02:01:20Z"),
                cleared_at: Some(at("2008-02-24T02:03:00Z")),
            },
        ],
        severity: 3,
        level: State::Out,
        prefixes_down: 1,
        prefixes: 1,
        watched: true,
        shown: true,
        beacon: false,
        flapping: false,
        reopened: 0,
        merged_into: None,
        summary: "AS12654 withdrew 1 of its 1 prefixes since 02:01:13.".into(),
        rule: None,
        services: Vec::new(),
        layers: Vec::new(),
        facts: None,
    }
}

pub(in crate::render) fn notable() -> Notable {
    let at = "2008-02-24T18:48:09Z".parse().unwrap();
    Notable {
        id: Id(9),
        what: NotableKind::OriginChange,
        subject: Some(Subject::Prefix {
            prefix: "208.65.153.0/24".parse().unwrap(),
            origin: Some(Asn(17557)),
        }),
        at,
        first_evidence_at: at,
        over: false,
        baseline: Some(Baseline::Held),
        old_origins: vec![Asn(36561)],
        new_origins: vec![Asn(17557)],
        covered_by: Some("208.65.152.0/22".parse().unwrap()),
        peers: Some(3),
        triplet: Some([Asn(1), Asn(2), Asn(17557)]),
        prefixes: None,
        measured: None,
        usual: Some(1.5),
        watched: false,
        summary: "AS17557 announces a part of 208.65.152.0/22 of AS36561, seen by 3 peer ASes.".into(),
    }
}

pub(in crate::render) fn origin() -> Transition {
    let share = Share {
        family: Family::V4,
        prefixes: 160,
        prefixes_down: 150,
        space: 640.0,
        space_down: 600.0,
        origins: None,
        origins_down: None,
    };
    Transition {
        subject: Subject::Origin { origin: Asn(19834) },
        visibility: None,
        peers_seen: None,
        peers_lost: None,
        peers_unknown: None,
        peers_eligible: None,
        cover: None,
        watched: false,
        healed: true,
        evidence: Some(Box::new(Evidence {
            rule: Rule::Share,
            share: Some(share),
            ..evidence()
        })),
        ..transition()
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
        evidence: None,
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
        evidence: None,
        ..transition()
    };
    let resolved = Incident {
        state: IncidentState::Resolved,
        version: 2,
        cleared_at: Some(incident().at),
        ..incident()
    };
    let merged = Incident {
        state: IncidentState::Merged,
        merged_into: Some(Id(0xfedc)),
        subject: Subject::Country {
            country: "PK".parse().unwrap(),
        },
        shown: false,
        beacon: true,
        ..incident()
    };
    let of_all = Notable {
        what: NotableKind::Baseline,
        subject: None,
        over: true,
        watched: true,
        summary: "9 % of all prefixes have a baseline.".into(),
        ..notable()
    };
    vec![
        Output::Gap(gap()),
        Output::Gap(peered),
        Output::Transition(Box::new(transition())),
        Output::Transition(Box::new(name())),
        Output::Transition(Box::new(unknown)),
        Output::Feed(feed()),
        Output::Feed(unpeered),
        Output::Transition(Box::new(origin())),
        Output::Incident(Box::new(incident())),
        Output::Incident(Box::new(resolved)),
        Output::Incident(Box::new(merged)),
        Output::Notable(Box::new(notable())),
        Output::Notable(Box::new(of_all)),
    ]
}

fn validator() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/event.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The lines that issues 2 and 3 promise, with their times filled in; what comes behind was added.
#[test]
fn the_promised_lines_word_for_word() {
    assert_eq!(
        event_line(&Output::Transition(Box::new(transition()))).unwrap(),
        r#"{"v":1,"kind":"transition","subject":{"type":"prefix","prefix":"84.205.71.0/24","origin":12654},"from":"degrading","to":"out","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:01:13.000000Z","visibility":0.18,"peers_seen":7,"peers_lost":31,"peers_unknown":0,"peers_eligible":38,"baseline":"held","cover":"none","finding":null,"servers_ok":null,"servers_eligible":null,"resolvers_ok":null,"resolvers_eligible":null,"watched":true,"id":"ee3a432bd027241a","beacon":false,"healed":false,"evidence":{"rule":"out","threshold":0.2,"since":"2008-02-24T02:03:12.000000Z","hold_s":30,"lost":[{"peer_asn":64501,"at":"2008-02-24T02:01:13.000000Z","inferred":false},{"peer_asn":64502,"at":"2008-02-24T02:03:12.000000Z","inferred":true}],"kept":[64510,64511],"unknown":[64520],"zombies":[64511],"collectors":3,"one_collector":0.5,"known":0.97,"share":null}}"#
    );
    assert_eq!(
        event_line(&Output::Incident(Box::new(incident()))).unwrap(),
        r#"{"v":1,"kind":"incident","id":"0123456789abcdef","version":1,"state":"open","subject":{"type":"origin","origin":12654},"cause":"origin_withdrawn","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:01:13.000000Z","raised_at":"2008-02-24T02:03:42.000000Z","cleared_at":null,"confidence":0.9,"baseline":"held","children":[{"subject":{"type":"prefix","prefix":"84.205.71.0/24","origin":12654},"state":"out","worst":"out","first_evidence_at":"2008-02-24T02:01:13.000000Z","cleared_at":null},{"subject":{"type":"name","name":"www.example.com"},"state":"ok","worst":"partial","first_evidence_at":"2008-02-24T02:01:20.000000Z","cleared_at":"2008-02-24T02:03:00.000000Z"}],"severity":3,"level":"out","prefixes_down":1,"prefixes":1,"watched":true,"shown":true,"beacon":false,"flapping":false,"reopened":0,"merged_into":null,"summary":"AS12654 withdrew 1 of its 1 prefixes since 02:01:13."}"#
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

/// A word that the model gains must be added here, or this does not compile, and then to the schema.
#[test]
fn the_schema_knows_every_word() {
    use {Cause as C, NotableKind as K, Rule as R};
    let kinds = [
        K::OriginChange,
        K::Leak,
        K::Churn,
        K::Flapping,
        K::Space,
        K::Beacon,
        K::Baseline,
        K::Healed,
        K::VantageOffline,
        K::ResolverFault,
        K::MonitorFault,
        K::NoNetworkFault,
    ];
    let rules = [
        R::FirstQuorum,
        R::Falling,
        R::Burst,
        R::Clear,
        R::Partial,
        R::Out,
        R::Rising,
        R::Whole,
        R::QuorumLost,
        R::QuorumBack,
        R::LossAccepted,
        R::Share,
        R::Rounds,
    ];
    let causes = [
        C::PrefixWithdrawn,
        C::OriginWithdrawn,
        C::CountryWithdrawn,
        C::NameFailing,
        C::NameServersWithdrawn,
        C::DnsOutagePredicted,
        C::ServiceWithdrawn,
        C::TransitFailed,
        C::Hijacked,
        C::DnsServersFailed,
        C::ResolversFail,
        C::DnssecBogus,
    ];
    match (kinds[0], rules[0], causes[0]) {
        (
            K::OriginChange
            | K::Leak
            | K::Churn
            | K::Flapping
            | K::Space
            | K::Beacon
            | K::Baseline
            | K::Healed
            | K::VantageOffline
            | K::ResolverFault
            | K::MonitorFault
            | K::NoNetworkFault,
            R::FirstQuorum
            | R::Falling
            | R::Burst
            | R::Clear
            | R::Partial
            | R::Out
            | R::Rising
            | R::Whole
            | R::QuorumLost
            | R::QuorumBack
            | R::LossAccepted
            | R::Share
            | R::Rounds,
            C::PrefixWithdrawn
            | C::OriginWithdrawn
            | C::CountryWithdrawn
            | C::NameFailing
            | C::NameServersWithdrawn
            | C::DnsOutagePredicted
            | C::ServiceWithdrawn
            | C::TransitFailed
            | C::Hijacked
            | C::DnsServersFailed
            | C::ResolversFail
            | C::DnssecBogus,
        ) => {}
    }
    let of_kind = |what| Output::Notable(Box::new(Notable { what, ..notable() }));
    let of_cause = |cause| Output::Incident(Box::new(Incident { cause, ..incident() }));
    let of_rule = |rule| {
        let evidence = Some(Box::new(Evidence { rule, ..evidence() }));
        Output::Transition(Box::new(Transition {
            evidence,
            ..transition()
        }))
    };
    let outputs = kinds.map(of_kind).into_iter();
    let outputs = outputs.chain(rules.map(of_rule)).chain(causes.map(of_cause));
    let validator = validator();
    for output in outputs {
        let line = event_line(&output).unwrap();
        assert!(
            validator.is_valid(&serde_json::from_str(&line).unwrap()),
            "{line}"
        );
    }
}

/// The examples of the issue, as they stand there (with a time for each "…").
#[test]
fn the_examples_of_the_issue_are_valid() {
    let validator = validator();
    for line in [
        r#"{"v":1,"kind":"incident","id":"0123456789abcdef","version":1,"state":"open","subject":{"type":"origin","origin":19834},"cause":"origin_withdrawn","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:03:42.000000Z","raised_at":"2008-02-24T02:03:42.000000Z","cleared_at":null,"confidence":0.9,"baseline":"held","children":[]}"#,
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
