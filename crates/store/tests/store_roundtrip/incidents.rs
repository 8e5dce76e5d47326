//! Incidents in all their versions, and why something was decided.

use netfault_model::*;
use netfault_store::query::{self, IncidentFilter, Named};

use crate::store;
use crate::store_common::*;

const ORIGIN: Id = Id(0x00ab_cdef_0000_0001);
const MERGED: Id = Id(0x00ab_cdef_0000_0002);
const SMALL: Id = Id(3);

fn out() -> Transition {
    Transition {
        evidence: Some(Box::new(evidence())),
        beacon: true,
        healed: true,
        ..transition(
            "84.205.71.0/24",
            State::Degrading,
            State::Out,
            "2021-10-04T15:53:47.5Z",
        )
    }
}

fn back() -> Transition {
    transition(
        "84.205.71.0/24",
        State::Recovering,
        State::Normal,
        "2021-10-04T16:20:00Z",
    )
}

/// Of a name: what each vantage and each cache says.
fn name() -> Transition {
    let vantage = |name: &str, servers_ok| VantageView {
        vantage: name.into(),
        sighted: servers_ok > 0,
        servers_ok,
        servers_eligible: 4,
    };
    let cache = |resolver: &str, until| CacheView {
        vantage: "v1".into(),
        resolver: resolver.parse().unwrap(),
        good: true,
        stale: false,
        until,
    };
    let masked = time("2021-10-04T15:59:00.25Z");
    Transition {
        subject: Subject::Name {
            name: "facebook.com".into(),
        },
        finding: Some(Finding::AuthorityUnreachable),
        dns: Some(Box::new(NameEvidence {
            masked_until: Some(masked),
            vantages: vec![vantage("v1", 0), vantage("v2", 1)],
            caches: vec![
                cache("192.0.2.53:53", Some(masked)),
                cache("[2001:db8::53]:53", None),
            ],
        })),
        ..transition(
            "84.205.71.0/24",
            State::Partial,
            State::Out,
            "2021-10-04T15:53:50Z",
        )
    }
}

/// A name of which no view is left: said, and empty.
fn unseen() -> Transition {
    Transition {
        to: State::Unknown,
        dns: Some(Box::new(NameEvidence {
            masked_until: None,
            vantages: vec![],
            caches: vec![],
        })),
        subject: Subject::Name {
            name: "example.org".into(),
        },
        ..name()
    }
}

/// With everything that has no column of its own.
fn explained() -> Incident {
    let first = time("2021-10-04T15:53:01Z");
    let layer = |layer, recovered_at| Layer {
        layer,
        since: first,
        recovered_at,
    };
    Incident {
        rule: Some(CauseRule::R1),
        cause: Cause::NameServersWithdrawn,
        services: vec!["Facebook".into(), "Instagram".into()],
        layers: vec![
            layer(LayerKind::Bgp, None),
            layer(LayerKind::Dns, Some(first.plus_micros(1))),
        ],
        facts: Some(Box::new(Facts {
            name: Some("facebook.com".into()),
            servers: 8,
            servers_lost: 8,
            lead_s: Some(-12),
            link: Some((Asn(1), Asn(2))),
            masked_until: Some(first),
            ..Facts::default()
        })),
        ..incident(SMALL, 1, IncidentState::Open)
    }
}

fn fill(db: &Db, spool: &std::path::Path) {
    store(db, spool, |writer| {
        writer.transition(&out());
        writer.transition(&back());
        writer.transition(&name());
        writer.transition(&unseen());
        // Before and beside the incident.
        writer.transition(&transition(
            "84.205.71.0/24",
            State::Unknown,
            State::Normal,
            "2021-10-04T15:00:00Z",
        ));
        writer.transition(&transition(
            "10.0.0.0/8",
            State::Normal,
            State::Out,
            "2021-10-04T15:54:00Z",
        ));
        writer.incident(&incident(ORIGIN, 1, IncidentState::Open));
        writer.incident(&incident(ORIGIN, 2, IncidentState::Resolved));
        writer.incident(&Incident {
            merged_into: Some(ORIGIN),
            ..incident(MERGED, 2, IncidentState::Merged)
        });
        writer.incident(&Incident {
            shown: false,
            ..explained()
        });
    });
}

