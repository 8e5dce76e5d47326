//! What the engine is told. Sources make these, in arrival order; each carries its own time.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::delegation::Delegation;
use crate::dns::Probe;
use crate::hint::Hint;
use crate::net::{Asn, Collector, Family, Peer, Prefix};
use crate::time::Time;

/// One message into the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// One BGP UPDATE of one peer (RFC 4271 §4.3).
    Update(Update),
    /// One route of a table dump (RFC 6396 §4.2, §4.3): what the peer held at that moment.
    Rib(RibRoute),
    /// A session of a collector went up or down.
    Peer(PeerState),
    /// The peer has sent its whole table of one family (RFC 4724 §2).
    EndOfRib { at: Time, peer: Peer, family: Family },
    /// A hole in what a source delivered.
    Gap(Box<Gap>),
    /// One DNS question to one address, and how it ended.
    Probe(Box<Probe>), // boxed: it is three times as large as an update, and inputs are moved a lot
    /// Whom a name depends on, as a walk found it.
    Delegation(Box<Delegation>),
    /// How users of a service fare: a hint, never a verdict.
    Hint(Box<Hint>),
    /// Time passes. The live clock sends these; they carry nothing else.
    Tick(Time),
}

impl Input {
    /// The time of this input, by which alone engine time moves.
    pub fn at(&self) -> Time {
        match self {
            Input::Update(update) => update.at,
            Input::Rib(route) => route.at,
            Input::Peer(state) => state.at,
            Input::EndOfRib { at, .. } | Input::Tick(at) => *at,
            Input::Gap(gap) => gap.at,
            Input::Probe(probe) => probe.at,
            Input::Delegation(delegation) => delegation.at,
            Input::Hint(hint) => hint.at,
        }
    }
}

/// The source's verdict on a message's own time stamp. The engine has no clock to judge it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    #[default]
    InTime,
    /// More than 300 s behind the clock (live), or before the file's own interval (archive).
    Late,
    /// More than 60 s ahead of the clock (live), or after the file's own interval (archive).
    Early,
}

/// A prefix as it stands in an UPDATE. `path_id` is 0 where the session has no ADD-PATH (RFC 7911).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nlri {
    pub prefix: Prefix,
    pub path_id: u32,
}

/// One UPDATE. The routes of one message share their attributes, so one allocation holds all prefixes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    pub at: Time,
    pub peer: Peer,
    pub arrival: Arrival,
    /// Withdrawn prefixes first (`..announced_from`), then announced ones, in the order of the message.
    pub nlri: Box<[Nlri]>,
    pub announced_from: u32,
    /// Of the announced prefixes; `None` if there are none.
    pub announcement: Option<Announcement>,
}

impl Update {
    pub fn withdrawn(&self) -> &[Nlri] {
        &self.nlri[..(self.announced_from as usize).min(self.nlri.len())]
    }

    pub fn announced(&self) -> &[Nlri] {
        &self.nlri[(self.announced_from as usize).min(self.nlri.len())..]
    }
}

/// What netfault keeps of the path attributes of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The AS that originated the route: last AS of the path. `None` when the path is empty or ends in
    /// an AS_SET of more than one member (RFC 4271 §4.3, RFC 6472).
    pub origin: Option<Asn>,
    /// AS_PATH in wire order, merged with AS4_PATH where both are present (RFC 6793 §4.2.3).
    /// Members of AS_SETs follow each other in order; confederation segments are left out.
    pub path: Box<[Asn]>,
}

/// One (peer, prefix) route of a table dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibRoute {
    /// When the dump was made.
    pub at: Time,
    pub peer: Peer,
    pub nlri: Nlri,
    /// When the collector learned the route; the route counts as held since then.
    pub originated: Time,
    pub announcement: Announcement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    pub at: Time,
    pub peer: Peer,
    pub state: SessionState,
}

/// Which kind of source has a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapSource {
    Mrt,
    RisLive,
    Bmp,
    Dns,
    Journal,
    Store,
}

/// A hole in the data: an item of the stream like any other, never a silent skip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Where in the stream it stands: the time of the last good message before it, if there was one.
    pub at: Time,
    pub source: GapSource,
    pub collector: Option<Collector>,
    pub peer: Option<Peer>,
    /// The span of time that may be missing, where known.
    pub from: Option<Time>,
    pub to: Option<Time>,
    /// Byte offset in the decompressed file, where there is one.
    pub offset: Option<u64>,
    /// What happened, in a few words of the field ("bad record length"). Carries the file where there is one.
    pub reason: Cow<'static, str>,
    /// How many messages were lost, where known.
    pub lost: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_stays_small() {
        // Millions of them pass through queues and sorts.
        assert!(size_of::<Input>() <= 144, "{}", size_of::<Input>());
    }
}
