//! What the path of an archive file tells: which collector, which kind, when.

use std::path::Path;

use netfault_model::Time;

/// Updates, or a dump of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Before updates of the same moment.
    Rib,
    Updates,
}

/// By the names that archives use: `updates.…`, `bview.…`, `rib.…`, `rib6.…`, also as a later part
/// (`routeviews.route-views.jinx.updates.1427846400.bz2`).
pub fn kind_of(path: &Path) -> Option<FileKind> {
    file_name(path).split('.').find_map(|part| match part {
        "updates" => Some(FileKind::Updates),
        "bview" | "rib" | "rib4" | "rib6" | "ribs" => Some(FileKind::Rib),
        _ => None,
    })
}

/// A name that says that the file is something else.
pub fn is_other(path: &Path) -> bool {
    const OTHER: [&str; 14] = [
        "md", "rst", "txt", "psv", "csv", "json", "jsonl", "dat", "db", "conf", "log", "pcap", "sha256",
        "md5",
    ];
    let name = file_name(path);
    let stem = name.trim_end_matches(".gz").trim_end_matches(".bz2");
    name.starts_with('.') || stem.rsplit_once('.').is_some_and(|(_, end)| OTHER.contains(&end))
}

/// The collector: a part of the path that reads `rrcNN` or `route-views…` (file name last), a date behind
/// it cut off; else the innermost folder that is not an archive's own division (`2008.02`, `UPDATES`); else `mrt`.
pub fn collector_of(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let Some((file, folders)) = parts.split_last() else {
        return "mrt".to_owned();
    };
    if let Some(known) = folders.iter().rev().find_map(|part| known_collector(part)) {
        return known;
    }
    if let Some(known) = known_in_file_name(file) {
        return known;
    }
    folders
        .iter()
        .rev()
        .find(is_own_name)
        .map_or_else(|| "mrt".to_owned(), |part| (*part).to_owned())
}

fn known_collector(part: &str) -> Option<String> {
    let digits = part.strip_prefix("rrc").map(|rest| &rest[..rest.len().min(2)]);
    if digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())) {
        let after = part.as_bytes().get(5);
        return after
            .is_none_or(|b| !b.is_ascii_alphanumeric())
            .then(|| part[..5].to_owned());
    }
    if !part.starts_with("route-views") {
        return None;
    }
    // route-views2-20080224: the date is of the collection, not of the collector.
    let (name, date) = part.rsplit_once('-').unwrap_or((part, ""));
    let is_date = date.len() >= 6 && date.bytes().all(|b| b.is_ascii_digit());
    Some(if is_date { name } else { part }.to_owned())
}

/// `ris.rrc06.updates.…`, `routeviews.route-views.jinx.updates.…`: what stands before the kind.
fn known_in_file_name(file: &str) -> Option<String> {
    let parts: Vec<&str> = file.split('.').collect();
    let first = parts.iter().position(|part| known_collector(part).is_some())?;
    let end = parts
        .iter()
        .position(|part| matches!(*part, "updates" | "bview" | "rib"))
        .unwrap_or(first + 1);
    known_collector(&parts.get(first..end)?.join("."))
}

fn is_own_name(part: &&&str) -> bool {
    let is_date = part.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    !is_date
        && !matches!(
            **part,
            "/" | "." | ".." | "bgpdata" | "UPDATES" | "RIBS" | "updates" | "ribs"
        )
}

/// The time in a file name: `20080224.0007` or Unix seconds (`1427846400`).
pub fn time_of(path: &Path) -> Option<Time> {
    let name = file_name(path);
    let parts: Vec<&str> = name.split(['.', '_']).collect();
    let dated = parts.windows(2).find_map(|pair| match pair {
        [day, clock] if is_digits(day, 8) && is_digits(clock, 4) => {
            let text = format!(
                "{}-{}-{}T{}:{}",
                &day[..4],
                &day[4..6],
                &day[6..],
                &clock[..2],
                &clock[2..]
            );
            text.parse().ok()
        }
        _ => None,
    });
    let unix = || {
        parts
            .iter()
            .find(|part| is_digits(part, 10))
            .and_then(|part| part.parse().ok())
    };
    dated.or_else(unix)
}

fn is_digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit())
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_collector() {
        for (path, collector) in [
            ("/data/rrc00/2000.01/updates.20000102.2014.gz", "rrc00"),
            (
                "/data/route-views2-20080224/updates.20080224.0007.bz2",
                "route-views2",
            ),
            (
                "route-views.sydney/bgpdata/2021.10/UPDATES/updates.20211004.1500.bz2",
                "route-views.sydney",
            ),
            ("/x/libbgpstream/ris.rrc06.updates.1427846400.gz", "rrc06"),
            (
                "/x/libbgpstream/routeviews.route-views.jinx.updates.1427846400.bz2",
                "route-views.jinx",
            ),
            ("/captures/lab/RIBS/rib.20260101.0000", "lab"),
            ("updates.20260101.0000", "mrt"),
        ] {
            assert_eq!(collector_of(Path::new(path)), collector, "{path}");
        }
    }

    #[test]
    fn a_name_tells_kind_and_time() {
        let midnight = "2008-02-24T00:07".parse().ok();
        assert_eq!(time_of(Path::new("updates.20080224.0007.bz2")), midnight);
        assert_eq!(time_of(Path::new("rib.20080224.0007_firstMB.bz2")), midnight);
        assert_eq!(
            time_of(Path::new("ris.rrc06.updates.1427846400.gz")),
            Some(Time::from_secs(1_427_846_400))
        );
        assert_eq!(time_of(Path::new("updates.20081324.0007.bz2")), None);
        assert_eq!(kind_of(Path::new("bview.20020722.2337.gz")), Some(FileKind::Rib));
        assert_eq!(
            kind_of(Path::new("ris.rrc06.updates.1427846400.gz")),
            Some(FileKind::Updates)
        );
        assert_eq!(kind_of(Path::new("bird_bgp")), None);
        assert!(is_other(Path::new("ipasn_20080501_v12.dat.gz")) && is_other(Path::new("a/events.psv")));
        assert!(!is_other(Path::new("updates.20080224.0007.bz2")));
    }
}
