//! Damaged archives: what is good comes out, what is not becomes a `Gap`, and nothing panics.

mod mrt_support;

use std::io::Write;

use bgpkit_parser::BgpkitParser;
use bgpkit_parser::parser::iters::{RecoveryConfig, RecoveryEvent};
use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use mrt_support::{decode, gaps, read_all, shared_data};
use netfault_model::{Input, Time};
use netfault_sources::mrt::{Decoder, Options, Stream, discover};
use proptest::prelude::*;

/// A BGP4MP record of one UPDATE that announces 192.0.`n`.0/24.
fn record(secs: u32, n: u8) -> Vec<u8> {
    let attributes = [0x40, 1, 1, 0, 0x40, 2, 4, 2, 1, 0xfc, 0, 0x40, 3, 4, 10, 0, 0, 1];
    let mut update = vec![0, 0, 0, attributes.len() as u8];
    update.extend(attributes);
    update.extend([24, 192, 0, n]);
    let mut body = vec![0xfc, 0, 0xfc, 1, 0, 0, 0, 1, 10, 0, 0, 1, 10, 0, 0, 2];
    body.extend([0xff; 16]);
    body.extend(((update.len() + 19) as u16).to_be_bytes());
    body.push(2);
    body.extend(update);
    let mut all = secs.to_be_bytes().to_vec();
    all.extend([0, 16, 0, 1]);
    all.extend((body.len() as u32).to_be_bytes());
    all.extend(body);
    all
}

fn records(count: u8) -> Vec<u8> {
    (0..count)
        .flat_map(|n| record(1_200_000_000 + u32::from(n), n))
        .collect()
}

fn updates(inputs: &[Input]) -> usize {
    inputs
        .iter()
        .filter(|input| matches!(input, Input::Update(_)))
        .count()
}

#[test]
fn a_stream_cut_anywhere_gives_all_whole_records_and_one_gap() {
    let bytes = records(4);
    let size = bytes.len() / 4;
    for cut in 0..=bytes.len() {
        for piece in [1, 7, 4096] {
            let inputs = decode(&bytes[..cut], piece, None);
            assert_eq!(updates(&inputs), cut / size, "cut at {cut}");
            let gaps = gaps(&inputs);
            assert_eq!(gaps.len(), usize::from(cut % size != 0), "cut at {cut}");
            for gap in gaps {
                assert_eq!(gap.offset, Some((cut / size * size) as u64));
                assert_eq!(gap.reason, "stream ends inside a record in f");
                assert!(matches!(inputs.last(), Some(Input::Gap(_))), "not in its place");
            }
        }
    }
}

#[test]
fn damage_in_the_middle_costs_the_damaged_record_only() {
    let size = record(0, 0).len();
    for (place, value, name) in [
        (4, 0xee, "type"),
        (8, 0x7f, "length, huge"),
        (11, 3, "length, short"),
        (28, 0, "marker"),
    ] {
        let mut bytes = records(8);
        bytes[3 * size + place] = value;
        for piece in [1, 50, 4096] {
            let inputs = decode(&bytes, piece, None);
            assert_eq!(updates(&inputs), 7, "{name}");
            let [gap] = gaps(&inputs)[..] else {
                panic!("{name}: {inputs:?}")
            };
            assert_eq!(gap.offset, Some(3 * size as u64), "{name}");
            let (before, after) = (Time::from_secs(1_200_000_002), Time::from_secs(1_200_000_004));
            if name == "marker" {
                // The envelope is good: the gap is of that peer, at that moment.
                assert_eq!(gap.peer.unwrap().addr.to_string(), "10.0.0.1");
            } else {
                assert_eq!(
                    (gap.at, gap.from, gap.to),
                    (before, Some(before), Some(after)),
                    "{name}"
                );
            }
            let place = inputs.iter().position(|input| matches!(input, Input::Gap(_)));
            assert_eq!(place, Some(3), "{name}: not in its place");
        }
    }
}

