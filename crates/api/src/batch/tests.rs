use std::net::SocketAddr;

use netfault_model::{Outcome, Role, Transport};

use super::*;

fn now() -> Time {
    Time::from_secs(1_700_000_000)
}

fn probe(at: Time) -> Probe {
    Probe {
        at,
        vantage: "ams1".into(),
        name: "www.example.com".into(),
        role: Role::Authority,
        server: SocketAddr::from(([192, 0, 2, 53], 53)),
        qname: "example.com".into(),
        qtype: "SOA".into(),
        outcome: Outcome::Ok,
        rcode: Some(0),
        authoritative: true,
        ede: Some((22, "no reachable authority".into())),
        nsid: Some("ns1.ams".into()),
        latency_us: 1234,
        ttl: Some(300),
        answers: vec!["ns.example.com. admin.example.com. 1 2 3 4 5".into()],
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: Arrival::InTime,
        detail: None,
    }
}

fn delegation(at: Time) -> Delegation {
    Delegation {
        at,
        vantage: "ams1".into(),
        name: "www.example.com".into(),
        complete: true,
        end: "reached".into(),
        zone: Some("example.com".into()),
        parent_ns: vec!["ns.example.com".into()],
        child_ns: vec!["ns.example.com".into()],
        ds: vec![],
        servers: vec![],
        aliases: vec![],
        addresses: vec![],
        findings: vec![],
        frozen: false,
    }
}

fn hole(at: Time, reason: &str) -> Hole {
    Hole {
        at,
        from: None,
        to: None,
        reason: reason.into(),
        lost: Some(3),
    }
}

fn zipped(json: &str) -> Vec<u8> {
    zstd::bulk::compress(json.as_bytes(), 1).unwrap()
}

#[test]
fn a_batch_reads_back_equal() {
    let items = vec![
        Item::Probe(Box::new(probe(now()))),
        Item::Delegation(Box::new(delegation(now()))),
        Item::Gap(hole(now(), "too many questions in flight")),
    ];
    assert_eq!(unpack(&pack(&items).unwrap()).unwrap(), items);
}

#[test]
fn the_collectors_clock_decides_what_is_late_or_early() {
    for (seconds, expected) in [
        (-301, Arrival::Late),
        (-300, Arrival::InTime),
        (0, Arrival::InTime),
        (60, Arrival::InTime),
        (61, Arrival::Early),
    ] {
        let mut sent = probe(now().plus_micros(seconds * 1_000_000));
        sent.arrival = Arrival::Early; // what the agent thinks of it is nothing
        let inputs = inputs(vec![Item::Probe(Box::new(sent))], "ams1", now()).unwrap();
        let Input::Probe(probe) = &inputs[0] else { panic!() };
        assert_eq!(probe.arrival, expected, "{seconds}");
    }
}

#[test]
fn every_item_is_one_input_and_an_old_delegation_is_a_gap() {
    let items = vec![
        Item::Delegation(Box::new(delegation(now()))),
        Item::Delegation(Box::new(delegation(Time::from_secs(1_699_999_000)))),
        Item::Gap(hole(Time::MAX, "questions not asked")),
    ];
    let inputs = inputs(items, "ams1", now()).unwrap();
    assert!(matches!(&inputs[0], Input::Delegation(_)));
    let reasons: Vec<_> = inputs[1..]
        .iter()
        .map(|input| match input {
            Input::Gap(gap) => (gap.source, gap.at <= now(), gap.lost, gap.reason.as_ref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            (
                GapSource::Dns,
                true,
                Some(1),
                "agent ams1: a delegation of www.example.com did not come in time"
            ),
            (GapSource::Dns, true, Some(3), "agent ams1: questions not asked"),
        ]
    );
}

#[test]
fn an_agent_speaks_for_no_other_vantage_and_for_nothing_but_names() {
    let other = Probe {
        vantage: "fra1".into(),
        ..probe(now())
    };
    let said = inputs(vec![Item::Probe(Box::new(other))], "ams1", now()).unwrap_err();
    assert_eq!(
        said.to_string(),
        "the results are of vantage 'fra1', and 'ams1' speaks only for itself"
    );
    for name in ["a b", "a\nb", "ü", &"a".repeat(2000)] {
        let bad = Probe {
            name: name.into(),
            ..probe(now())
        };
        assert!(inputs(vec![Item::Probe(Box::new(bad))], "ams1", now()).is_err());
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let mut long = probe(now());
    long.detail = Some("ü".repeat(2000));
    long.answers = vec!["x".repeat(5000); 5000];
    let Input::Probe(kept) = inputs(vec![Item::Probe(Box::new(long))], "ams1", now())
        .unwrap()
        .remove(0)
    else {
        panic!()
    };
    assert_eq!(kept.detail.map(|text| text.len()), Some(1024));
    assert_eq!((kept.answers.len(), kept.answers[0].len()), (4096, 1024));
}

#[test]
fn unknown_fields_are_skipped_and_another_version_is_said() {
    let ok =
        zipped(r#"{"version":1,"items":[{"gap":{"at":"1700000000","reason":"x","new":[1]}}],"more":{}}"#);
    assert_eq!(unpack(&ok).unwrap().len(), 1);
    let newer = zipped(r#"{"version":2,"things":7}"#);
    assert!(matches!(unpack(&newer), Err(Malformed::Version(2))));
}

#[test]
fn what_is_no_batch_is_an_error_of_bounded_cost() {
    let empty: &[u8] = &[];
    for bytes in [
        empty,
        b"{}",
        &zipped(""),
        &zipped("[1]"),
        &zipped(&"[".repeat(100_000)),
    ] {
        assert!(unpack(bytes).is_err());
    }
    let bomb = zstd::bulk::compress(&vec![b' '; 256 << 20], 1).unwrap();
    assert!(bomb.len() < MAX_PACKED, "{}", bomb.len());
    assert!(matches!(
        unpack(&bomb),
        Err(Malformed::TooLong | Malformed::Zstd(_))
    ));
    let many = r#"{"gap":{"at":"0","reason":""}}"#;
    let many = zipped(&format!(
        r#"{{"version":1,"items":[{}]}}"#,
        vec![many; MAX_ITEMS + 1].join(",")
    ));
    assert!(matches!(unpack(&many), Err(Malformed::TooMany(_))));
}
