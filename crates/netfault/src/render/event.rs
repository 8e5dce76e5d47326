//! One output of the engine as one line of JSON, in the fixed order of its fields
//! (`schemas/event.schema.json`). Fields are added behind the others, never changed.

use std::net::IpAddr;

use netfault_model::{
    Asn, Baseline, Collector, Cover, Evidence, Feed, FeedState, Finding, Gap, GapSource, Id, NameEvidence,
    Output, Peer, State, Subject, Time, Transition,
};
use serde::Serialize;

/// The `v` of every line.
const VERSION: u8 = 1;

/// One line, without the line end. Absent values are null.
pub fn event_line(output: &Output) -> serde_json::Result<String> {
    match output {
        Output::Transition(transition) => serde_json::to_string(&TransitionEvent::from(transition.as_ref())),
        Output::Incident(incident) => serde_json::to_string(&tagged(output, incident)),
        Output::Notable(notable) => serde_json::to_string(&tagged(output, notable)),
        Output::Delegation(delegation) => serde_json::to_string(&tagged(output, delegation)),
        Output::Gap(gap) => serde_json::to_string(&GapEvent::from(gap)),
        Output::Feed(feed) => serde_json::to_string(&FeedEvent::from(feed)),
    }
}

/// A statement whose own fields are those of its line, in their order.
#[derive(Serialize)]
struct Tagged<'a, T> {
    v: u8,
    kind: &'static str,
    #[serde(flatten)]
    said: &'a T,
}

fn tagged<'a, T>(output: &Output, said: &'a T) -> Tagged<'a, T> {
    Tagged {
        v: VERSION,
        kind: output.kind(),
        said,
    }
}

#[derive(Serialize)]
struct TransitionEvent<'a> {
    v: u8,
    kind: &'static str,
    subject: &'a Subject,
    from: State,
    to: State,
    at: Time,
    first_evidence_at: Time,
    visibility: Option<f64>,
    peers_seen: Option<u32>,
    peers_lost: Option<u32>,
    peers_unknown: Option<u32>,
    peers_eligible: Option<u32>,
    baseline: Option<Baseline>,
    cover: Option<Cover>,
    finding: Option<Finding>,
    servers_ok: Option<u32>,
    servers_eligible: Option<u32>,
    resolvers_ok: Option<u32>,
    resolvers_eligible: Option<u32>,
    watched: bool,
    id: Id,
    beacon: bool,
    healed: bool,
    evidence: Option<&'a Evidence>,
    /// Of names alone: other lines do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<&'a NameEvidence>,
}

impl<'a> From<&'a Transition> for TransitionEvent<'a> {
    fn from(t: &'a Transition) -> Self {
        TransitionEvent {
            v: VERSION,
            kind: "transition",
            subject: &t.subject,
            from: t.from,
            to: t.to,
            at: t.at,
            first_evidence_at: t.first_evidence_at,
            visibility: t.visibility,
            peers_seen: t.peers_seen,
            peers_lost: t.peers_lost,
            peers_unknown: t.peers_unknown,
            peers_eligible: t.peers_eligible,
            baseline: t.baseline,
            cover: t.cover,
            finding: t.finding,
            servers_ok: t.servers_ok,
            servers_eligible: t.servers_eligible,
            resolvers_ok: t.resolvers_ok,
            resolvers_eligible: t.resolvers_eligible,
            watched: t.watched,
            id: t.id(),
            beacon: t.beacon,
            healed: t.healed,
            evidence: t.evidence.as_deref(),
            dns: t.dns.as_deref(),
        }
    }
}

/// A peer beside a field that names its collector already.
#[derive(Serialize)]
struct PeerEvent {
    addr: IpAddr,
    asn: Asn,
}

impl From<Peer> for PeerEvent {
    fn from(peer: Peer) -> Self {
        PeerEvent {
            addr: peer.addr,
            asn: peer.asn,
        }
    }
}

#[derive(Serialize)]
struct GapEvent<'a> {
    v: u8,
    kind: &'static str,
    at: Time,
    source: GapSource,
    collector: Option<Collector>,
    peer: Option<PeerEvent>,
    from: Option<Time>,
    to: Option<Time>,
    offset: Option<u64>,
    reason: &'a str,
    lost: Option<u64>,
}

impl<'a> From<&'a Gap> for GapEvent<'a> {
    fn from(gap: &'a Gap) -> Self {
        GapEvent {
            v: VERSION,
            kind: "gap",
            at: gap.at,
            source: gap.source,
            collector: gap.collector.or(gap.peer.map(|peer| peer.collector)),
            peer: gap.peer.map(PeerEvent::from),
            from: gap.from,
            to: gap.to,
            offset: gap.offset,
            reason: &gap.reason,
            lost: gap.lost,
        }
    }
}

#[derive(Serialize)]
struct FeedEvent<'a> {
    v: u8,
    kind: &'static str,
    at: Time,
    collector: Collector,
    peer: Option<PeerEvent>,
    state: FeedState,
    reason: &'a str,
}

impl<'a> From<&'a Feed> for FeedEvent<'a> {
    fn from(feed: &'a Feed) -> Self {
        FeedEvent {
            v: VERSION,
            kind: "feed",
            at: feed.at,
            collector: feed.collector,
            peer: feed.peer.map(PeerEvent::from),
            state: feed.state,
            reason: &feed.reason,
        }
    }
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