#[test]
fn a_length_is_never_allocated_before_the_bytes_are_there() {
    // A RIB record may have 16 MB; it claims all of them and brings nothing.
    let mut bytes = record(1_200_000_000, 0);
    bytes.extend([0, 0, 0, 1, 0, 13, 0, 2, 0, 0xff, 0xff, 0xff]);
    let before = peak_memory();
    for _ in 0..50 {
        let inputs = decode(&bytes, 64, None);
        assert_eq!((updates(&inputs), gaps(&inputs).len()), (1, 1));
    }
    assert!(
        peak_memory() - before < 8 << 20,
        "{} bytes more",
        peak_memory() - before
    );
}

/// Highest resident memory so far, in bytes; 0 where /proc is not.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[test]
fn a_cut_compressed_file_gives_what_is_there_and_says_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = records(200);
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(&bytes).unwrap();
    let gz = gz.finish().unwrap();
    let mut bz2 = BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bz2.write_all(&bytes).unwrap();
    let bz2 = bz2.finish().unwrap();
    for (name, packed) in [
        ("updates.20080110.2120.gz", gz),
        ("updates.20080110.2120.bz2", bz2),
    ] {
        for (share, what) in [(2, "cut"), (1, "whole")] {
            let path = folder.path().join(name);
            std::fs::write(&path, &packed[..packed.len() / share]).unwrap();
            let files = discover(&[path.to_string_lossy().into_owned()]).unwrap();
            let inputs: Vec<Input> = Stream::open(
                files,
                Options {
                    threads: 2,
                    batch: 16,
                },
            )
            .unwrap()
            .flatten()
            .collect();
            let gaps = gaps(&inputs);
            if what == "whole" {
                assert_eq!((updates(&inputs), gaps.len()), (200, 0), "{name}");
            } else {
                let [gap] = gaps[..] else {
                    panic!("{name}: {gaps:?}")
                };
                assert!(
                    gap.reason.starts_with("compressed stream is cut or corrupt"),
                    "{}",
                    gap.reason
                );
                assert!(gap.reason.ends_with(name), "{}", gap.reason);
                assert_eq!(gap.offset, Some((updates(&inputs) * record(0, 0).len()) as u64));
            }
        }
    }
}

#[test]
fn several_members_of_a_compressed_file_are_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let packed: Vec<u8> = (0..3)
        .flat_map(|n| {
            let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::default());
            gz.write_all(&record(1_200_000_000 + n, n as u8)).unwrap();
            gz.finish().unwrap()
        })
        .collect();
    let path = folder.path().join("no-name-that-tells");
    std::fs::write(&path, packed).unwrap();
    let (bytes, cut) = read_all(&path);
    assert!(cut.is_none());
    assert_eq!(updates(&decode(&bytes, 4096, None)), 3);
}

/// The file of 2000 with two damaged boundaries: the same holes that bgpkit's recovery finds.
#[test]
fn real_damage_is_bridged_like_bgpkit_does() {
    let Some(data) = shared_data("real_damage_is_bridged_like_bgpkit_does") else {
        return;
    };
    let (bytes, _) = read_all(&data.join("mrt-formats/ris-1999-2010/rrc00/2000.03/updates.20000325.0345.gz"));
    let mut holes = Vec::new();
    let mut records = 0;
    for event in
        BgpkitParser::from_reader(bytes.as_slice()).into_recovering_record_iter(RecoveryConfig::default())
    {
        match event.unwrap() {
            RecoveryEvent::Item(_) => records += 1,
            RecoveryEvent::Gap(gap) => holes.push(gap.start_offset),
        }
    }
    let mut decoder = Decoder::new(mrt_support::origin("f"), 64);
    decoder.feed(&bytes);
    decoder.finish(None);
    let inputs = decoder.take_batches().concat();
    let ours: Vec<u64> = gaps(&inputs).iter().filter_map(|gap| gap.offset).collect();
    assert_eq!(ours, holes);
    assert_eq!(decoder.take_counts().records, records);
    assert_eq!(holes.len(), 2);
}

