//! Torn, damaged and killed journals: what is whole is read, the hole is a gap, nothing panics.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netfault_model::{GapSource, Input, Time};
use netfault_sources::journal::{Limits, Reader, Writer};

const FOLDER: &str = "NETFAULT_TEST_JOURNAL";

fn tick(n: i64) -> Input {
    Input::Tick(Time::from_micros(n))
}

/// Three blocks of four ticks.
fn small_segment(dir: &Path) -> (PathBuf, Vec<u8>) {
    let mut writer = Writer::open(dir, Limits::default()).unwrap();
    for block in 0..3 {
        writer
            .append(&(block * 4..block * 4 + 4).map(tick).collect::<Vec<_>>())
            .unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    let path = std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

/// The ticks, and the gaps, each with the number of ticks before it.
fn read(path: &Path) -> (Vec<i64>, Vec<(usize, netfault_model::Gap)>) {
    let (mut ticks, mut gaps) = (Vec::new(), Vec::new());
    for input in Reader::open(path).unwrap().flatten() {
        match input {
            Input::Tick(at) => ticks.push(at.micros()),
            Input::Gap(gap) => gaps.push((ticks.len(), *gap)),
            other => panic!("{other:?}"),
        }
    }
    (ticks, gaps)
}

#[test]
fn cut_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small_segment(dir.path());
    assert_eq!(read(&path), ((0..12).collect(), vec![]));
    let mut lengths = Vec::new();
    for end in 0..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let (ticks, gaps) = read(&path);
        assert_eq!(ticks, (0..ticks.len() as i64).collect::<Vec<_>>(), "cut at {end}");
        assert_eq!(gaps.len(), 1, "cut at {end}");
        let (at, gap) = &gaps[0];
        assert_eq!(
            (*at, gap.source),
            (ticks.len(), GapSource::Journal),
            "cut at {end}"
        );
        assert_eq!(gap.from, ticks.last().map(|n| Time::from_micros(*n)));
        assert!(
            gap.offset.is_some_and(|offset| offset <= end as u64),
            "cut at {end}"
        );
        lengths.push(ticks.len());
    }
    assert!(lengths.is_sorted());
    lengths.dedup();
    assert_eq!(lengths, [0, 4, 8, 12], "whole blocks only");
}

#[test]
fn every_byte_flipped() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small_segment(dir.path());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        let (ticks, gaps) = read(&path);
        assert_eq!(ticks, (0..ticks.len() as i64).collect::<Vec<_>>(), "byte {at}");
        assert_eq!(gaps.len(), 1, "byte {at} flipped and not noticed");
    }
}

#[test]
fn damage_in_the_middle_costs_the_rest_of_its_segment_only() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes) = small_segment(dir.path());
    let mut writer = Writer::open(dir.path(), Limits::default()).unwrap();
    assert_eq!(writer.offset(), 12);
    writer.append(&(12..20).map(tick).collect::<Vec<_>>()).unwrap();
    writer.close().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, &bytes).unwrap();
    let (ticks, gaps) = read(dir.path());
    assert_eq!(ticks, [0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19]);
    let [(4, gap)] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!(
        (gap.lost, gap.from, gap.to),
        (Some(8), Some(Time::from_micros(3)), Some(Time::from_micros(12)))
    );
    assert!(
        gap.reason.contains("wrong check sum") && gap.reason.contains(".nfj"),
        "{}",
        gap.reason
    );
}

#[test]
fn a_missing_segment_is_noticed_by_its_offset() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 1,
        ..Limits::default()
    };
    let mut writer = Writer::open(dir.path(), limits).unwrap();
    for n in 0..4 {
        writer.append(&[tick(n)]).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    std::fs::remove_file(dir.path().join(format!("{:020}.nfj", 2))).unwrap();
    let (ticks, gaps) = read(dir.path());
    assert_eq!(ticks, [0, 1, 3]);
    assert_eq!((gaps.len(), gaps[0].1.lost), (1, Some(1)));
}

#[test]
fn impossible_lengths_allocate_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes) = small_segment(dir.path());
    for field in [8, 24, 28] {
        bytes[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let (ticks, gaps) = read(&path);
        assert_eq!((ticks.len(), gaps.len()), (0, 1));
        assert!(
            gaps[0].1.reason.contains("impossible lengths"),
            "{}",
            gaps[0].1.reason
        );
    }
}

/// Writes for ever; run by the test below in a process of its own, so that it can be killed.
#[test]
#[ignore = "the child of a_killed_writer_loses_nothing_that_was_synced"]
fn child_that_writes_until_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let limits = Limits {
        segment_bytes: 20_000,
        ..Limits::default()
    };
    let mut writer = Writer::open(Path::new(&dir), limits).unwrap();
    loop {
        let from = writer.offset() as i64;
        writer
            .append(&(from..from + 500).map(tick).collect::<Vec<_>>())
            .unwrap();
        writer.sync().unwrap();
        println!("synced {}", writer.synced_offset());
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let mut synced = 0;
    for lines in [5, 40, 80] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "child_that_writes_until_killed",
                "--nocapture",
            ])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let told = out.lines().map_while(Result::ok).filter_map(|line| {
            line.split_once("synced ")
                .and_then(|(_, offset)| offset.trim().parse::<i64>().ok())
        });
        synced = told.take(lines).last().unwrap().max(synced);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (ticks, gaps) = read(dir.path());
    assert!(ticks.len() as i64 >= synced, "{} of {synced}", ticks.len());
    assert_eq!(ticks, (0..ticks.len() as i64).collect::<Vec<_>>());
    assert!(
        gaps.iter()
            .all(|(_, gap)| gap.source == GapSource::Journal && gap.lost.is_none())
    );
    assert!(
        !gaps.is_empty(),
        "each kill left a segment that was not closed in order"
    );
}
