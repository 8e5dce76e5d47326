//! `transitions`: what the engine decided.

use netfault_model::{Asn, Evidence, Lost, NameEvidence, Transition};

use super::{Names, json, serde_name, subjects};
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "id",
    "subject_type",
    "subject",
    "prefix_addr",
    "prefix_len",
    "origin",
    "from_state",
    "to_state",
    "at",
    "first_evidence_at",
    "visibility",
    "peers_seen",
    "peers_lost",
    "peers_unknown",
    "peers_eligible",
    "servers_ok",
    "servers_eligible",
    "resolvers_ok",
    "resolvers_eligible",
    "baseline",
    "cover",
    "finding",
    "watched",
    "beacon",
    "healed",
    "rule",
    "threshold",
    "since",
    "hold_s",
    "lost_asns",
    "lost_at",
    "lost_inferred",
    "kept",
    "unknown",
    "zombies",
    "collectors",
    "one_collector",
    "known",
    "share",
    "masked_until",
    "dns",
];

/// Memory held by one row, roughly, in bytes.
pub(super) fn size(row: &Transition) -> usize {
    let peers =
        |it: &Evidence| it.lost.len() * 16 + (it.kept.len() + it.unknown.len() + it.zombies.len()) * 4;
    let views = |it: &NameEvidence| (it.vantages.len() + it.caches.len()) * 96;
    256 + row.evidence.as_deref().map_or(0, |it| 128 + peers(it)) + row.dns.as_deref().map_or(0, views)
}

pub(super) fn encode(rows: &[Transition]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.u64s("id", rows.iter().map(|row| row.id().0));
    subjects::columns(&mut block, rows.iter().map(|row| Some(&row.subject)));
    Names::column(&mut block, "from_state", rows.iter().map(|row| row.from.name()));
    Names::column(&mut block, "to_state", rows.iter().map(|row| row.to.name()));
    block.times("at", rows.iter().map(|row| row.at.micros()));
    block.times(
        "first_evidence_at",
        rows.iter().map(|row| row.first_evidence_at.micros()),
    );
    let visibility: Vec<_> = rows.iter().map(|row| row.visibility).collect();
    block.nullable("visibility", "Float64", &visibility, |value| value.to_le_bytes());
    let mut count = |name: &str, value: fn(&Transition) -> Option<u32>| {
        let values: Vec<_> = rows.iter().map(value).collect();
        block.nullable(name, "UInt32", &values, |value| value.to_le_bytes());
    };
    count("peers_seen", |row| row.peers_seen);
    count("peers_lost", |row| row.peers_lost);
    count("peers_unknown", |row| row.peers_unknown);
    count("peers_eligible", |row| row.peers_eligible);
    count("servers_ok", |row| row.servers_ok);
    count("servers_eligible", |row| row.servers_eligible);
    count("resolvers_ok", |row| row.resolvers_ok);
    count("resolvers_eligible", |row| row.resolvers_eligible);
    let mut word = |name: &str, value: &dyn Fn(&Transition) -> Option<String>| {
        let words: Vec<_> = rows.iter().map(|row| value(row).unwrap_or_default()).collect();
        Names::column(&mut block, name, words.iter().map(String::as_str));
    };
    word("baseline", &|row| row.baseline.as_ref().map(serde_name));
    word("cover", &|row| row.cover.as_ref().map(serde_name));
    word("finding", &|row| row.finding.as_ref().map(serde_name));
    let mut flag = |name: &str, value: fn(&Transition) -> bool| {
        let values: Vec<u8> = rows.iter().map(|row| u8::from(value(row))).collect();
        block.bytes(name, "Bool", &values);
    };
    flag("watched", |row| row.watched);
    flag("beacon", |row| row.beacon);
    flag("healed", |row| row.healed);
    evidence(&mut block, rows);
    names(&mut block, rows);
    block.finish()
}

