//! `delegations`: whom each name depends on, address by address.

use netfault_model::{Address, Delegation, DelegationFinding, NameServer, Route};

use super::Names;
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "name",
    "at",
    "vantage",
    "frozen",
    "complete",
    "end",
    "zone",
    "parent_ns",
    "child_ns",
    "ds",
    "servers.zone",
    "servers.name",
    "servers.addr",
    "servers.in_parent",
    "servers.in_child",
    "servers.glue",
    "servers.outcome",
    "servers.prefix",
    "servers.origin",
    "aliases",
    "addresses.addr",
    "addresses.prefix",
    "addresses.origin",
    "findings.fault",
    "findings.kind",
    "findings.zone",
    "findings.text",
];

/// Memory held by one row, roughly, in bytes.
pub(super) fn size(row: &Delegation) -> usize {
    let texts: usize = row.findings.iter().map(|finding| 64 + finding.text.len()).sum();
    let names = (row.parent_ns.len() + row.child_ns.len() + row.aliases.len()) * 48;
    512 + row.servers.len() * 192 + row.addresses.len() * 64 + names + texts
}

pub(super) fn encode(rows: &[Delegation]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    Names::column(&mut block, "name", rows.iter().map(|row| row.name.as_str()));
    block.times("at", rows.iter().map(|row| row.at.micros()));
    Names::column(&mut block, "vantage", rows.iter().map(|row| row.vantage.as_str()));
    let mut flag = |name: &str, value: fn(&Delegation) -> bool| {
        let values: Vec<u8> = rows.iter().map(|row| u8::from(value(row))).collect();
        block.bytes(name, "Bool", &values);
    };
    flag("frozen", |row| row.frozen);
    flag("complete", |row| row.complete);
    Names::column(&mut block, "end", rows.iter().map(|row| row.end.as_str()));
    let zones = rows.iter().map(|row| row.zone.as_deref().unwrap_or_default());
    Names::column(&mut block, "zone", zones);
    block.string_arrays("parent_ns", rows.iter().map(|row| row.parent_ns.as_slice()));
    block.string_arrays("child_ns", rows.iter().map(|row| row.child_ns.as_slice()));
    let tags: Vec<&[u16]> = rows.iter().map(|row| row.ds.as_slice()).collect();
    block.arrays("ds", "UInt16", &tags, |tag| tag.to_le_bytes());
    servers(&mut block, rows);
    block.string_arrays("aliases", rows.iter().map(|row| row.aliases.as_slice()));
    addresses(&mut block, rows);
    findings(&mut block, rows);
    block.finish()
}

fn servers(block: &mut Block, rows: &[Delegation]) {
    let all: Vec<&[NameServer]> = rows.iter().map(|row| row.servers.as_slice()).collect();
    block.text_arrays("servers.zone", &all, |it| it.zone.clone());
    block.text_arrays("servers.name", &all, |it| it.name.clone());
    block.text_arrays("servers.addr", &all, |it| it.addr.to_string());
    block.arrays("servers.in_parent", "Bool", &all, |it| [u8::from(it.in_parent)]);
    block.arrays("servers.in_child", "Bool", &all, |it| [u8::from(it.in_child)]);
    block.arrays("servers.glue", "Bool", &all, |it| [u8::from(it.glue)]);
    block.text_arrays("servers.outcome", &all, |it| {
        it.outcome.map_or("", |outcome| outcome.name()).to_owned()
    });
    block.text_arrays("servers.prefix", &all, |it| prefix(it.route));
    block.arrays("servers.origin", "UInt32", &all, |it| {
        origin(it.route).to_le_bytes()
    });
}

fn addresses(block: &mut Block, rows: &[Delegation]) {
    let all: Vec<&[Address]> = rows.iter().map(|row| row.addresses.as_slice()).collect();
    block.text_arrays("addresses.addr", &all, |it| it.addr.to_string());
    block.text_arrays("addresses.prefix", &all, |it| prefix(it.route));
    block.arrays("addresses.origin", "UInt32", &all, |it| {
        origin(it.route).to_le_bytes()
    });
}

fn findings(block: &mut Block, rows: &[Delegation]) {
    let all: Vec<&[DelegationFinding]> = rows.iter().map(|row| row.findings.as_slice()).collect();
    block.arrays("findings.fault", "Bool", &all, |it| [u8::from(it.fault)]);
    block.text_arrays("findings.kind", &all, |it| it.kind.clone());
    block.text_arrays("findings.zone", &all, |it| it.zone.clone());
    block.text_arrays("findings.text", &all, |it| it.text.clone());
}

fn prefix(route: Option<Route>) -> String {
    route.map(|route| route.prefix.to_string()).unwrap_or_default()
}

/// AS 0 is reserved (RFC 7607), so it can stand for none.
fn origin(route: Option<Route>) -> u32 {
    route.and_then(|route| route.origin).map_or(0, |asn| asn.0)
}
