//! A made-up incident with all layers, as its reader gets it: `example.md` beside this file is the whole text.

use netfault_model::*;
use netfault_store::query::{FeedTrouble, Note, NoteKind, Step};

use super::super::super::explain::History;
use super::{Case, markdown, text};

fn at(clock: &str) -> Time {
    format!("2021-10-04T{clock}Z").parse().unwrap()
}

fn prefix(text: &str) -> Subject {
    Subject::Prefix {
        prefix: text.parse().unwrap(),
        origin: Some(Asn(32934)),
    }
}

fn name() -> Subject {
    Subject::Name {
        name: "facebook.com".into(),
    }
}

const PREFIXES: [&str; 4] = [
    "129.134.30.0/24",
    "129.134.31.0/24",
    "185.89.218.0/24",
    "185.89.219.0/24",
];

fn incident(version: u32, state: IncidentState, clock: &str) -> Incident {
    let over = state == IncidentState::Resolved;
    let cleared = |clock| over.then(|| at(clock));
    let child = |subject, first, last| Child {
        subject,
        state: if over { State::Normal } else { State::Out },
        worst: State::Out,
        first_evidence_at: at(first),
        cleared_at: cleared(last),
    };
    let mut children: Vec<Child> = PREFIXES
        .iter()
        .map(|it| child(prefix(it), "15:42:03", "21:10:40"))
        .collect();
    children.push(child(name(), "15:50:10", "21:28:00"));
    let layer = |layer, since, recovered| Layer {
        layer,
        since: at(since),
        recovered_at: recovered,
    };
    Incident {
        id: Id(0x0123_4567_89ab_cdef),
        version,
        state,
        subject: Subject::Service {
            service: "Facebook".into(),
        },
        cause: Cause::NameServersWithdrawn,
        at: at(clock),
        first_evidence_at: at("15:42:03"),
        raised_at: at("15:46:00"),
        cleared_at: cleared("21:28:00"),
        confidence: 0.81,
        baseline: Baseline::Held,
        children,
        severity: if over || version == 1 { 4 } else { 5 },
        level: if over { State::Normal } else { State::Out },
        prefixes_down: if over { 0 } else { 4 },
        prefixes: 4,
        watched: true,
        shown: true,
        beacon: false,
        flapping: false,
        reopened: 0,
        merged_into: None,
        summary: match over {
            true => "facebook.com is well again after 5 h 38 min.".into(),
            false => {
                "facebook.com fails because 8 of 8 name servers sit in prefixes that AS32934 withdrew.".into()
            }
        },
        rule: Some(CauseRule::R1),
        services: vec!["Facebook".into()],
        layers: vec![
            layer(LayerKind::Bgp, "15:42:03", cleared("21:10:40")),
            layer(LayerKind::Dns, "15:50:10", cleared("21:28:00")),
        ],
        facts: Some(Box::new(Facts {
            name: Some("facebook.com".into()),
            servers: 8,
            servers_lost: 8,
            carriers: vec![Route {
                prefix: "129.134.30.0/24".parse().unwrap(),
                origin: Some(Asn(32934)),
            }],
            lead_s: Some(487),
            peers_lost: 41,
            peers: 43,
            parent_ok: Some(true),
            caches_good: 2,
            caches: 6,
            masked_until: Some(at("15:54:00")),
            mapped_at: Some(at("15:40:00")),
            ..Facts::default()
        })),
    }
}

fn step(subject: Subject, to: State, clock: &str) -> Transition {
    let is_name = matches!(subject, Subject::Name { .. });
    let lost = |asn, clock| Lost {
        peer_asn: Asn(asn),
        at: at(clock),
        inferred: asn == 64502,
    };
    let evidence = Evidence {
        rule: Rule::Out,
        threshold: Some(0.2),
        since: None,
        hold_s: 30,
        lost: vec![lost(64501, "15:42:03"), lost(64502, "15:43:00")],
        kept: vec![Asn(64510)],
        unknown: vec![Asn(64520)],
        zombies: vec![],
        collectors: 1,
        one_collector: 1.0,
        known: 0.97,
        share: None,
    };
    let dns = NameEvidence {
        masked_until: Some(at("15:54:00")),
        vantages: vec![VantageView {
            vantage: "fra1".into(),
            sighted: true,
            servers_ok: 0,
            servers_eligible: 8,
        }],
        caches: vec![CacheView {
            vantage: "fra1".into(),
            resolver: "192.0.2.53:53".parse().unwrap(),
            good: true,
            stale: false,
            until: Some(at("15:54:00")),
        }],
    };
    Transition {
        peers_seen: (!is_name).then_some(2),
        peers_eligible: (!is_name).then_some(43),
        servers_ok: is_name.then_some(0),
        servers_eligible: is_name.then_some(8),
        finding: is_name.then_some(Finding::AuthorityUnreachable),
        evidence: (!is_name).then(|| Box::new(evidence)),
        dns: is_name.then(|| Box::new(dns)),
        ..Transition::plain(subject, State::Normal, to, at(clock))
    }
}

