//! Files to one stream: what is found, in which order it comes, and that threads do not change it.

mod mrt_support;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use mrt_support::{gaps, shared_data};
use netfault_model::{Arrival, Input, Time};
use netfault_sources::mrt::{FileKind, MrtError, Options, Stream, discover};

/// A BGP4MP_ET record of one End-of-RIB from 10.0.0.`peer`.
fn record(secs: u32, micros: u32, peer: u8) -> Vec<u8> {
    let mut body = vec![0xfc, 0, 0xfc, 1, 0, 0, 0, 1, 10, 0, 0, peer, 10, 0, 0, 2];
    body.extend([0xff; 16]);
    body.extend([0, 23, 2, 0, 0, 0, 0]);
    let mut all = secs.to_be_bytes().to_vec();
    all.extend([0, 17, 0, 1]);
    all.extend((body.len() as u32 + 4).to_be_bytes());
    all.extend(micros.to_be_bytes());
    all.extend(body);
    all
}

/// A TABLE_DUMP record of 10.0.0.0/8 from 10.0.0.`peer`.
fn dump(secs: u32, peer: u8) -> Vec<u8> {
    let body = [
        0, 0, 0, 0, 10, 0, 0, 0, 8, 1, 0, 0, 0, 5, 10, 0, 0, peer, 0xfc, 0, 0, 7, 0x40, 2, 4, 2, 1, 0xfc, 0,
    ];
    let mut all = secs.to_be_bytes().to_vec();
    all.extend([0, 12, 0, 1, 0, 0, 0, body.len() as u8]);
    all.extend(body);
    all
}

fn write(folder: &Path, name: &str, records: &[Vec<u8>]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, records.concat()).unwrap();
}

fn paths(path: &Path) -> Vec<String> {
    vec![path.to_string_lossy().into_owned()]
}

fn stream(files: &Path, threads: usize, batch: usize) -> Vec<Input> {
    let files = discover(&paths(files)).unwrap();
    Stream::open(files, Options { threads, batch })
        .unwrap()
        .flatten()
        .collect()
}

/// Seconds, collector and last octet of the peer.
fn order(inputs: &[Input]) -> Vec<(i64, &'static str, u8)> {
    let peer = |input: &Input| match input {
        Input::EndOfRib { peer, .. } => *peer,
        Input::Rib(route) => route.peer,
        other => panic!("{other:?}"),
    };
    let last = |addr| {
        if let IpAddr::V4(addr) = addr {
            addr.octets()[3]
        } else {
            0
        }
    };
    inputs
        .iter()
        .map(|input| {
            (
                input.at().secs(),
                peer(input).collector.name(),
                last(peer(input).addr),
            )
        })
        .collect()
}

#[test]
fn collectors_are_merged_by_time_and_dumps_come_before_updates() {
    let folder = tempfile::tempdir().unwrap();
    let base = 1_199_145_600; // 2008-01-01T00:00Z
    write(
        folder.path(),
        "rrc01/updates.20080101.0000",
        &[record(base, 0, 1), record(base + 20, 0, 2)],
    );
    write(
        folder.path(),
        "rrc01/updates.20080101.0005",
        &[record(base + 300, 0, 3)],
    );
    write(
        folder.path(),
        "rrc00/updates.20080101.0000",
        &[record(base, 0, 4), record(base + 30, 0, 5)],
    );
    write(
        folder.path(),
        "rrc00/bview.20080101.0000",
        &[dump(base, 6), dump(base, 7)],
    );
    let expected = [
        (0, "rrc00", 6),
        (0, "rrc00", 7),
        (0, "rrc00", 4),
        (0, "rrc01", 1),
        (20, "rrc01", 2),
        (30, "rrc00", 5),
        (300, "rrc01", 3),
    ]
    .map(|(after, collector, peer)| (i64::from(base) + after, collector, peer));
    for (threads, batch) in [(1, 1), (1, 100), (2, 2), (5, 3)] {
        assert_eq!(
            order(&stream(folder.path(), threads, batch)),
            expected,
            "{threads} threads, batches of {batch}"
        );
    }
}

#[test]
fn microseconds_order_records_of_one_second() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "rrc00/updates.20080101.0000",
        &[record(1_199_145_600, 700_000, 1)],
    );
    write(
        folder.path(),
        "rrc01/updates.20080101.0000",
        &[record(1_199_145_600, 300_000, 2)],
    );
    let inputs = stream(folder.path(), 2, 10);
    assert_eq!(inputs[0].at(), Time::from_micros(1_199_145_600_300_000));
    assert_eq!(
        order(&inputs)
            .iter()
            .map(|(_, _, peer)| *peer)
            .collect::<Vec<_>>(),
        [2, 1]
    );
}

#[test]
fn a_folder_gives_what_is_mrt_and_a_path_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "rrc00/2008.01/updates.20080101.0005",
        &[record(1_199_145_900, 0, 1)],
    );
    write(
        folder.path(),
        "rrc00/2008.01/updates.20080101.0000",
        &[record(1_199_145_600, 0, 1)],
    );
    write(folder.path(), "rrc00/2008.01/unnamed", &[dump(1_199_145_600, 1)]);
    write(folder.path(), "rrc00/README.md", &[b"text".to_vec()]);
    write(folder.path(), "rrc00/notes", &[b"text, and more of it".to_vec()]);
    let files = discover(&paths(folder.path())).unwrap();
    let found: Vec<_> = files
        .iter()
        .map(|file| (file.path.file_name().unwrap().to_str().unwrap(), file.kind))
        .collect();
    let updates = FileKind::Updates;
    let expected = [
        ("unnamed", FileKind::Rib),
        ("updates.20080101.0000", updates),
        ("updates.20080101.0005", updates),
    ];
    assert_eq!(found, expected);
    assert!(files.iter().all(|file| file.collector.name() == "rrc00"));

    let pattern = folder
        .path()
        .join("*/*/updates.*.0005")
        .to_string_lossy()
        .into_owned();
    let named = discover(&[format!("mine={pattern}")]).unwrap();
    assert_eq!((named.len(), named[0].collector.name()), (1, "mine"));
    // Twice the same file is one file.
    assert_eq!(discover(&[pattern.clone(), pattern]).unwrap().len(), 1);

    let error = |path: &Path| discover(&paths(path)).unwrap_err();
    let missing = folder.path().join("nowhere");
    assert_eq!(
        error(&missing).to_string(),
        format!("{}: no such file or folder", missing.display())
    );
    assert!(matches!(
        error(&folder.path().join("*.nothing")),
        MrtError::Missing { .. }
    ));
    assert!(matches!(
        error(&folder.path().join("rrc00/notes")),
        MrtError::NotMrt { .. }
    ));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(error(empty.path()), MrtError::Empty { .. }));
}

