//! The pure part: bytes in, outcome out, for real captures and for anything else.

mod dns_lab;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dns_lab::*;
use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};
use netfault_sources::dns::outcome::{Asked, Failure, classify};
use netfault_sources::dns::wire::{self, Flags};
use proptest::prelude::*;

fn asked(text: &str, role: Role) -> Asked {
    Asked {
        name: name(text),
        qtype: RecordType::A,
        role,
        private_ok: false,
    }
}

fn query_bytes() -> Vec<u8> {
    wire::query(&name("www.example.com"), RecordType::A, Flags::default())
        .unwrap()
        .bytes
        .to_vec()
}

#[test]
fn no_answer_keeps_its_reason() {
    let asked = asked("www.example.com", Role::Authority);
    let cases = [
        (Failure::Timeout, Outcome::Timeout),
        (Failure::NetUnreachable, Outcome::NetUnreachable),
        (Failure::ConnRefused, Outcome::ConnRefused),
        (Failure::Local, Outcome::Void),
    ];
    for (failure, expected) in cases {
        assert_eq!(classify(&asked, Err(failure)).0, expected);
    }
}

#[test]
fn the_same_bytes_mean_different_things_of_an_authority_and_a_resolver() {
    let query = query_bytes();
    let private = a_record([10, 0, 0, 1], 60);
    let public = a_record([192, 0, 2, 1], 60);
    let rows: [(&str, Vec<u8>, Outcome, Outcome); 9] = [
        (
            "answer with authority",
            response(&query, AA, 0, &[&public], &[]),
            Outcome::Ok,
            Outcome::Ok,
        ),
        (
            "answer without",
            response(&query, 0, 0, &[&public], &[]),
            Outcome::Lame,
            Outcome::Ok,
        ),
        (
            "nothing, with authority",
            response(&query, AA, 0, &[], &[]),
            Outcome::Nodata,
            Outcome::Nodata,
        ),
        (
            "referral",
            response(&query, 0, 0, &[], &[]),
            Outcome::Lame,
            Outcome::Nodata,
        ),
        (
            "name error with authority",
            response(&query, AA, 3, &[], &[]),
            Outcome::Nxdomain,
            Outcome::Nxdomain,
        ),
        (
            "name error without",
            response(&query, 0, 3, &[], &[]),
            Outcome::Lame,
            Outcome::Nxdomain,
        ),
        (
            "private address",
            response(&query, AA, 0, &[&private], &[]),
            Outcome::Ok,
            Outcome::Bogon,
        ),
        (
            "truncated",
            response(&query, TC | AA, 0, &[], &[]),
            Outcome::Truncated,
            Outcome::Truncated,
        ),
        (
            "the query itself",
            query.clone(),
            Outcome::Malformed,
            Outcome::Malformed,
        ),
    ];
    for (what, bytes, of_authority, of_resolver) in rows {
        let outcome = |role| classify(&asked("www.example.com", role), Ok(&bytes)).0;
        assert_eq!(
            (outcome(Role::Authority), outcome(Role::Resolver)),
            (of_authority, of_resolver),
            "{what}"
        );
    }
}

#[test]
fn every_rcode_has_an_outcome_and_keeps_its_number() {
    let query = query_bytes();
    for rcode in 0..4096u16 {
        let opt = opt((rcode >> 4) as u8, &[]);
        let bytes = response(&query, AA, (rcode & 15) as u8, &[], &[&opt]);
        let (outcome, details) = classify(&asked("www.example.com", Role::Authority), Ok(&bytes));
        assert_eq!(details.rcode, Some(rcode));
        assert!(!matches!(outcome, Outcome::Ok | Outcome::Malformed), "{rcode}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for role in [Role::Authority, Role::Resolver] {
            classify(&asked("www.example.com", role), Ok(&bytes));
        }
    }

    /// Bytes that begin as a right answer get deeper.
    #[test]
    fn no_tail_makes_it_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300), counts in any::<[u8; 3]>(), flags in any::<[u8; 2]>(),
    ) {
        let mut bytes = response(&query_bytes(), flags[0], flags[1], &[], &[]);
        (bytes[7], bytes[9], bytes[11]) = (counts[0], counts[1], counts[2]);
        bytes.extend(tail);
        classify(&asked("www.example.com", Role::Resolver), Ok(&bytes));
    }
}

