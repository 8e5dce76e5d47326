//! What it takes to play a span: for each collector the newest table dump at its beginning, and the updates from
//! that dump on.

use netfault_model::{Collector, Gap, GapSource, Time};

use super::entry::{self, Entry};
use super::fetch::{Archive, ArchiveError, Held};
use super::http::HttpError;
use crate::mrt::FileKind;

/// If the newest dump cannot be had an older one is tried, but not for ever.
const RIB_TRIES: usize = 3;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    pub collectors: Vec<Collector>,
    pub from: Time,
    pub to: Time,
    /// Begin with a table dump at or before `from`.
    pub seed: bool,
    /// The archive should have everything until `to`: what it lacks at the end is a gap. Else (now) it is only
    /// not there yet.
    pub is_past: bool,
}

/// What will be read. The table dumps are here already; updates come while reading.
#[derive(Debug)]
pub struct Plan {
    pub(super) lanes: Vec<LanePlan>,
    pub from: Time,
    pub to: Time,
}

#[derive(Debug)]
pub(super) struct LanePlan {
    pub collector: Collector,
    pub rib: Option<Held>,
    /// Nothing before it is played: the time of the dump, or the beginning of the span.
    pub starts: Time,
    pub pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    File(Entry),
    Hole(Box<Gap>),
}

impl Plan {
    /// Files of updates.
    pub fn files(&self) -> usize {
        let file = |piece: &&Piece| matches!(piece, Piece::File(_));
        self.lanes
            .iter()
            .map(|lane| lane.pieces.iter().filter(file).count())
            .sum()
    }

    /// For each collector the time of its table dump, if it has one.
    pub fn seeds(&self) -> impl Iterator<Item = (Collector, Option<Time>)> {
        self.lanes
            .iter()
            .map(|lane| (lane.collector, lane.rib.as_ref().and_then(|rib| rib.file.starts)))
    }

    pub fn is_empty(&self) -> bool {
        self.lanes
            .iter()
            .all(|lane| lane.rib.is_none() && lane.pieces.is_empty())
    }
}

impl Archive {
    /// Finds the files of a span, and fetches the table dumps.
    ///
    /// # Errors
    /// [`ArchiveError`]: the archive cannot be asked, or (for a past span) has nothing of a collector.
    pub async fn plan(&self, request: &Request) -> Result<Plan, ArchiveError> {
        let lanes = request
            .collectors
            .iter()
            .map(|&collector| self.lane(collector, request));
        let mut lanes = futures_util::future::try_join_all(lanes).await?;
        lanes.sort_by_key(|lane| lane.collector);
        Ok(Plan {
            lanes,
            from: request.from,
            to: request.to,
        })
    }

    async fn lane(&self, collector: Collector, request: &Request) -> Result<LanePlan, ArchiveError> {
        let rib = match request.seed {
            true => self.newest_rib(collector, request.from).await?,
            false => None,
        };
        let starts = rib
            .as_ref()
            .and_then(|rib| rib.file.starts)
            .map_or(request.from, |dumped| dumped.min(request.from));
        let entries = self
            .list(collector, FileKind::Updates, starts, request.to)
            .await?;
        if request.is_past && !entries.iter().any(|entry| entry.ends > request.from) {
            return Err(ArchiveError::Nothing {
                archive: Box::new(self.source().clone()),
                collector,
                from: request.from,
                to: request.to,
            });
        }
        Ok(LanePlan {
            collector,
            rib,
            starts,
            pieces: pieces(collector, entries, starts, request),
        })
    }

    /// The newest dump that can be had. Its absence is said, and is no failure: netfault learns without.
    async fn newest_rib(&self, collector: Collector, at: Time) -> Result<Option<Held>, ArchiveError> {
        let mut tried = 0;
        for entry in self.ribs(collector, at).await? {
            match self.fetch(&entry).await {
                Ok(held) => return Ok(Some(held)),
                // Usual names are tried one after the other until one is there; that costs nothing.
                Err(error) if error.is_absent() => tracing::debug!("{error}"),
                Err(error) => {
                    tracing::warn!("a table dump cannot be had: {error}");
                    tried += 1;
                }
            }
            if tried >= RIB_TRIES {
                break;
            }
        }
        tracing::warn!(%collector, "no table dump at or before {at}: learning without a seed");
        Ok(None)
    }
}

/// Files and holes in order.
fn pieces(collector: Collector, entries: Vec<Entry>, starts: Time, request: &Request) -> Vec<Piece> {
    let to = match (request.is_past, entries.last()) {
        (false, Some(last)) => last.ends.min(request.to),
        (false, None) => starts,
        (true, _) => request.to,
    };
    let holes = entry::holes(&entries, starts, to);
    let mut pieces: Vec<(Time, Piece)> = Vec::with_capacity(entries.len() + holes.len());
    for (from, to) in holes {
        let reason = "the archive has no file of this span".to_owned();
        pieces.push((from, Piece::Hole(Box::new(gap(collector, from, to, reason)))));
    }
    pieces.extend(
        entries
            .into_iter()
            .map(|entry| (entry.starts, Piece::File(entry))),
    );
    pieces.sort_by_key(|(at, _)| *at);
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

/// A file that cannot be had, as far as it matters for `[starts, to)`.
pub(super) fn lost(entry: &Entry, error: &HttpError, starts: Time, to: Time) -> Option<Gap> {
    let (from, to) = (entry.starts.max(starts), entry.ends.min(to));
    (from < to).then(|| gap(entry.collector, from, to, error.to_string()))
}

fn gap(collector: Collector, from: Time, to: Time, reason: String) -> Gap {
    Gap {
        at: from,
        source: GapSource::Mrt,
        collector: Some(collector),
        peer: None,
        from: Some(from),
        to: Some(to),
        offset: None,
        reason: reason.into(),
        lost: None,
    }
}
