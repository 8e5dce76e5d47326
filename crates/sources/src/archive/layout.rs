//! Where RIS and RouteViews keep what, when nobody names the files.
//!
//! * RIS: `rrcNN/YYYY.MM/updates.YYYYMMDD.HHmm.gz` every 5 minutes, `bview.….gz` every 8 hours.
//! * RouteViews: `COLLECTOR/bgpdata/YYYY.MM/UPDATES/updates.….bz2` every 15 minutes, `RIBS/rib.….bz2` every 2
//!   hours. The oldest collector, route-views2, is at `bgpdata/…` without a folder of its own.

use std::time::Duration;

use hyper::Uri;
use netfault_model::{Collector, Time};

use super::entry::{Entry, Place};
use super::url;
use crate::mrt::FileKind;

/// One month of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    year: i32,
    month: u32,
}

fn is_ris(collector: Collector) -> bool {
    let digits = collector.name().strip_prefix("rrc");
    digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// From one file to the next.
pub fn step(collector: Collector, kind: FileKind) -> Duration {
    let minutes = match (is_ris(collector), kind) {
        (true, FileKind::Updates) => 5,
        (true, FileKind::Rib) => 8 * 60,
        (false, FileKind::Updates) => 15,
        (false, FileKind::Rib) => 2 * 60,
    };
    Duration::from_secs(minutes * 60)
}

/// Folders that may hold the files of a month, the likeliest first.
pub fn folders(base: &Uri, collector: Collector, kind: FileKind, month: Month) -> Vec<Uri> {
    let month = format!("{:04}.{:02}", month.year, month.month);
    let name = collector.name();
    let below = |path: String| url::below(base, &path);
    if is_ris(collector) {
        return below(format!("{name}/{month}/")).into_iter().collect();
    }
    let division = match kind {
        FileKind::Updates => "UPDATES",
        FileKind::Rib => "RIBS",
    };
    let own = below(format!("{name}/bgpdata/{month}/{division}/"));
    let bare = (name == "route-views2")
        .then(|| below(format!("bgpdata/{month}/{division}/")))
        .flatten();
    bare.into_iter().chain(own).collect()
}

/// The files that should be there, when the archive has no page that lists them.
pub fn expected(base: &Uri, collector: Collector, kind: FileKind, from: Time, to: Time) -> Vec<Entry> {
    let step = step(collector, kind).as_secs().cast_signed();
    let (stem, end) = match (is_ris(collector), kind) {
        (true, FileKind::Updates) => ("updates", "gz"),
        (true, FileKind::Rib) => ("bview", "gz"),
        (false, FileKind::Updates) => ("updates", "bz2"),
        (false, FileKind::Rib) => ("rib", "bz2"),
    };
    let mut entries = Vec::new();
    let mut at = from.secs().div_euclid(step) * step;
    while Time::from_secs(at) < to {
        let starts = Time::from_secs(at);
        let name = format!("{stem}.{}.{end}", stamp(starts));
        let urls: Vec<Uri> = Month::of(starts)
            .into_iter()
            .flat_map(|month| folders(base, collector, kind, month))
            .filter_map(|folder| url::below(&folder, &name))
            .collect();
        if !urls.is_empty() {
            entries.push(Entry {
                collector,
                kind,
                starts,
                ends: match kind {
                    FileKind::Updates => Time::from_secs(at + step),
                    FileKind::Rib => starts,
                },
                place: Place::Web(urls),
            });
        }
        at += step;
    }
    entries
}

/// `20211004.1530`.
fn stamp(at: Time) -> String {
    let text = at.to_string(); // 2021-10-04T15:30:00.000000Z
    let digits: String = text.chars().filter(char::is_ascii_digit).take(12).collect();
    let (day, clock) = digits.split_at(digits.len().min(8));
    format!("{day}.{clock}")
}

impl Month {
    /// `None` outside of the years that a folder could be named after.
    pub fn of(at: Time) -> Option<Month> {
        let text = at.to_string();
        let mut parts = text.split('-');
        Some(Month {
            year: parts
                .next()?
                .parse()
                .ok()
                .filter(|year| (1990..=9999).contains(year))?,
            month: parts.next()?.parse().ok()?,
        })
    }

    /// Every month that `[from, to)` touches.
    pub fn of_span(from: Time, to: Time) -> Vec<Month> {
        let (Some(first), Some(last)) = (Month::of(from), Month::of(to.plus_micros(-1))) else {
            return Vec::new();
        };
        let (mut at, mut all) = (first, Vec::new());
        while (at.year, at.month) <= (last.year, last.month) {
            all.push(at);
            at = match at.month {
                12 => Month {
                    year: at.year + 1,
                    month: 1,
                },
                month => Month {
                    month: month + 1,
                    ..at
                },
            };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn addresses(collector: &str, kind: FileKind, from: &str, to: &str) -> Vec<String> {
        let base = Uri::from_static("https://archive.example");
        let entries = expected(&base, Collector::new(collector), kind, at(from), at(to));
        let all = entries.into_iter().flat_map(|entry| match entry.place {
            Place::Web(urls) => urls,
            Place::Local(_) => Vec::new(),
        });
        all.map(|url| url.to_string()).collect()
    }

    #[test]
    fn the_layouts_of_ris_and_routeviews() {
        assert_eq!(
            addresses("rrc00", FileKind::Updates, "2021-10-31T23:57", "2021-11-01T00:01"),
            [
                "https://archive.example/rrc00/2021.10/updates.20211031.2355.gz",
                "https://archive.example/rrc00/2021.11/updates.20211101.0000.gz"
            ]
        );
        assert_eq!(
            addresses("rrc00", FileKind::Rib, "2021-10-04T16:00", "2021-10-04T16:00:01"),
            ["https://archive.example/rrc00/2021.10/bview.20211004.1600.gz"]
        );
        assert_eq!(
            addresses(
                "route-views.sydney",
                FileKind::Updates,
                "2021-10-04T15:40",
                "2021-10-04T15:41"
            ),
            ["https://archive.example/route-views.sydney/bgpdata/2021.10/UPDATES/updates.20211004.1530.bz2"]
        );
        assert_eq!(
            addresses(
                "route-views2",
                FileKind::Rib,
                "2021-10-04T15:40",
                "2021-10-04T15:41"
            ),
            [
                "https://archive.example/bgpdata/2021.10/RIBS/rib.20211004.1400.bz2",
                "https://archive.example/route-views2/bgpdata/2021.10/RIBS/rib.20211004.1400.bz2"
            ]
        );
    }

    #[test]
    fn a_span_touches_months() {
        assert_eq!(Month::of_span(at("2021-10-04"), at("2021-11-01")).len(), 1);
        assert_eq!(
            Month::of_span(at("2021-12-31T23:59"), at("2022-01-01T00:01")).len(),
            2
        );
        assert!(Month::of_span(Time::MIN, Time::MAX).is_empty());
    }
}
