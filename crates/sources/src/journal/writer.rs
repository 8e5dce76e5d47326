//! Writing a journal. Synchronous and without threads: the owner calls [`Writer::sync`] every second.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use netfault_model::Input;

use super::format::{self, BLOCK_BYTES, HEADER, Header, MAGIC, MAX_INPUT};
use super::reader::Reader;

/// Fast, and within a few percent of higher levels on this data.
const ZSTD_LEVEL: i32 = 1;

/// How large the journal may become. Whole segments are deleted, the oldest first, never the open one.
#[derive(Clone, Debug)]
pub struct Limits {
    pub segment_bytes: u64,
    /// A segment is closed after this even if it is small, so that old ones can be deleted.
    pub segment_age: Duration,
    pub max_bytes: u64,
    /// By the time of the last write to a segment.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(3600),
            max_bytes: 4 << 30,
            max_age: Duration::from_secs(48 * 3600),
        }
    }
}

/// The journal cannot take what it was given. The owner may go on: what was lost is a gap in the offsets,
/// and the reader tells it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("an input of {bytes} bytes is larger than the journal takes")]
    TooLarge { bytes: usize },
    #[error("an input cannot be encoded: {0}")]
    Encode(#[from] postcard::Error),
}

/// Appends to the newest segment of a folder. One writer per folder.
pub struct Writer {
    dir: PathBuf,
    limits: Limits,
    segment: Option<Segment>,
    /// Encoded inputs that are not yet in a block, how many, and one being encoded.
    pending: Vec<u8>,
    count: u32,
    scratch: Vec<u8>,
    packer: zstd::bulk::Compressor<'static>,
    offset: u64,
    synced: u64,
    lost: u64,
}

