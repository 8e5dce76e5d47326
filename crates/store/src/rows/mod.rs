//! What is stored: one file per table, each from the vocabulary of `netfault-model` to a `Native` block.

pub(crate) mod delegations;
pub(crate) mod feed;
pub(crate) mod hints;
pub(crate) mod incidents;
pub(crate) mod notables;
pub(crate) mod probes;
mod subjects;
pub(crate) mod transitions;
pub(crate) mod updates;

use std::net::IpAddr;

use netfault_model::{Arrival, Delegation, Hint, Incident, Notable, Time};
use serde::Serialize;

use feed::FeedRow;
use netfault_model::{Probe, Transition};
use updates::UpdateBatch;

/// The tables that the writer fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    BgpUpdates,
    Transitions,
    DnsProbes,
    FeedStatus,
    Incidents,
    Notables,
    Delegations,
    Reports,
    Hints,
}

impl Table {
    /// In the order of their codes, which stand in the spool: a new one comes last.
    pub const ALL: [Table; 9] = [
        Table::BgpUpdates,
        Table::Transitions,
        Table::DnsProbes,
        Table::FeedStatus,
        Table::Incidents,
        Table::Notables,
        Table::Delegations,
        Table::Reports,
        Table::Hints,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Table::BgpUpdates => "bgp_updates",
            Table::Transitions => "transitions",
            Table::DnsProbes => "dns_probes",
            Table::FeedStatus => "feed_status",
            Table::Incidents => "incidents",
            Table::Notables => "notables",
            Table::Delegations => "delegations",
            Table::Reports => "reports",
            Table::Hints => "hints",
        }
    }

    /// The columns that the writer fills; the others have defaults.
    pub(crate) fn columns(self) -> &'static [&'static str] {
        match self {
            Table::BgpUpdates => updates::COLUMNS,
            Table::Transitions => transitions::COLUMNS,
            Table::DnsProbes => probes::COLUMNS,
            Table::FeedStatus => feed::COLUMNS,
            Table::Incidents => incidents::COLUMNS,
            Table::Notables => notables::COLUMNS,
            Table::Delegations => delegations::COLUMNS,
            Table::Reports => hints::REPORT_COLUMNS,
            Table::Hints => hints::HINT_COLUMNS,
        }
    }

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Table> {
        Table::ALL.get(usize::from(code)).copied()
    }

    /// True for what a full spool may shed. What was decided, whom names depended on then, and the state of feeds, are
    /// kept: without them nobody knows afterwards what was said, and on what.
    pub fn may_be_shed(self) -> bool {
        matches!(
            self,
            Table::BgpUpdates | Table::DnsProbes | Table::Reports | Table::Hints
        )
    }
}

/// Rows on their way to one table.
pub(crate) enum Batch {
    Updates(UpdateBatch),
    Transitions(Vec<Transition>),
    Probes(Vec<Probe>),
    Feed(Vec<FeedRow>),
    Incidents(Vec<Incident>),
    Notables(Vec<Notable>),
    Delegations(Vec<Delegation>),
    Reports(Vec<Hint>),
    Hints(Vec<Hint>),
}

impl Batch {
    pub fn empty(table: Table) -> Self {
        match table {
            Table::BgpUpdates => Batch::Updates(UpdateBatch::default()),
            Table::Transitions => Batch::Transitions(Vec::new()),
            Table::DnsProbes => Batch::Probes(Vec::new()),
            Table::FeedStatus => Batch::Feed(Vec::new()),
            Table::Incidents => Batch::Incidents(Vec::new()),
            Table::Notables => Batch::Notables(Vec::new()),
            Table::Delegations => Batch::Delegations(Vec::new()),
            Table::Reports => Batch::Reports(Vec::new()),
            Table::Hints => Batch::Hints(Vec::new()),
        }
    }

    pub fn table(&self) -> Table {
        match self {
            Batch::Updates(_) => Table::BgpUpdates,
            Batch::Transitions(_) => Table::Transitions,
            Batch::Probes(_) => Table::DnsProbes,
            Batch::Feed(_) => Table::FeedStatus,
            Batch::Incidents(_) => Table::Incidents,
            Batch::Notables(_) => Table::Notables,
            Batch::Delegations(_) => Table::Delegations,
            Batch::Reports(_) => Table::Reports,
            Batch::Hints(_) => Table::Hints,
        }
    }