fn case() -> Case {
    let mut transitions = Vec::new();
    for (n, it) in PREFIXES.iter().enumerate() {
        let second = |clock: &str| format!("{clock}:{:02}", 10 + n);
        transitions.push(step(prefix(it), State::Degrading, &second("15:42")));
        transitions.push(step(prefix(it), State::Out, &second("15:53")));
        transitions.push(step(prefix(it), State::Recovering, &second("21:01")));
        transitions.push(step(prefix(it), State::Normal, &second("21:10")));
    }
    transitions.push(step(name(), State::Partial, "15:50:40"));
    transitions.push(step(name(), State::Out, "15:51:10"));
    transitions.push(step(name(), State::Recovering, "21:05:10"));
    transitions.push(step(name(), State::Ok, "21:28:00"));
    transitions.sort_by_key(|step| step.at);
    let note = |clock, kind, text: &str| Note {
        at: at(clock),
        incident: Id(0x0123_4567_89ab_cdef),
        kind,
        by: "alice".into(),
        text: text.into(),
    };
    let report = |clock, count| Hint {
        at: at(clock),
        arrival: Arrival::InTime,
        service: "Facebook".into(),
        source: "downdetector".into(),
        what: HintKind::Reports {
            interval_s: 900,
            count,
            usual: Some(40.0),
        },
    };
    let trouble = |clock, state: &str| FeedTrouble {
        at: at(clock),
        source: String::new(),
        state: state.into(),
        collector: "rrc00".into(),
        peer_addr: "192.0.2.1".into(),
        peer_asn: 64520,
        reason: "silent for 183 s".into(),
        lost: None,
    };
    Case {
        history: History {
            versions: vec![
                incident(1, IncidentState::Open, "15:46:00"),
                incident(2, IncidentState::Update, "15:51:10"),
                incident(3, IncidentState::Resolved, "21:28:00"),
            ],
            steps: Vec::<Step>::new(),
            notes: vec![
                note("15:55:02", NoteKind::Ack, ""),
                note(
                    "16:10:00",
                    NoteKind::Note,
                    "Called their NOC:\n| \"backbone\" <change> | *gone* wrong",
                ),
            ],
        },
        transitions,
        troubles: vec![trouble("15:44:00", "suspect"), trouble("15:59:00", "suspect")],
        hints: vec![
            report("15:45:00", 41.0),
            report("16:00:00", 2600.0),
            report("22:45:00", 60.0),
        ],
    }
}

/// The whole text; `UPDATE_GOLDEN=1` writes it again, to be read as a diff.
#[test]
fn a_report_reads_as_it_should() {
    let told = markdown(&case());
    // What must be right is worked out by hand, and not left to the file.
    for line in [
        "# facebook.com fails because 8 of 8 name servers sit in prefixes that AS32934 withdrew",
        "In the end: facebook.com is well again after 5 h 38 min.",
        "| Raised | 15:46:00, 3 min 57 s after the first evidence |",
        "| Taken on | by alice at 15:55:02, 9 min 2 s after it was raised |",
        "| BGP: 4 prefixes | 15:42:03 | 15:42:10 | – | 15:53:10 | 21:01:10 | 21:10:40 | 5 h 28 min |",
        "| DNS: 1 name | 15:50:10 | – | 15:50:40 | 15:51:10 | 21:05:10 | 21:28:00 | 5 h 37 min |",
        "| HTTP and users (a hint) | 16:00:00 | – | – | – | – | 22:45:00 | 6 h 45 min |",
        "- the first routing evidence came 8 min 7 s before the first DNS failure",
        "- 2 of 6 resolvers still answered from their caches, until 15:54:00 at the latest",
        "| `129.134.30.0/24` | out 15:53:10 | 2 | 1 | 1 | 1 |",
        "2021-10-04 15:55:02 UTC, alice took it on.",
        "> \\| \"backbone\" \\<change\\> \\| \\*gone\\* wrong",
        "- What others saw: everything about routes comes from 1 collector.",
        "- What the feed of rrc00 would have said: 2 times suspect while it lasted.",
    ] {
        assert!(told.lines().any(|it| it == line), "{line}\n\n{told}");
    }
    let group = "`129.134.30.0/24`, `129.134.31.0/24`, `185.89.218.0/24` and 1 more: **out**";
    assert!(told.contains(group), "{told}");
    let golden =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/incidents/report/example.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") && std::env::var_os("CI").is_none() {
        std::fs::write(&golden, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn an_incident_of_which_little_is_kept_says_so() {
    let mut case = case();
    case.history.versions.truncate(1);
    case.history.notes.clear();
    case.transitions.clear();
    case.hints.clear();
    let told = markdown(&case);
    for part in [
        "| Cleared | not by 15:46:00 |",
        "| Taken on | by nobody who said so |",
        "Not part of it: HTTP.",
        "No evidence of it is left in the store.",
        "- How it ends: it was not over at 2021-10-04 15:46:00 UTC",
        "there was no HTTP probe, report or status page of its services",
    ] {
        assert!(told.contains(part), "{part}\n\n{told}");
    }
}

#[test]
fn the_table_of_times() {
    for (micros, said) in [
        (0, "0 s"),
        (499_999, "0 s"),
        (59_500_000, "59 s"),
        (60_000_000, "1 min"),
        (704_000_000, "11 min 44 s"),
        (20_760_000_000, "5 h 46 min"),
        (86_400_000_000, "1 d"),
        (-12_000_000, "-12 s"),
    ] {
        assert_eq!(text::lasted(micros), said);
    }
}
