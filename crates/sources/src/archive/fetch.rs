//! An archive: its listings, and single files of it fetched into the cache.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Uri;
use netfault_model::{Collector, Time};
use tokio::task::spawn_blocking;

use super::broker::{self, AnswerError};
use super::cache::{Cache, CacheSettings, Pin};
use super::entry::{self, Entry, Place, is_plain};
use super::http::{Http, HttpError, Partial};
use super::index;
use super::layout::{self, Month};
use super::limits::Limits;
use super::source::Source;
use crate::mrt::inflate::Inflater;
use crate::mrt::{self, FileKind, MrtError, MrtFile, Progress};

/// Names and contents of files are minutes apart; so a file is looked for a little before the span.
const SLACK: Duration = Duration::from_secs(3600);
/// A file of which nobody knows the length.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Why an archive cannot be used at all. (A single file that cannot be had is a `Gap`.)
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the archive cannot be asked")]
    Http(#[from] HttpError),
    #[error("{url} cannot be understood")]
    Answer { url: Uri, source: AnswerError },
    #[error("{url} gives page after page without an end")]
    Endless { url: Uri },
    #[error(transparent)]
    Folder(#[from] MrtError),
    #[error("'{0}' is not the name of a collector: give one such as rrc00 or route-views2")]
    Collector(String),
    #[error("{archive} has no updates of {collector} from {from} to {to}")]
    Nothing {
        archive: Box<Source>,
        collector: Collector,
        from: Time,
        to: Time,
    },
    #[error("the cache {path} cannot be used")]
    Cache { path: String, source: std::io::Error },
}

impl ArchiveError {
    /// Something is there, but it is not what it should be.
    pub fn is_about_data(&self) -> bool {
        matches!(
            self,
            ArchiveError::Answer { .. } | ArchiveError::Endless { .. } | ArchiveError::Folder(_)
        )
    }
}

/// A file on this disk. It stays as long as this lives.
#[derive(Clone, Debug)]
pub struct Held {
    pub file: MrtFile,
    pin: Option<Arc<Pin>>,
}

/// One archive with its cache. Cheap to share in an `Arc`.
pub struct Archive {
    source: Source,
    http: Http,
    limits: Limits,
    /// `None`: a folder needs none.
    cache: Option<Arc<Cache>>,
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Archive {
    /// # Errors
    /// [`ArchiveError::Cache`]. The archive itself is not asked yet.
    pub fn open(source: Source, cache: CacheSettings, limits: Limits) -> Result<Self, ArchiveError> {
        let cache = match &source {
            Source::Folder(_) => None,
            Source::Broker(_) | Source::Base(_) => {
                let path = cache.dir.display().to_string();
                let opened = Cache::open(cache).map_err(|source| ArchiveError::Cache { path, source })?;
                Some(Arc::new(opened))
            }
        };
        Ok(Archive {
            source,
            http: Http::new(limits),
            limits,
            cache,
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        })
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of files fetched so far.
    pub fn bytes_fetched(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests made so far, listings included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The files of one kind that may hold something of `[from, to)`, in order of time; of table dumps those
    /// that were made in it. What the archive does not name is not in the list.
    ///
    /// # Errors
    /// [`ArchiveError`], after as many tries as the limits say.
    pub async fn list(
        &self,
        collector: Collector,
        kind: FileKind,
        from: Time,
        to: Time,
    ) -> Result<Vec<Entry>, ArchiveError> {
        if !is_plain(collector.name()) {
            return Err(ArchiveError::Collector(collector.name().to_owned()));
        }
        let mut entries = match &self.source {
            Source::Broker(broker) => self.ask_broker(broker, collector, kind, from, to).await?,
            Source::Base(base) => self.ask_base(base, collector, kind, from, to).await?,
            Source::Folder(folder) => local(folder, collector, kind).await?,
        };
        entries.sort_by_key(|entry| entry.starts);
        self.set_ends(&mut entries, collector, kind);
        entry::tidy(&mut entries);
        entries.retain(|entry| match kind {
            FileKind::Rib => (from..to).contains(&entry.starts),
            FileKind::Updates => {
                let length = entry.ends.since(entry.starts).max(0).unsigned_abs();
                let slack = Duration::from_micros(length).min(SLACK);
                entry.starts < to && entry.ends + slack > from
            }
        });
        Ok(entries)
    }

    /// Table dumps at or before `at`, the newest first, not older than a day or so.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn ribs(&self, collector: Collector, at: Time) -> Result<Vec<Entry>, ArchiveError> {
        let from = at - LONGEST - SLACK - SLACK;
        let mut ribs = self
            .list(collector, FileKind::Rib, from, at.plus_micros(1))
            .await?;
        ribs.reverse();
        Ok(ribs)
    }

    /// Where only beginnings are known, a file ends where the next one usually begins.
    fn set_ends(&self, entries: &mut [Entry], collector: Collector, kind: FileKind) {
        if kind == FileKind::Rib {
            return;
        }
        let starts: Vec<Time> = entries.iter().map(|entry| entry.starts).collect();
        let otherwise = match self.source {
            Source::Folder(_) => LONGEST,
            Source::Broker(_) | Source::Base(_) => layout::step(collector, kind),
        };
        let step = entry::usual_step(&starts).unwrap_or(otherwise).min(LONGEST);
        for entry in entries.iter_mut().filter(|entry| entry.ends <= entry.starts) {
            entry.ends = entry.starts + step;
        }
    }

    async fn ask_broker(
        &self,
        broker: &Uri,
        collector: Collector,
        kind: FileKind,
        from: Time,
        to: Time,
    ) -> Result<Vec<Entry>, ArchiveError> {
        let (mut entries, mut refused) = (Vec::new(), 0);
        for number in 1..=broker::MAX_PAGES {
            let Some(url) = broker::search(broker, collector, kind, from, to, number) else {
                return Err(ArchiveError::Collector(collector.name().to_owned()));
            };
            let bytes = self.get(&url).await?;
            let page = broker::read(&bytes, collector, kind).map_err(|source| ArchiveError::Answer {
                url: url.clone(),
                source,
            })?;
            entries.extend(page.entries);
            refused += page.refused;
            if !page.more {
                if refused > 0 {
                    tracing::warn!(refused, %collector, "the broker named files that were not asked for or cannot be kept");
                }
                return Ok(entries);
            }
        }
        Err(ArchiveError::Endless { url: broker.clone() })
    }

    async fn ask_base(
        &self,
        base: &Uri,
        collector: Collector,
        kind: FileKind,
        from: Time,
        to: Time,
    ) -> Result<Vec<Entry>, ArchiveError> {
        let mut entries = Vec::new();
        for month in Month::of_span(from - SLACK, to) {
            for folder in layout::folders(base, collector, kind, month) {
                match self.get(&folder).await {
                    Ok(page) => {
                        entries.extend(index::read(&page, &folder, collector, kind).unwrap_or_default())
                    }
                    Err(HttpError::Status { status, .. }) if status.is_client_error() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if entries.is_empty() {
            tracing::debug!(%collector, "the archive has no page of its files; their usual names are tried");
            entries = layout::expected(base, collector, kind, from - layout::step(collector, kind), to);
        }
        Ok(entries)
    }

    /// A listing, with another try where that may help.
    async fn get(&self, url: &Uri) -> Result<Vec<u8>, HttpError> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.requests.fetch_add(1, Ordering::Relaxed);
            match self.http.get(url).await {
                Err(error) if error.is_worth_retrying() && tries < self.limits.tries => {
                    tracing::debug!("{error}; trying again");
                    tokio::time::sleep(self.limits.wait(tries)).await;
                }
                other => return other,
            }
        }
    }

    /// Brings a file here, unless it is here already.
    ///
    /// # Errors
    /// [`HttpError`], of the last try.
    pub async fn fetch(&self, entry: &Entry) -> Result<Held, HttpError> {
        let (urls, cache) = match (&entry.place, &self.cache) {
            (Place::Local(file), _) => {
                return Ok(Held {
                    file: file.clone(),
                    pin: None,
                });
            }
            (Place::Web(urls), Some(cache)) => (urls, cache),
            (Place::Web(_), None) => unreachable!("only a folder has no cache, and it names local files"),
        };
        let path = cache.path_of(entry);
        let held = |(size, pin): (u64, Pin)| Held {
            file: MrtFile {
                path: path.clone(),
                collector: entry.collector,
                kind: entry.kind,
                starts: Some(entry.starts),
                is_named: true,
                size,
            },
            pin: Some(Arc::new(pin)),
        };
        if let Some(found) = cache.find(&path) {
            return Ok(held(found));
        }
        let mut last = None;
        for url in urls {
            match self.fetch_from(url, cache, &path).await {
                Ok(kept) => return Ok(held(kept)),
                Err(error) if error.is_absent() => last = Some(last.unwrap_or(error)),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| HttpError::Network {
            url: Uri::default(),
            cause: "no address".to_owned(),
        }))
    }

    async fn fetch_from(&self, url: &Uri, cache: &Arc<Cache>, path: &Path) -> Result<(u64, Pin), HttpError> {
        let disk = |source| HttpError::Disk {
            path: path.display().to_string(),
            source,
        };
        let part = cache.part(path).map_err(disk)?;
        let mut partial = Partial::default();
        let mut tries = 0;
        loop {
            tries += 1;
            self.requests.fetch_add(1, Ordering::Relaxed);
            let seen = |bytes| {
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
            };
            match self.http.download(url, &part.path, &mut partial, seen).await {
                Ok(_) => break,
                Err(error) if error.is_worth_retrying() && tries < self.limits.tries => {
                    tracing::debug!("{error}; trying again");
                    tokio::time::sleep(self.limits.wait(tries)).await;
                }
                Err(error) => return Err(error),
            }
        }
        let (cache, path_again) = (Arc::clone(cache), path.to_owned());
        let kept = spawn_blocking(move || cache.keep(part, &path_again)).await;
        kept.map_err(|error| disk(std::io::Error::other(error)))?
            .map_err(disk)
    }
}

impl Archive {
    /// Whether the file can be decompressed to its end. One that was fetched while the archive still wrote it
    /// cannot, although its length was right at that time.
    pub(super) async fn is_whole(&self, held: &Held) -> bool {
        let path = held.file.path.clone();
        let read = spawn_blocking(move || {
            let mut inflater = Inflater::open(&path, &Progress::default())?;
            let mut piece = Vec::new();
            loop {
                inflater.fill(&mut piece)?;
                if piece.is_empty() {
                    return Ok::<(), std::io::Error>(());
                }
            }
        });
        matches!(read.await, Ok(Ok(())))
    }

    /// Takes a file out of the cache, so that it is fetched again.
    pub(super) fn forget(&self, held: Held) {
        let path = held.file.path.clone();
        let is_ours = held.pin.is_some();
        drop(held);
        if let Some(cache) = self.cache.as_ref().filter(|_| is_ours) {
            cache.remove(&path);
        }
    }
}

async fn local(folder: &Path, collector: Collector, kind: FileKind) -> Result<Vec<Entry>, ArchiveError> {
    let typed = folder.display().to_string();
    let found = spawn_blocking(move || mrt::discover(&[typed])).await;
    let files = found.map_err(|error| MrtError::Unreadable {
        path: folder.display().to_string(),
        source: std::io::Error::other(error),
    })??;
    let fits = |file: &MrtFile| file.collector == collector && file.kind == kind;
    Ok(files
        .into_iter()
        .filter(fits)
        .filter_map(|file| {
            let starts = file.starts?;
            Some(Entry {
                collector,
                kind,
                starts,
                ends: starts,
                place: Place::Local(file),
            })
        })
        .collect())
}
