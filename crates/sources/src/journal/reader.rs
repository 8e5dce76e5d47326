//! Reading a journal. Damage is data: it comes out as a [`Gap`], never as an error or a panic.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netfault_model::{Gap, GapSource, Input, Time};

use super::format::{self, HEADER, Header, MAGIC};

/// The journal cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: cannot be read: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: there is no journal segment (*.nfj) in this folder")]
    Empty { path: PathBuf },
}

/// True for a folder with segments, and for one segment.
pub fn is_journal(path: &Path) -> bool {
    if path.is_dir() {
        return format::segments(path).is_ok_and(|segments| !segments.is_empty());
    }
    let mut magic = [0; MAGIC.len()];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok()
        && magic == MAGIC
}

/// Iterates the blocks of a journal, oldest first: each item is the inputs of one block, or one gap.
///
/// The segment that a running writer has open looks like one that was not closed: it ends in a gap.
#[derive(Debug)]
pub struct Reader {
    segments: VecDeque<PathBuf>,
    open: Option<Segment>,
    /// Offset of the input that must come next, once the first block is read.
    expected: Option<u64>,
    /// Offset of the first input of the block that was returned last.
    first: Option<u64>,
    /// Where a gap stands: the time of the last input, ticks included.
    last: Option<Time>,
    /// A fault that ended a segment, told once the next one says how much was lost.
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: BufReader<File>,
    at: u64,
}

#[derive(Debug)]
struct Fault {
    path: PathBuf,
    at: u64,
    what: &'static str,
}

enum Step {
    Block(Header, Vec<Input>),
    /// Closed in order; its end.
    Closed(u64),
    Fault(&'static str),
}

impl Reader {
    /// # Errors
    /// If `path` cannot be read, or is a folder without segments.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let segments: Vec<PathBuf> = if path.is_dir() {
            format::segments(path)
                .map_err(io)?
                .into_iter()
                .map(|(_, path)| path)
                .collect()
        } else {
            File::open(path).map_err(io)?;
            vec![path.to_owned()]
        };
        Reader::over(path, segments)
    }

    /// The end of a folder: its newest segments, as many as have at most `bytes` in all and were written at most
    /// `age` before the last one; at least one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_newest(dir: &Path, bytes: u64, age: Duration) -> Result<Self, OpenError> {
        let segments = match format::segments(dir) {
            Ok(segments) => segments,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(OpenError::Io {
                    path: dir.to_owned(),
                    source,
                });
            }
        };
        let (mut newest, mut total, mut kept) = (None, 0, Vec::new());
        for (_, path) in segments.into_iter().rev() {
            // One that cannot be looked at is told as a fault when it is read.
            let (length, written) =
                std::fs::metadata(&path).map_or((0, None), |meta| (meta.len(), meta.modified().ok()));
            newest = newest.or(written);
            total += length;
            let is_old = newest
                .zip(written)
                .and_then(|(newest, written)| newest.duration_since(written).ok())
                .is_some_and(|before| before > age);
            if !kept.is_empty() && (total > bytes || is_old) {
                break;
            }
            kept.push(path);
        }
        kept.reverse();
        Reader::over(dir, kept)
    }

    fn over(path: &Path, segments: Vec<PathBuf>) -> Result<Self, OpenError> {
        if segments.is_empty() {
            return Err(OpenError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Reader {
            segments: segments.into(),
            open: None,
            expected: None,
            first: None,
            last: None,
            fault: None,
        })
    }

    /// The segment that has `offset`, and all that follow. Earlier inputs of that segment come first: see
    /// [`first`](Self::first). If `offset` is older than the journal, what is missing is a gap.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_from(dir: &Path, offset: u64) -> Result<Self, OpenError> {
        let segments = format::segments(dir).map_err(|source| OpenError::Io {
            path: dir.to_owned(),
            source,
        })?;
        let before = segments.partition_point(|&(first, _)| first <= offset);
        let oldest = segments.first().map_or(0, |&(first, _)| first);
        let kept = segments
            .into_iter()
            .skip(before.saturating_sub(1))
            .map(|(_, path)| path)
            .collect();
        let mut reader = Reader::over(dir, kept)?;
        reader.expected = (offset < oldest).then_some(offset);
        Ok(reader)
    }

    /// Offset of the first input of the block that was returned last; `None` before the first block.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Offset behind the last input that was read; `None` before the first.
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    fn open_next(&mut self) -> bool {
        while let Some(path) = self.segments.pop_front() {
            match Segment::open(path) {
                Ok(segment) => {
                    self.open = Some(segment);
                    return true;
                }
                Err(fault) => {
                    self.fault.get_or_insert(fault);
                }
            }
        }
        false
    }

    /// A block in order, with the gap before it if inputs are missing.
    fn block(&mut self, header: Header, mut inputs: Vec<Input>) -> Vec<Input> {
        let lost = self
            .expected
            .map_or(0, |expected| header.first.saturating_sub(expected));
        let first_at = inputs.iter().map(Input::at).next();
        self.first = Some(header.first);
        self.expected = Some(header.first + u64::from(header.count));
        if let Some(gap) = self.gap(lost, first_at) {
            inputs.insert(0, Input::Gap(Box::new(gap)));
        }
        self.last = inputs.last().map(Input::at).or(self.last);
        inputs
    }

    /// The gap for the open fault, or for offsets that are missing without one.
    fn gap(&mut self, lost: u64, to: Option<Time>) -> Option<Gap> {
        let (reason, offset) = match self.fault.take() {
            Some(fault) => (
                format!("{} in {}", fault.what, fault.path.display()),
                Some(fault.at),
            ),
            None if lost > 0 => ("inputs missing from the journal".to_owned(), None),
            None => return None,
        };
        Some(Gap {
            at: self.last.or(to).unwrap_or(Time::from_micros(0)),
            source: GapSource::Journal,
            collector: None,
            peer: None,
            from: self.last,
            to,
            offset,
            reason: reason.into(),
            lost: (lost > 0).then_some(lost),
        })
    }
}

