//! The bytes of BGP UPDATEs (RFC 4271 §4.3, RFC 4760) and of MRT records (RFC 6396, ASes of four octets).

use std::net::IpAddr;

use netfault_model::{Family, Prefix};

pub const TABLE_DUMP_V2: u16 = 13;
pub const BGP4MP: u16 = 16;
pub const PEER_INDEX_TABLE: u16 = 1;
pub const RIB_IPV4_UNICAST: u16 = 2;
pub const RIB_IPV6_UNICAST: u16 = 4;
pub const MESSAGE_AS4: u16 = 4;
pub const STATE_CHANGE_AS4: u16 = 5;

/// The AS of the collectors.
const LOCAL_AS: u32 = 65_000;

const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
/// A segment counts its ASes in one octet.
const SEGMENT: usize = 255;

/// An AS_PATH in wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<u8>);

impl Path {
    pub fn of(asns: &[u32]) -> Self {
        let mut path = Path(Vec::new());
        asns.chunks(SEGMENT)
            .for_each(|part| path.segment(AS_SEQUENCE, part));
        path
    }

    /// … that ends in an AS_SET.
    pub fn and_set(mut self, asns: &[u32]) -> Self {
        self.segment(AS_SET, asns);
        self
    }

    fn segment(&mut self, kind: u8, asns: &[u32]) {
        self.0.extend([kind, asns.len() as u8]);
        asns.iter().for_each(|asn| self.0.extend(asn.to_be_bytes()));
    }
}

/// A prefix with only as many octets as its length needs.
fn nlri(out: &mut Vec<u8>, prefix: Prefix) {
    let octets = usize::from(prefix.len()).div_ceil(8);
    out.push(prefix.len());
    match prefix.addr() {
        IpAddr::V4(addr) => out.extend(&addr.octets()[..octets]),
        IpAddr::V6(addr) => out.extend(&addr.octets()[..octets]),
    }
}

/// With a length of two octets, which every attribute may have.
fn attribute(out: &mut Vec<u8>, flags: u8, kind: u8, value: &[u8]) {
    const EXTENDED: u8 = 0x10;
    out.extend([flags | EXTENDED, kind]);
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

/// ORIGIN IGP, AS_PATH.
fn attributes(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    attribute(&mut out, 0x40, 1, &[0]);
    attribute(&mut out, 0x40, 2, &path.0);
    out
}

/// One UPDATE with its header. Prefixes of both families may be mixed.
pub fn update(withdrawn: &[Prefix], announced: &[Prefix], path: Option<&Path>) -> Vec<u8> {
    let of = |prefixes: &[Prefix], family: Family| {
        let mut out = Vec::new();
        let same = prefixes.iter().filter(|prefix| prefix.family() == family);
        same.for_each(|&prefix| nlri(&mut out, prefix));
        out
    };
    let mut attrs = path.map(attributes).unwrap_or_default();
    if path.is_some() {
        attribute(&mut attrs, 0x40, 3, &[192, 0, 2, 254]);
    }
    let (lost, gained) = (of(withdrawn, Family::V6), of(announced, Family::V6));
    if !gained.is_empty() {
        let mut value = vec![0, 2, 1, 16];
        value.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        value.extend(gained);
        attribute(&mut attrs, 0x80, 14, &value);
    }
    if !lost.is_empty() {
        attribute(&mut attrs, 0x80, 15, &[&[0, 2, 1], lost.as_slice()].concat());
    }
    let withdrawn = of(withdrawn, Family::V4);
    let mut body = (withdrawn.len() as u16).to_be_bytes().to_vec();
    body.extend(withdrawn);
    body.extend((attrs.len() as u16).to_be_bytes());
    body.extend(attrs);
    body.extend(of(announced, Family::V4));
    let length = body.len() + 19;
    assert!(length <= 4096, "an UPDATE of {length} octets");
    let mut message = vec![0xff; 16];
    message.extend((length as u16).to_be_bytes());
    message.push(2);
    message.extend(body);
    message
}

/// The beginning of a BGP4MP body: both ends of the session.
fn ends(asn: u32, addr: IpAddr) -> Vec<u8> {
    let mut out = asn.to_be_bytes().to_vec();
    out.extend(LOCAL_AS.to_be_bytes());
    match addr {
        IpAddr::V4(addr) => {
            out.extend([0, 0, 0, 1]);
            out.extend(addr.octets());
            out.extend([10, 255, 255, 254]);
        }
        IpAddr::V6(addr) => {
            out.extend([0, 0, 0, 2]);
            out.extend(addr.octets());
            out.extend([0xfd; 16]);
        }
    }
    out
}

pub fn message(asn: u32, addr: IpAddr, message: &[u8]) -> Vec<u8> {
    let mut out = ends(asn, addr);
    out.extend(message);
    out
}

/// Between Established (6) and Idle (1).
pub fn state_change(asn: u32, addr: IpAddr, up: bool) -> Vec<u8> {
    let mut out = ends(asn, addr);
    out.extend(if up { [0, 1, 0, 6] } else { [0, 6, 0, 1] });
    out
}

pub fn peer_index(peers: &[(u32, IpAddr)]) -> Vec<u8> {
    let mut out = vec![10, 255, 255, 254, 0, 0];
    out.extend((peers.len() as u16).to_be_bytes());
    for (asn, addr) in peers {
        let wide = u8::from(addr.is_ipv6());
        out.extend([2 | wide, 10, 0, 0, 1]);
        match addr {
            IpAddr::V4(addr) => out.extend(addr.octets()),
            IpAddr::V6(addr) => out.extend(addr.octets()),
        }
        out.extend(asn.to_be_bytes());
    }
    out
}

/// All routes to one prefix: index of the peer, path; originated at `since`.
pub fn rib(sequence: u32, prefix: Prefix, since: u32, routes: &[(u16, &Path)]) -> Vec<u8> {
    let mut out = sequence.to_be_bytes().to_vec();
    nlri(&mut out, prefix);
    out.extend((routes.len() as u16).to_be_bytes());
    for (peer, path) in routes {
        out.extend(peer.to_be_bytes());
        out.extend(since.to_be_bytes());
        let attrs = attributes(path);
        out.extend((attrs.len() as u16).to_be_bytes());
        out.extend(attrs);
    }
    out
}

/// One MRT record.
pub fn record(out: &mut Vec<u8>, stamp: u32, kind: u16, subtype: u16, body: &[u8]) {
    out.extend(stamp.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(subtype.to_be_bytes());
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(body);
}
