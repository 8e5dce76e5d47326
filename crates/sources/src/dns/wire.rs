//! DNS messages: a question to bytes, bytes to an [`Answer`].
//!
//! Records are decoded by hickory-proto. The frame around them (header, question, additional section) is
//! read here, because an answer is evidence: a bad EDNS option must not cost us its RCODE.

use std::borrow::Cow;

use hickory_proto::op::{Edns, Message, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsOption, NSIDPayload};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// Payload that we say we take over UDP: fits every path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const HEADER_LEN: usize = 12;
/// OPT pseudo-record (RFC 6891 §6.1.1), NSID (RFC 5001), Extended DNS Error (RFC 8914).
const TYPE_OPT: u16 = 41;
const OPTION_NSID: u16 = 3;
const OPTION_EDE: u16 = 15;
/// Text of a foreign server that we keep, in characters.
const MAX_TEXT: usize = 256;

/// A question as it goes out.
#[derive(Clone, Debug)]
pub struct Query0x20 {
    pub id: u16,
    /// In the letter case that was sent.
    pub name: Name,
    pub qtype: RecordType,
    pub bytes: Vec<u8>,
}

/// How a question is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// RD: asked of a resolver.
    pub recurse: bool,
    /// CD: answer even if validation fails (RFC 4035 §3.2.2).
    pub no_validation: bool,
    /// Random letter case (draft-vixie-dnsext-dns0x20); off once a server was seen not to keep it.
    pub random_case: bool,
}

/// A name that cannot be asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{name}' is not a domain name: {why}")]
pub struct BadName {
    pub name: String,
    pub why: String,
}

