//! Table dumps: TABLE_DUMP (RFC 6396 §4.2) and TABLE_DUMP_V2 (§4.3, RFC 8050 §4).
//!
//! The index of peers is read by bgpkit-parser. Its reader of RIB entries ends a record at the first bad
//! entry and says so only in a log line, and takes a broken AS_PATH for a warning; here both must come
//! out as a `Gap`, and a table of a million prefixes should not wait for communities nobody asked for.
//! So entries are walked here, with the attribute walker of [`crate::bgp`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgpkit_parser::models::{MrtMessage, TableDumpV2Message};
use bgpkit_parser::parser::mrt::mrt_record::parse_mrt_body;
use bytes::Bytes;
use netfault_model::{Asn, Family, Nlri, Prefix};

use super::bgp4mp::FarEnd;
use super::frame::TYPE_TABLE_DUMP_V2;
use crate::bgp::{AsPath, Attributes, Malformed};

/// One route of a dump, its attributes still in wire form.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub from: FarEnd,
    pub nlri: Nlri,
    /// When the collector learned the route, in Unix seconds.
    pub originated: u32,
    pub attributes: &'a [u8],
    /// AS numbers of four octets in AS_PATH.
    pub as4: bool,
}

/// Why a dump, or the rest of one of its records, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRib {
    #[error("RIB record shorter than its entries (RFC 6396 §4.3.4)")]
    Short,
    #[error("prefix length out of range in a RIB record (RFC 6396 §4.3.2)")]
    Prefix,
    #[error("peer index table cannot be read (RFC 6396 §4.3.1)")]
    PeerIndex,
    #[error("RIB entry of a peer that the index lacks (RFC 6396 §4.3.4)")]
    NoSuchPeer,
    #[error(transparent)]
    Attributes(#[from] Malformed),
}

/// What a record of TABLE_DUMP_V2 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V2 {
    PeerIndex,
    Unicast {
        family: Family,
        add_path: bool,
    },
    /// Multicast, other families (RIB_GENERIC), geography: nothing that netfault keeps.
    Other,
}

impl V2 {
    /// `None` for a subtype that is not registered.
    pub fn of(subtype: u16) -> Option<V2> {
        Some(match subtype {
            1 => V2::PeerIndex,
            2 => V2::Unicast {
                family: Family::V4,
                add_path: false,
            },
            4 => V2::Unicast {
                family: Family::V6,
                add_path: false,
            },
            8 => V2::Unicast {
                family: Family::V4,
                add_path: true,
            },
            10 => V2::Unicast {
                family: Family::V6,
                add_path: true,
            },
            3 | 5 | 6 | 7 | 9 | 11 | 12 => V2::Other,
            _ => return None,
        })
    }
}

/// The peers of a dump, in the order of their index.
///
/// # Errors
/// [`BadRib::PeerIndex`].
pub fn peer_index(body: &[u8]) -> Result<Vec<FarEnd>, BadRib> {
    let parsed = parse_mrt_body(TYPE_TABLE_DUMP_V2, 1, Bytes::copy_from_slice(body));
    let Ok(MrtMessage::TableDumpV2Message(TableDumpV2Message::PeerIndexTable(table))) = parsed else {
        return Err(BadRib::PeerIndex);
    };
    let peers = (0..table.id_peer_map.len()).map_while(|index| {
        let peer = table.id_peer_map.get(&u16::try_from(index).ok()?)?;
        Some(FarEnd {
            addr: peer.peer_ip,
            asn: Asn(peer.peer_asn.to_u32()),
        })
    });
    Ok(peers.collect())
}

/// Calls `each` for every entry of a unicast RIB record. An entry whose peer the index lacks is passed
/// over and told; the returned number is how many entries were passed over or never reached.
pub fn v2_entries<'a>(
    body: &'a [u8],
    family: Family,
    add_path: bool,
    peers: &[FarEnd],
    mut each: impl FnMut(Entry<'a>),
) -> Result<(), (BadRib, u64)> {
    let mut rest = body.get(4..).ok_or((BadRib::Short, 0))?; // sequence number
    let prefix = wire_prefix(&mut rest, family).map_err(|error| (error, 0))?;
    let count = u16::from_be_bytes(*chunk::<2>(&mut rest).map_err(|error| (error, 0))?);
    let mut unknown = 0;
    for done in 0..count {
        let entry =
            v2_entry(&mut rest, add_path).map_err(|error| (error, unknown + u64::from(count - done)))?;
        let Some(&from) = peers.get(usize::from(entry.peer)) else {
            unknown += 1;
            continue;
        };
        let nlri = Nlri {
            prefix,
            path_id: entry.path_id,
        };
        each(Entry {
            from,
            nlri,
            originated: entry.originated,
            attributes: entry.attributes,
            as4: true,
        });
    }
    if unknown > 0 {
        Err((BadRib::NoSuchPeer, unknown))
    } else {
        Ok(())
    }
}

