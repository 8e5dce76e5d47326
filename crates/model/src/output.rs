//! What the engine says. `schemas/event.schema.json` describes its JSON; fields are added, never changed.

use serde::{Deserialize, Serialize};

use crate::input::Gap;
use crate::net::{Asn, Collector, Peer, Prefix};
use crate::time::Time;

/// One statement of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Transition(Transition),
    Feed(Feed),
    Gap(Gap),
}

impl Output {
    pub fn at(&self) -> Time {
        match self {
            Output::Transition(transition) => transition.at,
            Output::Feed(feed) => feed.at,
            Output::Gap(gap) => gap.at,
        }
    }

    /// The `kind` in JSON. Outputs of one instant are ordered by it, then by subject.
    pub fn kind(&self) -> &'static str {
        match self {
            Output::Feed(_) => "feed",
            Output::Gap(_) => "gap",
            Output::Transition(_) => "transition",
        }
    }
}

/// What a transition is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Subject {
    /// A prefix and the origin that most peer ASes saw when it was last Normal.
    Prefix { prefix: Prefix, origin: Option<Asn> },
    /// A DNS name.
    Name { name: String },
}

/// The state of a prefix or a name. A name uses Unknown, Ok, Degraded, Partial, Out and Recovering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Unknown,
    Normal,
    Degrading,
    Partial,
    Out,
    Recovering,
    /// Lost for so long that the loss is accepted.
    Gone,
    /// Of a name: it resolves everywhere.
    Ok,
    /// Of a name: fewer than three quarters of its servers answer.
    Degraded,
}

impl State {
    /// The name in JSON, ClickHouse and tables.
    pub fn name(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Normal => "normal",
            State::Degrading => "degrading",
            State::Partial => "partial",
            State::Out => "out",
            State::Recovering => "recovering",
            State::Gone => "gone",
            State::Ok => "ok",
            State::Degraded => "degraded",
        }
    }
}

/// Where the denominator comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Peer ASes that were seen to hold the prefix for an unbroken hour.
    Held,
    /// Peer ASes whose own withdrawals prove that they held it.
    Inferred,
}

/// A less-specific route that is still there. It never cancels a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    None,
    SameOrigin,
    OtherOrigin,
}

/// Why a name is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    None,
    AuthorityUnreachable,
    AuthorityPartial,
    DelegationBroken,
    DnssecBogus,
    RecordMissing,
    AnswerChanged,
    ResolverFault,
    VantageOffline,
}

/// A subject went from one state to another. `peers_*` count peer ASes; what does not apply is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub subject: Subject,
    pub from: State,
    pub to: State,
    /// The end of the hold that decided it.
    pub at: Time,
    /// The first loss (or first failing probe) of this episode.
    pub first_evidence_at: Time,
    /// Of a prefix: the share that decided (V↓ for a fall, V↑ for a rise), two decimals.
    pub visibility: Option<f64>,
    pub peers_seen: Option<u32>,
    pub peers_lost: Option<u32>,
    pub peers_unknown: Option<u32>,
    pub peers_eligible: Option<u32>,
    pub baseline: Option<Baseline>,
    pub cover: Option<Cover>,
    /// Of a name.
    pub finding: Option<Finding>,
    pub servers_ok: Option<u32>,
    pub servers_eligible: Option<u32>,
    pub resolvers_ok: Option<u32>,
    pub resolvers_eligible: Option<u32>,
    /// Listed by name in the configuration: may alert.
    pub watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedState {
    Up,
    /// Resynchronising after a reset.
    Syncing,
    /// Silent for too long: abstains.
    Suspect,
    Down,
}

/// A collector, or one peer of it, can or cannot be counted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Feed {
    pub at: Time,
    pub collector: Collector,
    /// `None`: the whole collector.
    pub peer: Option<Peer>,
    pub state: FeedState,
    /// In words of the field ("silent for 183 s").
    pub reason: String,
}
