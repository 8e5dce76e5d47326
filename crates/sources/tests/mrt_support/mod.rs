//! What the MRT and BGP tests share: the recordings, and one plain form for what both decoders say.

#![allow(dead_code)] // each test binary uses its own part

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{self, PathBuf};

use bgpkit_parser::models::{
    Afi, AsPath, AsPathSegment, Attributes, Bgp4MpEnum, Bgp4MpType, BgpMessage, BgpState, BgpUpdateMessage,
    LegacyBgp, MrtMessage, NetworkPrefix, PeerIndexTable, Safi, TableDumpV2Message,
};
use bgpkit_parser::parser::mrt::mrt_record::parse_mrt_body;
use bytes::Bytes;
use netfault_model::{Announcement, Collector, Gap, Input, Nlri, Prefix, SessionState};
use netfault_sources::mrt::frame::Record;
use netfault_sources::mrt::inflate::Inflater;
use netfault_sources::mrt::{Decoder, Origin, Progress};

/// The folder of recordings, or a visible line and `None`.
pub fn shared_data(test: &str) -> Option<PathBuf> {
    let set = std::env::var_os("NETFAULT_SHARED_DATA").map(PathBuf::from);
    let beside = || {
        let here = path::Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors()
            .map(|folder| folder.join("shared/data"))
            .find(|folder| folder.is_dir())
    };
    let found = set.or_else(beside).filter(|folder| folder.is_dir());
    if found.is_none() {
        println!("SKIPPED: ../shared/data is absent: {test}");
    }
    found
}

/// All of a file, decompressed as far as it goes.
pub fn read_all(path: &path::Path) -> (Vec<u8>, Option<std::io::Error>) {
    let mut inflater = Inflater::open(path, &Progress::default()).unwrap();
    let (mut all, mut piece) = (Vec::new(), Vec::new());
    loop {
        let result = inflater.fill(&mut piece);
        all.extend_from_slice(&piece);
        match result {
            Ok(()) if piece.is_empty() => return (all, None),
            Ok(()) => {}
            Err(error) => return (all, Some(error)),
        }
    }
}

pub fn origin(file: &str) -> Origin {
    Origin {
        collector: Collector::new("test"),
        file: file.to_owned(),
        starts: None,
        interval: None,
    }
}

/// All inputs of some bytes, fed in pieces of `piece`.
pub fn decode(bytes: &[u8], piece: usize, cut: Option<&str>) -> Vec<Input> {
    let mut decoder = Decoder::new(origin("f"), 64);
    for piece in bytes.chunks(piece.max(1)) {
        decoder.feed(piece);
    }
    decoder.finish(cut.map(str::to_owned));
    decoder.take_batches().concat()
}

pub fn gaps(inputs: &[Input]) -> Vec<&Gap> {
    inputs
        .iter()
        .filter_map(|input| {
            if let Input::Gap(gap) = input {
                Some(gap.as_ref())
            } else {
                None
            }
        })
        .collect()
}

/// What a record says, in a form that has no order where the message has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    Withdrawn(Session, Prefix, u32),
    Announced(Session, Prefix, u32, Path),
    Rib(Session, Prefix, u32, i64, Path),
    Session(Session, bool),
}

/// Microseconds, address, AS.
pub type Session = (i64, IpAddr, u32);
/// Origin, and the path without confederations.
pub type Path = (Option<u32>, Vec<u32>);

pub fn facts_of(inputs: &[Input]) -> BTreeSet<Fact> {
    let mut facts = BTreeSet::new();
    for input in inputs {
        match input {
            Input::Update(update) => {
                let session = (update.at.micros(), update.peer.addr, update.peer.asn.0);
                for nlri in update.withdrawn() {
                    facts.insert(Fact::Withdrawn(session, nlri.prefix, nlri.path_id));
                }
                for Nlri { prefix, path_id } in update.announced() {
                    let path = path_of(update.announcement.as_ref().unwrap());
                    facts.insert(Fact::Announced(session, *prefix, *path_id, path));
                }
            }
            Input::Rib(route) => {
                let session = (route.at.micros(), route.peer.addr, route.peer.asn.0);
                let Nlri { prefix, path_id } = route.nlri;
                let path = path_of(&route.announcement);
                facts.insert(Fact::Rib(session, prefix, path_id, route.originated.secs(), path));
            }
            Input::Peer(state) => {
                let session = (state.at.micros(), state.peer.addr, state.peer.asn.0);
                facts.insert(Fact::Session(session, state.state == SessionState::Up));
            }
            Input::EndOfRib { .. } | Input::Gap(_) => {}
            Input::Probe(_) | Input::Delegation(_) | Input::Hint(_) | Input::Tick(_) => {
                panic!("not from an archive: {input:?}")
            }
        }
    }
    facts
}

fn path_of(announcement: &Announcement) -> Path {
    (
        announcement.origin.map(|asn| asn.0),
        announcement.path.iter().map(|asn| asn.0).collect(),
    )
}

