use hickory_proto::op::Edns;
use hickory_proto::rr::rdata::opt::{EdnsOption, NSIDPayload};

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
        for bits in 0..4 {
            let flags = Flags {
                recurse: bits & 1 > 0,
                no_validation: bits & 2 > 0,
                random_case: false,
            };
            for qtype in [
                RecordType::A,
                RecordType::SOA,
                RecordType::HTTPS,
                RecordType::Unknown(65_280),
            ] {
                let ours = query(&name, qtype, flags).unwrap();
                assert_eq!(ours.bytes, by_hickory(&name, qtype, flags, ours.id), "{text}");
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
