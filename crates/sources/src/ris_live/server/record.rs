//! MRT files to records, merged by time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bgpkit_parser::models::{
    AsPathSegment, AttributeValue, Bgp4MpEnum, BgpMessage, BgpState, BgpUpdateMessage, MrtMessage,
    NextHopAddress, Nlri, Safi,
};
use bgpkit_parser::{BgpkitParser, FallibleRecordIterator, MrtRecord};
use flate2::bufread::MultiGzDecoder;
use ipnet::IpNet;
use netfault_model::Time;

use super::ServedFile;
use crate::mrt::bunzip2;

/// One message as RIS Live tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub at: Time,
    /// `rrc00.ripe.net`, or the name of a collector elsewhere.
    pub host: Arc<str>,
    pub peer: IpAddr,
    pub peer_asn: u32,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Update(Update),
    /// `connected` or `down`.
    State(&'static str),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    pub path: Vec<Segment>,
    /// `IGP`, `EGP`, `INCOMPLETE`; `None` without announcements.
    pub origin: Option<&'static str>,
    /// One group per next hop. An UPDATE has at most two: its own NLRI and MP_REACH_NLRI.
    pub announced: Vec<Announced>,
    pub withdrawn: Vec<IpNet>,
    /// An empty UPDATE or an empty MP_UNREACH_NLRI (RFC 4724 §2): true for IPv6.
    pub end_of_rib: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub next_hop: IpAddr,
    pub link_local: Option<IpAddr>,
    pub prefixes: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Sequence(Vec<u32>),
    Set(Vec<u32>),
}

/// The `host` of a collector: those of RIS have a domain.
pub fn host(collector: &str) -> String {
    let is_rrc = collector
        .strip_prefix("rrc")
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    if is_rrc {
        format!("{collector}.ripe.net")
    } else {
        collector.to_owned()
    }
}

/// The records of several files. Those of one collector follow each other, collectors are merged by time.
pub struct Records {
    chains: Vec<Chain>,
    pub unreadable: u64,
}

impl Records {
    pub fn new(files: &[ServedFile]) -> Self {
        let mut by_collector: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
        for file in files {
            by_collector
                .entry(&file.collector)
                .or_default()
                .push(file.path.clone());
        }
        let chains = by_collector
            .into_iter()
            .map(|(collector, files)| Chain::new(collector, files))
            .collect();
        Records {
            chains,
            unreadable: 0,
        }
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        for chain in &mut self.chains {
            chain.fill(&mut self.unreadable);
        }
        // The first of the earliest: ties go by collector.
        let earliest = self.chains.iter_mut().filter(|chain| chain.head.is_some());
        earliest
            .min_by_key(|chain| chain.head.as_ref().map(|record| record.at))?
            .head
            .take()
    }
}

struct Chain {
    host: Arc<str>,
    /// The files to come, last first.
    files: Vec<PathBuf>,
    open: Option<FallibleRecordIterator<Box<dyn Read>>>,
    head: Option<Record>,
}

impl Chain {
    fn new(collector: &str, mut files: Vec<PathBuf>) -> Self {
        files.reverse();
        Chain {
            host: host(collector).into(),
            files,
            open: None,
            head: None,
        }
    }