/// A name as people type it: lower case, absolute. Underscores are fine, international names are given as A-labels or not.
pub fn parse_name(text: &str) -> Result<Name, BadName> {
    let bad = |why: String| BadName {
        name: text.to_owned(),
        why,
    };
    if text.trim_end_matches('.').is_empty() && text != "." {
        return Err(bad("it is empty".into()));
    }
    let mut name = Name::from_str_relaxed(text).map_err(|error| bad(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// A name as it stands in probes: lower case, without the last dot (`.` for the root).
pub fn plain_name(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => text,
    }
}

/// Makes a query with an unpredictable id, EDNS 1232 and a request for the server's identifier.
/// Fails only for names that do not fit a message, which [`parse_name`] has refused already.
pub fn query(name: &Name, qtype: RecordType, flags: Flags) -> Result<Query0x20, hickory_proto::ProtoError> {
    let mut name = name.to_lowercase();
    name.set_fqdn(true);
    if flags.random_case {
        name.randomize_label_case();
    }
    let mut message = Message::query(); // the id comes from the system's secure random source
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = flags.recurse;
    message.metadata.checking_disabled = flags.no_validation;
    message.add_query(Query::query(name.clone(), qtype));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    if let Ok(empty) = NSIDPayload::new(Vec::new()) {
        edns.options_mut().insert(EdnsOption::NSID(empty));
    }
    message.set_edns(edns);
    Ok(Query0x20 {
        id: message.metadata.id,
        name,
        qtype,
        bytes: message.to_vec()?,
    })
}

/// A decoded response.
#[derive(Clone, Debug)]
pub struct Answer {
    pub id: u16,
    pub is_response: bool,
    pub opcode: u8,
    pub authoritative: bool,
    pub truncated: bool,
    /// With the extension of OPT, where there is one (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// `None`: the question was not repeated, as some servers do in errors.
    pub question: Option<Query>,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    /// First Extended DNS Error: code and text.
    pub ede: Option<(u16, String)>,
    pub nsid: Option<String>,
}

/// Bytes that are no whole DNS message. `rcode` is that of the header, if there is one.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{why}")]
pub struct BadMessage {
    pub why: String,
    pub rcode: Option<u16>,
}

/// The id of a message, without looking further.
pub fn id_of(bytes: &[u8]) -> Option<u16> {
    (bytes.len() >= HEADER_LEN).then(|| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Decodes a message. Nothing is allocated from a count that the bytes do not bear out.
pub fn decode(bytes: &[u8]) -> Result<Answer, BadMessage> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(BadMessage {
            why: format!("{} bytes are no DNS header (12)", bytes.len()),
            rcode: None,
        });
    };
    let rcode = u16::from(header[3] & 0x0f);
    let bad = |why: String| BadMessage {
        why,
        rcode: Some(rcode),
    };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut answer = Answer {
        id: count(0),
        is_response: header[2] & 0x80 != 0,
        opcode: (header[2] >> 3) & 0x0f,
        authoritative: header[2] & 0x04 != 0,
        truncated: header[2] & 0x02 != 0,
        rcode,
        question: None,
        answers: Vec::new(),
        authorities: Vec::new(),
        ede: None,
        nsid: None,
    };
    let mut decoder = BinDecoder::new(bytes);
    decoder
        .read_slice(HEADER_LEN)
        .map_err(|error| bad(error.to_string()))?;
    answer.question = match count(4) {
        0 => None,
        1 => Some(Query::read(&mut decoder).map_err(|error| bad(format!("question: {error}")))?),
        // RFC 9619: a QUERY has one question.
        n => return Err(bad(format!("{n} questions"))),
    };
    if answer.truncated {
        // The rest is cut anywhere; nothing of it is used (RFC 2181 §9).
        return Ok(answer);
    }
    let records = |decoder: &mut BinDecoder<'_>, n: u16, section: &str| {
        Message::read_records(decoder, n.into(), false, OpCode::Query)
            .map(|(records, ..)| records)
            .map_err(|error| bad(format!("{section}: {error}")))
    };
    answer.answers = records(&mut decoder, count(6), "answer section")?;
    answer.authorities = records(&mut decoder, count(8), "authority section")?;
    for _ in 0..count(10) {
        additional(&mut decoder, &mut answer).map_err(|error| bad(format!("additional section: {error}")))?;
    }
    Ok(answer)
}

/// One record of the additional section. Only OPT is looked into, and whatever its options hold is no error.
fn additional(
    decoder: &mut BinDecoder<'_>,
    answer: &mut Answer,
) -> Result<(), hickory_proto::serialize::binary::DecodeError> {
    Name::read(decoder)?;
    let rtype = decoder.read_u16()?.unverified();
    let _class = decoder.read_u16()?.unverified();
    let ttl = decoder.read_u32()?.unverified();
    let len = decoder.read_u16()?.unverified();
    let data = decoder.read_slice(usize::from(len))?.unverified();
    if rtype == TYPE_OPT {
        answer.rcode |= ((ttl >> 24) as u16) << 4;
        options(data, answer);
    }
    Ok(())
}

fn options(mut data: &[u8], answer: &mut Answer) {
    while let Some((head, rest)) = data.split_first_chunk::<4>() {
        let code = u16::from_be_bytes([head[0], head[1]]);
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((value, rest)) = rest.split_at_checked(len) else {
            return;
        };
        match code {
            OPTION_EDE if answer.ede.is_none() => answer.ede = extended_error(value),
            OPTION_NSID if answer.nsid.is_none() && !value.is_empty() => {
                answer.nsid = Some(identifier(value))
            }
            _ => {}
        }
        data = rest;
    }
}

/// RFC 8914 §2: INFO-CODE, then EXTRA-TEXT in UTF-8, which some servers end with a zero byte.
fn extended_error(value: &[u8]) -> Option<(u16, String)> {
    let (code, text) = value.split_first_chunk::<2>()?;
    let text = String::from_utf8_lossy(text);
    Some((u16::from_be_bytes(*code), printable(text.trim_end_matches('\0'))))
}

/// NSID is opaque (RFC 5001 §2.3): text where it is text, else hexadecimal.
fn identifier(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => printable(text),
        _ => value
            .iter()
            .take(MAX_TEXT / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}

/// Foreign text ends up on terminals: control characters are replaced, and the length is bounded.
fn printable(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The record data in presentation form; a record of another type than `asked` is preceded by its type.
pub fn presentation(record: &Record, asked: RecordType) -> String {
    let data = match &record.data {
        RData::CNAME(target) => target.0.to_lowercase().to_string(),
        data => data.to_string(),
    };
    if record.record_type() == asked {
        printable(&data)
    } else {
        printable(&format!("{} {data}", record.record_type()))
    }
}

/// The mnemonic of an RCODE (IANA, RFC 6895 §2.3).
pub fn rcode_name(rcode: u16) -> Cow<'static, str> {
    Cow::Borrowed(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        other => return Cow::Owned(format!("RCODE{other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_back_as_it_was_meant() {
        let name = parse_name("WWW.Example.com").unwrap();
        let flags = Flags {
            recurse: true,
            no_validation: true,
            random_case: true,
        };
        let query = query(&name, RecordType::AAAA, flags).unwrap();
        let back = Message::from_vec(&query.bytes).unwrap();
        assert_eq!(back.metadata.id, query.id);
        assert!(back.metadata.recursion_desired && back.metadata.checking_disabled);
        assert!(back.queries[0].name().eq_case(&query.name));
        assert_eq!(back.queries[0].name().to_lowercase(), name);
        assert_eq!(back.edns.map(|edns| edns.max_payload()), Some(1232));
    }

    #[test]
    fn letter_case_and_ids_differ_from_question_to_question() {
        let name = parse_name("a-rather-long-name-with-letters.example.com").unwrap();
        let flags = Flags {
            random_case: true,
            ..Flags::default()
        };
        let many: Vec<_> = (0..20)
            .map(|_| query(&name, RecordType::A, flags).unwrap())
            .collect();
        assert!(many.iter().any(|query| !query.name.eq_case(&many[0].name)));
        assert!(many.iter().any(|query| query.id != many[0].id));
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
}
