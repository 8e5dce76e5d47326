//! `bgp_updates`: the hot path. One row per prefix of an UPDATE, kept as columns from the start, with
//! prefixes, peers and paths interned, so that a row costs some 30 bytes and no allocation.

use std::collections::hash_map::Entry;

use netfault_model::{Peer, Prefix, Time, Update};
use rustc_hash::FxHashMap;

use super::{ARRIVAL, Names, arrival, mapped};
use crate::native::{Block, string_key};

pub(super) const COLUMNS: &[&str] = &[
    "prefix",
    "prefix_addr",
    "prefix_len",
    "collector",
    "peer_addr",
    "peer_asn",
    "path_id",
    "at",
    "seq",
    "kind",
    "origin",
    "path",
    "arrival",
];

const WITHDRAW: u8 = 0;
const ANNOUNCE: u8 = 1;
const KIND: &str = "Enum8('withdraw' = 0, 'announce' = 1)";

/// Rows of one block.
#[derive(Default)]
pub(crate) struct UpdateBatch {
    prefixes: Vec<Prefix>,
    prefix_index: FxHashMap<Prefix, u32>,
    peers: Vec<Peer>,
    peer_index: FxHashMap<Peer, u32>,
    /// AS numbers of all paths, one after another; one path per announcement, shared by its prefixes.
    asns: Vec<u32>,
    rows: Vec<Row>,
    newest: Option<Time>,
}

#[derive(Clone, Copy)]
struct Row {
    prefix: u32,
    peer: u32,
    path_id: u32,
    seq: u32,
    at: i64,
    path_start: u32,
    path_len: u16,
    kind: u8,
    arrival: u8,
    origin: u32,
}

impl UpdateBatch {
    /// Adds every prefix of one message. `seq` numbers the messages of this peer at this instant:
    /// archives of 2008 have whole seconds, and within one of them the order is all there is.
    pub fn push(&mut self, update: &Update, seq: u32) {
        let next = self.peers.len() as u32;
        let peer = *self.peer_index.entry(update.peer).or_insert_with(|| {
            self.peers.push(update.peer);
            next
        });
        let mut row = Row {
            prefix: 0,
            peer,
            path_id: 0,
            seq,
            at: update.at.micros(),
            path_start: self.asns.len() as u32,
            path_len: 0,
            kind: WITHDRAW,
            arrival: arrival(update.arrival),
            origin: 0,
        };
        for nlri in update.withdrawn() {
            (row.prefix, row.path_id) = (self.prefix(nlri.prefix), nlri.path_id);
            self.rows.push(row);
        }
        if !update.announced().is_empty() {
            row.kind = ANNOUNCE;
            if let Some(announcement) = &update.announcement {
                // A message holds at most 4,096 or 65,535 octets (RFC 8654), so a path never reaches this limit.
                let path = &announcement.path[..announcement.path.len().min(usize::from(u16::MAX))];
                self.asns.extend(path.iter().map(|asn| asn.0));
                row.path_len = path.len() as u16;
                row.origin = announcement.origin.map_or(0, |asn| asn.0);
            }
            for nlri in update.announced() {
                (row.prefix, row.path_id) = (self.prefix(nlri.prefix), nlri.path_id);
                self.rows.push(row);
            }
        }
        self.newest = self.newest.max(Some(update.at));
    }

