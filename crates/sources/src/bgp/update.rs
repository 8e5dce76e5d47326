//! UPDATE (RFC 4271 §4.3) with multiprotocol NLRI (RFC 4760).

use netfault_model::Family;

use super::nlri::Field;
use super::path::AsPath;
use super::{Encoding, Malformed, Nlris, take, take_slice};

/// Attribute flag: the length has two octets.
const EXTENDED_LENGTH: u8 = 0x10;
const AS_PATH: u8 = 2;
const AGGREGATOR: u8 = 7;
const MP_REACH_NLRI: u8 = 14;
const MP_UNREACH_NLRI: u8 = 15;
const AS4_PATH: u8 = 17;
const AS4_AGGREGATOR: u8 = 18;
/// Stands for an AS number that does not fit two octets (RFC 6793 §9).
const AS_TRANS: [u8; 2] = 23456u16.to_be_bytes();
const SAFI_UNICAST: u8 = 1;

/// The path attributes that say who can be reached and over whom, still in wire form.
///
/// Of an attribute that comes twice the first counts (RFC 7606 §3 g).
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    as_path: Option<&'a [u8]>,
    as4_path: Option<&'a [u8]>,
    aggregator: Option<&'a [u8]>,
    as4_aggregator: bool,
    reach: Option<&'a [u8]>,
    unreach: Option<&'a [u8]>,
    /// How many attributes there are.
    count: u32,
    /// The list broke off here; what stands before it is good.
    error: Option<Malformed>,
}

impl<'a> Attributes<'a> {
    /// Walks an attribute list. A fault in it is kept and told by [`Attributes::error`].
    pub fn parse(mut bytes: &'a [u8]) -> Self {
        let mut all = Attributes::default();
        while !bytes.is_empty() {
            let Some((kind, value)) = next_attribute(&mut bytes) else {
                all.error = Some(Malformed::AttributeOverrun);
                break;
            };
            all.count += 1;
            let slot = match kind {
                AS_PATH => &mut all.as_path,
                AS4_PATH => &mut all.as4_path,
                AGGREGATOR => &mut all.aggregator,
                MP_REACH_NLRI => &mut all.reach,
                MP_UNREACH_NLRI => &mut all.unreach,
                AS4_AGGREGATOR => {
                    all.as4_aggregator = true;
                    continue;
                }
                _ => continue,
            };
            if slot.is_none() {
                *slot = Some(value);
            } else if matches!(kind, MP_REACH_NLRI | MP_UNREACH_NLRI) {
                all.error = Some(Malformed::DuplicateMp);
                break;
            }
        }
        all
    }

    pub fn error(&self) -> Option<Malformed> {
        self.error
    }

    /// AS_PATH merged with AS4_PATH. `None` if there is no AS_PATH.
    ///
    /// An AGGREGATOR whose AS number is not AS_TRANS, next to an AS4_AGGREGATOR, means that a speaker of
    /// two octets has aggregated in between: then AS4_PATH does not count (RFC 6793 §4.2.3).
    #[inline]
    pub fn path(&self, as4: bool) -> Option<AsPath<'a>> {
        let outdated =
            self.as4_aggregator && self.aggregator.is_some_and(|value| !value.starts_with(&AS_TRANS));
        let as4_path = self.as4_path.filter(|_| !outdated);
        Some(AsPath::new(self.as_path?, as4_path, as4))
    }
}

#[inline]
fn next_attribute<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [flags, kind] = *take::<2>(bytes)?;
    let len = if flags & EXTENDED_LENGTH == 0 {
        usize::from(take::<1>(bytes)?[0])
    } else {
        usize::from(u16::from_be_bytes(*take::<2>(bytes)?))
    };
    Some((kind, take_slice(bytes, len)?))
}

/// What a multiprotocol attribute holds.
#[derive(Clone, Copy, Debug)]
enum Mp<'a> {
    None,
    Unicast(Family, &'a [u8]),
    /// Another AFI or SAFI; true if it holds any NLRI.
    Other(bool),
}

/// An UPDATE without its header.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    encoding: Encoding,
    withdrawn: &'a [u8],
    nlri: &'a [u8],
    attributes: Attributes<'a>,
    reach: Mp<'a>,
    unreach: Mp<'a>,
    reach_error: Option<Malformed>,
    unreach_error: Option<Malformed>,
    is_cut: bool,
}

impl<'a> Update<'a> {
    /// `body` is the message after its 19 octets of header. Faults that leave the fields apart are kept
    /// for [`Update::announced`] and [`Update::withdrawn`] to tell.
    ///
    /// # Errors
    /// [`Malformed::WithdrawnLength`], [`Malformed::AttributesLength`].
    pub fn parse(mut body: &'a [u8], encoding: Encoding) -> Result<Self, Malformed> {
        let withdrawn = sized(&mut body).ok_or(Malformed::WithdrawnLength)?;
        let attributes = sized(&mut body).ok_or(Malformed::AttributesLength)?;
        Ok(Self::of_fields(encoding, withdrawn, attributes, body))
    }

