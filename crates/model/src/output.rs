//! What the engine says. `schemas/event.schema.json` describes its JSON; fields are added, never changed.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::delegation::Delegation;
use crate::id::Id;
use crate::incident::Incident;
use crate::input::Gap;
use crate::net::{Asn, Collector, Country, Family, Peer, Prefix};
use crate::time::Time;

/// One statement of the engine.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Output {
    Transition(Box<Transition>),
    Incident(Box<Incident>),
    Notable(Box<Notable>),
    /// Whom a name depends on, each address joined to its route.
    Delegation(Box<Delegation>),
    Feed(Feed),
    Gap(Gap),
}

impl Output {
    pub fn at(&self) -> Time {
        match self {
            Output::Transition(transition) => transition.at,
            Output::Incident(incident) => incident.at,
            Output::Notable(notable) => notable.at,
            Output::Delegation(delegation) => delegation.at,
            Output::Feed(feed) => feed.at,
            Output::Gap(gap) => gap.at,
        }
    }

    /// The `kind` in JSON. Outputs of one instant are ordered by it, then by subject.
    pub fn kind(&self) -> &'static str {
        match self {
            Output::Delegation(_) => "delegation",
            Output::Feed(_) => "feed",
            Output::Gap(_) => "gap",
            Output::Incident(_) => "incident",
            Output::Notable(_) => "notable",
            Output::Transition(_) => "transition",
        }
    }
}

/// What a transition is about.
///
/// In JSON an object with a `type`. A format that does not describe itself cannot read that back, so there (a saved
/// state) it is a plain enum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", remote = "Self")]
pub enum Subject {
    /// A prefix and the origin that most peer ASes saw when it was last Normal.
    Prefix { prefix: Prefix, origin: Option<Asn> },
    /// A DNS name.
    Name { name: String },
    /// All prefixes of one origin.
    Origin { origin: Asn },
    /// All prefixes of one country.
    Country { country: Country },
    /// A service of the configuration.
    Service { service: String },
}

/// [`Subject`] as it stands in a saved state.
#[derive(Serialize, Deserialize)]
enum PlainSubject {
    Prefix(Prefix, Option<Asn>),
    Name(String),
    Origin(Asn),
    Country(Country),
    Service(String),
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Subject::serialize(self, serializer);
        }
        let plain = match self.clone() {
            Subject::Prefix { prefix, origin } => PlainSubject::Prefix(prefix, origin),
            Subject::Name { name } => PlainSubject::Name(name),
            Subject::Origin { origin } => PlainSubject::Origin(origin),
            Subject::Country { country } => PlainSubject::Country(country),
            Subject::Service { service } => PlainSubject::Service(service),
        };
        plain.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Subject::deserialize(deserializer);
        }
        Ok(match PlainSubject::deserialize(deserializer)? {
            PlainSubject::Prefix(prefix, origin) => Subject::Prefix { prefix, origin },
            PlainSubject::Name(name) => Subject::Name { name },
            PlainSubject::Origin(origin) => Subject::Origin { origin },
            PlainSubject::Country(country) => Subject::Country { country },
            PlainSubject::Service(service) => Subject::Service { service },
        })
    }
}

impl Subject {
    /// `type` and the thing itself as text, without what may change or be learnt later (the origin of a prefix).
    /// The identity of whatever is said about it.
    pub fn key(&self) -> (&'static str, String) {
        match self {
            Subject::Prefix { prefix, .. } => ("prefix", prefix.to_string()),
            Subject::Name { name } => ("name", name.clone()),
            Subject::Origin { origin } => ("origin", origin.0.to_string()),
            Subject::Country { country } => ("country", country.to_string()),
            Subject::Service { service } => ("service", service.clone()),
        }
    }
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

/// Which rule of the state machine fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    FirstQuorum,
    /// V↓ below the threshold.
    Falling,
    /// Several peer ASes lost it within a minute.
    Burst,
    Clear,
    Partial,
    Out,
    Rising,
    Whole,
    QuorumLost,
    QuorumBack,
    LossAccepted,
    /// Of an origin or a country: a share of its prefixes, space or origins.
    Share,
    /// Of a name: rounds of probes.
    Rounds,
}

