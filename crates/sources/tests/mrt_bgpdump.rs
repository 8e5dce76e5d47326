//! Our decoder against the text that bgpdump's own test suite expects (`bgpdump -m`, RIPE NCC).

mod mrt_support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use mrt_support::{origin, read_all, shared_data};
use netfault_model::{Announcement, Input, Nlri, Prefix, SessionState};
use netfault_sources::mrt::Decoder;

/// Kind (`A`, `W`, `B`, `S` for a state), seconds, peer, AS, prefix and path id, path or whether it is up.
type Line = (char, i64, IpAddr, u32, Option<(Prefix, u32)>, Vec<u32>);

/// MP_REACH_NLRI and MP_UNREACH_NLRI of other families in updates.20070211.0141.gz.
const MULTICAST_ATTRIBUTES: u64 = 151;

#[test]
fn we_read_what_bgpdump_reads() {
    let Some(data) = shared_data("we_read_what_bgpdump_reads") else {
        return;
    };
    let folder = data.join("mrt-formats/ripe-bgpdump");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder.join("test_data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (bytes, cut) = read_all(&path);
        assert!(cut.is_none(), "{name}");
        let mut decoder = Decoder::new(origin(&name), 1024);
        decoder.feed(&bytes);
        decoder.finish(None);
        let counts = decoder.take_counts();
        let mut ours = lines_of(&decoder.take_batches().concat());
        let mut theirs = expected(&folder.join("test_expect").join(format!("{name}.bgp.gz")));
        if name == "updates.nlri_mask_trailing_bits.gz" {
            // One prefix and a stray octet: bgpdump prints the prefix, we take none of a field that breaks off.
            assert_eq!((ours.len(), theirs.len()), (0, 1));
            continue;
        }
        if name == "updates.20070211.0141.gz" {
            // bgpdump prints IPv4 multicast routes (SAFI 2) like unicast ones; they are counted here.
            assert_eq!(counts.other_families, MULTICAST_ATTRIBUTES);
            let unicast: BTreeSet<Line> = ours.iter().cloned().collect();
            let before = theirs.len();
            theirs.retain(|line| unicast.contains(line));
            assert_eq!(before - theirs.len(), 151);
        }
        ours.sort();
        theirs.sort();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{name}");
        }
        compared += ours.len();
    }
    assert_eq!(compared, 811_735);
}

fn expected(path: &Path) -> Vec<Line> {
    let text = String::from_utf8(read_all(path).0).unwrap();
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> Line {
    let fields: Vec<&str> = line.split('|').collect();
    let secs = fields[1].split('.').next().unwrap().parse().unwrap();
    let (addr, asn) = (fields[3].parse().unwrap(), fields[4].parse().unwrap());
    let prefix = |text: &str| text.parse::<Prefix>().unwrap();
    let has_path_id = fields[0].ends_with("_AP");
    match fields[2] {
        "STATE" => ('S', secs, addr, asn, None, vec![u32::from(fields[6] == "6")]),
        "W" => ('W', secs, addr, asn, Some((prefix(fields[5]), 0)), Vec::new()),
        kind => {
            let path_id = if has_path_id {
                fields[6].parse().unwrap()
            } else {
                0
            };
            let path = numbers(fields[if has_path_id { 7 } else { 6 }]);
            (
                kind.chars().next().unwrap(),
                secs,
                addr,
                asn,
                Some((prefix(fields[5]), path_id)),
                path,
            )
        }
    }
}

/// `1 2 {3,4}`: sets in order, confederations in parentheses left out.
fn numbers(path: &str) -> Vec<u32> {
    let outside = path.split(['(', ')']).step_by(2);
    let words = outside.flat_map(|part| part.split([' ', ',', '{', '}']));
    words
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().unwrap())
        .collect()
}

fn lines_of(inputs: &[Input]) -> Vec<Line> {
    let path = |announcement: &Announcement| announcement.path.iter().map(|asn| asn.0).collect::<Vec<u32>>();
    let mut lines = Vec::new();
    for input in inputs {
        match input {
            Input::Update(update) => {
                let (secs, addr, asn) = (update.at.secs(), update.peer.addr, update.peer.asn.0);
                for nlri in update.withdrawn() {
                    lines.push((
                        'W',
                        secs,
                        addr,
                        asn,
                        Some((nlri.prefix, nlri.path_id)),
                        Vec::new(),
                    ));
                }
                for Nlri { prefix, path_id } in update.announced() {
                    let path = path(update.announcement.as_ref().unwrap());
                    lines.push(('A', secs, addr, asn, Some((*prefix, *path_id)), path));
                }
            }
            Input::Rib(route) => {
                let (secs, addr, asn) = (route.at.secs(), route.peer.addr, route.peer.asn.0);
                let Nlri { prefix, path_id } = route.nlri;
                lines.push((
                    'B',
                    secs,
                    addr,
                    asn,
                    Some((prefix, path_id)),
                    path(&route.announcement),
                ));
            }
            Input::Peer(state) => {
                let is_up = u32::from(state.state == SessionState::Up);
                lines.push((
                    'S',
                    state.at.secs(),
                    state.peer.addr,
                    state.peer.asn.0,
                    None,
                    vec![is_up],
                ));
            }
            Input::EndOfRib { .. } | Input::Gap(_) => {}
            Input::Probe(_) | Input::Delegation(_) | Input::Hint(_) | Input::Tick(_) => {
                panic!("not from an archive: {input:?}")
            }
        }
    }
    lines
}
