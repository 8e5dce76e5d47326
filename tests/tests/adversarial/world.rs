//! Collectors, their peers, and what they write down: a timeline that becomes an archive on disk.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use netfault_model::{Prefix, Time};

use crate::wire::{self, Path};

/// 2024-03-01T00:00:00Z.
pub const BEGIN: i64 = 1_709_251_200;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;
/// What every peer announces again and again, by one way and by the other, so that none is silent.
pub const BEAT: &str = "203.0.113.0/24";
const BEAT_ORIGIN: u32 = 5999;
/// The routes of a table dump are so old.
const AGE: i64 = DAY;

pub fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

/// One record of updates.
struct Record {
    peer: usize,
    /// When it was written, which says in which file it is and where.
    at: i64,
    /// What its stamp says, seconds since 1970.
    stamp: i64,
    subtype: u16,
    body: Vec<u8>,
}

struct Collector {
    name: &'static str,
    peers: Range<usize>,
    /// How far its clock is ahead.
    ahead: i64,
    records: Vec<Record>,
}

pub struct World {
    collectors: Vec<Collector>,
    table: BTreeMap<Prefix, Vec<(usize, Path)>>,
    /// How long an update file is.
    pub file: i64,
}

impl World {
    /// Collectors, and how many peers each has.
    pub fn new(collectors: &[(&'static str, usize)]) -> Self {
        let mut first = 0;
        let mut all = Vec::new();
        for &(name, peers) in collectors {
            all.push(Collector {
                name,
                peers: first..first + peers,
                ahead: 0,
                records: Vec::new(),
            });
            first += peers;
        }
        let (table, file) = (BTreeMap::new(), 4 * HOUR);
        let mut world = World {
            collectors: all,
            table,
            file,
        };
        world.hold(BEAT, BEAT_ORIGIN);
        world
    }

    /// Four collectors with six peers each: none of them is indispensable, two are.
    pub fn of_four() -> Self {
        World::new(&[("rrc00", 6), ("rrc01", 6), ("rrc03", 6), ("rrc04", 6)])
    }

    pub fn of_one(peers: usize) -> Self {
        World::new(&[("rrc00", peers)])
    }

    /// All peers.
    pub fn peers(&self) -> Range<usize> {
        0..self.collectors.last().map_or(0, |last| last.peers.end)
    }

    /// The peers of one collector.
    pub fn peers_of(&self, collector: &str) -> Range<usize> {
        self.collector(collector).peers.clone()
    }

    fn collector(&self, name: &str) -> &Collector {
        let found = self.collectors.iter().find(|collector| collector.name == name);
        found.expect("a collector")
    }

    pub fn asn(peer: usize) -> u32 {
        3001 + peer as u32
    }

    fn addr(peer: usize) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, 1 + peer as u8).into()
    }

    /// The peer's path to an origin.
    pub fn route(peer: usize, origin: u32) -> Path {
        Path::of(&[Self::asn(peer), 2001 + peer as u32 % 2, origin])
    }

    /// All peers have had this route for a day.
    pub fn hold(&mut self, text: &str, origin: u32) {
        self.hold_by(text, |peer| Self::route(peer, origin));
    }

    pub fn hold_by(&mut self, text: &str, path: impl Fn(usize) -> Path) {
        let routes = self.peers().map(|peer| (peer, path(peer))).collect();
        self.table.insert(prefix(text), routes);
    }

    pub fn announce(&mut self, at: i64, peer: usize, texts: &[&str], path: &Path) {
        let prefixes: Vec<Prefix> = texts.iter().map(|text| prefix(text)).collect();
        self.update(at, peer, &[], &prefixes, Some(path));
    }

    /// Announces the usual path to `origin`.
    pub fn back(&mut self, at: i64, peer: usize, texts: &[&str], origin: u32) {
        self.announce(at, peer, texts, &Self::route(peer, origin));
    }

    pub fn withdraw(&mut self, at: i64, peer: usize, texts: &[&str]) {
        let prefixes: Vec<Prefix> = texts.iter().map(|text| prefix(text)).collect();
        self.update(at, peer, &prefixes, &[], None);
    }

    pub fn update(&mut self, at: i64, peer: usize, lost: &[Prefix], gained: &[Prefix], path: Option<&Path>) {
        let update = wire::update(lost, gained, path);
        let body = wire::message(Self::asn(peer), Self::addr(peer), &update);
        self.push(at, peer, wire::MESSAGE_AS4, body);
    }

    /// End-of-RIB of IPv4: an UPDATE of nothing.
    pub fn end_of_rib(&mut self, at: i64, peer: usize) {
        self.update(at, peer, &[], &[], None);
    }

    /// The session is down in that time, and says nothing of what it was to say by now.
    pub fn reset(&mut self, peer: usize, down: Range<i64>) {
        let said = |record: &Record| record.peer != peer || !down.contains(&record.at);
        self.collectors
            .iter_mut()
            .for_each(|collector| collector.records.retain(said));
        self.session(down.start, peer, false);
        self.session(down.end, peer, true);
    }