#[test]
fn stamps_far_outside_of_the_files_interval_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    let name = "rrc00/updates.20080224.0007";
    let bytes = one_update();
    let mut early = bytes.clone();
    early[..4].copy_from_slice(&2_000_000_000u32.to_be_bytes());
    let mut late = bytes.clone();
    late[..4].copy_from_slice(&1_000_000_000u32.to_be_bytes());
    write(folder.path(), name, &[bytes, early, late]);
    let inputs = stream(folder.path(), 1, 10);
    let arrivals: Vec<Arrival> = inputs
        .iter()
        .map(|input| {
            if let Input::Update(update) = input {
                update.arrival
            } else {
                panic!("{input:?}")
            }
        })
        .collect();
    assert_eq!(arrivals, [Arrival::InTime, Arrival::Early, Arrival::Late]);
}

/// One UPDATE of 2008-02-24T00:10, made here.
fn one_update() -> Vec<u8> {
    let mut body = vec![0xfc, 0, 0xfc, 1, 0, 0, 0, 1, 10, 0, 0, 1, 10, 0, 0, 2];
    body.extend([0xff; 16]);
    body.extend([0, 25, 2, 0, 2, 8, 10, 0, 0]);
    let mut all = 1_203_811_800u32.to_be_bytes().to_vec();
    all.extend([0, 16, 0, 1, 0, 0, 0, body.len() as u8]);
    all.extend(body);
    all
}

/// Eight real files: the same inputs from one thread and from four, in any batches, none early or late.
#[test]
fn threads_and_batches_do_not_change_a_real_stream() {
    let Some(data) = shared_data("threads_and_batches_do_not_change_a_real_stream") else {
        return;
    };
    let pattern = data
        .join("route-views2-20080224/updates.20080224.0[01]*.bz2")
        .to_string_lossy()
        .into_owned();
    let files = discover(&[pattern]).unwrap();
    assert_eq!(files.len(), 8);
    assert!(files.iter().all(|file| file.collector.name() == "route-views2"));
    let open = |threads, batch| Stream::open(files.clone(), Options { threads, batch }).unwrap();
    let one: Vec<Input> = open(1, 2048).flatten().collect();
    let mut stream = open(4, 100);
    let progress = stream.progress();
    assert!(stream.by_ref().flatten().eq(one.iter().cloned()));
    assert_eq!(progress.bytes_done(), progress.bytes_total());
    assert_eq!(progress.counts().gaps, gaps(&one).len() as u64);
    assert!(progress.counts().updates as usize >= one.len() - 1);
    let is_in_time =
        |input: &Input| !matches!(input, Input::Update(update) if update.arrival != Arrival::InTime);
    assert!(one.iter().all(is_in_time));
}

/// All archives of RIS there are: no real record is called early or late.
#[test]
fn no_real_record_is_early_or_late() {
    let Some(data) = shared_data("no_real_record_is_early_or_late") else {
        return;
    };
    for folder in [
        "mrt-formats/ris-1999-2010",
        "mrt-formats/ripe-bgpdump/test_data",
        "mrt-formats/libbgpstream",
    ] {
        for file in discover(&paths(&data.join(folder))).unwrap() {
            let path = file.path.clone();
            for input in Stream::open(vec![file], Options::default()).unwrap().flatten() {
                if let Input::Update(update) = input {
                    assert_eq!(
                        update.arrival,
                        Arrival::InTime,
                        "{} {}",
                        path.display(),
                        update.at
                    );
                }
            }
        }
    }
}

/// More collectors than threads, and batches that fill every queue: all is read.
#[test]
fn few_threads_serve_many_collectors() {
    let folder = tempfile::tempdir().unwrap();
    for collector in 0..12 {
        let records: Vec<Vec<u8>> = (0..3000).map(|n| record(1_199_145_600 + n, 0, 1)).collect();
        write(
            folder.path(),
            &format!("rrc{collector:02}/updates.20080101.0000"),
            &records,
        );
    }
    let inputs = stream(folder.path(), 1, 7);
    assert_eq!(inputs.len(), 36_000);
    assert!(inputs.is_sorted_by_key(Input::at));
}

/// A stream that is dropped in the middle stops its threads.
#[test]
fn dropping_a_stream_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<Vec<u8>> = (0..50_000).map(|n| record(1_199_145_600 + n, 0, 1)).collect();
    write(folder.path(), "rrc00/updates.20080101.0000", &records);
    let files = discover(&paths(folder.path())).unwrap();
    let mut stream = Stream::open(
        files,
        Options {
            threads: 2,
            batch: 10,
        },
    )
    .unwrap();
    assert_eq!(stream.next().map(|batch| batch.len()), Some(10));
    drop(stream); // joins the workers: would hang if one waited for ever
}
