//! The pure part: bytes in, outcome out, for real captures and for anything else.

mod dns_lab;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dns_lab::*;
use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};
use netfault_sources::dns::outcome::{Asked, Failure, classify};
use netfault_sources::dns::udp::matching::{Match, match_answer};
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

/// Every capture under shared/data/dns, broken ones and all: each message becomes an outcome, of a resolver and of an authority, and so
/// does each of its beginnings; and it is the answer to its own question, or says nothing.
#[test]
fn real_captures_all_become_outcomes() {
    let Some(data) = shared_data() else {
        println!("SKIPPED: ../shared/data is absent: real_captures_all_become_outcomes");
        return;
    };
    let files = captures(&data.join("dns"));
    assert_eq!(files.len(), 27, "{files:?}");
    let mut seen = Seen::default();
    for file in &files {
        let messages = dns_payloads(&std::fs::read(file).unwrap());
        println!(
            "{}: {} messages",
            file.file_name().unwrap().to_string_lossy(),
            messages.len()
        );
        messages.iter().for_each(|message| seen.look_at(message));
    }
    println!("{seen:#?}");
    // frags.pcap holds IP fragments, each taken here for a message of its own: 84 of the malformed.
    let expected = [
        ("malformed", 86),
        ("nodata", 1),
        ("notimp", 1),
        ("nxdomain", 1),
        ("ok", 200),
        ("servfail", 1),
    ];
    assert_eq!(seen.of_resolver, BTreeMap::from(expected));
    // Most were said by resolvers: an authority that answers without authority is lame.
    let expected = [
        ("lame", 174),
        ("malformed", 86),
        ("nodata", 1),
        ("notimp", 1),
        ("nxdomain", 1),
        ("ok", 26),
        ("servfail", 1),
    ];
    assert_eq!(seen.of_authority, BTreeMap::from(expected));
    assert_eq!((seen.exact, seen.strange), (204, 86));
}

/// Files that end in `.pcap`, in whatever folder.
fn captures(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(captures(&path));
        } else if path.extension() == Some("pcap".as_ref()) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Responses, by what they mean of whom.
#[derive(Debug, Default)]
struct Seen {
    of_resolver: BTreeMap<&'static str, usize>,
    of_authority: BTreeMap<&'static str, usize>,
    /// Answers to the question that they repeat, and others.
    exact: usize,
    strange: usize,
}

impl Seen {
    fn look_at(&mut self, message: &[u8]) {
        let resolver = asked_by(message);
        let authority = Asked {
            role: Role::Authority,
            ..resolver.clone()
        };
        for end in 0..message.len() {
            classify(&resolver, Ok(&message[..end]));
        }
        let (outcome, _) = classify(&resolver, Ok(message));
        let (of_authority, _) = classify(&authority, Ok(message));
        if message.len() < 12 || message[2] & 0x80 == 0 {
            // A query, or the middle of a stream: no answer to anything.
            assert_eq!((outcome, of_authority), (Outcome::Malformed, Outcome::Malformed));
            return;
        }
        *self.of_resolver.entry(outcome.name()).or_default() += 1;
        *self.of_authority.entry(of_authority.name()).or_default() += 1;
        let mut query = wire::query(&resolver.name, resolver.qtype, Flags::default()).unwrap();
        query.bytes[..2].copy_from_slice(&message[..2]);
        query.id = u16::from_be_bytes([message[0], message[1]]);
        match match_answer(&query, message) {
            Match::Exact(_) | Match::CaseDiffers(_) => self.exact += 1,
            Match::No { .. } => self.strange += 1,
        }
    }
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

/// UDP payloads, and the messages of TCP segments (each with its length before it, the last one possibly cut), of a capture file
/// (libpcap format).
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
        payloads.extend(
            network_layer(link, packet)
                .map(transport_payloads)
                .unwrap_or_default(),
        );
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

fn transport_payloads(packet: &[u8]) -> Vec<Vec<u8>> {
    let Some((protocol, rest)) = transport_layer(packet) else {
        return Vec::new();
    };
    match protocol {
        17 => rest.get(8..).map(<[u8]>::to_vec).into_iter().collect(),
        6 => {
            let header = rest.get(12).map_or(rest.len(), |byte| usize::from(byte >> 4) * 4);
            framed(rest.get(header..).unwrap_or_default())
        }
        _ => Vec::new(),
    }
}

fn transport_layer(packet: &[u8]) -> Option<(u8, &[u8])> {
    match packet.first()? >> 4 {
        4 => Some((*packet.get(9)?, packet.get(usize::from(packet[0] & 15) * 4..)?)),
        6 => Some((*packet.get(6)?, packet.get(40..)?)),
        _ => None,
    }
}

/// RFC 1035 §4.2.2, as far as one segment goes.
fn framed(mut segment: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((len, rest)) = segment.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        messages.push(message.to_vec());
        segment = rest;
    }
    messages
}
