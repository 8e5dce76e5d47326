use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsOption, NSIDPayload};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SOA, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use proptest::prelude::*;

use super::answer::extended_error;
use super::*;

/// The same message, made by hickory-proto.
fn by_hickory(name: &Name, qtype: RecordType, flags: Flags, id: u16) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = flags.recurse;
    message.metadata.checking_disabled = flags.no_validation;
    message.add_query(Query::query(name.clone(), qtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns.set_dnssec_ok(flags.dnssec_ok);
    edns.options_mut()
        .insert(EdnsOption::NSID(NSIDPayload::new(Vec::new()).unwrap()));
    message.set_edns(edns);
    message.to_vec().unwrap()
}

#[test]
fn a_query_is_what_hickory_would_have_made() {
    let long = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "y".repeat(61));
    for text in ["WWW.Example.com", ".", "_dmarc.a.b", &long, "bücher.example"] {
        let name = parse_name(text).unwrap();
        for bits in 0..8 {
            let flags = Flags {
                recurse: bits & 1 > 0,
                no_validation: bits & 2 > 0,
                dnssec_ok: bits & 4 > 0,
                random_case: false,
            };
            for qtype in [
                RecordType::A,
                RecordType::SOA,
                RecordType::HTTPS,
                RecordType::Unknown(65_280),
            ] {
                let ours = query(&name, qtype, flags).unwrap();
                assert_eq!(ours.bytes[..], by_hickory(&name, qtype, flags, ours.id), "{text}");
                let mixed = query(
                    &name,
                    qtype,
                    Flags {
                        random_case: true,
                        ..flags
                    },
                )
                .unwrap();
                let back = Message::from_vec(&mixed.bytes).unwrap();
                assert_eq!(
                    (back.metadata.id, back.queries[0].query_type()),
                    (mixed.id, qtype)
                );
                assert_eq!(back.queries[0].name().to_lowercase(), name);
            }
        }
    }
}

/// Every letter is upper case half of the time, whatever its neighbours are; every bit of the id is set half of the time.
#[test]
fn letter_case_and_ids_are_random_bit_by_bit() {
    let name = parse_name("abcdefghijklmnopqrstuvwxyz.zyxwvutsrqponmlkjihgfedcba.abcdefghijklmnopqrstuvwxyz")
        .unwrap();
    let flags = Flags {
        random_case: true,
        ..Flags::default()
    };
    const N: u32 = 4000;
    let mut ones = vec![0u32; 16 + 84];
    let mut changes = vec![0u32; 16 + 84];
    let mut before = vec![false; 16 + 84];
    for _ in 0..N {
        let query = query(&name, RecordType::A, flags).unwrap();
        let id = (0..16).map(|bit| query.id >> bit & 1 == 1);
        let bits: Vec<bool> = id
            .chain(query.question().iter().map(u8::is_ascii_uppercase))
            .collect();
        for n in 0..ones.len() {
            ones[n] += u32::from(bits[n]);
            changes[n] += u32::from(bits[n] != before[n]);
        }
        before = bits;
    }
    // Six standard deviations (31.6): one run in some 10 million fails by chance.
    let question = query(&name, RecordType::A, flags).unwrap();
    let letters = (0..100).filter(|n| *n < 16 || question.question()[n - 16].is_ascii_alphabetic());
    for n in letters {
        assert!(
            ones[n].abs_diff(N / 2) < 190 && changes[n].abs_diff(N / 2) < 190,
            "{n}: {} {}",
            ones[n],
            changes[n]
        );
    }
}

#[test]
fn names_as_people_type_them() {
    for text in [
        "example.com",
        "EXAMPLE.com.",
        "_dmarc.example.com",
        "bücher.example",
    ] {
        assert!(parse_name(text).is_ok(), "{text}");
    }
    for text in ["", "a..b", &"x".repeat(64), &"abc.".repeat(70)] {
        assert!(parse_name(text).is_err(), "{text}");
    }
    assert_eq!(plain_name(&parse_name("EXAMPLE.com.").unwrap()), "example.com");
    assert_eq!(plain_name(&Name::root()), ".");
}

#[test]
fn an_extended_error_is_never_fatal() {
    assert_eq!(extended_error(&[]), None);
    assert_eq!(extended_error(&[0]), None);
    assert_eq!(extended_error(&[0, 22]), Some((22, String::new())));
    assert_eq!(extended_error(b"\0\x16no reach\0"), Some((22, "no reach".into())));
    assert_eq!(
        extended_error(b"\0\x16\xff\x1b[2J"),
        Some((22, "\u{fffd}\u{fffd}[2J".into()))
    );
}

fn soa(mname: Name) -> SOA {
    let rname = parse_name("host-master_2.example.com").unwrap();
    SOA::new(mname, rname, 4_294_967_295, 3600, 600, 86_400, 0)
}