/// `shared/data` beside the workspace.
fn shared_data() -> Option<PathBuf> {
    if let Ok(path) = std::env::var("NETFAULT_SHARED_DATA") {
        return Some(path.into());
    }
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    roots
        .map(|root| root.join("shared/data"))
        .find(|path| path.is_dir())
}

/// Every capture under shared/data/dns, broken ones and all: each message becomes an outcome, and so does
/// each of its beginnings.
#[test]
fn real_captures_all_become_outcomes() {
    let Some(data) = shared_data() else {
        println!("SKIPPED: ../shared/data is absent: real_captures_all_become_outcomes");
        return;
    };
    let mut files = Vec::new();
    for folder in ["dnscap", "tcpdump-dns"] {
        let entries = std::fs::read_dir(data.join("dns").join(folder)).unwrap();
        files.extend(
            entries
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension() == Some("pcap".as_ref())),
        );
    }
    files.sort();
    assert!(files.len() >= 27, "{files:?}");
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut responses = 0;
    for file in &files {
        let messages = dns_payloads(&std::fs::read(file).unwrap());
        for message in &messages {
            let asked = asked_by(message);
            for end in 0..message.len() {
                classify(&asked, Ok(&message[..end]));
            }
            let (outcome, _) = classify(&asked, Ok(message));
            if message.len() < 12 || message[2] & 0x80 == 0 {
                // A query, or the middle of a stream: no answer to anything.
                assert_eq!(outcome, Outcome::Malformed, "{}", file.display());
                continue;
            }
            responses += 1;
            *outcomes.entry(outcome.name()).or_default() += 1;
        }
        println!(
            "{}: {} messages",
            file.file_name().unwrap().to_string_lossy(),
            messages.len()
        );
    }
    println!("{responses} responses: {outcomes:?}");
    // frags.pcap holds IP fragments, each taken here for a message of its own: 84 of the malformed.
    let expected = [
        ("malformed", 86),
        ("nodata", 1),
        ("notimp", 1),
        ("nxdomain", 1),
        ("ok", 200),
        ("servfail", 1),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
}

/// The question that a message answers, as its asker knew it: resolver's view of whatever it repeats.
fn asked_by(message: &[u8]) -> Asked {
    let question = wire::decode(message).ok().and_then(|answer| answer.question);
    Asked {
        name: question
            .as_ref()
            .map_or_else(Name::root, |question| question.name().clone()),
        qtype: question.map_or(RecordType::A, |question| question.query_type()),
        role: Role::Resolver,
        private_ok: true,
    }
}

/// UDP payloads and, without their length, the messages of TCP segments of a capture file (libpcap format).
fn dns_payloads(file: &[u8]) -> Vec<Vec<u8>> {
    let swapped = match file[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
        ref magic => panic!("no libpcap file: {magic:x?}"),
    };
    let u32_at = |at: usize| {
        let bytes = [file[at], file[at + 1], file[at + 2], file[at + 3]];
        if swapped {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    let link = u32_at(20) & 0xffff;
    let mut payloads = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let len = u32_at(at + 8) as usize;
        let Some(packet) = file.get(at + 16..at + 16 + len) else {
            break;
        };
        payloads.extend(network_layer(link, packet).and_then(transport_payload));
        at += 16 + len;
    }
    payloads.retain(|payload| !payload.is_empty());
    payloads
}

fn network_layer(link: u32, packet: &[u8]) -> Option<&[u8]> {
    match link {
        0 | 108 => packet.get(4..),
        1 => {
            let mut at = 12;
            while packet.get(at..at + 2)? == [0x81, 0x00] {
                at += 4;
            }
            packet.get(at + 2..)
        }
        12 | 14 | 101 | 228 | 229 => Some(packet),
        113 => packet.get(16..),
        other => panic!("link type {other}"),
    }
}

fn transport_payload(packet: &[u8]) -> Option<Vec<u8>> {
    let (protocol, rest) = match packet.first()? >> 4 {
        4 => (*packet.get(9)?, packet.get(usize::from(packet[0] & 15) * 4..)?),
        6 => (*packet.get(6)?, packet.get(40..)?),
        _ => return None,
    };
    match protocol {
        17 => rest.get(8..).map(<[u8]>::to_vec),
        6 => rest
            .get(usize::from(rest.get(12)? >> 4) * 4 + 2..)
            .map(<[u8]>::to_vec),
        _ => None,
    }
}
