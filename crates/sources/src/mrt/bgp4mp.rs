//! The envelopes in which archives keep BGP messages: BGP4MP (RFC 6396 §4.4, RFC 8050) and the
//! deprecated type 5 (RFC 6396 appendix B.2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netfault_model::Asn;

use super::frame::{Record, TYPE_BGP, TYPE_BGP4MP, TYPE_BGP4MP_ET};
use crate::bgp::{Encoding, Kind, Malformed, Message, Update, message};

/// The far end of a session, as an envelope names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarEnd {
    pub addr: IpAddr,
    pub asn: Asn,
}

/// What a record of messages holds.
#[derive(Clone, Copy, Debug)]
pub enum Envelope<'a> {
    /// An UPDATE without its header.
    Update {
        from: FarEnd,
        encoding: Encoding,
        body: &'a [u8],
    },
    /// States of the session (RFC 4271 §8.2.2), 6 is Established.
    StateChange { from: FarEnd, old: u16, new: u16 },
    /// An UPDATE whose end is missing: old Zebra cut messages so that their records had 4,096 octets.
    Cut {
        from: FarEnd,
        encoding: Encoding,
        body: &'a [u8],
    },
    /// A message of this peer that cannot be read.
    Bad { from: FarEnd, error: Malformed },
    /// OPEN, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH: nothing about routes.
    Other,
    /// Sent by the collector itself (RFC 6396 §4.4.5): says nothing about what the peer holds.
    Local,
}

/// Why an envelope cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    #[error("record shorter than its type needs (RFC 6396 §4.4)")]
    Short,
    #[error("address family that no BGP session has (RFC 6396 §4.4.1)")]
    Family,
    #[error("unsupported record subtype")]
    Subtype,
    #[error("UPDATE of type 5 does not fill its record (RFC 6396 §B.2.1)")]
    Update,
}

/// Reads the envelope of a record of type 5, BGP4MP or BGP4MP_ET.
///
/// # Errors
/// [`BadEnvelope`]; the record's own length is right, so the next one may be read.
pub fn envelope<'a>(record: &Record<'a>) -> Result<Envelope<'a>, BadEnvelope> {
    match record.header.kind {
        TYPE_BGP => legacy(record.header.subtype, record.body),
        TYPE_BGP4MP | TYPE_BGP4MP_ET => bgp4mp(record.header.subtype, record.body),
        _ => Err(BadEnvelope::Subtype),
    }
}

fn bgp4mp(subtype: u16, mut body: &[u8]) -> Result<Envelope<'_>, BadEnvelope> {
    let (as4, add_path, local) = match subtype {
        0 => return state_change(body, false),
        5 => return state_change(body, true),
        1 => (false, false, false),
        4 => (true, false, false),
        6 => (false, false, true),
        7 => (true, false, true),
        8 => (false, true, false),
        9 => (true, true, false),
        10 => (false, true, true),
        11 => (true, true, true),
        _ => return Err(BadEnvelope::Subtype),
    };
    if !as4 && is_short_open(body) {
        return Ok(Envelope::Other);
    }
    let from = peer(&mut body, as4)?;
    let encoding = Encoding { as4, add_path };
    let message = match Message::parse(body) {
        // Octets after the message mean that the record's length is wrong, or the message's.
        Ok(message) if message.body.len() + message::HEADER_LEN == body.len() => message,
        Ok(_) => {
            return Ok(Envelope::Bad {
                from,
                error: Malformed::Length,
            });
        }
        Err(Malformed::Length) if is_cut_update(body) && !local => {
            return Ok(Envelope::Cut {
                from,
                encoding,
                body: body.get(message::HEADER_LEN..).unwrap_or_default(),
            });
        }
        Err(error) => return Ok(Envelope::Bad { from, error }),
    };
    Ok(match message.kind {
        _ if local => Envelope::Local,
        Kind::Update => Envelope::Update {
            from,
            encoding: Encoding { as4, add_path },
            body: message.body,
        },
        _ => Envelope::Other,
    })
}

