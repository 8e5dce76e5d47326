//! The few bytes of DNS that it takes to see whether a server is there.

pub const A: u16 = 1;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;

pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;

/// A query, with RD for those who recurse.
pub fn query(name: &str, qtype: u16, recurse: bool) -> Vec<u8> {
    let mut message = vec![0x4e, 0x46, u8::from(recurse), 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend(qtype.to_be_bytes());
    message.extend([0, 1]);
    message
}

pub fn rcode(answer: &[u8]) -> u8 {
    answer[3] & 0x0f
}

/// NOERROR with at least one record.
pub fn has_answer(answer: &[u8]) -> bool {
    rcode(answer) == 0 && answer[6..8] != [0, 0]
}

pub fn contains(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}
