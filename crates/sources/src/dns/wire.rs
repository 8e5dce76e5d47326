//! DNS messages: a question to bytes, bytes to an [`Answer`].
//!
//! Records are decoded by hickory-proto. The frame around them (header, question, additional section) is
//! read here, because an answer is evidence: a bad EDNS option must not cost us its RCODE.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

pub(super) const HEADER_LEN: usize = 12;
/// Of a name on the wire (RFC 1035 §3.1).
const MAX_NAME: usize = 255;
/// Our OPT record: root, type, payload (1232: fits every path unfragmented, DNS flag day 2020), no flags, 4 bytes of options: an empty NSID.
const OPT: [u8; 15] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
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
    pub qtype: RecordType,
    pub bytes: Vec<u8>,
    question_end: usize,
}

impl Query0x20 {
    /// Name, in the letter case that is sent, type and class.
    pub fn question(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..self.question_end]
    }

    pub(super) fn set_id(&mut self, id: u16) {
        self.id = id;
        self.bytes[..2].copy_from_slice(&id.to_be_bytes());
    }
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
///
/// Written here and not by hickory-proto, whose message builder took most of a probe's time: the bytes are always the same
/// but for id, flags and question. A test compares the two.
pub fn query(name: &Name, qtype: RecordType, flags: Flags) -> Result<Query0x20, BadName> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + name.len() + 1 + 4 + OPT.len());
    let id: u16 = rand::random();
    bytes.extend_from_slice(&id.to_be_bytes());
    // RD is the last bit of the third byte, CD the fourth-last of the fourth (RFC 4035 §3.2.2).
    bytes.extend_from_slice(&[u8::from(flags.recurse), u8::from(flags.no_validation) << 4]);
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 1]); // one question, one additional record
    for label in name.iter() {
        bytes.push(label.len() as u8); // at most 63
        bytes.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    bytes.push(0);
    if bytes.len() > HEADER_LEN + MAX_NAME {
        return Err(BadName {
            name: name.to_string(),
            why: "it is longer than 255 bytes".into(),
        });
    }
    if flags.random_case {
        randomize_case(&mut bytes[HEADER_LEN..]);
    }
    bytes.extend_from_slice(&u16::from(qtype).to_be_bytes());
    bytes.extend_from_slice(&[0, 1]); // IN
    let question_end = bytes.len();
    bytes.extend_from_slice(&OPT);
    Ok(Query0x20 {
        id,
        qtype,
        bytes,
        question_end,
    })
}