/// An UPDATE (type 2) that claims more octets than there are.
fn is_cut_update(message: &[u8]) -> bool {
    let Some(&[high, low, kind]) = message.get(16..19) else {
        return false;
    };
    kind == 2 && usize::from(u16::from_be_bytes([high, low])) > message.len()
}

/// AS numbers of both ends, interface, family, addresses of both ends.
#[inline]
fn peer(body: &mut &[u8], as4: bool) -> Result<FarEnd, BadEnvelope> {
    let asn = asn(body, as4)?;
    take(body, if as4 { 4 } else { 2 })?; // the collector's AS
    let [_, _, afi_high, afi_low] = *chunk::<4>(body)?;
    let addr = match u16::from_be_bytes([afi_high, afi_low]) {
        1 => {
            let addr = IpAddr::V4(Ipv4Addr::from(*chunk::<4>(body)?));
            take(body, 4)?;
            addr
        }
        2 => {
            let addr = IpAddr::V6(Ipv6Addr::from(*chunk::<16>(body)?));
            take(body, 16)?;
            addr
        }
        _ => return Err(BadEnvelope::Family),
    };
    Ok(FarEnd { addr, asn })
}

/// Old Zebra wrote some state changes without interface, family and addresses: eight octets. They name
/// no session, so nothing follows from them.
fn state_change(mut body: &[u8], as4: bool) -> Result<Envelope<'_>, BadEnvelope> {
    if !as4 && body.len() == 8 {
        return Ok(Envelope::Other);
    }
    let from = peer(&mut body, as4)?;
    let [old_high, old_low, new_high, new_low] = *chunk::<4>(&mut body)?;
    let old = u16::from_be_bytes([old_high, old_low]);
    let new = u16::from_be_bytes([new_high, new_low]);
    Ok(Envelope::StateChange { from, old, new })
}

/// Old Zebra wrote some OPEN messages right after the two AS numbers.
fn is_short_open(body: &[u8]) -> bool {
    body.get(4..20).is_some_and(|marker| marker == [0xff; 16]) && body.get(22) == Some(&1)
}

/// Type 5: no BGP header, IPv4 peers and AS numbers of two octets only.
fn legacy(subtype: u16, mut body: &[u8]) -> Result<Envelope<'_>, BadEnvelope> {
    let asn = asn(&mut body, false)?;
    let addr = IpAddr::V4(Ipv4Addr::from(*chunk::<4>(&mut body)?));
    let from = FarEnd { addr, asn };
    match subtype {
        1 => {
            take(&mut body, 6)?; // the collector's AS and address
            if !is_sound_update(body, Encoding::default()) {
                return Err(BadEnvelope::Update);
            }
            Ok(Envelope::Update {
                from,
                encoding: Encoding::default(),
                body,
            })
        }
        3 => {
            let [old_high, old_low, new_high, new_low] = *chunk::<4>(&mut body)?;
            let old = u16::from_be_bytes([old_high, old_low]);
            let new = u16::from_be_bytes([new_high, new_low]);
            Ok(Envelope::StateChange { from, old, new })
        }
        5..=7 => Ok(Envelope::Other),
        _ => Err(BadEnvelope::Subtype),
    }
}

/// True if all fields of an UPDATE can be read to their ends. Type 5 has no length of its own, so this is
/// all that tells a damaged record from a good one.
pub fn is_sound_update(body: &[u8], encoding: Encoding) -> bool {
    Update::parse(body, encoding).is_ok_and(|update| {
        update.announcement_error().is_none()
            && update.withdrawn().all(|nlri| nlri.is_ok())
            && update.announced().all(|nlri| nlri.is_ok())
    })
}

fn asn(body: &mut &[u8], as4: bool) -> Result<Asn, BadEnvelope> {
    Ok(Asn(if as4 {
        u32::from_be_bytes(*chunk::<4>(body)?)
    } else {
        u32::from(u16::from_be_bytes(*chunk::<2>(body)?))
    }))
}

fn chunk<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], BadEnvelope> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(BadEnvelope::Short)?;
    *bytes = rest;
    Ok(head)
}

fn take(bytes: &mut &[u8], len: usize) -> Result<(), BadEnvelope> {
    *bytes = bytes.get(len..).ok_or(BadEnvelope::Short)?;
    Ok(())
}
