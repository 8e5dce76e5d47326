//! A question to bytes.

use hickory_proto::rr::{Name, RecordType};
use rand::RngExt;
use smallvec::SmallVec;

use super::{BadName, HEADER_LEN};

/// Of a name on the wire (RFC 1035 §3.1).
const MAX_NAME: usize = 255;
/// Our OPT record: root, type, payload (1232: fits every path unfragmented, DNS flag day 2020), no flags, 4 bytes of options: an empty NSID.
const OPT: [u8; 15] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
/// The flags in it (RFC 6891 §6.1.4), of which DO is the first.
const OPT_FLAGS: usize = 7;
/// Nearly every query is shorter than this (names of up to 48 bytes), and then is where its flight is, in no memory of its own.
const USUAL: usize = 80;

/// A question as it goes out.
#[derive(Clone, Debug)]
pub struct Query0x20 {
    pub id: u16,
    pub qtype: RecordType,
    pub bytes: SmallVec<[u8; USUAL]>,
    question_end: usize,
}

impl Query0x20 {
    /// Name, in the letter case that is sent, type and class.
    pub fn question(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..self.question_end]
    }

    pub(in crate::dns) fn set_id(&mut self, id: u16) {
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
    /// DO: send signatures along (RFC 3225).
    pub dnssec_ok: bool,
    /// Random letter case (draft-vixie-dnsext-dns0x20); off once a server was seen not to keep it.
    pub random_case: bool,
}

/// Makes a query with an unpredictable id, EDNS 1232 and a request for the server's identifier.
///
/// Written here and not by hickory-proto, whose message builder took most of a probe's time: the bytes are always the same
/// but for id, flags and question. A test compares the two.
pub fn query(name: &Name, qtype: RecordType, flags: Flags) -> Result<Query0x20, BadName> {
    let mut random = rand::rng();
    let id: u16 = random.random();
    let mut bytes = SmallVec::new();
    bytes.extend_from_slice(&id.to_be_bytes());
    // RD is the last bit of the third byte, CD the fourth-last of the fourth (RFC 4035 §3.2.2).
    bytes.extend_from_slice(&[u8::from(flags.recurse), u8::from(flags.no_validation) << 4]);
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 1]); // one question, one additional record
    for label in name.iter() {
        bytes.push(label.len() as u8); // at most 63
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    if bytes.len() > HEADER_LEN + MAX_NAME {
        return Err(BadName {
            name: name.to_string(),
            why: "it is longer than 255 bytes".into(),
        });
    }
    // Lengths of labels are below 64, so every byte that looks like a letter is one.
    bytes[HEADER_LEN..].make_ascii_lowercase();
    if flags.random_case {
        for part in bytes[HEADER_LEN..].chunks_mut(64) {
            randomize_case(part, random.random());
        }
    }
    let [high, low] = u16::from(qtype).to_be_bytes();
    bytes.extend_from_slice(&[high, low, 0, 1]); // IN
    let question_end = bytes.len();
    bytes.extend_from_slice(&OPT);
    bytes[question_end + OPT_FLAGS] |= u8::from(flags.dnssec_ok) << 7;
    Ok(Query0x20 {
        id,
        qtype,
        bytes,
        question_end,
    })
}

/// Each letter of at most 64 bytes is upper case where its bit is set.
fn randomize_case(name: &mut [u8], mut bits: u64) {
    for byte in name {
        *byte ^= ((bits & 1) as u8 & u8::from(byte.is_ascii_lowercase())) << 5;
        bits >>= 1;
    }
}