/// Lengths of labels are below 64, so every byte that looks like a letter is one.
fn randomize_case(name: &mut [u8]) {
    for part in name.chunks_mut(64) {
        let mut bits: u64 = rand::random();
        for byte in part {
            if byte.is_ascii_alphabetic() {
                *byte ^= ((bits & 1) as u8) << 5;
            }
            bits >>= 1;
        }
    }
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
    /// `None`: the question was not repeated, as some servers do in errors; or it was compared as bytes.
    pub question: Option<Query>,
    pub answers: Vec<Record>,
    /// Empty where there are answers that are no aliases: then nobody looks at it.
    pub authorities: Vec<Record>,
    /// Addresses of the additional section, of referrals only: nobody else needs them, and they cost time.
    pub glue: Vec<(Name, IpAddr)>,
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

/// Errors may come without the question: a server that could not read it cannot repeat it.
pub(super) fn stands_without_question(answer: &Answer) -> bool {
    matches!(answer.rcode, 1 | 2 | 4 | 5 | 9 | 16) && answer.answers.is_empty()
}

/// The id of a message, without looking further.
pub fn id_of(bytes: &[u8]) -> Option<u16> {
    (bytes.len() >= HEADER_LEN).then(|| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Decodes a message. Nothing is allocated from a count that the bytes do not bear out.
pub fn decode(bytes: &[u8]) -> Result<Answer, BadMessage> {
    decode_from(bytes, None)
}

/// The same for a message that is known to repeat the question of `query`, which is not looked at again.
pub(super) fn decode_matched(query: &Query0x20, bytes: &[u8]) -> Result<Answer, BadMessage> {
    decode_from(bytes, Some(query.question().len()))
}

/// `known`: length of a question that need not be decoded.
fn decode_from(bytes: &[u8], known: Option<usize>) -> Result<Answer, BadMessage> {
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
        glue: Vec::new(),
        ede: None,
        nsid: None,
    };
    let mut decoder = BinDecoder::new(bytes);
    decoder
        .read_slice(HEADER_LEN)
        .map_err(|error| bad(error.to_string()))?;
    answer.question = match count(4) {
        0 => None,
        1 if known.is_some() => {
            let skipped = decoder.read_slice(known.unwrap_or(0));
            skipped.map_err(|error| bad(format!("question: {error}")))?;
            None
        }
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
    let has_data = answer
        .answers
        .last()
        .is_some_and(|last| last.record_type() != RecordType::CNAME);
    if has_data {
        // Where there is an answer, what the server says of the zone besides is of no use to anybody here.
        for _ in 0..count(8) {
            skip_record(&mut decoder).map_err(|error| bad(format!("authority section: {error}")))?;
        }
    } else {
        answer.authorities = records(&mut decoder, count(8), "authority section")?;
    }
    for _ in 0..count(10) {
        additional(&mut decoder, &mut answer).map_err(|error| bad(format!("additional section: {error}")))?;
    }
    Ok(answer)
}

/// Passes over a name without following its pointer (RFC 1035 §4.1.4).
fn skip_name(decoder: &mut BinDecoder<'_>) -> Result<(), hickory_proto::serialize::binary::DecodeError> {
    loop {
        match decoder.read_u8()?.unverified() {
            0 => return Ok(()),
            pointer if pointer >= 0xc0 => {
                decoder.read_u8()?.unverified();
                return Ok(());
            }
            // Lengths of 64 to 191 are no lengths; as such they end at the end of the message at the latest.
            len => {
                decoder.read_slice(usize::from(len))?.unverified();
            }
        }
    }
}

/// Passes over a record; only its length is looked at.
fn skip_record(decoder: &mut BinDecoder<'_>) -> Result<(), hickory_proto::serialize::binary::DecodeError> {
    skip_name(decoder)?;
    decoder.read_slice(8)?.unverified();
    let len = decoder.read_u16()?.unverified();
    decoder.read_slice(usize::from(len))?.unverified();
    Ok(())
}

/// One record of the additional section. Only OPT and the addresses of referrals are looked into, and whatever the options
/// of OPT hold is no error.
fn additional(
    decoder: &mut BinDecoder<'_>,
    answer: &mut Answer,
) -> Result<(), hickory_proto::serialize::binary::DecodeError> {
    let is_referral = answer.answers.is_empty() && !answer.authorities.is_empty();
    let owner = if is_referral {
        Some(Name::read(decoder)?)
    } else {
        skip_name(decoder)?;
        None
    };
    let rtype = decoder.read_u16()?.unverified();
    let class = decoder.read_u16()?.unverified();
    let ttl = decoder.read_u32()?.unverified();
    let len = decoder.read_u16()?.unverified();
    let data = decoder.read_slice(usize::from(len))?.unverified();
    if rtype == TYPE_OPT {
        answer.rcode |= ((ttl >> 24) as u16) << 4;
        options(data, answer);
    } else if let (Some(owner), 1, Some(addr)) = (owner, class, address(rtype, data)) {
        answer.glue.push((owner, addr));
    }
    Ok(())
}

/// The data of an A or AAAA record; nothing if it is another, or has the wrong length.
fn address(rtype: u16, data: &[u8]) -> Option<IpAddr> {
    match rtype {
        1 => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        28 => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    }
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
    // Nearly always nothing is wrong with it.
    if text.len() <= MAX_TEXT && !text.bytes().any(|byte| byte.is_ascii_control()) && text.is_ascii() {
        return text.to_owned();
    }
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
mod tests;
