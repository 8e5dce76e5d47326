//! `notables`: worth writing down, and no outage.

use netfault_model::{Asn, Notable};

use super::{Names, serde_name, subjects};
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "id",
    "what",
    "subject_type",
    "subject",
    "prefix_addr",
    "prefix_len",
    "origin",
    "at",
    "first_evidence_at",
    "over",
    "baseline",
    "old_origins",
    "new_origins",
    "covered_by",
    "peers",
    "triplet",
    "prefixes",
    "measured",
    "usual",
    "watched",
    "summary",
];

pub(super) fn encode(rows: &[Notable]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.u64s("id", rows.iter().map(|row| row.id.0));
    Names::column(&mut block, "what", rows.iter().map(|row| row.what.name()));
    subjects::columns(&mut block, rows.iter().map(|row| row.subject.as_ref()));
    block.times("at", rows.iter().map(|row| row.at.micros()));
    block.times(
        "first_evidence_at",
        rows.iter().map(|row| row.first_evidence_at.micros()),
    );
    let over: Vec<u8> = rows.iter().map(|row| u8::from(row.over)).collect();
    block.bytes("over", "Bool", &over);
    let baselines: Vec<_> = rows
        .iter()
        .map(|row| row.baseline.as_ref().map(serde_name).unwrap_or_default())
        .collect();
    Names::column(&mut block, "baseline", baselines.iter().map(String::as_str));
    let mut origins = |name: &str, value: fn(&Notable) -> &[Asn]| {
        let lists: Vec<&[Asn]> = rows.iter().map(value).collect();
        block.arrays(name, "UInt32", &lists, |asn| asn.0.to_le_bytes());
    };
    origins("old_origins", |row| &row.old_origins);
    origins("new_origins", |row| &row.new_origins);
    let covers: Vec<_> = rows
        .iter()
        .map(|row| {
            row.covered_by
                .map(|prefix| prefix.to_string())
                .unwrap_or_default()
        })
        .collect();
    block.strings("covered_by", covers.iter().map(String::as_str));
    let peers: Vec<_> = rows.iter().map(|row| row.peers).collect();
    block.nullable("peers", "UInt32", &peers, |value| value.to_le_bytes());
    let triplets: Vec<&[Asn]> = rows
        .iter()
        .map(|row| row.triplet.as_ref().map_or(&[][..], |triplet| &triplet[..]))
        .collect();
    block.arrays("triplet", "UInt32", &triplets, |asn| asn.0.to_le_bytes());
    let prefixes: Vec<_> = rows.iter().map(|row| row.prefixes).collect();
    block.nullable("prefixes", "UInt32", &prefixes, |value| value.to_le_bytes());
    let mut number = |name: &str, value: fn(&Notable) -> Option<f64>| {
        let values: Vec<_> = rows.iter().map(value).collect();
        block.nullable(name, "Float64", &values, |value| value.to_le_bytes());
    };
    number("measured", |row| row.measured);
    number("usual", |row| row.usual);
    let watched: Vec<u8> = rows.iter().map(|row| u8::from(row.watched)).collect();
    block.bytes("watched", "Bool", &watched);
    block.strings("summary", rows.iter().map(|row| row.summary.as_str()));
    block.finish()
}
