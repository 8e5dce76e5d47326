//! The JSON of one frame, borrowed from its text. Only shape is checked here; [`decode`](super::decode)
//! gives it meaning. Source: <https://ris-live.ripe.net/manual/>, and frames seen from 2019 to 2026.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One frame from the server.
#[derive(Debug)]
pub enum Frame<'a> {
    /// `ris_message`: something that a collector heard.
    Message(Box<Message<'a>>),
    /// `ris_error`, with its text.
    Error(Cow<'a, str>),
    /// `ris_subscribe_ok`.
    Subscribed,
    Pong,
    /// A kind that says nothing about BGP (`ris_rrc_list`, or one that we do not know).
    Other,
}

/// A text frame that is no RIS Live JSON.
#[derive(Debug, thiserror::Error)]
#[error("not a RIS Live frame")]
pub struct NotAFrame(#[source] serde_json::Error);

/// The `data` of a frame. Every field may be missing; which ones matter depends on `kind`.
#[derive(Debug, Default, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    pub timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub peer: Option<Text<'a>>,
    pub peer_asn: Option<AsnField>,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub host: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    /// Of a `STATE` (documented as `RIS_PEER_STATE`).
    #[serde(borrow)]
    pub state: Option<Text<'a>>,
    pub path: Option<Path>,
    #[serde(borrow)]
    pub announcements: Option<Vec<Announced<'a>>>,
    #[serde(borrow)]
    pub withdrawals: Option<Vec<Text<'a>>>,
    /// The BGP message in hex, where asked for.
    #[serde(borrow)]
    pub raw: Option<Text<'a>>,
    /// Of a `ris_error`.
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
}

/// Prefixes that share a next hop. The next hop may be two addresses, `global,link-local` (RFC 2545 §3).
#[derive(Debug, Deserialize)]
pub struct Announced<'a> {
    #[serde(borrow)]
    pub next_hop: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub prefixes: Vec<Text<'a>>,
}

/// A string, borrowed unless it has escapes.
#[derive(Debug, Default, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `peer_asn`: a string on the wire; a number is taken too.
#[derive(Clone, Copy, Debug)]
pub struct AsnField(pub u32);

/// `path`: AS numbers, with each AS_SET as an array inside.
#[derive(Debug, Default)]
pub struct Path {
    /// Wire order; the members of AS_SETs follow each other.
    pub asns: Vec<u32>,
    /// How many AS numbers the last element has: 1, or the size of an AS_SET; 0 for an empty path.
    pub last: usize,
}

/// Reads one text frame.
pub fn parse(text: &str) -> Result<Frame<'_>, NotAFrame> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow, rename = "type")]
        kind: Text<'a>,
        #[serde(borrow)]
        data: Option<Box<Message<'a>>>,
    }
    match serde_json::from_str::<Envelope>(text) {
        Ok(Envelope { kind, data }) => Ok(match (kind.as_str(), data) {
            ("ris_message", Some(data)) => Frame::Message(data),
            ("ris_message", None) => Frame::Message(Box::default()),
            (kind, data) => other(kind, data.and_then(|data| data.message).map(|text| text.0)),
        }),
        Err(error) => parse_kind(text).ok_or(NotAFrame(error)),
    }
}

/// A frame whose `data` is something else than the fields of a message: `ris_rrc_list` has an array.
fn parse_kind(text: &str) -> Option<Frame<'_>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow, rename = "type")]
        kind: Text<'a>,
        #[serde(rename = "data")]
        _data: Option<IgnoredAny>,
    }
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    match envelope.kind.as_str() {
        "ris_message" => None,
        kind => Some(other(kind, None)),
    }
}

fn other<'a>(kind: &str, message: Option<Cow<'a, str>>) -> Frame<'a> {
    match kind {
        "ris_error" => Frame::Error(message.unwrap_or_default()),
        "ris_subscribe_ok" => Frame::Subscribed,
        "pong" => Frame::Pong,
        _ => Frame::Other,
    }
}

impl<'de> Deserialize<'de> for AsnField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneAsn;
        impl Visitor<'_> for OneAsn {
            type Value = AsnField;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an AS number")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<AsnField, E> {
                u32::try_from(n).map(AsnField).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<AsnField, E> {
                text.parse().map(AsnField).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(OneAsn)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Path;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array of AS numbers and AS_SETs")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Path, A::Error> {
                // An AS_PATH of one BGP message has at most 65,535 / 4 members, and most have 4 to 8.
                let mut path = Path {
                    asns: Vec::with_capacity(8),
                    last: 0,
                };
                while let Some(element) = seq.next_element::<Element>()? {
                    let before = path.asns.len();
                    match element {
                        Element::One(asn) => path.asns.push(asn),
                        Element::Set(asns) => path.asns.extend(asns),
                    }
                    path.last = path.asns.len() - before;
                }
                Ok(path)
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

enum Element {
    One(u32),
    Set(Vec<u32>),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSet;
        impl<'de> Visitor<'de> for OneOrSet {
            type Value = Element;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an AS number or an AS_SET")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Element, E> {
                u32::try_from(n).map(Element::One).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Element, E> {
                text.parse().map(Element::One).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Element, A::Error> {
                let mut set = Vec::new();
                while let Some(AsnField(asn)) = seq.next_element()? {
                    set.push(asn);
                }
                Ok(Element::Set(set))
            }
        }
        deserializer.deserialize_any(OneOrSet)
    }
}
