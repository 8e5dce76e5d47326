//! `incidents`: every version of what belongs together.

use netfault_model::{Child, Id, Incident, Layer};

use super::{Names, json, serde_name, subjects};
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "id",
    "version",
    "state",
    "subject_type",
    "subject",
    "prefix_addr",
    "prefix_len",
    "origin",
    "cause",
    "at",
    "first_evidence_at",
    "raised_at",
    "cleared_at",
    "confidence",
    "baseline",
    "severity",
    "level",
    "prefixes_down",
    "prefixes",
    "watched",
    "shown",
    "beacon",
    "flapping",
    "reopened",
    "merged_into",
    "summary",
    "said",
    "rule",
    "services",
    "layers.layer",
    "layers.since",
    "layers.recovered_at",
    "children.type",
    "children.subject",
    "children.origin",
    "children.state",
    "children.worst",
    "children.first_evidence_at",
    "children.cleared_at",
];

/// Memory held by one row, roughly, in bytes.
pub(super) fn size(row: &Incident) -> usize {
    // The children stand in two places: as columns, and in what was said.
    1024 + row.summary.len() * 2 + row.children.len() * 288
}

pub(super) fn encode(rows: &[Incident]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.u64s("id", rows.iter().map(|row| row.id.0));
    block.u32s("version", rows.iter().map(|row| row.version));
    Names::column(&mut block, "state", rows.iter().map(|row| row.state.name()));
    subjects::columns(&mut block, rows.iter().map(|row| Some(&row.subject)));
    Names::column(&mut block, "cause", rows.iter().map(|row| row.cause.name()));
    block.times("at", rows.iter().map(|row| row.at.micros()));
    block.times(
        "first_evidence_at",
        rows.iter().map(|row| row.first_evidence_at.micros()),
    );
    block.times("raised_at", rows.iter().map(|row| row.raised_at.micros()));
    let cleared: Vec<_> = rows.iter().map(|row| row.cleared_at).collect();
    block.nullable("cleared_at", "DateTime64(6)", &cleared, |at| {
        at.micros().to_le_bytes()
    });
    block.f64s("confidence", rows.iter().map(|row| row.confidence));
    let baselines: Vec<_> = rows.iter().map(|row| serde_name(&row.baseline)).collect();
    Names::column(&mut block, "baseline", baselines.iter().map(String::as_str));
    let severities: Vec<u8> = rows.iter().map(|row| row.severity).collect();
    block.bytes("severity", "UInt8", &severities);
    Names::column(&mut block, "level", rows.iter().map(|row| row.level.name()));
    block.u32s("prefixes_down", rows.iter().map(|row| row.prefixes_down));
    block.u32s("prefixes", rows.iter().map(|row| row.prefixes));
    let mut flag = |name: &str, value: fn(&Incident) -> bool| {
        let values: Vec<u8> = rows.iter().map(|row| u8::from(value(row))).collect();
        block.bytes(name, "Bool", &values);
    };
    flag("watched", |row| row.watched);
    flag("shown", |row| row.shown);
    flag("beacon", |row| row.beacon);
    flag("flapping", |row| row.flapping);
    block.u32s("reopened", rows.iter().map(|row| row.reopened));
    let merged: Vec<Option<Id>> = rows.iter().map(|row| row.merged_into).collect();
    block.nullable("merged_into", "UInt64", &merged, |id| id.0.to_le_bytes());
    block.strings("summary", rows.iter().map(|row| row.summary.as_str()));
    let said: Vec<String> = rows.iter().map(json).collect();
    block.strings("said", said.iter().map(String::as_str));
    let rules: Vec<_> = rows
        .iter()
        .map(|row| row.rule.as_ref().map(serde_name).unwrap_or_default())
        .collect();
    Names::column(&mut block, "rule", rules.iter().map(String::as_str));
    block.string_arrays("services", rows.iter().map(|row| row.services.as_slice()));
    layers(&mut block, rows);
    children(&mut block, rows);
    block.finish()
}

fn layers(block: &mut Block, rows: &[Incident]) {
    let layers: Vec<&[Layer]> = rows.iter().map(|row| row.layers.as_slice()).collect();
    block.text_arrays("layers.layer", &layers, |it| it.layer.name().to_owned());
    block.arrays("layers.since", "DateTime64(6)", &layers, |it| {
        it.since.micros().to_le_bytes()
    });
    block.nullable_arrays("layers.recovered_at", "DateTime64(6)", &layers, |it| {
        it.recovered_at.map(|at| at.micros().to_le_bytes())
    });
}

fn children(block: &mut Block, rows: &[Incident]) {
    let texts = |value: fn(&Child) -> String| -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.children.iter().map(value).collect())
            .collect()
    };
    let mut text = |name: &str, value: fn(&Child) -> String| {
        let all = texts(value);
        block.string_arrays(name, all.iter().map(Vec::as_slice));
    };
    text("children.type", |child| child.subject.key().0.to_owned());
    text("children.subject", |child| child.subject.key().1);
    let children: Vec<&[Child]> = rows.iter().map(|row| row.children.as_slice()).collect();
    block.arrays("children.origin", "UInt32", &children, |child| {
        subjects::origin(&child.subject)
            .map_or(0, |asn| asn.0)
            .to_le_bytes()
    });
    let mut text = |name: &str, value: fn(&Child) -> String| {
        let all = texts(value);
        block.string_arrays(name, all.iter().map(Vec::as_slice));
    };
    text("children.state", |child| child.state.name().to_owned());
    text("children.worst", |child| child.worst.name().to_owned());
    block.arrays(
        "children.first_evidence_at",
        "DateTime64(6)",
        &children,
        |child| child.first_evidence_at.micros().to_le_bytes(),
    );
    block.nullable_arrays("children.cleared_at", "DateTime64(6)", &children, |child| {
        child.cleared_at.map(|at| at.micros().to_le_bytes())
    });
}