    pub fn session(&mut self, at: i64, peer: usize, up: bool) {
        let body = wire::state_change(Self::asn(peer), Self::addr(peer), up);
        self.push(at, peer, wire::STATE_CHANGE_AS4, body);
    }

    fn push(&mut self, at: i64, peer: usize, subtype: u16, body: Vec<u8>) {
        let home = self
            .collectors
            .iter_mut()
            .find(|collector| collector.peers.contains(&peer));
        let home = home.expect("a peer of some collector");
        let stamp = BEGIN + at + home.ahead;
        home.records.push(Record {
            peer,
            at,
            stamp,
            subtype,
            body,
        });
    }

    /// The stamp of the peer's newest record is wrong.
    pub fn mistime(&mut self, peer: usize, stamp: i64) {
        let home = self
            .collectors
            .iter_mut()
            .find(|collector| collector.peers.contains(&peer));
        let last = home.and_then(|home| home.records.last_mut());
        last.expect("a record").stamp = stamp;
    }

    /// Every peer says something every 48 s (six peers) to 96 s, so that no collector is quiet for more than 8 s.
    pub fn beat(&mut self, until: i64) {
        self.beat_in(0..until);
    }

    pub fn beat_in(&mut self, span: Range<i64>) {
        let beats = self.collectors.iter().map(|collector| collector.peers.clone());
        for peers in beats.collect::<Vec<_>>() {
            let step = 8.min(96 / peers.len() as i64);
            let every = step * peers.len() as i64;
            for peer in peers.clone() {
                let phase = step * (peer - peers.start) as i64;
                for (round, at) in (span.start + 4 + phase..span.end)
                    .step_by(every as usize)
                    .enumerate()
                {
                    let path = Path::of(&[Self::asn(peer), 2001 + round as u32 % 2, BEAT_ORIGIN]);
                    self.announce(at, peer, &[BEAT], &path);
                }
            }
        }
    }

    /// Nothing of what the collector heard in that time was ever written.
    pub fn lose(&mut self, collector: &str, span: Range<i64>) {
        let found = self.collectors.iter_mut().find(|other| other.name == collector);
        let records = &mut found.expect("a collector").records;
        records.retain(|record| !span.contains(&record.at));
    }

    /// The collector's clock is ahead, from now on and in its table dump.
    pub fn ahead(&mut self, collector: &str, seconds: i64) {
        let found = self.collectors.iter_mut().find(|other| other.name == collector);
        found.expect("a collector").ahead = seconds;
    }

    /// Writes the archive, in folders named after the collectors. Updates only, in order of collector and time; the
    /// table dumps are beside them.
    pub fn write(&mut self, folder: &FilePath) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for index in 0..self.collectors.len() {
            let home = folder.join(self.collectors[index].name);
            std::fs::create_dir_all(&home).expect("a folder");
            let dump = home.join(format!("rib.{}", stamp(0)));
            std::fs::write(dump, self.dump(index)).expect("a table dump");
            let collector = &mut self.collectors[index];
            collector.records.sort_by_key(|record| record.at); // stable: what was said first stays first
            let mut parts: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
            for record in &collector.records {
                let part = parts
                    .entry(record.at.div_euclid(self.file) * self.file)
                    .or_default();
                let stamp = u32::try_from(record.stamp).expect("a stamp of MRT");
                wire::record(part, stamp, wire::BGP4MP, record.subtype, &record.body);
            }
            for (from, bytes) in parts {
                let file = home.join(format!("updates.{}", stamp(from)));
                std::fs::write(&file, bytes).expect("a file of updates");
                files.push(file);
            }
        }
        files
    }

    fn dump(&self, index: usize) -> Vec<u8> {
        let Collector { peers, ahead, .. } = &self.collectors[index];
        let index: Vec<_> = peers
            .clone()
            .map(|peer| (Self::asn(peer), Self::addr(peer)))
            .collect();
        let now = (BEGIN + ahead) as u32;
        let mut out = Vec::new();
        wire::record(
            &mut out,
            now,
            wire::TABLE_DUMP_V2,
            wire::PEER_INDEX_TABLE,
            &wire::peer_index(&index),
        );
        for (sequence, (prefix, routes)) in self.table.iter().enumerate() {
            let own = routes.iter().filter(|(peer, _)| peers.contains(peer));
            let routes: Vec<_> = own
                .map(|(peer, path)| ((peer - peers.start) as u16, path))
                .collect();
            let body = wire::rib(sequence as u32, *prefix, now - AGE as u32, &routes);
            let subtype = match prefix.family() {
                netfault_model::Family::V4 => wire::RIB_IPV4_UNICAST,
                netfault_model::Family::V6 => wire::RIB_IPV6_UNICAST,
            };
            wire::record(&mut out, now, wire::TABLE_DUMP_V2, subtype, &body);
        }
        out
    }
}

/// `20240301.0000`.
fn stamp(at: i64) -> String {
    let text = Time::from_secs(BEGIN + at).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!("{}.{}", &digits[..8], &digits[8..12])
}
