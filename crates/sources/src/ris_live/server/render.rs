//! A record as the JSON text of a frame, in the shape and the order of fields of the real service.

use std::fmt::Write;

use netfault_model::Time;

use super::raw;
use super::record::{Announced, Body, Record, Segment, Update};

/// The whole frame. `sequence` makes the `id` unique among the messages of one peer and millisecond.
pub fn frame(record: &Record, at: Time, sequence: u16) -> String {
    let mut out = String::with_capacity(512);
    head(&mut out, record, at, sequence);
    match &record.body {
        Body::State(state) => {
            let _ = write!(out, r#","type":"STATE","state":"{state}""#);
        }
        Body::Update(update) => {
            out.push_str(r#","type":"UPDATE","path":["#);
            path(&mut out, &update.path);
            out.push_str(r#"],"community":[]"#);
            if let Some(origin) = update.origin {
                let _ = write!(out, r#","origin":"{origin}""#);
            }
            out.push_str(r#","announcements":["#);
            announcements(&mut out, record, update);
            out.push_str(r#"],"withdrawals":["#);
            list(&mut out, &update.withdrawn, |out, prefix| {
                let _ = write!(out, "\"{}/{}\"", Expanded(prefix.addr()), prefix.prefix_len());
            });
            out.push(']');
        }
    }
    out.push_str("}}");
    out
}

/// The same frame with `raw` at its end; unchanged where the message has no octets.
pub fn with_raw(frame: &str, record: &Record) -> String {
    let octets = match &record.body {
        Body::Update(update) => raw::encode(update),
        Body::State(_) => None,
    };
    let (Some(octets), Some(open)) = (octets, frame.strip_suffix("}}")) else {
        return frame.to_owned();
    };
    let mut out = String::with_capacity(open.len() + 2 * octets.len() + 16);
    out.push_str(open);
    out.push_str(r#","raw":""#);
    for octet in octets {
        let _ = write!(out, "{octet:02X}");
    }
    out.push_str("\"}}");
    out
}

// Writing into a String cannot fail; its results are dropped throughout.
fn head(out: &mut String, record: &Record, at: Time, sequence: u16) {
    let (secs, fraction) = (at.secs(), at.micros().rem_euclid(1_000_000));
    let _ = write!(out, r#"{{"type":"ris_message","data":{{"timestamp":{secs}."#);
    let _ = match fraction % 1000 {
        0 => write!(out, "{:03}", fraction / 1000),
        _ => write!(out, "{fraction:06}"),
    };
    let ms = at.micros().div_euclid(1000);
    let (peer, asn, host) = (record.peer, record.peer_asn, &record.host);
    let _ = write!(
        out,
        r#","peer":"{peer}","peer_asn":"{asn}","id":"{peer}-{ms:012x}{sequence:04x}","host":"#
    );
    // A collector is named by a user's file, so it goes through a real JSON writer.
    out.push_str(&serde_json::Value::from(&**host).to_string());
}

fn path(out: &mut String, segments: &[Segment]) {
    let mut first = true;
    let mut comma = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
    };
    for segment in segments {
        match segment {
            Segment::Sequence(asns) => {
                for asn in asns {
                    comma(out);
                    let _ = write!(out, "{asn}");
                }
            }
            Segment::Set(asns) => {
                comma(out);
                out.push('[');
                list(out, asns, |out, asn| {
                    let _ = write!(out, "{asn}");
                });
                out.push(']');
            }
        }
    }
}

fn announcements(out: &mut String, record: &Record, update: &Update) {
    list(out, &update.announced, group);
    let Some(v6) = update.end_of_rib else { return };
    let next_hop = match (v6, record.peer.is_ipv6()) {
        (true, false) => "::".to_owned(),
        (false, true) => "0.0.0.0".to_owned(),
        _ => record.peer.to_string(),
    };
    let _ = write!(out, r#"{{"next_hop":"{next_hop}","prefixes":["eor"]}}"#);
}

fn group(out: &mut String, group: &Announced) {
    let _ = write!(out, r#"{{"next_hop":"{}"#, group.next_hop);
    if let Some(local) = group.link_local {
        let _ = write!(out, ",{local}");
    }
    out.push_str(r#"","prefixes":["#);
    list(out, &group.prefixes, |out, prefix| {
        let _ = write!(out, "\"{prefix}\"");
    });
    out.push_str("]}");
}

fn list<T>(out: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        each(out, item);
    }
}

/// Withdrawn IPv6 prefixes come without `::`.
struct Expanded(std::net::IpAddr);

impl std::fmt::Display for Expanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            std::net::IpAddr::V4(addr) => addr.fmt(f),
            std::net::IpAddr::V6(addr) => {
                let [a, b, c, d, e, g, h, i] = addr.segments();
                write!(f, "{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{g:x}:{h:x}:{i:x}")
            }
        }
    }
}
