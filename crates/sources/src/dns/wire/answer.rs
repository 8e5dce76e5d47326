//! Bytes to an [`Answer`].

use std::net::IpAddr;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

use super::HEADER_LEN;
use super::present::{MAX_TEXT, printable};

/// OPT pseudo-record (RFC 6891 §6.1.1), NSID (RFC 5001), Extended DNS Error (RFC 8914).
const TYPE_OPT: u16 = 41;
const OPTION_NSID: u16 = 3;
const OPTION_EDE: u16 = 15;
/// A name that is a pointer to the question's, which stands right behind the header (RFC 1035 §4.1.4).
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, HEADER_LEN as u8];

/// A decoded response.
#[derive(Clone, Debug, Default)]
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
    /// Owner of the first SOA in the authority section, in lower case: the zone that the name is in (RFC 2308 §3). As empty as that.
    pub zone: Option<Name>,
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
pub(in crate::dns) fn stands_without_question(answer: &Answer) -> bool {
    matches!(answer.rcode, 1 | 2 | 4 | 5 | 9 | 16) && answer.answers.is_empty()
}

/// The id of a message, without looking further.
pub fn id_of(bytes: &[u8]) -> Option<u16> {
    (bytes.len() >= HEADER_LEN).then(|| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// What is known of a message before it is decoded.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::dns) struct Known<'a> {
    /// Length of its question, which was compared with ours as bytes and is not looked at again.
    pub question: Option<usize>,
    /// The name that was asked for. With it the answer is decoded as far as it is judged, and no further: of the authority section only
    /// [`Answer::zone`]. Only together with `question`.
    pub name: Option<&'a Name>,
}

/// Decodes a message. Nothing is allocated from a count that the bytes do not bear out.
pub fn decode(bytes: &[u8]) -> Result<Answer, BadMessage> {
    let mut answer = Answer::default();
    decode_into(&mut answer, bytes, Known::default())?;
    Ok(answer)
}

/// The same into an answer that was used before, whose memory is used again. After an error there is nothing in it to rely on.
pub(in crate::dns) fn decode_into(
    answer: &mut Answer,
    bytes: &[u8],
    known: Known<'_>,
) -> Result<(), BadMessage> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(BadMessage {
            why: format!("{} bytes are no DNS header (12)", bytes.len()),
            rcode: None,
        });
    };
    answer.begin(header);
    let rcode = answer.rcode;
    let bad = |(section, error): (&str, DecodeError)| BadMessage {
        why: format!("{section}: {error}"),
        rcode: Some(rcode),
    };
    let questions = count(header, 4);
    if questions > 1 {
        // RFC 9619: a QUERY has one question.
        return Err(BadMessage {
            why: format!("{questions} questions"),
            rcode: Some(rcode),
        });
    }
    let mut reader = Reader {
        bytes,
        decoder: BinDecoder::new(bytes),
        asked: known.name,
    };
    reader.sections(answer, header, known.question).map_err(bad)
}

