//! MRT records in a stream of bytes (RFC 6396 §2, §3): where one ends, and where one can begin again
//! after damage. No length that the stream claims is believed before the bytes are there.

use netfault_model::Time;

/// Timestamp, type, subtype, length.
pub const HEADER_LEN: usize = 12;

pub const TYPE_BGP: u16 = 5;
pub const TYPE_TABLE_DUMP: u16 = 12;
pub const TYPE_TABLE_DUMP_V2: u16 = 13;
pub const TYPE_BGP4MP: u16 = 16;
pub const TYPE_BGP4MP_ET: u16 = 17;

/// A BGP4MP body: at most a message of 65,535 octets (RFC 8654), two IPv6 addresses and the rest of the
/// envelope, with room for a writer's padding.
const MAX_MESSAGE_RECORD: u32 = 65_535 + 128;
/// A RIB record holds every peer's attributes for one prefix. 69,700 octets have been seen; a thousand
/// peers with 16 kB each would fit.
const MAX_RIB_RECORD: u32 = 16 << 20;
/// How far a record's time may be from its neighbour's for its header to look right after damage.
const PLAUSIBLE_STEP: i64 = 86_400;

/// One record, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whole seconds.
    pub secs: u32,
    pub kind: u16,
    pub subtype: u16,
    /// Octets after the header.
    pub len: u32,
}

impl Header {
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let [t0, t1, t2, t3, k0, k1, s0, s1, l0, l1, l2, l3] = *bytes;
        Header {
            secs: u32::from_be_bytes([t0, t1, t2, t3]),
            kind: u16::from_be_bytes([k0, k1]),
            subtype: u16::from_be_bytes([s0, s1]),
            len: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }

    /// Types that IANA lists (the deprecated 0–10 included) and a length that such a record can have.
    pub fn is_possible(&self) -> bool {
        let limit = match self.kind {
            TYPE_TABLE_DUMP | TYPE_TABLE_DUMP_V2 => MAX_RIB_RECORD,
            0..=11 | TYPE_BGP4MP | TYPE_BGP4MP_ET | 32 | 33 | 48 | 49 => MAX_MESSAGE_RECORD,
            _ => return false,
        };
        self.len <= limit
    }

    /// A header that may be taken for the next one after damage: a type and subtype that archives hold, and a
    /// time near `near`.
    pub fn is_plausible(&self, near: Option<Time>) -> bool {
        let known = match self.kind {
            TYPE_BGP => self.subtype <= 7,
            TYPE_TABLE_DUMP => matches!(self.subtype, 1 | 2),
            TYPE_TABLE_DUMP_V2 => (1..=12).contains(&self.subtype),
            TYPE_BGP4MP | TYPE_BGP4MP_ET => self.subtype <= 11,
            _ => false,
        };
        let near = near.is_none_or(|near| (i64::from(self.secs) - near.secs()).abs() <= PLAUSIBLE_STEP);
        known && near && self.len >= 4 && self.is_possible()
    }
}

/// A record whose bytes are all there.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub header: Header,
    /// With microseconds where the type has them (RFC 6396 §3).
    pub at: Time,
    /// What follows the header, and the microseconds.
    pub body: &'a [u8],
    /// Octets of the whole record.
    pub size: usize,
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    Record(Record<'a>),
    /// That many bytes are needed to say.
    Need(usize),
    /// No header, for this reason.
    Damaged(&'static str),
}

/// Looks at the beginning of `window`.
pub fn frame(window: &[u8]) -> Frame<'_> {
    let Some(head) = window.first_chunk::<HEADER_LEN>() else {
        return Frame::Need(HEADER_LEN);
    };
    let header = Header::parse(head);
    if !header.is_possible() {
        return Frame::Damaged(if is_known_type(header.kind) {
            "bad record length"
        } else {
            "unknown record type"
        });
    }
    let mut size = HEADER_LEN + header.len as usize;
    let Some(mut body) = window.get(HEADER_LEN..size) else {
        return Frame::Need(size);
    };
    let mut micros = 0;
    if header.kind == TYPE_BGP4MP_ET {
        let Some((stamp, rest)) = body.split_first_chunk::<4>() else {
            return Frame::Damaged("bad record length");
        };
        micros = u32::from_be_bytes(*stamp).min(999_999);
        body = rest;
    } else if header.kind == TYPE_TABLE_DUMP && super::rib::is_four_octets_short(header.subtype, body) {
        size += 4;
        match window.get(HEADER_LEN..size) {
            Some(whole) => body = whole,
            None => return Frame::Need(size),
        }
    }
    let at = Time::from_secs(i64::from(header.secs)).plus_micros(i64::from(micros));
    Frame::Record(Record {
        header,
        at,
        body,
        size,
    })
}

fn is_known_type(kind: u16) -> bool {
    matches!(kind, 0..=13 | 16 | 17 | 32 | 33 | 48 | 49)
}

/// True if the record that ends at `end` is followed by another, or by the end of the stream. `None`:
/// more bytes are needed to say.
pub fn is_followed(window: &[u8], end: usize, at_eof: bool, near: Option<Time>) -> Option<bool> {
    let rest = window.get(end..).unwrap_or_default();
    match rest.first_chunk::<HEADER_LEN>() {
        Some(head) => Some(Header::parse(head).is_plausible(near)),
        None if at_eof => Some(rest.is_empty()),
        None => None,
    }
}

/// Where the search for the next record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// A record begins here.
    Found(usize),
    /// No record begins before here; look again once that many bytes are there.
    Need { from: usize, bytes: usize },
}

/// How many records in a row must look right before a new boundary is believed.
const CONFIRMATIONS: usize = 3;

/// Looks for the next record from `from` on. `is_sound` judges the body of a candidate.
pub fn search(
    window: &[u8],
    from: usize,
    at_eof: bool,
    near: Option<Time>,
    is_sound: impl Fn(&Record<'_>) -> bool,
) -> Search {
    let mut start = from;
    while let Some(head) = window
        .get(start..)
        .and_then(|rest| rest.first_chunk::<HEADER_LEN>())
    {
        if Header::parse(head).is_plausible(near) {
            match confirm(window, start, at_eof, near, &is_sound) {
                Ok(true) => return Search::Found(start),
                Ok(false) => {}
                Err(bytes) => return Search::Need { from: start, bytes },
            }
        }
        start += 1;
    }
    Search::Need {
        from: start,
        bytes: start + HEADER_LEN,
    }
}

/// True if sound records follow each other from `start`. `Err`: that many bytes are needed to say.
fn confirm(
    window: &[u8],
    start: usize,
    at_eof: bool,
    near: Option<Time>,
    is_sound: &impl Fn(&Record<'_>) -> bool,
) -> Result<bool, usize> {
    let mut at = start;
    for confirmed in 0..CONFIRMATIONS {
        let rest = window.get(at..).unwrap_or_default();
        if at_eof && rest.is_empty() {
            return Ok(confirmed > 0);
        }
        match frame(rest) {
            Frame::Record(record) if record.header.is_plausible(near) && is_sound(&record) => {
                at += record.size
            }
            Frame::Need(bytes) if !at_eof => return Err(at + bytes),
            // The last record of a stream that was cut: believed after another one.
            Frame::Need(_) => return Ok(confirmed > 0),
            _ => return Ok(false),
        }
    }
    Ok(true)
}
