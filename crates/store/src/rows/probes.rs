//! `dns_probes`: every question that was asked, and how it ended.

use netfault_model::Probe;

use super::{ARRIVAL, Names, arrival, serde_name};
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "at",
    "vantage",
    "name",
    "role",
    "server",
    "port",
    "qname",
    "qtype",
    "outcome",
    "rcode",
    "authoritative",
    "ede_code",
    "ede_text",
    "nsid",
    "latency_us",
    "ttl",
    "answers",
    "transport",
    "packets_sent",
    "arrival",
    "detail",
];

pub(super) fn encode(rows: &[Probe]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.times("at", rows.iter().map(|row| row.at.micros()));
    Names::column(&mut block, "vantage", rows.iter().map(|row| row.vantage.as_str()));
    Names::column(&mut block, "name", rows.iter().map(|row| row.name.as_str()));
    let roles: Vec<_> = rows.iter().map(|row| serde_name(&row.role)).collect();
    Names::column(&mut block, "role", roles.iter().map(String::as_str));
    let servers: Vec<_> = rows.iter().map(|row| row.server.ip().to_string()).collect();
    Names::column(&mut block, "server", servers.iter().map(String::as_str));
    block.u16s("port", rows.iter().map(|row| row.server.port()));
    Names::column(&mut block, "qname", rows.iter().map(|row| row.qname.as_str()));
    Names::column(&mut block, "qtype", rows.iter().map(|row| row.qtype.as_str()));
    Names::column(&mut block, "outcome", rows.iter().map(|row| row.outcome.name()));
    let rcodes: Vec<_> = rows.iter().map(|row| row.rcode).collect();
    block.nullable("rcode", "UInt16", &rcodes, |value| value.to_le_bytes());
    let authoritative: Vec<_> = rows.iter().map(|row| u8::from(row.authoritative)).collect();
    block.bytes("authoritative", "Bool", &authoritative);
    let codes: Vec<_> = rows
        .iter()
        .map(|row| row.ede.as_ref().map(|(code, _)| *code))
        .collect();
    block.nullable("ede_code", "UInt16", &codes, |value| value.to_le_bytes());
    block.strings(
        "ede_text",
        rows.iter()
            .map(|row| row.ede.as_ref().map_or("", |(_, text)| text.as_str())),
    );
    block.strings("nsid", rows.iter().map(|row| row.nsid.as_deref().unwrap_or("")));
    block.u32s("latency_us", rows.iter().map(|row| row.latency_us));
    let ttls: Vec<_> = rows.iter().map(|row| row.ttl).collect();
    block.nullable("ttl", "UInt32", &ttls, |value| value.to_le_bytes());
    block.string_arrays("answers", rows.iter().map(|row| row.answers.as_slice()));
    let transports: Vec<_> = rows.iter().map(|row| serde_name(&row.transport)).collect();
    Names::column(&mut block, "transport", transports.iter().map(String::as_str));
    let packets: Vec<_> = rows.iter().map(|row| row.packets_sent).collect();
    block.bytes("packets_sent", "UInt8", &packets);
    let arrivals: Vec<_> = rows.iter().map(|row| arrival(row.arrival)).collect();
    block.bytes("arrival", ARRIVAL, &arrivals);
    block.strings(
        "detail",
        rows.iter().map(|row| row.detail.as_deref().unwrap_or_default()),
    );
    block.finish()
}
