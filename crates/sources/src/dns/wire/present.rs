//! Record data as people read it: the text that is stored, compared and shown.
//!
//! Names are in lower case. Servers compress them against the question, and so hand back its random letter case: without this every
//! answer would look like a new one.

use std::fmt::Write;
use std::net::Ipv4Addr;

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Text of a foreign server that we keep, in characters.
pub(super) const MAX_TEXT: usize = 256;

/// The record data in presentation form; a record of another type than `asked` is preceded by its type.
pub fn presentation(record: &Record, asked: RecordType) -> String {
    let mut text = String::new();
    let rtype = record.record_type();
    if rtype != asked {
        let _ = write!(text, "{rtype} "); // writing to a string does not fail
    }
    match &record.data {
        RData::A(addr) => push_v4(&mut text, addr.0),
        RData::SOA(soa) => push_soa(&mut text, soa),
        RData::NS(name) => push_name(&mut text, &name.0),
        RData::CNAME(name) => push_name(&mut text, &name.0),
        RData::PTR(name) => push_name(&mut text, &name.0),
        data @ (RData::MX(_) | RData::SRV(_)) => text.push_str(&data.to_string().to_lowercase()),
        data => {
            let _ = write!(text, "{data}");
        }
    }
    printable(text)
}

fn push_soa(text: &mut String, soa: &SOA) {
    text.reserve(80);
    push_name(text, &soa.mname);
    text.push(' ');
    push_name(text, &soa.rname);
    let timers = [soa.refresh, soa.retry, soa.expire].map(|seconds| seconds.cast_unsigned());
    for number in [soa.serial].into_iter().chain(timers).chain([soa.minimum]) {
        text.push(' ');
        push_number(text, number);
    }
}

/// As hickory writes names, in lower case. Most labels are plain; the others are left to hickory.
fn push_name(text: &mut String, name: &Name) {
    let begun = text.len();
    for label in name.iter() {
        match std::str::from_utf8(label) {
            Ok(label) if is_plain(label.as_bytes()) => text.push_str(label),
            _ => {
                text.truncate(begun);
                let _ = write!(text, "{}", name.to_lowercase());
                return;
            }
        }
        text.push('.');
    }
    if text.len() == begun {
        text.push('.'); // the root
    }
    text[begun..].make_ascii_lowercase();
}

/// Nothing to escape, and no A-label, which is shown as what it stands for.
fn is_plain(label: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    label.iter().all(is_plain) && label.get(2..4).is_none_or(|hyphens| hyphens != b"--")
}

fn push_v4(text: &mut String, addr: Ipv4Addr) {
    text.reserve(15);
    for (n, octet) in addr.octets().into_iter().enumerate() {
        if n > 0 {
            text.push('.');
        }
        push_number(text, octet.into());
    }
}

/// In decimal. The formatting machinery takes several times as long, and every answer has numbers.
fn push_number(text: &mut String, mut number: u32) {
    let (mut digits, mut at) = ([0u8; 10], 10);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Foreign text ends up on terminals: control characters are replaced, and the length is bounded.
pub(super) fn printable(text: String) -> String {
    // Nearly always nothing is wrong with it.
    if text.len() <= MAX_TEXT && !text.bytes().any(|byte| byte.is_ascii_control()) && text.is_ascii() {
        return text;
    }
    text.chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
