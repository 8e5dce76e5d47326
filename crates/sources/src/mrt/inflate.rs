//! Files, as plain bytes: gzip and bzip2 are known by their magic, never by their name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::bunzip2;
use super::progress::Progress;

/// Bytes of one piece of decompressed file: small enough to stay in a core's cache until it is decoded.
pub const PIECE: usize = 256 * 1024;
const READ_BUFFER: usize = 64 * 1024;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Bzip2,
}

impl Packing {
    /// By the first bytes (RFC 1952 §2.3.1; `BZh` and a level).
    pub fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Packing::Bzip2,
            _ => Packing::Plain,
        }
    }
}

/// A file being read and decompressed.
pub struct Inflater {
    inner: Box<dyn Read + Send>,
}

impl Inflater {
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path, progress: &Progress) -> io::Result<Self> {
        let counted = Counted {
            inner: File::open(path)?,
            progress: progress.clone(),
        };
        let mut file = BufReader::with_capacity(READ_BUFFER, counted);
        let inner: Box<dyn Read + Send> = match Packing::of(file.fill_buf()?) {
            Packing::Plain => Box::new(file),
            Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
            Packing::Bzip2 => Box::new(bunzip2::Reader::new(file)),
        };
        Ok(Inflater { inner })
    }

    /// Puts the next piece of the file into `piece`: [`PIECE`] bytes, fewer at the end, none after it.
    ///
    /// # Errors
    /// A stream that is cut or corrupt. What could be decompressed before that is in `piece`.
    pub fn fill(&mut self, piece: &mut Vec<u8>) -> io::Result<()> {
        piece.resize(PIECE, 0);
        let mut filled = 0;
        let result = loop {
            match self.inner.read(&mut piece[filled..]) {
                Ok(0) => break Ok(()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        piece.truncate(filled);
        result
    }
}

struct Counted {
    inner: File,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.add_bytes(read as u64);
        Ok(read)
    }
}