#[test]
fn embedded_every_version_of_an_incident_is_kept_and_the_newest_is_its_word() {
    if !engine_is_here("incidents") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    fill(&db, &dir.path().join("spool"));
    let client = db.client();
    let versions = |id| block_on(query::incident_versions(&client, id)).unwrap();
    assert_eq!(
        versions(ORIGIN),
        [
            incident(ORIGIN, 1, IncidentState::Open),
            incident(ORIGIN, 2, IncidentState::Resolved)
        ]
    );
    assert_eq!(versions(MERGED)[0].merged_into, Some(ORIGIN));
    assert_eq!(versions(Id(8)), []);
    let small = Incident {
        shown: false,
        ..explained()
    };
    assert_eq!(versions(SMALL), [small]);
    assert_eq!(
        db.ask("SELECT rule, services, layers.layer, layers.recovered_at FROM incidents WHERE id = 3"),
        "r1\t['Facebook','Instagram']\t['bgp','dns']\t[NULL,'2021-10-04 15:53:01.000001']"
    );
    // Rows of earlier releases have the columns alone.
    db.ask("ALTER TABLE incidents UPDATE said = '' WHERE 1 SETTINGS mutations_sync = 2");
    assert_eq!(versions(ORIGIN)[0], incident(ORIGIN, 1, IncidentState::Open));

    let ask = |filter: IncidentFilter| -> Vec<(Id, u32)> {
        let found = block_on(query::incidents(&client, &filter)).unwrap();
        found.iter().map(|it| (it.id, it.version)).collect()
    };
    let shown = IncidentFilter::default();
    assert_eq!(ask(shown.clone()), [(ORIGIN, 2)]);
    let all = IncidentFilter {
        all: true,
        ..shown.clone()
    };
    assert_eq!(ask(all.clone()), [(SMALL, 1), (ORIGIN, 2), (MERGED, 2)]);
    let open = IncidentFilter { open: true, ..all };
    assert_eq!(ask(open), [(SMALL, 1)]);
    let since = |at| IncidentFilter {
        since: Some(time(at)),
        ..shown.clone()
    };
    assert_eq!(ask(since("2021-10-04T16:20:00Z")), [(ORIGIN, 2)]);
    assert_eq!(ask(since("2021-10-04T16:20:01Z")), []);
    let until = |at| IncidentFilter {
        until: Some(time(at)),
        ..shown.clone()
    };
    assert_eq!(ask(until("2021-10-04T15:53:01Z")), []);
    assert_eq!(ask(until("2021-10-04T15:53:02Z")), [(ORIGIN, 2)]);
    assert_eq!(
        db.ask("SELECT id, merged_into FROM incidents_current ORDER BY id"),
        "0000000000000003\t\\N\n00abcdef00000001\t\\N\n00abcdef00000002\t00abcdef00000001"
    );
}

#[test]
fn embedded_a_transition_comes_back_with_its_evidence() {
    if !engine_is_here("evidence") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    fill(&db, &dir.path().join("spool"));
    let client = db.client();
    let transition = |id| block_on(query::transition(&client, id)).unwrap();
    assert_eq!(transition(out().id()), Some(out()));
    assert_eq!(transition(back().id()), Some(back()), "without evidence");
    assert_eq!(transition(ORIGIN), None);
    for of_name in [name(), unseen()] {
        // A name has no origin to come back.
        let told = transition(of_name.id()).unwrap();
        assert_eq!(told, of_name);
    }
    assert_eq!(
        db.ask("SELECT masked_until, JSONExtractUInt(JSONExtractArrayRaw(dns, 'vantages')[2], 'servers_ok') FROM transitions WHERE subject = 'facebook.com'"),
        "2021-10-04 15:59:00.250000\t1"
    );

    let named = |digits: &str| block_on(query::named(&client, digits)).unwrap();
    let digits = out().id().to_string();
    assert_eq!(named(&digits), [(out().id(), Named::Transition)]);
    assert_eq!(named(&digits[..9]), [(out().id(), Named::Transition)]);
    let both = [(ORIGIN, Named::Incident), (MERGED, Named::Incident)];
    assert_eq!(named("00abcdef"), both);
    assert_eq!(named("00abcdef00000002"), both[1..]);
    assert_eq!(named("ffffffffffffffff"), []);

    let newest = incident(ORIGIN, 2, IncidentState::Resolved);
    let steps = block_on(query::steps(&client, &newest)).unwrap();
    let ids: Vec<Id> = steps.iter().map(|step| step.id).collect();
    assert_eq!(ids, [out().id(), name().id(), back().id()]);
    assert_eq!(steps[0].subject, out().subject);
    assert_eq!((steps[0].to, steps[0].visibility), (State::Out, Some(0.18)));
    assert_eq!(
        db.ask("SELECT prefix, beacon FROM prefix_withdrawals ORDER BY prefix"),
        "10.0.0.0/8\tfalse\n84.205.71.0/24\ttrue"
    );
}