    fn fill(&mut self, unreadable: &mut u64) {
        while self.head.is_none() {
            let Some(open) = &mut self.open else {
                let Some(path) = self.files.pop() else { return };
                match open(&path) {
                    Ok(reader) => {
                        self.open = Some(BgpkitParser::from_reader(reader).into_fallible_record_iter());
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "not served");
                        *unreadable += 1;
                    }
                }
                continue;
            };
            match open.next() {
                Some(Ok(record)) => self.head = convert(record, &self.host),
                Some(Err(error)) => {
                    tracing::debug!(%error, "MRT record that cannot be served");
                    *unreadable += 1;
                }
                None => self.open = None,
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    Ok(match file.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        [b'B', b'Z', b'h', ..] => Box::new(BufReader::new(bunzip2::Reader::new(file))),
        _ => Box::new(file),
    })
}

/// `None` for what RIS Live does not have: table dumps, and messages that are no UPDATE.
fn convert(record: MrtRecord, host: &Arc<str>) -> Option<Record> {
    let header = record.common_header;
    let micros = i64::from(header.microsecond_timestamp.unwrap_or(0));
    let at = Time::from_secs(i64::from(header.timestamp)).plus_micros(micros);
    let MrtMessage::Bgp4Mp(message) = record.message else {
        return None;
    };
    let (peer, peer_asn, body) = match message {
        Bgp4MpEnum::Message(message) => {
            let BgpMessage::Update(update) = message.bgp_message else {
                return None;
            };
            (
                message.peer_ip,
                message.peer_asn,
                Body::Update(self::update(update)),
            )
        }
        Bgp4MpEnum::StateChange(change) => {
            let state = match (change.old_state, change.new_state) {
                (_, BgpState::Established) => "connected",
                (BgpState::Established, _) => "down",
                _ => return None,
            };
            (change.peer_ip, change.peer_asn, Body::State(state))
        }
    };
    Some(Record {
        at,
        host: Arc::clone(host),
        peer,
        peer_asn: peer_asn.into(),
        body,
    })
}

fn update(message: BgpUpdateMessage) -> Update {
    let mut update = Update::default();
    let attributes = message.attributes;
    let mut had_attributes = false;
    let mut empty_unreach = None;
    if let Some(path) = attributes.effective_as_path() {
        update.path = path.iter_segments().filter_map(segment).collect();
    }
    let prefixes = |list: &[bgpkit_parser::models::NetworkPrefix]| list.iter().map(|p| p.prefix).collect();
    if !message.announced_prefixes.is_empty()
        && let Some(next_hop) = attributes.next_hop()
    {
        let prefixes = prefixes(&message.announced_prefixes);
        update.announced.push(Announced {
            next_hop,
            link_local: None,
            prefixes,
        });
    }
    update.withdrawn = prefixes(&message.withdrawn_prefixes);
    for attribute in attributes.into_attributes_iter() {
        match attribute.value {
            AttributeValue::MpReachNlri(nlri) if nlri.safi == Safi::Unicast => {
                update.announced.extend(reach(nlri))
            }
            AttributeValue::MpUnreachNlri(nlri) if nlri.safi == Safi::Unicast => {
                if nlri.prefixes.is_empty() {
                    empty_unreach = Some(nlri.afi == bgpkit_parser::models::Afi::Ipv6);
                    continue;
                }
                update.withdrawn.extend(nlri.prefixes.iter().map(|p| p.prefix));
            }
            AttributeValue::Origin(origin) => update.origin = Some(origin_name(origin)),
            _ => {}
        }
        had_attributes = true;
    }
    if update.announced.is_empty() && update.withdrawn.is_empty() && !had_attributes {
        update.end_of_rib = Some(empty_unreach.unwrap_or(false));
    }
    if update.announced.is_empty() {
        update.origin = None;
    }
    update
}

fn origin_name(origin: bgpkit_parser::models::Origin) -> &'static str {
    match origin {
        bgpkit_parser::models::Origin::IGP => "IGP",
        bgpkit_parser::models::Origin::EGP => "EGP",
        bgpkit_parser::models::Origin::INCOMPLETE => "INCOMPLETE",
    }
}

fn reach(nlri: Nlri) -> Option<Announced> {
    let (next_hop, link_local) = match nlri.next_hop? {
        NextHopAddress::Ipv4(addr) => (IpAddr::V4(addr), None),
        NextHopAddress::Ipv6(addr) => (IpAddr::V6(addr), None),
        NextHopAddress::Ipv6LinkLocal(global, local) => (IpAddr::V6(global), Some(IpAddr::V6(local))),
        _ => return None,
    };
    let prefixes: Vec<IpNet> = nlri.prefixes.iter().map(|p| p.prefix).collect();
    (!prefixes.is_empty()).then_some(Announced {
        next_hop,
        link_local,
        prefixes,
    })
}

/// Confederation segments are left out, as the service does.
fn segment(segment: &AsPathSegment) -> Option<Segment> {
    match segment {
        AsPathSegment::AsSequence(asns) => Some(Segment::Sequence(
            asns.iter().map(|asn| u32::from(*asn)).collect(),
        )),
        AsPathSegment::AsSet(asns) => Some(Segment::Set(asns.iter().map(|asn| u32::from(*asn)).collect())),
        AsPathSegment::ConfedSequence(_) | AsPathSegment::ConfedSet(_) => None,
    }
}
