//! One batch on disk: a header of fixed size, then exactly the body of the HTTP request.
//!
//! A segment is written as `….part`, synced, and renamed to `….seg`; only then may it be sent. A `.part`
//! found at the start is a crash in the middle of that: whole, it is kept; torn, it is a counted gap.
//!
//! ```text
//! 0 magic "NFSG" | 4 version u16 | 6 table u8 | 7 zero | 8 number u64 | 16 journal offset u64
//! 24 newest row, µs i64 | 32 rows u32 | 36 crc of body u32 | 40 length of body u64 | 48 token 16 bytes
//! 64 crc of bytes 0..64 u32
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::rows::Table;

const MAGIC: &[u8; 4] = b"NFSG";
const VERSION: u16 = 1;
const HEADER: usize = 68;
/// No batch of ours comes near; a longer length is damage.
const MAX_BODY: u64 = 1 << 30;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub number: u64,
    pub table: Table,
    pub rows: u32,
    /// Everything before this offset of the journal is in this segment or in an older one.
    pub journal_offset: u64,
    /// Time of the newest row, in microseconds.
    pub newest: i64,
    pub body_len: u64,
    body_crc: u32,
    /// The deduplication token: made of the content, so that the same batch has the same token even
    /// when a replay makes it anew.
    token: [u8; 16],
    /// It may have been sent before, and nobody knows what became of it.
    pub tried: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Torn(&'static str),
}

impl Segment {
    pub fn new(number: u64, table: Table, rows: u32, journal_offset: u64, newest: i64, body: &[u8]) -> Self {
        let mut token = [0; 16];
        token.copy_from_slice(&Sha256::digest(body)[..16]);
        let body_crc = crc32fast::hash(body);
        Segment {
            number,
            table,
            rows,
            journal_offset,
            newest,
            body_len: body.len() as u64,
            body_crc,
            token,
            tried: false,
        }
    }

    /// The token of the next try.
    ///
    /// MergeTree writes a token down before it commits the part: a server that is killed between the two
    /// takes the second try for a repetition, and the rows are lost (seen in the SIGKILL test). So a try whose
    /// fate is not known is followed by one with a token of its own. At worst the rows are there twice until
    /// parts are merged; their keys are equal, so `FINAL` and the views see them once.
    pub fn insert_token(&self) -> String {
        match self.tried {
            false => self.token(),
            true => format!("{}-{:016x}", self.token(), fastrand::u64(..)),
        }
    }

    pub fn token(&self) -> String {
        let hex: String = self.token.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{hex}", self.table.name())
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        HEADER as u64 + self.body_len
    }

    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:020}-{}.seg", self.number, self.table.name()))
    }

    /// Writes and syncs. After this returns, a crash of the machine does not lose the rows.
    pub fn store(&self, dir: &Path, body: &[u8]) -> io::Result<()> {
        let done = self.path(dir);
        let part = done.with_extension("part");
        let written = self.write(&part, body).and_then(|()| fs::rename(&part, &done));
        if written.is_err() {
            // A full disk: give back what was taken. The caller decides what becomes of the batch.
            let _ = fs::remove_file(&part);
            return written;
        }
        File::open(dir)?.sync_all()
    }

    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&self.header())?;
        file.write_all(body)?;
        file.sync_all()
    }

    fn header(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(MAGIC);
        out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        out[6] = self.table.code();
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.journal_offset.to_le_bytes());
        out[24..32].copy_from_slice(&self.newest.to_le_bytes());
        out[32..36].copy_from_slice(&self.rows.to_le_bytes());
        out[36..40].copy_from_slice(&self.body_crc.to_le_bytes());
        out[40..48].copy_from_slice(&self.body_len.to_le_bytes());
        out[48..64].copy_from_slice(&self.token);
        let crc = crc32fast::hash(&out[..64]);
        out[64..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn parse(header: &[u8; HEADER]) -> Result<Self, SegmentError> {
        let u32_at = |at: usize| {
            header[at..at + 4]
                .iter()
                .rev()
                .fold(0u32, |n, byte| n << 8 | u32::from(*byte))
        };
        let u64_at = |at: usize| {
            header[at..at + 8]
                .iter()
                .rev()
                .fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        if &header[..4] != MAGIC {
            return Err(SegmentError::Torn("no segment of netfault"));
        }
        if u32_at(64) != crc32fast::hash(&header[..64]) {
            return Err(SegmentError::Torn("header damaged"));
        }
        if u16::from_le_bytes([header[4], header[5]]) != VERSION {
            return Err(SegmentError::Torn("a version that this netfault does not know"));
        }
        let table = Table::from_code(header[6]).ok_or(SegmentError::Torn("unknown table"))?;
        let body_len = u64_at(40);
        if body_len > MAX_BODY {
            return Err(SegmentError::Torn("impossible length"));
        }
        let mut token = [0; 16];
        token.copy_from_slice(&header[48..64]);
        Ok(Segment {
            number: u64_at(8),
            table,
            rows: u32_at(32),
            journal_offset: u64_at(16),
            newest: u64_at(24) as i64,
            body_len,
            body_crc: u32_at(36),
            token,
            tried: false,
        })
    }

    /// The header alone, checked against the length of the file.
    pub fn peek(path: &Path) -> Result<Self, SegmentError> {
        let mut file = File::open(path)?;
        let segment = Segment::read_header(&mut file)?;
        if file.metadata()?.len() != segment.size() {
            return Err(SegmentError::Torn("cut off"));
        }
        Ok(segment)
    }

    /// Header and body, the body checked.
    pub fn load(path: &Path) -> Result<(Self, Vec<u8>), SegmentError> {
        let mut file = File::open(path)?;
        let segment = Segment::read_header(&mut file)?;
        let mut body = Vec::new();
        // The limit keeps a grown file from being read whole.
        file.take(segment.body_len + 1).read_to_end(&mut body)?;
        if body.len() as u64 != segment.body_len {
            return Err(SegmentError::Torn("cut off"));
        }
        if crc32fast::hash(&body) != segment.body_crc {
            return Err(SegmentError::Torn("body damaged"));
        }
        Ok((segment, body))
    }

    fn read_header(file: &mut File) -> Result<Self, SegmentError> {
        let mut header = [0; HEADER];
        match file.read_exact(&mut header) {
            Ok(()) => Segment::parse(&header),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(SegmentError::Torn("cut off")),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(body: &[u8]) -> Segment {
        Segment::new(7, Table::Transitions, 3, 99, -5, body)
    }

    #[test]
    fn a_segment_reads_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let written = segment(b"body");
        written.store(dir.path(), b"body").unwrap();
        let path = written.path(dir.path());
        assert_eq!(Segment::peek(&path).unwrap(), written);
        assert_eq!(Segment::load(&path).unwrap(), (written, b"body".to_vec()));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let written = segment(b"some body");
        written.store(dir.path(), b"some body").unwrap();
        let path = written.path(dir.path());
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(
                matches!(Segment::load(&path), Err(SegmentError::Torn(_))),
                "cut at {len}"
            );
            assert!(
                matches!(Segment::peek(&path), Err(SegmentError::Torn(_))),
                "cut at {len}"
            );
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            fs::write(&path, &bent).unwrap();
            assert!(
                matches!(Segment::load(&path), Err(SegmentError::Torn(_))),
                "flipped at {at}"
            );
        }
    }

    #[test]
    fn the_token_is_the_content() {
        assert_eq!(
            segment(b"a").token(),
            Segment::new(8, Table::Transitions, 1, 0, 0, b"a").token()
        );
        assert_ne!(segment(b"a").token(), segment(b"b").token());
    }
}