    /// The beginning of a message whose end an archive's writer left out. What stands before the cut is as
    /// the peer sent it, so it is read: withdrawn routes, and announced ones if the attributes are whole.
    pub fn parse_cut(body: &'a [u8], encoding: Encoding) -> Self {
        let mut rest = body;
        let (withdrawn, attributes, nlri) = match sized(&mut rest) {
            None => (body.get(2..).unwrap_or_default(), None, &[][..]),
            Some(withdrawn) => (withdrawn, sized(&mut rest), rest),
        };
        let nlri = if attributes.is_some() { nlri } else { &[] };
        Update {
            is_cut: true,
            ..Self::of_fields(encoding, withdrawn, attributes.unwrap_or_default(), nlri)
        }
    }

    /// True if the message goes on where the bytes end: its last prefix may be missing.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn of_fields(encoding: Encoding, withdrawn: &'a [u8], attributes: &'a [u8], nlri: &'a [u8]) -> Self {
        let attributes = Attributes::parse(attributes);
        let mut update = Update {
            encoding,
            withdrawn,
            nlri,
            attributes,
            reach: Mp::None,
            unreach: Mp::None,
            reach_error: attributes.error,
            unreach_error: None,
            is_cut: false,
        };
        if let Some(value) = attributes.reach {
            match mp_reach(value) {
                Some(mp) => update.reach = mp,
                None => update.reach_error = Some(Malformed::MpReach),
            }
        }
        if let Some(value) = attributes.unreach {
            match mp_unreach(value) {
                Some(mp) => update.unreach = mp,
                None => update.unreach_error = Some(Malformed::MpUnreach),
            }
        }
        update
    }

    /// Withdrawn unicast routes: IPv4 of the message, then MP_UNREACH_NLRI.
    #[inline]
    pub fn withdrawn(&self) -> Nlris<'a> {
        self.nlris(self.withdrawn, self.unreach, Malformed::WithdrawnPrefix)
    }

    /// Announced unicast routes: IPv4 of the message, then MP_REACH_NLRI.
    #[inline]
    pub fn announced(&self) -> Nlris<'a> {
        self.nlris(self.nlri, self.reach, Malformed::AnnouncedPrefix)
    }

    /// A fault that makes the announced routes unusable, apart from their own encoding and the path.
    pub fn announcement_error(&self) -> Option<Malformed> {
        self.reach_error
    }

    /// A fault by which MP_UNREACH_NLRI cannot be read.
    pub fn withdrawal_error(&self) -> Option<Malformed> {
        self.unreach_error
    }

    /// AS_PATH merged with AS4_PATH. `None` if there is no AS_PATH.
    #[inline]
    pub fn path(&self) -> Option<AsPath<'a>> {
        self.attributes.path(self.encoding.as4)
    }

    /// How many of the two multiprotocol attributes hold routes that are not unicast IPv4 or IPv6.
    pub fn other_families(&self) -> u32 {
        [self.reach, self.unreach]
            .iter()
            .map(|mp| u32::from(matches!(mp, Mp::Other(true))))
            .sum()
    }

    /// The family whose End-of-RIB this is (RFC 4724 §2): an UPDATE with nothing in it, or with nothing
    /// but an empty MP_UNREACH_NLRI. End-of-RIB of other families gives `None`.
    pub fn end_of_rib(&self) -> Option<Family> {
        if self.is_cut
            || !self.withdrawn.is_empty()
            || !self.nlri.is_empty()
            || self.attributes.error.is_some()
        {
            return None;
        }
        match (self.attributes.count, self.unreach) {
            (0, _) => Some(Family::V4),
            (1, Mp::Unicast(family, [])) => Some(family),
            _ => None,
        }
    }

    #[inline]
    fn nlris(&self, own: &'a [u8], mp: Mp<'a>, error: Malformed) -> Nlris<'a> {
        let add_path = self.encoding.add_path;
        let second = match mp {
            Mp::Unicast(family, bytes) => Some(Field::new(bytes, family, add_path)),
            _ => None,
        };
        Nlris::new(Field::new(own, Family::V4, add_path), second, error)
    }
}

/// A field preceded by its length in two octets.
#[inline]
fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u16::from_be_bytes(*take::<2>(bytes)?);
    take_slice(bytes, usize::from(len))
}

fn mp_unreach(mut value: &[u8]) -> Option<Mp<'_>> {
    let [afi_high, afi_low, safi] = *take::<3>(&mut value)?;
    Some(mp(u16::from_be_bytes([afi_high, afi_low]), safi, value))
}

/// AFI, SAFI, next hop with its length, one reserved octet, NLRI (RFC 4760 §3).
fn mp_reach(mut value: &[u8]) -> Option<Mp<'_>> {
    let [afi_high, afi_low, safi, next_hop_len] = *take::<4>(&mut value)?;
    take_slice(&mut value, usize::from(next_hop_len) + 1)?;
    Some(mp(u16::from_be_bytes([afi_high, afi_low]), safi, value))
}

fn mp(afi: u16, safi: u8, nlri: &[u8]) -> Mp<'_> {
    match (afi, safi) {
        (1, SAFI_UNICAST) => Mp::Unicast(Family::V4, nlri),
        (2, SAFI_UNICAST) => Mp::Unicast(Family::V6, nlri),
        _ => Mp::Other(!nlri.is_empty()),
    }
}
