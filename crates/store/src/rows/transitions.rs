//! `transitions`: what the engine decided.

use netfault_model::{Subject, Transition};

use super::{Names, mapped, serde_name};
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
];

pub(super) fn encode(rows: &[Transition]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.u64s("id", rows.iter().map(|row| row.id().0));
    subjects(&mut block, rows);
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
    let watched: Vec<u8> = rows.iter().map(|row| u8::from(row.watched)).collect();
    block.bytes("watched", "Bool", &watched);
    block.finish()
}

/// subject_type, subject, prefix_addr, prefix_len, origin
fn subjects(block: &mut Block, rows: &[Transition]) {
    let (mut kinds, mut texts, mut addrs, mut lens, mut origins) = (vec![], vec![], vec![], vec![], vec![]);
    for row in rows {
        let (kind, text) = row.subject.key();
        let (addr, len, origin) = match row.subject {
            Subject::Prefix { prefix, origin } => (mapped(prefix.addr()), prefix.len(), origin),
            Subject::Origin { origin } => ([0; 16], 0, Some(origin)),
            Subject::Name { .. } | Subject::Country { .. } => ([0; 16], 0, None),
        };
        kinds.push(kind);
        texts.push(text);
        addrs.push(addr);
        lens.push(len);
        origins.push(origin.map(|asn| asn.0));
    }
    Names::column(block, "subject_type", kinds.into_iter());
    block.strings("subject", texts.iter().map(String::as_str));
    block.addrs("prefix_addr", addrs.into_iter());
    block.bytes("prefix_len", "UInt8", &lens);
    block.nullable("origin", "UInt32", &origins, |value| value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::{Asn, State, Time};

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
        assert_ne!(
            one.id(),
            transition(1_203_818_622_000_001).id()
        );
        assert_ne!(
            one.id(),
            Transition {
                to: State::Partial,
                ..one.clone()
            }.id()
        );
    }
}
