//! What can be wrong with a message, and what is lost by it.

/// Why a message, or a part of it, cannot be read. Each names the RFC section that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    #[error("BGP message shorter than its header (RFC 4271 §4.1)")]
    Header,
    #[error("BGP marker is not all ones (RFC 4271 §4.1)")]
    Marker,
    #[error("BGP message length does not fit what is there (RFC 4271 §6.1)")]
    Length,
    #[error("unknown BGP message type (RFC 4271 §6.1)")]
    Type,
    #[error("withdrawn routes overrun the message (RFC 4271 §6.3)")]
    WithdrawnLength,
    #[error("path attributes overrun the message (RFC 4271 §6.3)")]
    AttributesLength,
    #[error("a path attribute overruns the attribute list (RFC 7606 §4)")]
    AttributeOverrun,
    #[error("MP_REACH_NLRI or MP_UNREACH_NLRI twice (RFC 7606 §3 g)")]
    DuplicateMp,
    #[error("MP_REACH_NLRI too short (RFC 7606 §7.11)")]
    MpReach,
    #[error("MP_UNREACH_NLRI too short (RFC 7606 §7.12)")]
    MpUnreach,
    #[error("prefix length out of range in withdrawn routes (RFC 7606 §5.3)")]
    WithdrawnPrefix,
    #[error("prefix length out of range in NLRI (RFC 7606 §5.3)")]
    AnnouncedPrefix,
    #[error("AS_PATH malformed (RFC 7606 §7.2)")]
    AsPath,
    #[error("announcement without AS_PATH (RFC 7606 §3 d)")]
    NoAsPath,
    #[error("AS4_PATH malformed, attribute discarded (RFC 6793 §6)")]
    As4Path,
}

/// What a reader of the message loses. This is where netfault, an observer, differs from a speaker.
///
/// RFC 7606 lets a speaker "treat as withdraw" so that it forwards nothing over a route it could not
/// read. An observer who did that would report withdrawals that nobody sent, and one collector that
/// writes its AS numbers in the wrong width would look like an outage of everything. So a route that
/// cannot be read is neither announced nor withdrawn: it is left out, and the hole is a `Gap` of that
/// peer. What was read whole before the fault, explicit withdrawals above all, counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing of the message can be used.
    Message,
    /// The announced routes are left out; withdrawals that were read are kept.
    Announcements,
    /// The withdrawn routes of the broken field are left out; the announced ones are kept.
    Withdrawals,
    /// No route is lost: an optional attribute was ignored.
    Attribute,
}

impl Malformed {
    pub fn effect(self) -> Effect {
        match self {
            Malformed::Header
            | Malformed::Marker
            | Malformed::Length
            | Malformed::Type
            | Malformed::WithdrawnLength
            | Malformed::AttributesLength => Effect::Message,
            Malformed::AttributeOverrun
            | Malformed::DuplicateMp
            | Malformed::MpReach
            | Malformed::AnnouncedPrefix
            | Malformed::AsPath
            | Malformed::NoAsPath => Effect::Announcements,
            Malformed::MpUnreach | Malformed::WithdrawnPrefix => Effect::Withdrawals,
            Malformed::As4Path => Effect::Attribute,
        }
    }
}
