//! One file of an archive, as a listing names it; and what a list of them does not cover.

use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use netfault_model::{Collector, Time};

use crate::mrt::{FileKind, MrtFile};

/// A file that exists, or should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub collector: Collector,
    pub kind: FileKind,
    /// As the archive says: its broker, or the name of the file.
    pub starts: Time,
    /// Where the next file should begin. Of a table dump: `starts`.
    pub ends: Time,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it may be; what the first does not have the next may. Never empty.
    Web(Vec<Uri>),
    Local(MrtFile),
}

impl Entry {
    /// The file name: of the first address, or on disk.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Web(urls) => urls.first().map_or("", name_of),
            Place::Local(file) => {
                let name = file.path.file_name().and_then(|name| name.to_str());
                name.unwrap_or_default()
            }
        }
    }

    /// What a person would look at when the file is missing.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Web(urls) => urls.first().map(Uri::to_string).unwrap_or_default(),
            Place::Local(file) => file.path.display().to_string(),
        }
    }
}

/// The last part of the path of an address.
pub(super) fn name_of(url: &Uri) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

/// Letters, digits, `.`, `-` and `_`, not beginning with a dot, and a time in it: what may become the name of a
/// file of ours. (A name without a time could mean another file tomorrow.)
pub fn is_safe_name(name: &str) -> bool {
    is_plain(name) && crate::mrt::name::time_of(Path::new(name)).is_some()
}

/// What may become the name of a folder of ours: the collector.
pub fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Sorts, drops repetitions, and gives every file of updates its end: no later than the next one's beginning.
pub(super) fn tidy(entries: &mut Vec<Entry>) {
    entries.sort_by(|a, b| (a.starts, a.name()).cmp(&(b.starts, b.name())));
    entries.dedup_by(|later, earlier| later.starts == earlier.starts && later.name() == earlier.name());
    for index in 1..entries.len() {
        let starts = entries[index].starts;
        let before = &mut entries[index - 1];
        if before.kind == FileKind::Updates && before.ends > starts && starts > before.starts {
            before.ends = starts;
        }
    }
}

/// How far apart files of one kind usually begin: the median.
pub(super) fn usual_step(starts: &[Time]) -> Option<Duration> {
    let mut steps: Vec<i64> = starts
        .windows(2)
        .map(|pair| pair[1].since(pair[0]))
        .filter(|step| *step > 0)
        .collect();
    steps.sort_unstable();
    let median = *steps.get(steps.len() / 2)?;
    Some(Duration::from_micros(median.unsigned_abs()))
}

/// What of `[from, to)` no file covers. Half a file's length is no hole: files begin a little late.
pub(super) fn holes(entries: &[Entry], from: Time, to: Time) -> Vec<(Time, Time)> {
    let mut holes = Vec::new();
    let mut covered = from;
    let mut slack = Duration::ZERO;
    for entry in entries {
        slack = Duration::from_micros(entry.ends.since(entry.starts).max(0).unsigned_abs() / 2);
        let until = entry.starts.min(to);
        if until > covered + slack {
            holes.push((covered, until));
        }
        covered = covered.max(entry.ends);
    }
    if to > covered + slack {
        holes.push((covered, to));
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(starts: i64, ends: i64) -> Entry {
        Entry {
            collector: Collector::new("rrc00"),
            kind: FileKind::Updates,
            starts: Time::from_secs(starts),
            ends: Time::from_secs(ends),
            place: Place::Web(Vec::new()),
        }
    }

    #[test]
    fn holes_are_what_no_file_covers() {
        let t = Time::from_secs;
        let files = [entry(0, 300), entry(301, 600), entry(900, 1200)];
        assert_eq!(holes(&files, t(100), t(1100)), [(t(600), t(900))]);
        assert_eq!(
            holes(&files, t(0), t(1800)),
            [(t(600), t(900)), (t(1200), t(1800))]
        );
        assert_eq!(holes(&[], t(0), t(10)), [(t(0), t(10))]);
        assert_eq!(holes(&files[1..], t(0), t(600)), [(t(0), t(301))]);
    }

    #[test]
    fn only_plain_names_with_a_time_become_files() {
        assert!(is_safe_name("updates.20080224.0007.bz2"));
        for name in [
            "",
            "..",
            "../updates.20080224.0007.bz2",
            ".updates.20080224.0007.bz2",
            "updates.20080224.0007.bz2\0",
            "updates%2f20080224.0007",
            "latest-bview.gz",
            "a b.20080224.0007",
        ] {
            assert!(!is_safe_name(name), "{name}");
        }
        assert!(!is_safe_name(&format!(
            "updates.20080224.0007.{}",
            "x".repeat(200)
        )));
    }
}
