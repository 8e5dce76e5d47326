//! Matching and decoding of one datagram: whatever comes, it is the answer to our question or it is not.
//!
//! Half of the inputs get our id and our question put in front, so that the decoder is reached, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netfault_sources::dns::RecordType;
use netfault_sources::dns::udp::matching::{Match, match_answer};
use netfault_sources::dns::wire::{Flags, parse_name, query};

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    let flags = Flags {
        random_case: mode & 2 > 0,
        ..Flags::default()
    };
    let name = parse_name("www.example.com").expect("a name");
    let query = query(&name, RecordType::A, flags).expect("a query");
    let mut bytes = rest.to_vec();
    if mode & 1 > 0 && bytes.len() >= 12 {
        bytes[..2].copy_from_slice(&query.id.to_be_bytes());
        bytes[2] |= 0x80;
        bytes[4..6].copy_from_slice(&[0, 1]);
        bytes.splice(12..12, query.question().iter().copied());
    }
    match match_answer(&query, &bytes) {
        Match::Exact(answer) => {
            assert!(answer.id == query.id && answer.is_response && answer.opcode == 0);
        }
        Match::CaseDiffers(answer) => assert!(answer.is_response),
        Match::No { rcode } => assert!(rcode.is_none_or(|rcode| rcode <= 0xfff)),
    }
});
