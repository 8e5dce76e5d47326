//! Our decoder against bgpkit-parser, record by record, on every recording there is.
//!
//! A record is framed by us, read by both, and both are put into the same plain form: what is withdrawn,
//! announced with which path and origin, held in a dump, by whom and when. Where they differ, the difference
//! must be one of [`Exception`], and the number of each is pinned.

mod mrt_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mrt_support::{Fact, facts_of, facts_of_bgpkit, gaps, read_all, shared_data};
use netfault_model::Input;
use netfault_sources::mrt::frame::{Frame, Record, Search, frame, search};
use netfault_sources::mrt::sound::is_sound;
use netfault_sources::mrt::{Decoder, name};

/// Why the two decoders may say different things of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exception {
    /// RIB_GENERIC is an error of bgpkit; here it is counted as another family.
    RibGeneric,
    /// BGP4MP_SNAPSHOT and _ENTRY (RFC 6396 appendix B.2.6) are read by neither; here that is a `Gap`.
    Bgp4mpEntry,
    /// A prefix field with a stray octet at its end: bgpkit drops its routes with a warning, we with a `Gap`.
    BrokenNlri,
    /// A message that Zebra cut so that its record has 4,096 octets. We take every whole prefix and say so;
    /// bgpkit does too where the cut falls between two prefixes, else takes none or refuses the record.
    CutMessage,
    /// An UPDATE of type 5 that overruns its record (the damaged file of 2000): an error of both.
    BrokenType5,
}

type Tally = BTreeMap<Exception, u64>;

fn explain(
    record: &Record<'_>,
    ours: &BTreeSet<Fact>,
    theirs: &Outcome,
    reasons: &[String],
) -> Option<Exception> {
    let kind = (record.header.kind, record.header.subtype);
    match (kind, theirs, reasons) {
        ((13, 6 | 12), Err(_), []) if ours.is_empty() => Some(Exception::RibGeneric),
        ((16, 2 | 3), Err(_), [reason]) if reason.starts_with("unsupported record subtype") => {
            Some(Exception::Bgp4mpEntry)
        }
        (_, Ok(theirs), [reason])
            if ours == theirs && reason.starts_with("prefix length out of range in NLRI") =>
        {
            Some(Exception::BrokenNlri)
        }
        ((16, 1), theirs, [reason])
            if record.header.len == 4096 && reason.starts_with("BGP message length") =>
        {
            theirs
                .as_ref()
                .map_or(true, |theirs| theirs.is_subset(ours))
                .then_some(Exception::CutMessage)
        }
        ((5, 1), Err(_), [reason]) if reason.starts_with("UPDATE of type 5") => Some(Exception::BrokenType5),
        _ => None,
    }
}

type Outcome = Result<BTreeSet<Fact>, String>;

#[test]
fn both_decoders_read_the_collected_formats_alike() {
    let Some(data) = shared_data("both_decoders_read_the_collected_formats_alike") else {
        return;
    };
    let mut files = Vec::new();
    collect(&data.join("mrt-formats"), &mut files);
    assert_eq!(files.len(), 49, "{files:#?}");
    let (records, tally) = compare_all(&files);
    assert_eq!(records, RECORDS_OF_FORMATS);
    let expected = [
        (Exception::RibGeneric, 2),
        (Exception::Bgp4mpEntry, 31),
        (Exception::BrokenNlri, 1),
        (Exception::BrokenType5, 1),
    ];
    assert_eq!(tally, Tally::from(expected));
}

const RECORDS_OF_FORMATS: usize = 473_613;

/// The day of route-views2 in two halves, for two cores.
#[test]
fn both_decoders_read_a_real_day_alike_first_half() {
    real_day(|index| index % 2 == 0, 2);
}

#[test]
fn both_decoders_read_a_real_day_alike_second_half() {
    real_day(|index| index % 2 == 1, 2);
}

fn real_day(chosen: impl Fn(usize) -> bool, cut_messages: u64) {
    let Some(data) = shared_data("both_decoders_read_a_real_day_alike") else {
        return;
    };
    let mut files = Vec::new();
    collect(&data.join("route-views2-20080224"), &mut files);
    assert_eq!(files.len(), 96);
    let files: Vec<PathBuf> = files
        .into_iter()
        .enumerate()
        .filter(|(index, _)| chosen(*index))
        .map(|(_, file)| file)
        .collect();
    let (records, mut tally) = compare_all(&files);
    assert!(records > 1_000_000, "{records}");
    assert_eq!(tally.remove(&Exception::CutMessage).unwrap_or(0), cut_messages);
    assert_eq!(tally, Tally::new());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.ends_with("test_expect") {
            collect(&path, files);
        } else if path.is_file() && !name::is_other(&path) {
            files.push(path);
        }
    }
}

fn compare_all(files: &[PathBuf]) -> (usize, Tally) {
    let (mut records, mut tally) = (0, Tally::new());
    for path in files {
        records += compare(path, &mut tally);
    }
    (records, tally)
}

/// Compares all records of a file, those behind damage included; panics at the first difference that is no
/// exception.
fn compare(path: &Path, tally: &mut Tally) -> usize {
    let (bytes, _) = read_all(path);
    let (mut at, mut count) = (0, 0);
    let mut index_record: &[u8] = &[];
    let mut index = None;
    while at < bytes.len() {
        let Frame::Record(record) = frame(&bytes[at..]) else {
            match search(&bytes, at + 1, true, None, is_sound) {
                Search::Found(next) => at = next,
                Search::Need { .. } => break,
            }
            continue;
        };
        let whole = &bytes[at..at + record.size];
        let is_v2 = record.header.kind == 13;
        if is_v2 && record.header.subtype == 1 {
            index_record = whole;
        }
        let theirs = facts_of_bgpkit(&record, &mut index);
        let (ours, reasons) = ours(whole, if is_v2 { index_record } else { &[] }, &record);
        if theirs.as_ref() != Ok(&ours) || !reasons.is_empty() {
            let Some(exception) = explain(&record, &ours, &theirs, &reasons) else {
                panic!(
                    "{} at {at}: {:?}\nours {ours:?}\ntheirs {theirs:?}\n{reasons:?}",
                    path.display(),
                    record.header
                )
            };
            *tally.entry(exception).or_default() += 1;
        }
        at += record.size;
        count += 1;
    }
    count
}

/// What we say of one record, given the index of its dump.
fn ours(whole: &[u8], index: &[u8], record: &Record<'_>) -> (BTreeSet<Fact>, Vec<String>) {
    let mut decoder = Decoder::new(mrt_support::origin("f"), 64);
    decoder.feed(index);
    decoder.feed(whole);
    decoder.finish(None);
    let mut inputs = decoder.take_batches().concat();
    for input in &mut inputs {
        // The time of a dump is that of its index; bgpkit gives the record's.
        if let Input::Rib(route) = input {
            route.at = record.at;
        }
    }
    let reasons = gaps(&inputs).iter().map(|gap| gap.reason.to_string()).collect();
    (facts_of(&inputs), reasons)
}
