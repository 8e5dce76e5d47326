//! The search of a BGPKIT broker (API version 3): which files there are, and where.
//!
//! `GET {broker}/search?ts_start=…&ts_end=…&collector_id=…&data_type=updates|rib&page=1&page_size=1000` answers
//! `{"count", "page", "page_size", "error", "data": [{"ts_start", "ts_end", "collector_id", "data_type", "url",
//! "rough_size", "exact_size"}], "meta"}`. Times are without a zone and mean UTC. Versions of the broker differ on
//! whether `ts_end` is inclusive, and on how far before `ts_start` a file of updates may begin, so we ask for
//! more than we need and choose ourselves. `/latest` is not used: a search from a day ago until now says as much.

use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use netfault_model::{Collector, Time};
use serde::Deserialize;

use super::entry::{Entry, Place, is_safe_name, name_of};
use super::url;
use crate::mrt::{FileKind, name};

/// The most that the broker gives at once.
const PAGE_SIZE: usize = 1000;
/// A year of five-minute files is 106 pages; a broker that never ends is cut off behind that.
pub(super) const MAX_PAGES: usize = 128;
/// Files of updates that begin so long before the span may reach into it.
const LOOK_BACK: Duration = Duration::from_secs(3600);
/// A file of updates whose broker says an absurd end.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    page_size: Option<usize>,
    data: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    ts_start: String,
    ts_end: String,
    collector_id: String,
    data_type: String,
    url: String,
}

/// One page of a search.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Items that are not what was asked for, or could not be kept under their name.
    pub refused: usize,
    /// Whether there may be another page.
    pub more: bool,
}

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("its answer is not the JSON of a broker")]
    NotJson(#[source] serde_json::Error),
    #[error("it says: {0}")]
    Said(String),
}

/// The address of a page (from 1).
pub fn search(
    broker: &Uri,
    collector: Collector,
    kind: FileKind,
    from: Time,
    to: Time,
    page: usize,
) -> Option<Uri> {
    let (data_type, from) = match kind {
        FileKind::Updates => ("updates", from - LOOK_BACK),
        FileKind::Rib => ("rib", from),
    };
    url::below(
        broker,
        &format!(
            "search?ts_start={}&ts_end={}&collector_id={collector}&data_type={data_type}&page={page}&page_size={PAGE_SIZE}",
            from.secs(),
            // Whole seconds, and inclusive or not.
            to.plus_micros(999_999).secs().saturating_add(1),
        ),
    )
}

/// Reads a page.
///
/// # Errors
/// [`AnswerError`] if the whole of it is not to be used; single items that are not are counted.
pub fn read(bytes: &[u8], collector: Collector, kind: FileKind) -> Result<Page, AnswerError> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(AnswerError::NotJson)?;
    if let Some(error) = answer.error.filter(|error| !error.is_empty()) {
        let short: String = error.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(AnswerError::Said(short));
    }
    let all = answer.data.len();
    let full = answer.page_size.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE);
    let entries: Vec<Entry> = answer
        .data
        .into_iter()
        .filter_map(|item| item.entry(collector, kind))
        .collect();
    Ok(Page {
        refused: all - entries.len(),
        entries,
        more: all >= full,
    })
}

impl Item {
    /// `None`: not to be trusted, or not what was asked for.
    fn entry(self, collector: Collector, kind: FileKind) -> Option<Entry> {
        let is_kind = match kind {
            FileKind::Updates => matches!(self.data_type.as_str(), "updates" | "update"),
            FileKind::Rib => matches!(self.data_type.as_str(), "rib" | "ribs"),
        };
        if !is_kind || self.collector_id != collector.name() {
            return None;
        }
        let starts: Time = self.ts_start.parse().ok()?;
        let ends: Time = self.ts_end.parse().ok()?;
        let url = url::parse(&self.url)?;
        let file = name_of(&url);
        if !is_safe_name(file) || name::kind_of(Path::new(file)).is_some_and(|named| named != kind) {
            return None;
        }
        let ends = match kind {
            FileKind::Rib => starts,
            FileKind::Updates => ends.max(starts).min(starts + LONGEST),
        };
        Some(Entry {
            collector,
            kind,
            starts,
            ends,
            place: Place::Web(vec![url]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str = r#"{"ts_start":"2021-10-04T15:30:00","ts_end":"2021-10-04T15:45:00","collector_id":"route-views2",
        "data_type":"updates","url":"http://archive.example/bgpdata/2021.10/UPDATES/updates.20211004.1530.bz2",
        "rough_size":1153433,"exact_size":0}"#;

    fn page(data: &str) -> Page {
        let answer =
            format!(r#"{{"count":1,"page":1,"page_size":1000,"error":null,"data":[{data}],"meta":null}}"#);
        read(
            answer.as_bytes(),
            Collector::new("route-views2"),
            FileKind::Updates,
        )
        .unwrap()
    }

    #[test]
    fn an_item_becomes_an_entry() {
        let page = page(ITEM);
        assert_eq!((page.refused, page.more), (0, false));
        let entry = &page.entries[0];
        assert_eq!(entry.starts.to_string(), "2021-10-04T15:30:00.000000Z");
        assert_eq!(entry.ends.since(entry.starts), 900_000_000);
        assert_eq!(entry.name(), "updates.20211004.1530.bz2");
    }

    #[test]
    fn what_is_not_to_be_trusted_is_refused() {
        for (from, to) in [
            ("updates.20211004.1530.bz2", "..%2f..%2fetc%2fpasswd"),
            ("updates.20211004.1530.bz2", ".."),
            ("updates.20211004.1530.bz2", "updates.20211004.1530.bz2/"),
            ("updates.20211004.1530.bz2", "rib.20211004.1530.bz2"),
            ("http://", "file:///"),
            ("http://", "ftp://"),
            (r#""route-views2""#, r#""route-views3""#),
            (r#""updates""#, r#""rib""#),
            ("2021-10-04T15:30:00", "yesterday"),
        ] {
            let page = page(&ITEM.replacen(from, to, 1));
            assert_eq!((page.entries.len(), page.refused), (0, 1), "{to}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let read = |text: &str| read(text.as_bytes(), Collector::new("rrc00"), FileKind::Rib);
        assert!(matches!(read("<html>"), Err(AnswerError::NotJson(_))));
        assert!(matches!(read("{}"), Err(AnswerError::NotJson(_))));
        assert!(matches!(
            read(r#"{"error":"down","data":[]}"#),
            Err(AnswerError::Said(_))
        ));
        assert!(read(r#"{"data":[]}"#).is_ok_and(|page| !page.more));
    }
}