    fn prefix(&mut self, prefix: Prefix) -> u32 {
        match self.prefix_index.entry(prefix) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let index = self.prefixes.len() as u32;
                self.prefixes.push(prefix);
                *new.insert(index)
            }
        }
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub fn size(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.asns.len() * 4 + self.prefixes.len() * 64
    }

    pub fn newest(&self) -> Option<Time> {
        self.newest
    }

    /// The block, in the order of the table's key: then the server only checks the order and does not sort.
    pub fn encode(&self) -> Vec<u8> {
        let texts: Vec<String> = self.prefixes.iter().map(Prefix::to_string).collect();
        let peers: Vec<String> = self.peers.iter().map(|peer| peer.addr.to_string()).collect();
        let prefix_rank = ranks(&texts, |text| text.as_str());
        let keys: Vec<_> = self
            .peers
            .iter()
            .zip(&peers)
            .map(|(peer, addr)| (peer.collector.name(), addr))
            .collect();
        let peer_rank = ranks(&keys, |key| *key);
        let rows = self.sorted(&prefix_rank, &peer_rank);
        let rows = rows.as_slice();

        let mut block = Block::new(COLUMNS, rows.len());
        let prefix_keys = texts.iter().map(|text| string_key(text));
        block.dictionary("prefix", "String", prefix_keys, rows.iter().map(|row| row.prefix));
        let addrs: Vec<[u8; 16]> = self.prefixes.iter().map(|prefix| mapped(prefix.addr())).collect();
        block.addrs("prefix_addr", rows.iter().map(|row| addrs[row.prefix as usize]));
        let lens: Vec<u8> = rows
            .iter()
            .map(|row| self.prefixes[row.prefix as usize].len())
            .collect();
        block.bytes("prefix_len", "UInt8", &lens);
        self.peer_columns(&mut block, rows, &peers);
        block.u32s("path_id", rows.iter().map(|row| row.path_id));
        block.times("at", rows.iter().map(|row| row.at));
        block.u32s("seq", rows.iter().map(|row| row.seq));
        let kinds: Vec<u8> = rows.iter().map(|row| row.kind).collect();
        block.bytes("kind", KIND, &kinds);
        block.u32s("origin", rows.iter().map(|row| row.origin));
        block.u32_arrays("path", rows.iter().map(|row| self.path(row)));
        let arrivals: Vec<u8> = rows.iter().map(|row| row.arrival).collect();
        block.bytes("arrival", ARRIVAL, &arrivals);
        block.finish()
    }

    /// collector, peer_addr, peer_asn
    fn peer_columns(&self, block: &mut Block, rows: &[Row], addrs: &[String]) {
        let mut collectors = Names::default();
        let of_peer: Vec<u32> = self
            .peers
            .iter()
            .map(|peer| collectors.index(peer.collector.name()))
            .collect();
        block.dictionary(
            "collector",
            "String",
            collectors.keys.iter().map(|name| string_key(name)),
            rows.iter().map(|row| of_peer[row.peer as usize]),
        );
        let mut texts = Names::default();
        let of_peer: Vec<u32> = addrs.iter().map(|addr| texts.index(addr)).collect();
        block.dictionary(
            "peer_addr",
            "String",
            texts.keys.iter().map(|addr| string_key(addr)),
            rows.iter().map(|row| of_peer[row.peer as usize]),
        );
        block.u32s(
            "peer_asn",
            rows.iter().map(|row| self.peers[row.peer as usize].asn.0),
        );
    }

    fn path(&self, row: &Row) -> &[u32] {
        let start = row.path_start as usize;
        &self.asns[start..start + usize::from(row.path_len)]
    }

    /// The rows in the order (prefix, collector, peer_addr, path_id, at, seq, kind).
    fn sorted(&self, prefix_rank: &[u32], peer_rank: &[u32]) -> Vec<Row> {
        // First all rows to their prefix by counting, then each prefix by itself: it has few rows.
        let mut ends = vec![0u32; prefix_rank.len() + 1];
        for row in &self.rows {
            ends[prefix_rank[row.prefix as usize] as usize + 1] += 1;
        }
        for index in 1..ends.len() {
            ends[index] += ends[index - 1];
        }
        let Some(first) = self.rows.first() else {
            return Vec::new();
        };
        let mut out = vec![*first; self.rows.len()];
        let mut next = ends.clone();
        for row in &self.rows {
            let slot = &mut next[prefix_rank[row.prefix as usize] as usize];
            out[*slot as usize] = *row;
            *slot += 1;
        }
        for span in ends.windows(2) {
            out[span[0] as usize..span[1] as usize].sort_by_key(|row| {
                (
                    peer_rank[row.peer as usize],
                    row.path_id,
                    row.at,
                    row.seq,
                    row.kind,
                )
            });
        }
        out
    }
}

/// The place of each item in the order of its key.
fn ranks<'a, T, K: Ord>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<u32> {
    let mut order: Vec<u32> = (0..items.len() as u32).collect();
    order.sort_by_cached_key(|index| key(&items[*index as usize]));
    let mut ranks = vec![0; items.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index as usize] = rank as u32;
    }
    ranks
}