struct Segment {
    path: PathBuf,
    file: File,
    bytes: u64,
    since: Instant,
    dirty: bool,
    /// A fault left half a block at the end: nothing that follows in this file could be read.
    is_torn: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("dir", &self.dir)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Makes the folder if need be and goes on behind what is in it. A segment that was not closed in order
    /// stays as it is (its reader tells the gap); a new one begins with the first append.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, WriteError> {
        let io = |source| WriteError::Io {
            path: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(io)?;
        let offset = end_of(dir).map_err(io)?;
        Ok(Writer {
            dir: dir.to_owned(),
            limits,
            segment: None,
            pending: Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4),
            count: 0,
            scratch: Vec::new(),
            packer: zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(io)?,
            offset,
            synced: offset,
            lost: 0,
        })
    }

    /// Inputs ever appended, those before this start included.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Of these, how many are on disk for certain.
    pub fn synced_offset(&self) -> u64 {
        self.synced
    }

    /// Inputs that could not be written since this start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Appends in the order given. Nothing is on disk for certain before [`sync`](Self::sync).
    ///
    /// # Errors
    /// The first fault; the rest of `inputs` is appended all the same.
    pub fn append(&mut self, inputs: &[Input]) -> Result<(), WriteError> {
        let mut fault = Ok(());
        for input in inputs {
            let done = self.append_one(input);
            if fault.is_ok() {
                fault = done;
            }
        }
        fault
    }

    fn append_one(&mut self, input: &Input) -> Result<(), WriteError> {
        self.scratch.clear();
        let encoded = postcard::to_extend(input, std::mem::take(&mut self.scratch));
        let size = match encoded {
            Ok(bytes) => {
                self.scratch = bytes;
                Ok(self.scratch.len())
            }
            Err(error) => Err(WriteError::Encode(error)),
        };
        match size {
            Ok(bytes) if bytes <= MAX_INPUT => {
                self.pending.extend_from_slice(&self.scratch);
                self.count += 1;
                self.offset += 1;
                if self.pending.len() >= BLOCK_BYTES {
                    self.write_block()
                } else {
                    Ok(())
                }
            }
            refused => {
                // The hole must lie between two blocks, where a reader sees it.
                let flushed = self.write_block();
                self.offset += 1;
                self.lost += 1;
                flushed?;
                Err(refused.map_or_else(|error| error, |bytes| WriteError::TooLarge { bytes }))
            }
        }
    }

    /// Hands everything to the system: a kill of this process loses nothing any more, a power failure still may.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.write_block()
    }

    /// Puts everything on disk. Call it every second: a power failure costs what came after the last call.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.write_block()?;
        if let Some(segment) = &mut self.segment
            && segment.dirty
        {
            segment.file.sync_data().map_err(|source| WriteError::Io {
                path: segment.path.clone(),
                source,
            })?;
            segment.dirty = false;
        }
        self.synced = self.offset;
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| segment.since.elapsed() >= self.limits.segment_age)
        {
            self.close_segment()?;
        }
        Ok(())
    }

    /// Closes in order: a reader will find no gap at the end.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn close(mut self) -> Result<(), WriteError> {
        self.sync()?;
        self.close_segment()
    }

    fn write_block(&mut self) -> Result<(), WriteError> {
        if self.count == 0 {
            return Ok(());
        }
        let done = self.try_write_block();
        if done.is_err() {
            self.lost += u64::from(self.count);
        }
        self.pending.clear();
        self.count = 0;
        done?;
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| segment.bytes >= self.limits.segment_bytes)
        {
            self.close_segment()?;
        }
        Ok(())
    }

    fn try_write_block(&mut self) -> Result<(), WriteError> {
        let dir = &self.dir;
        let payload = self
            .packer
            .compress(&self.pending)
            .map_err(|source| WriteError::Io {
                path: dir.clone(),
                source,
            })?;
        let first = self.offset - u64::from(self.count);
        let header = Header::new(first, self.count, self.pending.len() as u32, &payload);
        if self.segment.is_none() {
            self.segment = Some(self.new_segment(first)?);
            self.delete_old();
        }
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        let done = segment.write(header, &payload);
        if segment.is_torn {
            self.segment = None;
        }
        done
    }

    fn new_segment(&self, first: u64) -> Result<Segment, WriteError> {
        let path = format::segment_path(&self.dir, first);
        let open = || {
            // A file of this name is what a writer left that was killed before its first block was whole.
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)?;
            file.write_all(&MAGIC)?;
            // The name must survive a power failure too.
            File::open(&self.dir)?.sync_all()?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Segment {
                path,
                file,
                bytes: MAGIC.len() as u64,
                since: Instant::now(),
                dirty: true,
                is_torn: false,
            }),
            Err(source) => Err(WriteError::Io { path, source }),
        }
    }

    fn close_segment(&mut self) -> Result<(), WriteError> {
        let Some(mut segment) = self.segment.take() else {
            return Ok(());
        };
        // A closing block that does not fit only means that its reader tells a gap.
        segment.write(Header::new(self.offset - u64::from(self.count), 0, 0, &[]), &[])?;
        segment.file.sync_data().map_err(|source| WriteError::Io {
            path: segment.path,
            source,
        })
    }

    /// Best effort: what cannot be deleted now is tried again with the next segment.
    fn delete_old(&self) {
        let Ok(segments) = format::segments(&self.dir) else {
            return;
        };
        let sizes: Vec<(PathBuf, u64, SystemTime)> = segments
            .into_iter()
            .filter_map(|(_, path)| {
                let meta = fs::metadata(&path).ok()?;
                Some((path, meta.len(), meta.modified().ok()?))
            })
            .collect();
        // Room for the segment that has just begun is kept.
        let mut total: u64 = sizes.iter().map(|(_, bytes, _)| bytes).sum::<u64>() + self.limits.segment_bytes;
        let Some((_, closed)) = sizes.split_last() else {
            return;
        };
        for (path, bytes, modified) in closed {
            let too_old = modified.elapsed().is_ok_and(|age| age > self.limits.max_age);
            if !too_old && total <= self.limits.max_bytes {
                return;
            }
            match fs::remove_file(path) {
                Ok(()) => total -= bytes,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot delete a journal segment")
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A best effort for owners that end early; `close` is the way to learn whether it worked.
        if self.sync().is_ok() {
            let _ = self.close_segment();
        }
    }
}

impl Segment {
    /// All or nothing: after a fault the file ends where it ended before, so later blocks can be read.
    fn write(&mut self, header: Header, payload: &[u8]) -> Result<(), WriteError> {
        self.dirty = true;
        if let Err(source) = write_both(&mut self.file, &header.to_bytes(), payload) {
            let cut = self.file.set_len(self.bytes);
            let back = cut.and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
            self.is_torn = back.is_err();
            return Err(WriteError::Io {
                path: self.path.clone(),
                source,
            });
        }
        self.bytes += (HEADER + payload.len()) as u64;
        Ok(())
    }
}

fn write_both(file: &mut File, header: &[u8], payload: &[u8]) -> std::io::Result<()> {
    file.write_all(header)?;
    file.write_all(payload)
}

/// The offset behind the last readable input of a folder, at least the offset its newest segment is named by.
///
/// # Errors
/// If the folder cannot be read.
pub fn end_of(dir: &Path) -> std::io::Result<u64> {
    let Some((first, path)) = format::segments(dir)?.pop() else {
        return Ok(0);
    };
    let mut reader = match Reader::open(&path) {
        Ok(reader) => reader,
        Err(_) => return Ok(first),
    };
    reader.by_ref().for_each(drop);
    Ok(reader.expected().unwrap_or(first).max(first))
}
