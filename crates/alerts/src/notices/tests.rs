use netfault_model::{Asn, Cause, Id};

use super::*;

const START: i64 = 1_203_818_473;

fn child(text: &str, state: State) -> Child {
    Child {
        subject: Subject::Prefix {
            prefix: text.parse().unwrap(),
            origin: Some(Asn(12654)),
        },
        state,
        worst: State::Out,
        first_evidence_at: Time::from_secs(START),
        cleared_at: None,
    }
}

fn incident(state: IncidentState, level: State) -> Incident {
    let over = matches!(state, IncidentState::Resolved);
    Incident {
        id: Id(0x0123_4567_89ab_cdef),
        version: 1,
        state,
        subject: Subject::Origin { origin: Asn(12654) },
        cause: Cause::OriginWithdrawn,
        at: Time::from_secs(START + 149),
        first_evidence_at: Time::from_secs(START),
        raised_at: Time::from_secs(START + 149),
        cleared_at: over.then_some(Time::from_secs(START + 7_080)),
        confidence: 0.81,
        baseline: Baseline::Held,
        children: vec![child("84.205.71.0/24", level)],
        severity: 3,
        level,
        prefixes_down: 1,
        prefixes: 1,
        watched: true,
        shown: true,
        beacon: false,
        flapping: false,
        reopened: 0,
        merged_into: None,
        summary: format!("AS12654 is {}.", level.name()),
        rule: None,
        services: Vec::new(),
        layers: Vec::new(),
        facts: None,
    }
}

fn say(incident: &Incident, open: &mut Open) -> Option<NoticeState> {
    from_incident(incident, Policy::default(), open).map(|notice| notice.state)
}

/// What each version does, with nothing open and with the alert open.
#[test]
fn the_table_of_versions() {
    use IncidentState::{Merged, Open as Opened, Resolved, Update};
    use NoticeState::{Open as Opens, Resolved as Resolves, Update as Updates};
    let table = [
        (Opened, State::Degrading, Some(Opens), Some(Updates)),
        (Opened, State::Partial, Some(Opens), Some(Updates)),
        (Opened, State::Out, Some(Opens), None),
        (Update, State::Degrading, Some(Opens), Some(Updates)),
        (Update, State::Recovering, None, Some(Updates)),
        (Update, State::Out, Some(Opens), None),
        (Resolved, State::Normal, None, Some(Resolves)),
        (Resolved, State::Gone, None, Some(Resolves)),
        (Merged, State::Out, None, Some(Resolves)),
    ];
    for (state, level, closed, opened) in table {
        let version = incident(state, level);
        assert_eq!(say(&version, &mut Open::default()), closed, "{state:?} {level:?}");
        let mut open = Open::default();
        assert_eq!(say(&incident(Opened, State::Out), &mut open), Some(Opens));
        assert_eq!(say(&version, &mut open), opened, "{state:?} {level:?} while open");
        assert_eq!(open.is_empty(), opened == Some(Resolves), "{state:?} {level:?}");
    }
}

#[test]
fn nobody_is_woken_for_what_nobody_watches() {
    let unwatched = Incident {
        watched: false,
        ..incident(IncidentState::Open, State::Out)
    };
    assert_eq!(say(&unwatched, &mut Open::default()), None);
}

#[test]
fn a_beacon_alerts_only_where_the_configuration_says_so() {
    let beacon = Incident {
        beacon: true,
        ..incident(IncidentState::Open, State::Out)
    };
    assert_eq!(say(&beacon, &mut Open::default()), None);
    let report = Policy { beacons: true };
    assert!(from_incident(&beacon, report, &mut Open::default()).is_some());
}

#[test]
fn a_name_that_lost_some_of_its_servers_still_works() {
    let mut name = incident(IncidentState::Open, State::Partial);
    name.subject = Subject::Name {
        name: "www.example.com".into(),
    };
    let mut open = Open::default();
    assert_eq!(say(&name, &mut open), None);
    (name.level, name.state) = (State::Degraded, IncidentState::Update);
    assert_eq!(say(&name, &mut open), Some(NoticeState::Open));
}

#[test]
fn the_resolve_carries_the_id_and_start_of_its_open() {
    let mut open = Open::default();
    let policy = Policy::default();
    let first = from_incident(&incident(IncidentState::Open, State::Out), policy, &mut open).unwrap();
    assert_eq!(first.id, "0123456789abcdef");
    // In between it widened, an earlier loss was found, and another run took over.
    let mut open = Open::default();
    open.adopt(&first);
    let mut back = incident(IncidentState::Resolved, State::Normal);
    back.subject = Subject::Country {
        country: "NL".parse().unwrap(),
    };
    back.first_evidence_at = Time::from_secs(START - 60);
    back.severity = 1;
    let last = from_incident(&back, policy, &mut open).unwrap();
    assert_eq!(
        (last.id, last.started_at, last.severity),
        (first.id, first.started_at, first.severity)
    );
    assert_eq!(
        (last.title.as_str(), last.text.as_str()),
        ("AS12654 is normal.", "")
    );
}