impl Iterator for Reader {
    type Item = Vec<Input>;

    fn next(&mut self) -> Option<Vec<Input>> {
        loop {
            let Some(segment) = &mut self.open else {
                if self.open_next() {
                    continue;
                }
                return self.gap(0, None).map(|gap| vec![Input::Gap(Box::new(gap))]);
            };
            match segment.step(self.expected) {
                Step::Block(header, inputs) => return Some(self.block(header, inputs)),
                Step::Closed(end) => {
                    self.open = None;
                    let lost = self.expected.map_or(0, |expected| end.saturating_sub(expected));
                    self.expected = Some(end);
                    if let Some(gap) = self.gap(lost, None) {
                        return Some(vec![Input::Gap(Box::new(gap))]);
                    }
                }
                Step::Fault(what) => {
                    let fault = Fault {
                        path: segment.path.clone(),
                        at: segment.at,
                        what,
                    };
                    self.fault.get_or_insert(fault);
                    self.open = None;
                }
            }
        }
    }
}

impl Segment {
    fn open(path: PathBuf) -> Result<Self, Fault> {
        let mut magic = [0; MAGIC.len()];
        match File::open(&path).map(BufReader::new) {
            Ok(mut file) => match file.read_exact(&mut magic) {
                Ok(()) if magic == MAGIC => Ok(Segment {
                    path,
                    file,
                    at: MAGIC.len() as u64,
                }),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Fault {
                    path,
                    at: 0,
                    what: "journal not closed in order",
                }),
                _ => Err(Fault {
                    path,
                    at: 0,
                    what: "no journal segment",
                }),
            },
            Err(_) => Err(Fault {
                path,
                at: 0,
                what: "journal segment that cannot be read",
            }),
        }
    }

    /// `at` stays at the beginning of a block that cannot be read.
    fn step(&mut self, expected: Option<u64>) -> Step {
        let mut bytes = [0; HEADER];
        match fill(&mut self.file, &mut bytes) {
            Ok(0) => return Step::Fault("journal not closed in order"),
            Ok(HEADER) => {}
            Ok(_) => return Step::Fault("torn journal block"),
            Err(_) => return Step::Fault("journal segment that cannot be read"),
        }
        let header = Header::from_bytes(&bytes);
        if !header.is_plausible() {
            return Step::Fault("journal block with impossible lengths");
        }
        let mut payload = vec![0; header.packed as usize];
        match fill(&mut self.file, &mut payload) {
            Ok(read) if read == payload.len() => {}
            Ok(_) => return Step::Fault("torn journal block"),
            Err(_) => return Step::Fault("journal segment that cannot be read"),
        }
        if header.checksum(&payload) != header.crc {
            return Step::Fault("journal block with a wrong check sum");
        }
        if expected.is_some_and(|expected| header.first < expected) {
            return Step::Fault("journal block out of order");
        }
        if header.packed == 0 {
            return Step::Closed(header.first);
        }
        match format::unpack(&header, &payload) {
            Some(inputs) => {
                self.at += (HEADER + payload.len()) as u64;
                Step::Block(header, inputs)
            }
            None => Step::Fault("journal block that cannot be unpacked"),
        }
    }
}

/// Reads until `buffer` is full or the file ends; how many bytes.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
