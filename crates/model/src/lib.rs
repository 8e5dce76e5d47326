//! The vocabulary of netfault, data only.
//!
//! Sources make [`Input`]s, the engine turns them into [`Output`]s, sinks take those. This crate does
//! no I/O, reads no clock and decides nothing; every other crate depends on it and it on none of them.
//!
//! * [`time`] integer microseconds UTC
//! * [`net`] AS numbers, prefixes, collectors, peers
//! * [`input`] what the engine is told
//! * [`dns`] one question to one address, and how it ended
//! * [`delegation`] whom a name depends on; [`hint`] how users of a service fare
//! * [`id`] names of statements, derived from what they say
//! * [`output`] what the engine says, and its JSON (`schemas/event.schema.json`)
//! * [`incident`] what belongs together, told once
//! * [`watch`] which prefixes, origins and names the user cares about

pub mod delegation;
pub mod dns;
pub mod hint;
pub mod id;
pub mod incident;
pub mod input;
pub mod net;
pub mod output;
pub mod time;
pub mod watch;

pub use delegation::{Address, Delegation, DelegationFinding, NameServer, Route};
pub use dns::{Outcome, Probe, Role, Transport};
pub use hint::{Hint, HintKind, HttpPhase};
pub use id::Id;
pub use incident::{Cause, CauseRule, Child, Facts, Incident, IncidentState, Layer, LayerKind};
pub use input::{
    Announcement, Arrival, Gap, GapSource, Input, Nlri, PeerState, RibRoute, SessionState, Update,
};
pub use net::{Asn, Collector, Country, Family, Peer, Prefix};
pub use output::{
    Baseline, CacheView, Cover, Evidence, Feed, FeedState, Finding, Lost, NameEvidence, Notable, NotableKind,
    Output, Rule, Share, State, Subject, Transition, VantageView,
};
pub use time::Time;
pub use watch::{Service, Watch};