/// Who said what, and the numbers of the rule. Empty or null without evidence.
fn evidence(block: &mut Block, rows: &[Transition]) {
    let all: Vec<Option<&Evidence>> = rows.iter().map(|row| row.evidence.as_deref()).collect();
    let rules: Vec<_> = all
        .iter()
        .map(|it| it.map(|it| serde_name(&it.rule)).unwrap_or_default())
        .collect();
    Names::column(block, "rule", rules.iter().map(String::as_str));
    let thresholds: Vec<_> = all.iter().map(|it| it.and_then(|it| it.threshold)).collect();
    block.nullable("threshold", "Float64", &thresholds, |value| value.to_le_bytes());
    let since: Vec<_> = all.iter().map(|it| it.and_then(|it| it.since)).collect();
    block.nullable("since", "DateTime64(6)", &since, |at| at.micros().to_le_bytes());
    let holds: Vec<_> = all.iter().map(|it| it.map(|it| it.hold_s)).collect();
    block.nullable("hold_s", "UInt64", &holds, |value| value.to_le_bytes());
    let lost: Vec<&[Lost]> = all.iter().map(|it| it.map_or(&[][..], |it| &it.lost)).collect();
    block.arrays("lost_asns", "UInt32", &lost, |lost| lost.peer_asn.0.to_le_bytes());
    block.arrays("lost_at", "DateTime64(6)", &lost, |lost| {
        lost.at.micros().to_le_bytes()
    });
    block.arrays("lost_inferred", "Bool", &lost, |lost| [u8::from(lost.inferred)]);
    let mut peers = |name: &str, value: fn(&Evidence) -> &[Asn]| {
        let lists: Vec<&[Asn]> = all.iter().map(|it| it.map_or(&[][..], value)).collect();
        block.arrays(name, "UInt32", &lists, |asn| asn.0.to_le_bytes());
    };
    peers("kept", |it| &it.kept);
    peers("unknown", |it| &it.unknown);
    peers("zombies", |it| &it.zombies);
    let collectors: Vec<_> = all.iter().map(|it| it.map(|it| it.collectors)).collect();
    block.nullable("collectors", "UInt32", &collectors, |value| value.to_le_bytes());
    let mut share = |name: &str, value: fn(&Evidence) -> f64| {
        let values: Vec<_> = all.iter().map(|it| it.map(value)).collect();
        block.nullable(name, "Float64", &values, |value| value.to_le_bytes());
    };
    share("one_collector", |it| it.one_collector);
    share("known", |it| it.known);
    let shares: Vec<_> = all
        .iter()
        .map(|it| it.and_then(|it| it.share.as_ref()).map(json).unwrap_or_default())
        .collect();
    block.strings("share", shares.iter().map(String::as_str));
}

/// What each vantage and each cache says of a name.
fn names(block: &mut Block, rows: &[Transition]) {
    let all: Vec<Option<&NameEvidence>> = rows.iter().map(|row| row.dns.as_deref()).collect();
    let masked: Vec<_> = all.iter().map(|it| it.and_then(|it| it.masked_until)).collect();
    block.nullable("masked_until", "DateTime64(6)", &masked, |at| {
        at.micros().to_le_bytes()
    });
    let said: Vec<_> = all.iter().map(|it| it.map(json).unwrap_or_default()).collect();
    block.strings("dns", said.iter().map(String::as_str));
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::{State, Subject, Time};

    fn transition(at: i64) -> Transition {
        Transition {
            subject: Subject::Prefix {
                prefix: "84.205.71.0/24".parse().unwrap(),
                origin: Some(Asn(12654)),
            },
            from: State::Degrading,
            to: State::Out,
            at: Time::from_micros(at),
            first_evidence_at: Time::from_micros(at - 1),
            visibility: Some(0.18),
            peers_seen: Some(7),
            peers_lost: Some(31),
            peers_unknown: Some(0),
            peers_eligible: Some(38),
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

    #[test]
    fn an_id_is_identity_and_not_evidence() {
        let one = transition(1_203_818_622_000_000);
        let evidence = Transition {
            visibility: Some(0.17),
            peers_seen: None,
            ..one.clone()
        };
        assert_eq!(one.id(), evidence.id());
        assert_ne!(one.id(), transition(1_203_818_622_000_001).id());
        assert_ne!(
            one.id(),
            Transition {
                to: State::Partial,
                ..one.clone()
            }
            .id()
        );
    }
}