#[test]
fn what_opens_again_is_another_alert() {
    let mut open = Open::default();
    let mut told = Vec::new();
    for reopened in 0..3 {
        for (state, level) in [
            (IncidentState::Open, State::Out),
            (IncidentState::Resolved, State::Normal),
        ] {
            let version = Incident {
                reopened,
                ..incident(state, level)
            };
            let notice = from_incident(&version, Policy::default(), &mut open).unwrap();
            assert_eq!(notice.opened_severity, 3);
            told.push((notice.id, notice.state.name()));
        }
    }
    let ids = ["0123456789abcdef", "0123456789abcdef-2", "0123456789abcdef-3"];
    let expected = ids.map(|id| [(id.to_owned(), "open"), (id.to_owned(), "resolved")]);
    assert_eq!(told, expected.concat());
}

#[test]
fn what_is_merged_says_where_it_goes_on() {
    let mut open = Open::default();
    let policy = Policy::default();
    from_incident(&incident(IncidentState::Open, State::Out), policy, &mut open).unwrap();
    let merged = Incident {
        merged_into: Some(Id(0xfedc)),
        ..incident(IncidentState::Merged, State::Out)
    };
    let notice = from_incident(&merged, policy, &mut open).unwrap();
    assert_eq!(
        notice.text,
        "It is not over: it is part of incident 000000000000fedc now, which has its own alert."
    );
}

#[test]
fn the_text_names_the_worst_parts_and_what_weakens_the_verdict() {
    let mut open = incident(IncidentState::Open, State::Out);
    open.children = (0..150)
        .map(|n| {
            child(
                &format!("10.0.{n}.0/24"),
                if n < 4 { State::Normal } else { State::Out },
            )
        })
        .collect();
    open.baseline = Baseline::Inferred;
    open.confidence = 0.42;
    open.flapping = true;
    open.reopened = 1;
    let notice = from_incident(&open, Policy::default(), &mut Open::default()).unwrap();
    assert_eq!(
        notice.text,
        "It had been resolved less than half an hour before. It is flapping. Parts: 10.0.4.0/24 out, \
         10.0.5.0/24 out, 10.0.6.0/24 out, 10.0.7.0/24 out, 10.0.8.0/24 out and 145 more. \
         The baseline is inferred from withdrawals. Only 42 % sure. Why: netfault explain 0123456789abcdef"
    );
    assert_eq!(notice.incident.unwrap().children.len(), MAX_CHILDREN);
}

#[test]
fn only_what_people_want_to_know_is_an_update() {
    let mut open = Open::default();
    let policy = Policy::default();
    let mut version = incident(IncidentState::Open, State::Out);
    version.prefixes_down = 4;
    from_incident(&version, policy, &mut open).unwrap();
    version.state = IncidentState::Update;
    let mut say = |change: &dyn Fn(&mut Incident)| {
        version.version += 1;
        change(&mut version);
        from_incident(&version, policy, &mut open).map(|notice| (notice.state, notice.version))
    };
    assert_eq!(say(&|it| it.confidence = 0.5), None);
    assert_eq!(say(&|it| it.prefixes_down = 7), None, "not twice as many");
    assert_eq!(say(&|it| it.prefixes_down = 8), Some((NoticeState::Update, 4)));
    assert_eq!(say(&|it| it.severity = 4), Some((NoticeState::Update, 5)));
    assert_eq!(say(&|it| it.flapping = true), Some((NoticeState::Update, 6)));
    assert_eq!(
        say(&|it| it.cause = Cause::PrefixWithdrawn),
        Some((NoticeState::Update, 7))
    );
    assert_eq!(say(&|it| it.summary = "Else.".into()), None);
    // A restart knows what was said last.
    let last = from_incident(
        &Incident {
            severity: 1,
            ..version.clone()
        },
        policy,
        &mut open,
    )
    .unwrap();
    let mut again = Open::default();
    again.adopt(&last);
    assert_eq!(
        from_incident(
            &Incident {
                severity: 1,
                ..version
            },
            policy,
            &mut again
        ),
        None
    );
    assert_eq!(last.opened_severity, 3, "that of its opening");
}
