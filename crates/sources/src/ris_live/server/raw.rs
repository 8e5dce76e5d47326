//! A record as a BGP UPDATE (RFC 4271 §4.3, RFC 4760), for `raw`. Only what the JSON has too: origin, path,
//! next hops, prefixes. AS numbers have four octets, as in the sessions of RIS.

use std::net::IpAddr;

use ipnet::IpNet;

use super::record::{Announced, Segment, Update};

const WELL_KNOWN: u8 = 0x40;
const OPTIONAL_LONG: u8 = 0x90;
const WELL_KNOWN_LONG: u8 = 0x50;
const MAX_MESSAGE: usize = 65_535;

/// `None` if it does not fit a message (RFC 8654).
pub fn encode(update: &Update) -> Option<Vec<u8>> {
    let v4 = |prefix: &&IpNet| matches!(prefix, IpNet::V4(_));
    let withdrawn = nlri(update.withdrawn.iter().filter(v4));
    let mut attributes = Vec::new();
    if let Some(unreach) = unreach(update) {
        attribute(&mut attributes, OPTIONAL_LONG, 15, &unreach)?;
    }
    let mut own = Vec::new();
    if !update.announced.is_empty() {
        attributes.extend([WELL_KNOWN, 1, 1, origin(update.origin)]);
        attribute(&mut attributes, WELL_KNOWN_LONG, 2, &path(&update.path))?;
    }
    for group in &update.announced {
        match group.next_hop {
            IpAddr::V4(next_hop) if group.prefixes.iter().all(|prefix| v4(&prefix)) => {
                attributes.extend([WELL_KNOWN, 3, 4]);
                attributes.extend(next_hop.octets());
                own.extend(nlri(group.prefixes.iter()));
            }
            _ => attribute(&mut attributes, OPTIONAL_LONG, 14, &reach(group))?,
        }
    }
    let mut message = vec![0xff; 16];
    message.extend([0, 0, 2]);
    message.extend(u16::try_from(withdrawn.len()).ok()?.to_be_bytes());
    message.extend(withdrawn);
    message.extend(u16::try_from(attributes.len()).ok()?.to_be_bytes());
    message.extend(attributes);
    message.extend(own);
    let length = u16::try_from(message.len().min(MAX_MESSAGE + 1)).ok()?;
    message[16..18].copy_from_slice(&length.to_be_bytes());
    Some(message)
}

fn unreach(update: &Update) -> Option<Vec<u8>> {
    let v6: Vec<&IpNet> = update
        .withdrawn
        .iter()
        .filter(|prefix| matches!(prefix, IpNet::V6(_)))
        .collect();
    if v6.is_empty() && update.end_of_rib != Some(true) {
        return None;
    }
    let mut value = vec![0, 2, 1];
    value.extend(nlri(v6.into_iter()));
    Some(value)
}

fn reach(group: &Announced) -> Vec<u8> {
    let mut next_hop = Vec::with_capacity(32);
    for addr in [Some(group.next_hop), group.link_local].into_iter().flatten() {
        match addr {
            IpAddr::V4(addr) => next_hop.extend(addr.octets()),
            IpAddr::V6(addr) => next_hop.extend(addr.octets()),
        }
    }
    let afi = if matches!(group.prefixes.first(), Some(IpNet::V4(_))) {
        1
    } else {
        2
    };
    let mut value = vec![0, afi, 1, next_hop.len() as u8];
    value.extend(next_hop);
    value.push(0);
    value.extend(nlri(group.prefixes.iter()));
    value
}

fn attribute(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) -> Option<()> {
    out.extend([flags, code]);
    out.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
    out.extend(value);
    Some(())
}

fn origin(name: Option<&str>) -> u8 {
    match name {
        Some("IGP") => 0,
        Some("EGP") => 1,
        _ => 2,
    }
}

/// A segment holds at most 255 AS numbers; a longer sequence continues in the next one.
fn path(segments: &[Segment]) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        let (kind, asns) = match segment {
            Segment::Set(asns) => (1, asns),
            Segment::Sequence(asns) => (2, asns),
        };
        for part in asns.chunks(255) {
            out.extend([kind, part.len() as u8]);
            out.extend(part.iter().flat_map(|asn| asn.to_be_bytes()));
        }
    }
    out
}

fn nlri<'a>(prefixes: impl Iterator<Item = &'a IpNet>) -> Vec<u8> {
    let mut out = Vec::new();
    for prefix in prefixes {
        let octets = usize::from(prefix.prefix_len()).div_ceil(8);
        out.push(prefix.prefix_len());
        match prefix.network() {
            IpAddr::V4(addr) => out.extend(&addr.octets()[..octets]),
            IpAddr::V6(addr) => out.extend(&addr.octets()[..octets]),
        }
    }
    out
}
