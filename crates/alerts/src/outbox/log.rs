//! The file: a log of JSON lines, synced before the caller goes on, and written anew (beside, then
//! renamed) once most of it is history. A crash leaves at most a torn last line, which is cut off; any
//! other line that cannot be read is skipped, counted and said.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::outbox::{Ledger, OutboxError, Record};

#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// Lines of history that are not worth a rewrite.
const SLACK: usize = 1_000;

impl Log {
    /// Opens or makes the file, and plays it.
    pub(crate) fn open(path: PathBuf) -> Result<(Log, Ledger), OutboxError> {
        Self::try_open(&path).map_err(|source| OutboxError { path, source })
    }

    fn try_open(path: &Path) -> io::Result<(Log, Ledger)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let bytes = fs::read(path)?;
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "cut a torn line off the alert outbox");
            file.set_len(whole as u64)?;
            file.seek(io::SeekFrom::End(0))?;
        }
        let mut ledger = Ledger::default();
        let (mut lines, mut unreadable) = (0, 0_usize);
        for line in bytes[..whole]
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            lines += 1;
            match serde_json::from_slice(line) {
                Ok(record) => ledger.apply(record),
                Err(_) => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::error!(path = %path.display(), unreadable, "lines of the alert outbox cannot be read and are skipped");
        }
        sync_folder(path)?;
        Ok((
            Log {
                path: path.to_owned(),
                file,
                lines,
            },
            ledger,
        ))
    }

    /// Appends and syncs. On an error nothing is promised about the records; earlier ones are intact.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), OutboxError> {
        self.write(records, true)
    }

    /// Appends without a sync: a kill of the process loses nothing of it, a power failure may, and then what was
    /// accepted in the last moment is sent again.
    pub(crate) fn note(&mut self, records: &[Record]) -> Result<(), OutboxError> {
        self.write(records, false)
    }

    fn write(&mut self, records: &[Record], sync: bool) -> Result<(), OutboxError> {
        let mut write = || -> io::Result<()> {
            self.file.write_all(&encode(records)?)?;
            if sync {
                self.file.sync_data()?;
            }
            Ok(())
        };
        write().map_err(|source| OutboxError {
            path: self.path.clone(),
            source,
        })?;
        self.lines += records.len();
        Ok(())
    }

    /// True if the file is mostly history.
    pub(crate) fn is_stale(&self, live: usize) -> bool {
        self.lines > SLACK + 4 * live
    }

    /// Writes the file anew from `records`. A crash at any moment leaves the old file or the new one.
    pub(crate) fn rewrite(&mut self, records: &[Record]) -> Result<(), OutboxError> {
        let beside = self.path.with_extension("new");
        let write = || -> io::Result<File> {
            let mut file = File::create(&beside)?;
            file.write_all(&encode(records)?)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            sync_folder(&self.path)?;
            OpenOptions::new().append(true).open(&self.path)
        };
        self.file = write().map_err(|source| OutboxError {
            path: self.path.clone(),
            source,
        })?;
        self.lines = records.len();
        Ok(())
    }
}

fn encode(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// A new name is durable only once its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::NoticeState;
    use crate::outbox::ledger::tests::notice;

    fn ids(ledger: &Ledger) -> Vec<&str> {
        let mut ids: Vec<&str> = ledger
            .open()
            .filter(|entry| entry.told.is_none())
            .map(|entry| entry.notice.id.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }

    fn put(id: &str) -> Record {
        Record::Put(notice(id, NoticeState::Open))
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.jsonl");
        let (mut log, _) = Log::open(path.clone()).unwrap();
        log.append(&[put("a"), put("b")]).unwrap();
        log.append(&[Record::Accepted {
            id: "a".into(),
            state: NoticeState::Open,
            version: 1,
            at: netfault_model::Time::from_secs(3),
            receipt: None,
        }])
        .unwrap();
        drop(log);
        let (_, ledger) = Log::open(path).unwrap();
        assert_eq!(ids(&ledger), ["b"]);
        assert!(ledger.told("a"));
    }

    /// Cut at every byte: the whole lines before the cut are there, and the file takes new lines.
    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.jsonl");
        let whole = encode(&[put("a"), put("b")]).unwrap();
        let first = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, ledger) = Log::open(path.clone()).unwrap();
            let expected = usize::from(cut >= first) + usize::from(cut == whole.len());
            assert_eq!(ledger.len(), expected, "cut at {cut}");
            log.append(&[put("c")]).unwrap();
            assert_eq!(
                Log::open(path.clone()).unwrap().1.len(),
                expected + 1,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.jsonl");
        let mut bytes = encode(&[put("a")]).unwrap();
        bytes.extend_from_slice(b"{\"put\":7}\n\xff\xfe\n");
        bytes.extend(encode(&[put("b")]).unwrap());
        fs::write(&path, bytes).unwrap();
        assert_eq!(ids(&Log::open(path).unwrap().1), ["a", "b"]);
    }

    #[test]
    fn a_rewrite_keeps_the_ledger_and_drops_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.jsonl");
        let (mut log, mut ledger) = Log::open(path.clone()).unwrap();
        for n in 0..=SLACK {
            let record = put(&n.to_string());
            log.append(std::slice::from_ref(&record)).unwrap();
            ledger.apply(record);
            ledger.refused(&n.to_string(), NoticeState::Open, 1);
        }
        ledger.apply(put("kept"));
        assert!(log.is_stale(0));
        log.rewrite(&ledger.snapshot()).unwrap();
        assert!(!log.is_stale(ledger.len()));
        log.append(&[put("after")]).unwrap();
        assert_eq!(ids(&Log::open(path).unwrap().1), ["after", "kept"]);
    }
}