fn count(header: &[u8; HEADER_LEN], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

impl Answer {
    fn begin(&mut self, header: &[u8; HEADER_LEN]) {
        self.id = count(header, 0);
        self.is_response = header[2] & 0x80 != 0;
        self.opcode = (header[2] >> 3) & 0x0f;
        self.authoritative = header[2] & 0x04 != 0;
        self.truncated = header[2] & 0x02 != 0;
        self.rcode = u16::from(header[3] & 0x0f);
        self.question = None;
        self.answers.clear();
        self.authorities.clear();
        self.zone = None;
        self.glue.clear();
        self.ede = None;
        self.nsid = None;
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    decoder: BinDecoder<'a>,
    asked: Option<&'a Name>,
}

impl Reader<'_> {
    /// Everything behind the header. An error comes with the section that it is in.
    fn sections(
        &mut self,
        answer: &mut Answer,
        header: &[u8; HEADER_LEN],
        question: Option<usize>,
    ) -> Result<(), (&'static str, DecodeError)> {
        let of = |section| move |error| (section, error);
        self.decoder.read_slice(HEADER_LEN).map_err(of("header"))?;
        if count(header, 4) == 1 {
            answer.question = self.question(question).map_err(of("question"))?;
        }
        if answer.truncated {
            // The rest is cut anywhere; nothing of it is used (RFC 2181 §9).
            return Ok(());
        }
        for _ in 0..count(header, 6) {
            let record = self.record().map_err(of("answer section"))?;
            answer.answers.push(record);
        }
        let last = answer.answers.last();
        let has_data = last.is_some_and(|last| last.record_type() != RecordType::CNAME);
        for _ in 0..count(header, 8) {
            self.authority(answer, has_data)
                .map_err(of("authority section"))?;
        }
        for _ in 0..count(header, 10) {
            additional(&mut self.decoder, answer).map_err(of("additional section"))?;
        }
        Ok(())
    }

    fn question(&mut self, known: Option<usize>) -> Result<Option<Query>, DecodeError> {
        match known {
            Some(len) => self.decoder.read_slice(len).map(|_| None),
            None => Query::read(&mut self.decoder).map(Some),
        }
    }

    fn record(&mut self) -> Result<Record, DecodeError> {
        if let Some((record, len)) = self.usual_record() {
            self.decoder.read_slice(len)?;
            return Ok(record);
        }
        let (mut records, ..) = Message::read_records(&mut self.decoder, 1, false, OpCode::Query)?;
        records.pop().ok_or(DecodeError::InsufficientBytes)
    }

    /// What nearly every answer consists of: an address or a SOA of the name that was asked for. With the length of the record.
    fn usual_record(&self) -> Option<(Record, usize)> {
        let (asked, at) = (self.asked?, self.decoder.index());
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<12>()?;
        let [pointer @ .., 0, rtype, 0, 1, _, _, _, _, _, _] = head else {
            return None;
        };
        if *pointer != POINTER_TO_QUESTION {
            return None;
        }
        let ttl = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
        let len = usize::from(u16::from_be_bytes([head[10], head[11]]));
        let data = match address(u16::from(*rtype), rest.get(..len)?) {
            Some(IpAddr::V4(addr)) => RData::A(A(addr)),
            Some(IpAddr::V6(addr)) => RData::AAAA(AAAA(addr)),
            None if *rtype == 6 => self.soa(at + head.len(), len)?,
            None => return None,
        };
        Some((Record::from_rdata(asked.clone(), ttl, data), head.len() + len))
    }

    fn soa(&self, at: usize, len: usize) -> Option<RData> {
        let mut decoder = self.decoder.clone(u16::try_from(at).ok()?);
        let soa = SOA::read(&mut decoder).ok()?;
        (decoder.index() == at + len).then_some(RData::SOA(soa))
    }

    /// Where there is an answer, what the server says of the zone besides is of no use to anybody here.
    fn authority(&mut self, answer: &mut Answer, has_data: bool) -> Result<(), DecodeError> {
        if has_data {
            return skip_record(&mut self.decoder).map(|_| ());
        }
        let at = self.decoder.index();
        if self.asked.is_none() {
            let record = self.record()?;
            if record.record_type() == RecordType::SOA && answer.zone.is_none() {
                answer.zone = Some(record.name.to_lowercase());
            }
            answer.authorities.push(record);
            return Ok(());
        }
        let rtype = skip_record(&mut self.decoder)?;
        if rtype == u16::from(RecordType::SOA) && answer.zone.is_none() {
            let mut owner = self
                .decoder
                .clone(u16::try_from(at).map_err(|_| DecodeError::InsufficientBytes)?);
            answer.zone = Some(Name::read(&mut owner)?.to_lowercase());
        }
        Ok(())
    }
}

/// Passes over a name without following its pointer (RFC 1035 §4.1.4).
fn skip_name(decoder: &mut BinDecoder<'_>) -> Result<(), DecodeError> {
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

/// Passes over a record, of which only the length is looked at. Returns its type.
fn skip_record(decoder: &mut BinDecoder<'_>) -> Result<u16, DecodeError> {
    skip_name(decoder)?;
    let rtype = decoder.read_u16()?.unverified();
    decoder.read_slice(6)?.unverified();
    let len = decoder.read_u16()?.unverified();
    decoder.read_slice(usize::from(len))?.unverified();
    Ok(rtype)
}

/// One record of the additional section. Only OPT and the addresses of referrals are looked into, and whatever the options
/// of OPT hold is no error.
fn additional(decoder: &mut BinDecoder<'_>, answer: &mut Answer) -> Result<(), DecodeError> {
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
pub(super) fn extended_error(value: &[u8]) -> Option<(u16, String)> {
    let (code, text) = value.split_first_chunk::<2>()?;
    let text = String::from_utf8_lossy(text);
    Some((
        u16::from_be_bytes(*code),
        printable(text.trim_end_matches('\0').to_owned()),
    ))
}

/// NSID is opaque (RFC 5001 §2.3): text where it is text, else hexadecimal.
fn identifier(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => printable(text.to_owned()),
        _ => value
            .iter()
            .take(MAX_TEXT / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}
