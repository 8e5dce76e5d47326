//! `raw`: the whole BGP message in hex, as the collector's session had it (AS numbers of four octets).

use std::net::{IpAddr, Ipv4Addr};

use netfault_model::{Arrival, Asn, Collector, Input, Peer, Time};

use super::update::Routes;
use crate::bgp::Encoding;
use crate::convert::{Converter, Session};

/// The longest BGP message (RFC 8654 §3).
const MAX_MESSAGE: usize = 65_535;

/// Reads the hex of one UPDATE. `Err` says in a few words why not.
pub fn decode(hex: &str) -> Result<Routes, &'static str> {
    let bytes = unhex(hex).ok_or("raw that is no hex of a BGP message")?;
    // Only the routes are taken from the input that comes out.
    let session = Session {
        at: Time::from_micros(0),
        peer: Peer {
            collector: Collector::new(""),
            addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            asn: Asn(0),
        },
        arrival: Arrival::InTime,
    };
    let mut routes = Routes::default();
    let converted = Converter::default().message(
        session,
        &bytes,
        Encoding {
            as4: true,
            add_path: false,
        },
        &mut |input| match input {
            Input::Update(update) => {
                routes.nlri = update.nlri;
                routes.announced_from = update.announced_from;
                routes.announcement = update.announcement;
            }
            Input::EndOfRib { family, .. } => routes.end_of_rib = Some(family),
            _ => {}
        },
    );
    if converted.error.is_some() && routes.nlri.is_empty() {
        return Err("raw with a BGP message that cannot be read");
    }
    routes.unreadable = u32::from(converted.error.is_some());
    Ok(routes)
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_MESSAGE {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
