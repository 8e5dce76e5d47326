//! A lean decoder of BGP messages (RFC 4271), made for reading archives and feeds at full speed.
//!
//! It borrows: a message is a slice, [`Update`] points into it, and its iterators yield one prefix at a
//! time. Nothing is allocated and nothing is copied; the AS path is looked at only when it is asked for.
//!
//! * [`message`] the 19-octet header
//! * [`update`] UPDATE: withdrawn routes, the attributes that matter here, NLRI, multiprotocol NLRI
//! * [`nlri`] prefixes, with and without ADD-PATH
//! * [`path`] AS_PATH, merged with AS4_PATH
//! * [`error`] what can be wrong with a message, and what is lost by it
//!
//! Deliberately absent: every attribute that says nothing about reachability or origin (communities,
//! MED, next hop, …), OPEN and NOTIFICATION contents, and encoding.

pub mod error;
pub mod message;
pub mod nlri;
pub mod path;
pub mod update;

pub use error::{Effect, Malformed};
pub use message::{Kind, Message};
pub use nlri::Nlris;
pub use path::AsPath;
pub use update::{Attributes, Update};

/// What the session negotiated, without which an UPDATE cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// AS numbers in AS_PATH have four octets (RFC 6793 §3).
    pub as4: bool,
    /// Every NLRI is preceded by a path identifier (RFC 7911 §3).
    pub add_path: bool,
}

/// Takes `N` octets off the front.
fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(head)
}

/// Takes `len` octets off the front.
fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}