struct V2Entry<'a> {
    peer: u16,
    originated: u32,
    path_id: u32,
    attributes: &'a [u8],
}

fn v2_entry<'a>(rest: &mut &'a [u8], add_path: bool) -> Result<V2Entry<'a>, BadRib> {
    let peer = u16::from_be_bytes(*chunk::<2>(rest)?);
    let originated = u32::from_be_bytes(*chunk::<4>(rest)?);
    let path_id = if add_path {
        u32::from_be_bytes(*chunk::<4>(rest)?)
    } else {
        0
    };
    let attributes = sized(rest)?;
    Ok(V2Entry {
        peer,
        originated,
        path_id,
        attributes,
    })
}

/// A prefix with only as many octets as its length needs.
fn wire_prefix(rest: &mut &[u8], family: Family) -> Result<Prefix, BadRib> {
    let [bits] = *chunk::<1>(rest)?;
    let octets = usize::from(bits).div_ceil(8);
    let wire = rest.get(..octets).ok_or(BadRib::Short)?;
    let mut all = [0; 16];
    all.get_mut(..octets).ok_or(BadRib::Prefix)?.copy_from_slice(wire);
    *rest = &rest[octets..];
    match family {
        Family::V4 => Prefix::v4(Ipv4Addr::new(all[0], all[1], all[2], all[3]), bits),
        Family::V6 => Prefix::v6(Ipv6Addr::from(all), bits),
    }
    .ok_or(BadRib::Prefix)
}

/// Calls `each` for every entry of a TABLE_DUMP record. One record should hold one entry; early writers
/// put many behind one header.
pub fn v1_entries<'a>(subtype: u16, body: &'a [u8], mut each: impl FnMut(Entry<'a>)) -> Result<(), BadRib> {
    let mut rest = body.get(4..).ok_or(BadRib::Short)?; // view and sequence numbers
    loop {
        each(v1_entry(subtype, &mut rest)?);
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn v1_entry<'a>(subtype: u16, rest: &mut &'a [u8]) -> Result<Entry<'a>, BadRib> {
    let (prefix, addr, originated);
    if subtype == 1 {
        let net = Ipv4Addr::from(*chunk::<4>(rest)?);
        let [bits, _status] = *chunk::<2>(rest)?;
        prefix = Prefix::v4(net, bits);
        originated = u32::from_be_bytes(*chunk::<4>(rest)?);
        addr = IpAddr::V4(Ipv4Addr::from(*chunk::<4>(rest)?));
    } else {
        let net = Ipv6Addr::from(*chunk::<16>(rest)?);
        let [bits, _status] = *chunk::<2>(rest)?;
        prefix = Prefix::v6(net, bits);
        originated = u32::from_be_bytes(*chunk::<4>(rest)?);
        addr = IpAddr::V6(Ipv6Addr::from(*chunk::<16>(rest)?));
    }
    let asn = Asn(u32::from(u16::from_be_bytes(*chunk::<2>(rest)?)));
    let attributes = sized(rest)?;
    let nlri = Nlri {
        prefix: prefix.ok_or(BadRib::Prefix)?,
        path_id: 0,
    };
    Ok(Entry {
        from: FarEnd { addr, asn },
        nlri,
        originated,
        attributes,
        as4: false,
    })
}

/// MRTd declared its batches of TABLE_DUMP entries four octets shorter than they are (it forgot the view
/// and sequence numbers). True if the entries end exactly four octets behind `body`.
pub fn is_four_octets_short(subtype: u16, body: &[u8]) -> bool {
    let fixed = if subtype == 1 { 18 } else { 42 };
    let mut at = 4;
    while at < body.len() {
        let Some(&[high, low]) = body.get(at + fixed - 2..at + fixed) else {
            return false;
        };
        at += fixed + usize::from(u16::from_be_bytes([high, low]));
    }
    at == body.len() + 4
}

/// The path of an entry. Attributes of a dump are those of an UPDATE, but for MP_REACH_NLRI, which holds
/// only a next hop (RFC 6396 §4.3.4) and is not looked at. A route of the collector's own has no AS_PATH;
/// its path is empty.
///
/// # Errors
/// [`Malformed`] if the list breaks off.
pub fn path<'a>(entry: &Entry<'a>) -> Result<AsPath<'a>, Malformed> {
    let attributes = Attributes::parse(entry.attributes);
    match attributes.error() {
        Some(error) => Err(error),
        None => Ok(attributes.path(entry.as4).unwrap_or(AsPath::EMPTY)),
    }
}

fn sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadRib> {
    let len = usize::from(u16::from_be_bytes(*chunk::<2>(rest)?));
    let (value, after) = rest.split_at_checked(len).ok_or(BadRib::Short)?;
    *rest = after;
    Ok(value)
}

fn chunk<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], BadRib> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(BadRib::Short)?;
    *bytes = rest;
    Ok(head)
}