/// A peer AS that lost a prefix, and when it lost it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lost {
    pub peer_asn: Asn,
    pub at: Time,
    /// It withdrew nothing: the route was missing when its session had resynchronised.
    #[serde(default)]
    pub inferred: bool,
}

/// Why: the rule, its numbers, and who said what. Each list is of peer ASes, ascending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub rule: Rule,
    /// What the share was compared with; `None` where the rule has no threshold.
    pub threshold: Option<f64>,
    /// Since when the condition held, and for how long it had to (seconds).
    pub since: Option<Time>,
    pub hold_s: u64,
    pub lost: Vec<Lost>,
    pub kept: Vec<Asn>,
    /// Their sessions are silent, down, or resynchronising.
    pub unknown: Vec<Asn>,
    /// Kept the route so long after everybody else that they have no vote.
    pub zombies: Vec<Asn>,
    /// How many collectors the peer ASes of the baseline are seen through.
    pub collectors: u32,
    /// The largest share of the lost weight that one collector has.
    pub one_collector: f64,
    /// Share of the baseline that is known, by weight.
    pub known: f64,
    /// Of an origin or a country: what it was a share of.
    #[serde(default)]
    pub share: Option<Share>,
}

/// Of a name: who sees what, and for how long caches still hide a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameEvidence {
    /// The latest end of a TTL among the last good answers of the resolvers: until then some users notice nothing.
    /// `None`: no resolver has given a fresh answer.
    pub masked_until: Option<Time>,
    /// By name of the vantage.
    pub vantages: Vec<VantageView>,
    /// By vantage and resolver.
    pub caches: Vec<CacheView>,
}

/// What one vantage sees of the authorities of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VantageView {
    pub vantage: String,
    /// It sees the network and has asked lately, so that its view counts.
    pub sighted: bool,
    pub servers_ok: u32,
    pub servers_eligible: u32,
}

/// What one resolver, seen from one vantage, has in its cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheView {
    pub vantage: String,
    pub resolver: SocketAddr,
    /// It gave a useful answer in its last round.
    pub good: bool,
    /// That answer was past its TTL (RFC 8767; EDE 3 or 19 of RFC 8914): the resolver reaches no authority.
    pub stale: bool,
    /// Its last fresh answer and the TTL that came with it.
    pub until: Option<Time>,
}

/// How much of an origin or a country is gone, in the address family that decided. IPv4 and IPv6 are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub family: Family,
    /// Stable prefixes, and how many of them are Partial or Out.
    pub prefixes: u32,
    pub prefixes_down: u32,
    /// The space of those prefixes, in /24s or /48s.
    pub space: f64,
    pub space_down: f64,
    /// Of a country: its origins, and how many of them are Out.
    pub origins: Option<u32>,
    pub origins_down: Option<u32>,
}

/// What a [`Notable`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotableKind {
    /// A new origin, or a more-specific of another origin: possible hijack.
    OriginChange,
    /// Many prefixes gained one common AS triplet.
    Leak,
    /// Far more updates than usual, while the routes stay.
    Churn,
    /// Third entry into Partial or Out within 1800 s.
    Flapping,
    /// An origin announces less space than its 7-day median.
    Space,
    /// A routing beacon was announced or withdrawn: how long it took to be seen.
    Beacon,
    /// How far the baselines have been learnt.
    Baseline,
    /// An archive has filled a hole of a feed; `over`: a verdict that the hole had caused is withdrawn.
    Healed,
    /// A host that asks DNS questions sees the network no more: about ourselves, never about a name.
    VantageOffline,
    /// One resolver fails where others do not, or fails for names of others too: about that resolver only.
    ResolverFault,
    /// R0: most feeds or vantages are lost: about ourselves. What needs them is not judged until they are back.
    MonitorFault,
    /// R8: users of a service have trouble, and its routes and names are fine: no network-layer fault.
    NoNetworkFault,
}