/// What bgpkit-parser says of the same record. `index` is the last peer index table.
pub fn facts_of_bgpkit(
    record: &Record<'_>,
    index: &mut Option<PeerIndexTable>,
) -> Result<BTreeSet<Fact>, String> {
    let body = Bytes::copy_from_slice(record.body);
    let message =
        parse_mrt_body(record.header.kind, record.header.subtype, body).map_err(|error| error.to_string())?;
    let at = record.at.micros();
    let mut facts = BTreeSet::new();
    match message {
        MrtMessage::Bgp4Mp(Bgp4MpEnum::Message(message)) => {
            if let BgpMessage::Update(update) = &message.bgp_message {
                let as4 = matches!(
                    message.msg_type,
                    Bgp4MpType::MessageAs4
                        | Bgp4MpType::MessageAs4Local
                        | Bgp4MpType::MessageAs4Addpath
                        | Bgp4MpType::MessageLocalAs4Addpath
                );
                if !message.is_local() {
                    update_facts(
                        &mut facts,
                        (at, message.peer_ip, message.peer_asn.to_u32()),
                        update,
                        as4,
                    );
                }
            }
        }
        MrtMessage::Bgp4Mp(Bgp4MpEnum::StateChange(change)) => {
            let session = (at, change.peer_ip, change.peer_asn.to_u32());
            // bgpkit makes up the address 0.0.0.0 for Zebra's records without one.
            if record.body.len() != 8 {
                facts.insert(Fact::Session(session, change.new_state == BgpState::Established));
            }
        }
        MrtMessage::LegacyBgp(LegacyBgp::Message(message)) => {
            if let BgpMessage::Update(update) = &message.bgp_message {
                update_facts(
                    &mut facts,
                    (at, message.peer_ip, message.peer_asn.to_u32()),
                    update,
                    false,
                );
            }
        }
        MrtMessage::LegacyBgp(LegacyBgp::StateChange(change)) => {
            let session = (at, change.peer_ip, change.peer_asn.to_u32());
            facts.insert(Fact::Session(session, change.new_state == BgpState::Established));
        }
        MrtMessage::TableDumpMessage(entry) => {
            table_dump_facts(&mut facts, at, &[entry]);
        }
        MrtMessage::TableDumpMessageBatch(entries) => table_dump_facts(&mut facts, at, &entries),
        MrtMessage::TableDumpV2Message(TableDumpV2Message::PeerIndexTable(table)) => *index = Some(table),
        MrtMessage::TableDumpV2Message(TableDumpV2Message::RibAfi(rib)) => {
            let is_unicast = matches!(record.header.subtype, 2 | 4 | 8 | 10);
            for entry in rib.rib_entries.iter().filter(|_| is_unicast) {
                let Some(peer) = index
                    .as_ref()
                    .and_then(|table| table.get_peer_by_id(&entry.peer_index))
                else {
                    continue;
                };
                let session = (at, peer.peer_ip, peer.peer_asn.to_u32());
                let path = effective_path(&entry.attributes, true).unwrap_or_default();
                let path_id = entry.path_id.unwrap_or(0);
                let prefix = Prefix::from(rib.prefix.prefix);
                facts.insert(Fact::Rib(
                    session,
                    prefix,
                    path_id,
                    i64::from(entry.originated_time),
                    path,
                ));
            }
        }
        MrtMessage::TableDumpV2Message(_) => {}
    }
    Ok(facts)
}

fn table_dump_facts(
    facts: &mut BTreeSet<Fact>,
    at: i64,
    entries: &[bgpkit_parser::models::TableDumpMessage],
) {
    for entry in entries {
        let session = (at, entry.peer_ip, entry.peer_asn.to_u32());
        let path = effective_path(&entry.attributes, false).unwrap_or_default();
        let prefix = Prefix::from(entry.prefix.prefix);
        facts.insert(Fact::Rib(session, prefix, 0, entry.originated_time as i64, path));
    }
}

fn update_facts(facts: &mut BTreeSet<Fact>, session: Session, update: &BgpUpdateMessage, as4: bool) {
    let mp = |nlri: Option<&bgpkit_parser::models::Nlri>| -> Vec<NetworkPrefix> {
        let unicast =
            nlri.filter(|nlri| matches!(nlri.afi, Afi::Ipv4 | Afi::Ipv6) && nlri.safi == Safi::Unicast);
        unicast.map(|nlri| nlri.prefixes.clone()).unwrap_or_default()
    };
    let withdrawn = mp(update.attributes.get_unreachable_nlri());
    for network in update.withdrawn_prefixes.iter().chain(&withdrawn) {
        facts.insert(Fact::Withdrawn(
            session,
            Prefix::from(network.prefix),
            network.path_id.unwrap_or(0),
        ));
    }
    let Some(path) = effective_path(&update.attributes, as4) else {
        return;
    };
    let announced = mp(update.attributes.get_reachable_nlri());
    for network in update.announced_prefixes.iter().chain(&announced) {
        let (prefix, path_id) = (Prefix::from(network.prefix), network.path_id.unwrap_or(0));
        facts.insert(Fact::Announced(session, prefix, path_id, path.clone()));
    }
}

fn effective_path(attributes: &Attributes, as4: bool) -> Option<Path> {
    let own = attributes.as_path()?;
    let merged = match attributes.as4_path() {
        Some(as4_path) if !as4 => AsPath::merge_aspath_as4path(own, as4_path),
        _ => own.clone(),
    };
    Some(flatten(&merged))
}

fn flatten(path: &AsPath) -> Path {
    let (mut origin, mut all) = (None, Vec::new());
    for segment in path.iter_segments() {
        let (members, is_set) = match segment {
            AsPathSegment::AsSequence(members) => (members, false),
            AsPathSegment::AsSet(members) => (members, true),
            AsPathSegment::ConfedSequence(_) | AsPathSegment::ConfedSet(_) => continue,
        };
        all.extend(members.iter().map(|asn| asn.to_u32()));
        if let Some(last) = members.last() {
            origin = if is_set && members.len() > 1 {
                None
            } else {
                Some(last.to_u32())
            };
        }
    }
    (origin, all)
}