    pub fn rows(&self) -> usize {
        match self {
            Batch::Updates(batch) => batch.rows(),
            Batch::Transitions(rows) => rows.len(),
            Batch::Probes(rows) => rows.len(),
            Batch::Feed(rows) => rows.len(),
            Batch::Incidents(rows) => rows.len(),
            Batch::Notables(rows) => rows.len(),
            Batch::Delegations(rows) => rows.len(),
            Batch::Reports(rows) | Batch::Hints(rows) => rows.len(),
        }
    }

    /// Memory held, roughly, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Batch::Updates(batch) => batch.size(),
            Batch::Transitions(rows) => rows.iter().map(transitions::size).sum(),
            Batch::Probes(rows) => rows.len() * 512,
            Batch::Feed(rows) => rows.len() * 256,
            Batch::Incidents(rows) => rows.iter().map(incidents::size).sum(),
            Batch::Notables(rows) => rows.len() * 384,
            Batch::Delegations(rows) => rows.iter().map(delegations::size).sum(),
            Batch::Reports(rows) | Batch::Hints(rows) => rows.len() * 384,
        }
    }

    /// The time of the newest row.
    pub fn newest(&self) -> Option<Time> {
        match self {
            Batch::Updates(batch) => batch.newest(),
            Batch::Transitions(rows) => rows.iter().map(|row| row.at).max(),
            Batch::Probes(rows) => rows.iter().map(|row| row.at).max(),
            Batch::Feed(rows) => rows.iter().map(FeedRow::at).max(),
            Batch::Incidents(rows) => rows.iter().map(|row| row.at).max(),
            Batch::Notables(rows) => rows.iter().map(|row| row.at).max(),
            Batch::Delegations(rows) => rows.iter().map(|row| row.at).max(),
            Batch::Reports(rows) | Batch::Hints(rows) => rows.iter().map(|row| row.at).max(),
        }
    }

    /// The body of the insert, uncompressed.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Batch::Updates(batch) => batch.encode(),
            Batch::Transitions(rows) => transitions::encode(rows),
            Batch::Probes(rows) => probes::encode(rows),
            Batch::Feed(rows) => feed::encode(rows),
            Batch::Incidents(rows) => incidents::encode(rows),
            Batch::Notables(rows) => notables::encode(rows),
            Batch::Delegations(rows) => delegations::encode(rows),
            Batch::Reports(rows) => hints::encode_reports(rows),
            Batch::Hints(rows) => hints::encode_hints(rows),
        }
    }
}

/// The type of every `arrival` column.
pub(crate) const ARRIVAL: &str = "Enum8('in_time' = 0, 'late' = 1, 'early' = 2)";

pub(crate) fn arrival(arrival: Arrival) -> u8 {
    match arrival {
        Arrival::InTime => 0,
        Arrival::Late => 1,
        Arrival::Early => 2,
    }
}

/// An address in 16 bytes: IPv4 as IPv4-mapped (RFC 4291 §2.5.5.2).
pub(crate) fn mapped(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The first eight bytes of a SHA-256: stable across releases and machines, unlike any hasher of std.
pub(crate) fn stable_id(text: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// An enum with serde names, as those names: `same_origin`. The names of the model are the names in tables.
pub(crate) fn serde_name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("not a unit variant: {other:?}"),
    }
}

/// Any value of the model as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("not JSON: {error}"),
    }
}

/// A dictionary of short strings in order of first appearance.
#[derive(Default)]
pub(crate) struct Names {
    keys: Vec<String>,
    by_name: rustc_hash::FxHashMap<String, u32>,
}

impl Names {
    pub fn index(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.keys.len() as u32;
        self.keys.push(name.to_owned());
        self.by_name.insert(name.to_owned(), index);
        index
    }

    /// A `LowCardinality(String)` column.
    pub fn column<'a>(block: &mut crate::native::Block, name: &str, values: impl Iterator<Item = &'a str>) {
        let mut names = Names::default();
        let indices: Vec<u32> = values.map(|value| names.index(value)).collect();
        let keys = names.keys.iter().map(|key| crate::native::string_key(key));
        block.dictionary(
            name,
            "String",
            keys.collect::<Vec<_>>().into_iter(),
            indices.into_iter(),
        );
    }
}