/// Servers compress names against the question, and so give back its letter case.
#[test]
fn text_is_that_of_hickory_in_lower_case() {
    let odd = Name::from_labels([&b"A.\\\x01\xff"[..], b"x"]).unwrap();
    let names = [
        "Example.COM",
        ".",
        "a.b-c._d.e9",
        "xn--bcher-kva.example",
        "*.x",
        "xN--a.b",
    ];
    let names = names.map(|text| Name::from_ascii(text).unwrap());
    for mut name in names.into_iter().chain([odd]) {
        name.set_fqdn(true);
        let lower = name.to_lowercase();
        for (data, expected) in [
            (RData::NS(NS(name.clone())), lower.to_string()),
            (RData::CNAME(CNAME(name.clone())), lower.to_string()),
            (RData::MX(MX::new(10, name.clone())), format!("10 {lower}")),
            (
                RData::SOA(soa(name.clone())),
                format!("{lower} host-master_2.example.com. 4294967295 3600 600 86400 0"),
            ),
        ] {
            let record = Record::from_rdata(name.clone(), 60, data);
            assert_eq!(presentation(&record, record.record_type()), expected);
        }
    }
    for addr in ["0.0.0.0", "1.20.255.100", "192.0.2.9"] {
        let record = Record::from_rdata(Name::root(), 60, RData::A(addr.parse().unwrap()));
        assert_eq!(presentation(&record, RecordType::A), addr);
        assert_eq!(presentation(&record, RecordType::AAAA), format!("A {addr}"));
    }
    let txt = Record::from_rdata(
        Name::root(),
        60,
        RData::TXT(TXT::new(vec!["Mixed Case\u{7}".into()])),
    );
    assert_eq!(
        presentation(&txt, RecordType::TXT),
        txt.data.to_string().replace('\u{7}', "\u{fffd}")
    );
}

/// One answer of each kind to `query`, in the letter case that it has.
fn answers_to(query: &Query0x20, name: &Name) -> Vec<Vec<u8>> {
    let target = parse_name("www.example.net").unwrap();
    let a = |name: &Name| Record::from_rdata(name.clone(), 120, RData::A(A(Ipv4Addr::new(192, 0, 2, 9))));
    let aaaa = Record::from_rdata(name.clone(), 60, RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)));
    let alias = Record::from_rdata(name.clone(), 90, RData::CNAME(CNAME(target.clone())));
    let of_zone = |data| Record::from_rdata(parse_name("example.com").unwrap(), 3600, data);
    let (zone, at_name) = (
        of_zone(RData::SOA(soa(target.clone()))),
        Record::from_rdata(name.clone(), 30, RData::SOA(soa(target.clone()))),
    );
    let referral = of_zone(RData::NS(NS(target.clone())));
    let kinds: [(ResponseCode, Vec<Record>, Vec<Record>); 7] = [
        (
            ResponseCode::NoError,
            vec![a(name), a(name), aaaa],
            vec![referral.clone()],
        ),
        (ResponseCode::NoError, vec![at_name], vec![]),
        (ResponseCode::NoError, vec![alias.clone(), a(&target)], vec![]),
        (ResponseCode::NoError, vec![alias], vec![zone.clone()]),
        (ResponseCode::NoError, vec![], vec![zone.clone()]),
        (ResponseCode::NXDomain, vec![], vec![zone]),
        (ResponseCode::NoError, vec![], vec![referral]),
    ];
    kinds
        .into_iter()
        .map(|(rcode, answers, authorities)| {
            let mut message = Message::new(query.id, MessageType::Response, OpCode::Query);
            message.metadata.response_code = rcode;
            message.add_query(Query::query(name.clone(), query.qtype));
            message.add_answers(answers);
            message.add_authorities(authorities);
            message.set_edns(Edns::new());
            let mut bytes = message.to_vec().unwrap();
            bytes[HEADER_LEN..HEADER_LEN + query.question().len()].copy_from_slice(query.question());
            bytes
        })
        .collect()
}

/// What is judged of an answer.
fn judged(answer: &Answer) -> impl PartialEq + std::fmt::Debug {
    let texts: Vec<_> = answer
        .answers
        .iter()
        .map(|record| {
            (
                record.name.to_lowercase(),
                record.ttl,
                presentation(record, RecordType::A),
            )
        })
        .collect();
    let flags = (answer.rcode, answer.authoritative, answer.truncated);
    (
        flags,
        texts,
        answer.zone.clone(),
        answer.ede.clone(),
        answer.nsid.clone(),
    )
}

proptest! {
    /// The way for answers that are only judged, into memory that was used before, finds what the long way finds. What it does not look at
    /// (data of the authority section) may be broken.
    #[test]
    fn the_short_way_finds_what_the_long_way_finds(
        kind in 0usize..7,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let name = parse_name("www.example.com").unwrap();
        let flags = Flags { random_case: true, ..Flags::default() };
        let query = query(&name, RecordType::A, flags).unwrap();
        let all = answers_to(&query, &name);
        let known = Known { question: Some(query.question().len()), name: Some(&name) };
        let mut short = Answer::default();
        for before in &all {
            decode_into(&mut short, before, known).unwrap();
        }
        let mut bytes = all[kind].clone();
        for (at, value) in &damage {
            let behind = HEADER_LEN + query.question().len();
            let at = behind + at.index(bytes.len() - behind);
            bytes[at] = *value;
        }
        let went_short = decode_into(&mut short, &bytes, known).is_ok();
        match decode(&bytes) {
            Ok(long) => {
                prop_assert!(went_short);
                prop_assert_eq!(judged(&short), judged(&long));
            }
            Err(bad) => prop_assert!(!went_short || bad.why.starts_with("authority") || bad.why.starts_with("additional")),
        }
        if damage.is_empty() {
            prop_assert!(went_short);
        }
    }
}