/// Inputs that crashed another parser: nothing in them is a record.
#[test]
fn inputs_that_crashed_others_are_one_gap_each() {
    let Some(data) = shared_data("inputs_that_crashed_others_are_one_gap_each") else {
        return;
    };
    for entry in std::fs::read_dir(data.join("mrt-formats/gobgp-bad-len")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let inputs = decode(&bytes, 8, None);
        assert_eq!((inputs.len(), gaps(&inputs).len()), (1, 1), "{inputs:?}");
    }
}

#[test]
fn truncated_dumps_of_real_collectors_end_in_a_gap() {
    let Some(data) = shared_data("truncated_dumps_of_real_collectors_end_in_a_gap") else {
        return;
    };
    let folder = data
        .join("mrt-formats/truncated-ribs")
        .to_string_lossy()
        .into_owned();
    for file in discover(&[folder]).unwrap() {
        let name = file.path.display().to_string();
        let inputs: Vec<Input> = Stream::open(vec![file], Options::default())
            .unwrap()
            .flatten()
            .collect();
        let routes = inputs
            .iter()
            .filter(|input| matches!(input, Input::Rib(_)))
            .count();
        assert!(routes > 100_000, "{name}: {routes}");
        let [gap] = gaps(&inputs)[..] else {
            panic!("{name}: more than one gap")
        };
        assert!(
            gap.reason.starts_with("compressed stream is cut or corrupt"),
            "{name}: {}",
            gap.reason
        );
        assert!(
            matches!(inputs.last(), Some(Input::Gap(_))),
            "{name}: gap not at the end"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1usize..300) {
        decode(&bytes, piece, None);
    }

    /// Whatever happens to some bytes of a stream, what is delivered does not depend on how it is cut into
    /// pieces, and a change that loses a record says so.
    #[test]
    fn damage_is_told_and_pieces_do_not_matter(
        hits in prop::collection::vec((0usize..10_000, any::<u8>()), 1..6),
        piece in 1usize..200,
    ) {
        let mut bytes = records(40);
        let len = bytes.len();
        for (place, value) in hits {
            bytes[place % len] = value;
        }
        let mut decoder = Decoder::new(mrt_support::origin("f"), 64);
        decoder.feed(&bytes);
        decoder.finish(None);
        let whole = decoder.take_batches().concat();
        prop_assert_eq!(&whole, &decode(&bytes, piece, None));
        // An octet can turn an UPDATE into another message; that is a record all the same.
        prop_assert!(decoder.take_counts().records == 40 || !gaps(&whole).is_empty(), "{:?}", whole);
    }

    /// Every kind of record there is, with octets changed: no panic, and the rest still comes.
    #[test]
    fn real_records_with_changed_octets_never_panic(
        file in 0usize..8,
        hits in prop::collection::vec((any::<u32>(), any::<u8>()), 1..30),
    ) {
        let Some(data) = mrt_support::shared_data("real_records_with_changed_octets_never_panic") else { return Ok(()) };
        const FILES: [&str; 8] = [
            "mrtparse-samples/bird-mrtdump_rib",
            "mrtparse-samples/bird6_bgp",
            "mrtparse-samples/openbgpd_bgp",
            "mrtparse-samples/openbgpd_rib_table",
            "mrtparse-samples/openbgpd_rib_table-v2",
            "mrtparse-samples/quagga_bgp",
            "mrtparse-samples/quagga_rib",
            "mrtparse-samples/bird-mrtdump_bgp",
        ];
        let (mut bytes, _) = read_all(&data.join("mrt-formats").join(FILES[file]));
        let len = bytes.len();
        for (place, value) in hits {
            bytes[place as usize % len] = value;
        }
        decode(&bytes, 1 << 16, None);
    }
}
