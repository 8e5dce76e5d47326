use std::path::Path;

use netfault_model::{Cause, Incident, Notable, NotableKind, Rule};

use super::samples::*;
use super::*;

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
        r#"{"v":1,"kind":"incident","id":"0123456789abcdef","version":1,"state":"open","subject":{"type":"origin","origin":12654},"cause":"origin_withdrawn","at":"2008-02-24T02:03:42.000000Z","first_evidence_at":"2008-02-24T02:01:13.000000Z","raised_at":"2008-02-24T02:03:42.000000Z","cleared_at":null,"confidence":0.9,"baseline":"held","children":[{"subject":{"type":"prefix","prefix":"84.205.71.0/24","origin":12654},"state":"out","worst":"out","first_evidence_at":"2008-02-24T02:01:13.000000Z","cleared_at":null},{"subject":{"type":"name","name":"www.example.com"},"state":"ok","worst":"partial","first_evidence_at":"2008-02-24T02:01:20.000000Z","cleared_at":"2008-02-24T02:03:00.000000Z"}],"severity":3,"level":"out","prefixes_down":1,"prefixes":1,"watched":true,"shown":true,"beacon":false,"flapping":false,"reopened":0,"merged_into":null,"summary":"AS12654 withdrew 1 of its 1 prefixes since 02:01:13.","rule":null,"services":[],"layers":[],"facts":null}"#
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
