//! The header of a BGP message (RFC 4271 §4.1).

use super::Malformed;

/// Octets of marker, length and type.
pub const HEADER_LEN: usize = 19;

/// Message types (RFC 4271 §4.1, RFC 2918 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open,
    Update,
    Notification,
    Keepalive,
    RouteRefresh,
}

/// One message, its header checked and taken off.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub kind: Kind,
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// `bytes` is one message from its marker on. Octets after the length that the header gives are
    /// ignored: some archive writers pad.
    ///
    /// # Errors
    /// [`Malformed::Header`], [`Malformed::Marker`], [`Malformed::Length`], [`Malformed::Type`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Malformed::Header)?;
        if header[..16] != [0xff; 16] {
            return Err(Malformed::Marker);
        }
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let body = bytes.get(HEADER_LEN..length).ok_or(Malformed::Length)?;
        let kind = match header[18] {
            1 => Kind::Open,
            2 => Kind::Update,
            3 => Kind::Notification,
            4 => Kind::Keepalive,
            5 => Kind::RouteRefresh,
            _ => return Err(Malformed::Type),
        };
        Ok(Message { kind, body })
    }
}