impl NotableKind {
    pub fn name(self) -> &'static str {
        match self {
            NotableKind::OriginChange => "origin_change",
            NotableKind::Leak => "leak",
            NotableKind::Churn => "churn",
            NotableKind::Flapping => "flapping",
            NotableKind::Space => "space",
            NotableKind::Beacon => "beacon",
            NotableKind::Baseline => "baseline",
            NotableKind::Healed => "healed",
            NotableKind::VantageOffline => "vantage_offline",
            NotableKind::ResolverFault => "resolver_fault",
            NotableKind::MonitorFault => "monitor_fault",
            NotableKind::NoNetworkFault => "no_network_fault",
        }
    }
}

/// Something worth writing down that is no outage. What does not apply is `None` or empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notable {
    /// Of kind, subject and first evidence.
    pub id: Id,
    pub what: NotableKind,
    /// `None`: the feed as a whole.
    pub subject: Option<Subject>,
    pub at: Time,
    pub first_evidence_at: Time,
    /// It has ended; the id is that of its beginning.
    pub over: bool,
    pub baseline: Option<Baseline>,
    /// Origins before (of the prefix, or of the route that covers it) and the new ones, ascending.
    pub old_origins: Vec<Asn>,
    pub new_origins: Vec<Asn>,
    /// The less-specific route that the prefix was carved out of.
    pub covered_by: Option<Prefix>,
    /// Peer ASes that see it.
    pub peers: Option<u32>,
    /// AS triplet that the prefixes gained, in path order.
    pub triplet: Option<[Asn; 3]>,
    pub prefixes: Option<u32>,
    /// What was measured, and what is usual (updates, /24s, seconds), in the unit of the kind.
    pub measured: Option<f64>,
    pub usual: Option<f64>,
    pub watched: bool,
    /// One sentence for people.
    pub summary: String,
}

impl Notable {
    /// A statement about nothing yet, without an id: to be filled in (`..Notable::blank(what, at)`).
    pub fn blank(what: NotableKind, at: Time) -> Self {
        Notable {
            id: Id::default(),
            what,
            subject: None,
            at,
            first_evidence_at: at,
            over: false,
            baseline: None,
            old_origins: Vec::new(),
            new_origins: Vec::new(),
            covered_by: None,
            peers: None,
            triplet: None,
            prefixes: None,
            measured: None,
            usual: None,
            watched: false,
            summary: String::new(),
        }
    }
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
    /// A routing beacon: written down, never alerted on.
    pub beacon: bool,
    /// An archive has filled a hole in a feed: this verdict is new, the time of its evidence is not.
    pub healed: bool,
    pub evidence: Option<Box<Evidence>>,
    /// Of a name: what each vantage and each cache says.
    #[serde(default)]
    pub dns: Option<Box<NameEvidence>>,
}

impl Transition {
    /// One of which nothing else is known yet: to be filled in (`..Transition::plain(…)`).
    pub fn plain(subject: Subject, from: State, to: State, at: Time) -> Self {
        Transition {
            subject,
            from,
            to,
            at,
            first_evidence_at: at,
            visibility: None,
            peers_seen: None,
            peers_lost: None,
            peers_unknown: None,
            peers_eligible: None,
            baseline: None,
            cover: None,
            finding: None,
            servers_ok: None,
            servers_eligible: None,
            resolvers_ok: None,
            resolvers_eligible: None,
            watched: false,
            beacon: false,
            healed: false,
            evidence: None,
            dns: None,
        }
    }

    /// Of subject, states and time; the numbers beside them are evidence, not identity.
    pub fn id(&self) -> Id {
        let (kind, what) = self.subject.key();
        let at = self.at.micros().to_string();
        Id::of(&["transition", kind, &what, self.from.name(), self.to.name(), &at])
    }
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
