//! From what the user typed to a list of archive files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netfault_model::{Collector, Time};

use super::frame::{Frame, TYPE_TABLE_DUMP, TYPE_TABLE_DUMP_V2, frame};
use super::inflate::Inflater;
use super::name::{self, FileKind};
use super::progress::Progress;

/// Folders inside of folders beyond this are a loop of links.
const MAX_DEPTH: usize = 16;

/// One archive file, and what is known of it before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MrtFile {
    pub path: PathBuf,
    pub collector: Collector,
    pub kind: FileKind,
    /// The time in its name, else that of its first record.
    pub starts: Option<Time>,
    /// Whether `starts` stands in the name.
    pub is_named: bool,
    /// Bytes on disk.
    pub size: u64,
}

/// What the user has to put right.
#[derive(Debug, thiserror::Error)]
pub enum MrtError {
    #[error("{path}: no such file or folder")]
    Missing { path: String },
    #[error("{path}: cannot be read")]
    Unreadable { path: String, source: io::Error },
    #[error("{path}: not a pattern that file names can match")]
    Pattern {
        path: String,
        source: glob::PatternError,
    },
    #[error("{path}: not an MRT file (no MRT record at its beginning)")]
    NotMrt { path: String },
    #[error("{path}: no MRT files in there")]
    Empty { path: String },
    #[error("no thread for reading MRT files could be started")]
    Thread { source: io::Error },
}

/// Finds the files that `paths` mean: files, patterns (`*`, `?`, `[…]`) and folders, which are searched to
/// their ends. `name=path` says which collector the files are of. In a folder what is no MRT file is left
/// out and said; a file named outright must be one.
///
/// The result is in order of collector, time, kind and path, whatever the order of `paths`; a file that is
/// meant twice comes once.
///
/// # Errors
/// [`MrtError`]: the first path that means nothing.
pub fn discover(paths: &[String]) -> Result<Vec<MrtFile>, MrtError> {
    let mut found: BTreeMap<PathBuf, MrtFile> = BTreeMap::new();
    for typed in paths {
        let (collector, path) = split_collector(typed);
        let before = found.len();
        let mut add = |file: MrtFile| {
            found.entry(file.path.clone()).or_insert(file);
        };
        let mut any = false;
        for path in expand(path)? {
            if path.is_dir() {
                for file in folder(&path, collector, 0)? {
                    any = true;
                    add(file);
                }
            } else {
                any = true;
                let file = inspect(&path, collector)?;
                add(file.ok_or_else(|| MrtError::NotMrt {
                    path: path.display().to_string(),
                })?);
            }
        }
        if !any {
            return Err(MrtError::Empty {
                path: path.to_owned(),
            });
        }
        tracing::debug!(path, files = found.len() - before, "MRT files found");
    }
    let mut files: Vec<MrtFile> = found.into_values().collect();
    files.sort_by(|a, b| {
        (a.collector, a.starts, a.kind, &a.path).cmp(&(b.collector, b.starts, b.kind, &b.path))
    });
    Ok(files)
}

/// `rrc00=path`: a collector's name before the path, unless that is itself a path.
fn split_collector(typed: &str) -> (Option<Collector>, &str) {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    match typed.split_once('=') {
        Some((name, path)) if is_name(name) && !Path::new(typed).exists() => {
            (Some(Collector::new(name)), path)
        }
        _ => (None, typed),
    }
}

fn expand(path: &str) -> Result<Vec<PathBuf>, MrtError> {
    if Path::new(path).exists() {
        return Ok(vec![PathBuf::from(path)]);
    }
    if !path.contains(['*', '?', '[']) {
        return Err(MrtError::Missing {
            path: path.to_owned(),
        });
    }
    let matches = glob::glob(path).map_err(|source| MrtError::Pattern {
        path: path.to_owned(),
        source,
    })?;
    let mut all = Vec::new();
    for entry in matches {
        all.push(entry.map_err(|error| unreadable(error.path(), error.error()))?);
    }
    if all.is_empty() {
        return Err(MrtError::Missing {
            path: path.to_owned(),
        });
    }
    // A pattern takes what a folder would take.
    all.retain(|path| path.is_dir() || !name::is_other(path));
    Ok(all)
}

fn folder(path: &Path, collector: Option<Collector>, depth: usize) -> Result<Vec<MrtFile>, MrtError> {
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| unreadable(path, &error))?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < MAX_DEPTH {
                files.extend(folder(&path, collector, depth + 1)?);
            }
        } else if let Some(file) = if name::is_other(&path) {
            None
        } else {
            inspect(&path, collector)?
        } {
            files.push(file);
        } else {
            left_out.push(
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    if !left_out.is_empty() {
        tracing::info!(folder = %path.display(), files = left_out.join(" "), "left out: not MRT files");
    }
    Ok(files)
}

/// `None`: not an MRT file. A file whose name is an archive's is taken by its name, damaged or not; else
/// its first record decides.
fn inspect(path: &Path, collector: Option<Collector>) -> Result<Option<MrtFile>, MrtError> {
    let meta = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let named_time = name::time_of(path);
    let (kind, starts) = match (name::kind_of(path), named_time) {
        (Some(kind), Some(starts)) => (kind, Some(starts)),
        (named_kind, _) => match first_record(path)? {
            Some((kind, at)) => (named_kind.unwrap_or(kind), named_time.or(Some(at))),
            None => match named_kind {
                Some(kind) => (kind, named_time),
                None => return Ok(None),
            },
        },
    };
    let collector = collector.unwrap_or_else(|| Collector::new(&name::collector_of(&absolute(path))));
    let path = path.to_owned();
    Ok(Some(MrtFile {
        path,
        collector,
        kind,
        starts,
        is_named: named_time.is_some(),
        size: meta.len(),
    }))
}

/// So that `updates.20080224.0007.bz2` in the current folder finds its collector too.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn first_record(path: &Path) -> Result<Option<(FileKind, Time)>, MrtError> {
    let mut inflater =
        Inflater::open(path, &Progress::default()).map_err(|error| unreadable(path, &error))?;
    let mut piece = Vec::new();
    // A file that is cut or corrupt may still begin with a record; the reader will tell the rest.
    let _cut = inflater.fill(&mut piece);
    let Frame::Record(record) = frame(&piece) else {
        return Ok(None);
    };
    if !record.header.is_plausible(None) {
        return Ok(None);
    }
    let is_rib = matches!(record.header.kind, TYPE_TABLE_DUMP | TYPE_TABLE_DUMP_V2);
    Ok(Some((
        if is_rib { FileKind::Rib } else { FileKind::Updates },
        record.at,
    )))
}

fn unreadable(path: &Path, error: &io::Error) -> MrtError {
    MrtError::Unreadable {
        path: path.display().to_string(),
        source: io::Error::new(error.kind(), error.to_string()),
    }
}
