//! One output of each kind, for the tests of everything that renders them.

use netfault_model::{
    Address, CacheView, Cause, Child, Delegation, DelegationFinding, Family, Incident, IncidentState, Lost,
    NameServer, Notable, NotableKind, Outcome, Route, Rule, Share, VantageView,
};

use super::*;

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

/// Of a name, with what each vantage and each cache says.
pub(in crate::render) fn viewed() -> Transition {
    let vantage = |name: &str, servers_ok| VantageView {
        vantage: name.into(),
        sighted: true,
        servers_ok,
        servers_eligible: 4,
    };
    let cache = |resolver: &str, good| CacheView {
        vantage: "fra1".into(),
        resolver: resolver.parse().unwrap(),
        good,
        stale: false,
        until: good.then_some(transition().at),
    };
    Transition {
        dns: Some(Box::new(NameEvidence {
            masked_until: Some(transition().at),
            vantages: vec![vantage("fra1", 0), vantage("tyo1", 1)],
            caches: vec![cache("192.0.2.53:53", true), cache("[2001:db8::53]:53", false)],
        })),
        ..name()
    }
}

pub(in crate::render) fn delegation() -> Delegation {
    let route = |prefix: &str, origin| {
        Some(Route {
            prefix: prefix.parse().unwrap(),
            origin,
        })
    };
    let first = NameServer {
        zone: "example.com".into(),
        name: "ns1.example.com".into(),
        addr: "192.0.2.1".parse().unwrap(),
        in_parent: true,
        in_child: true,
        glue: true,
        outcome: Some(Outcome::Ok),
        route: route("192.0.2.0/24", Some(Asn(64500))),
    };
    let second = NameServer {
        name: "ns2.example.com".into(),
        addr: "2001:db8::1".parse().unwrap(),
        outcome: None,
        route: route("2001:db8::/32", None),
        ..first.clone()
    };
    Delegation {
        at: transition().at,
        vantage: "fra1".into(),
        name: "www.example.com".into(),
        complete: true,
        end: "an answer".into(),
        zone: Some("example.com".into()),
        parent_ns: vec!["ns1.example.com".into(), "ns2.example.com".into()],
        child_ns: vec!["ns1.example.com".into()],
        ds: vec![12345],
        servers: vec![first, second],
        aliases: vec!["web.example.com".into()],
        addresses: vec![Address {
            addr: "192.0.2.80".parse().unwrap(),
            route: None,
        }],
        findings: vec![DelegationFinding {
            fault: true,
            kind: "lame".into(),
            zone: "example.com".into(),
            text: "ns2.example.com does not know the zone".into(),
        }],
        frozen: false,
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
        Output::Transition(Box::new(viewed())),
        Output::Delegation(Box::new(delegation())),
        Output::Delegation(Box::new(Delegation {
            complete: false,
            zone: None,
            frozen: true,
            servers: vec![],
            ..delegation()
        })),
    ]
}
