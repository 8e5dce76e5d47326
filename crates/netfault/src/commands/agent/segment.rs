//! One batch as a file: `<epoch>-<number>.batch`, both of twenty digits, so that names sort in order.
//!
//! ```text
//! magic │ check sum of the rest │ items (u32) │ first and last time (i64 µs) │ the batch as it is sent
//! ```
//! Little-endian. A file appears under its name only when it is whole and synced; what is damaged afterwards is a gap.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use netfault_api::{Position, batch};
use netfault_model::Time;

const MAGIC: [u8; 8] = *b"nfspool\x01";
const EXTENSION: &str = "batch";
const HEADER: usize = 8 + 4 + 4 + 8 + 8;
const MAX_FILE: u64 = (HEADER + batch::MAX_PACKED) as u64;

/// What is known of a file without its batch.
#[derive(Clone, Debug)]
pub struct Segment {
    pub position: Position,
    pub path: PathBuf,
    pub bytes: u64,
    pub items: u32,
    pub from: Time,
    pub to: Time,
}

impl Segment {
    /// Writes a file that is whole on disk when this returns.
    pub fn write(
        dir: &Path,
        position: Position,
        items: u32,
        (from, to): (Time, Time),
        packed: &[u8],
    ) -> io::Result<Segment> {
        let path = path(dir, position);
        let mut rest = Vec::with_capacity(HEADER + packed.len());
        rest.extend_from_slice(&items.to_le_bytes());
        rest.extend_from_slice(&from.micros().to_le_bytes());
        rest.extend_from_slice(&to.micros().to_le_bytes());
        rest.extend_from_slice(packed);
        let part = path.with_extension("part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(&MAGIC)?;
            file.write_all(&crc32fast::hash(&rest).to_le_bytes())?;
            file.write_all(&rest)?;
            file.sync_data()?;
            fs::rename(&part, &path)?;
            File::open(dir)?.sync_all() // the name must survive a power failure too
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&part); // a full disk has use for the room
            return Err(error);
        }
        Ok(Segment {
            position,
            bytes: (MAGIC.len() + 4 + rest.len()) as u64,
            path,
            items,
            from,
            to,
        })
    }

    /// A file that stands in the folder; `None` if it is none of ours.
    pub fn find(path: &Path) -> Option<Result<Segment, io::Error>> {
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let (epoch, seq) = path.file_stem()?.to_str()?.split_once('-').filter(|_| is_ours)?;
        let position = Position {
            epoch: epoch.parse().ok()?,
            seq: seq.parse().ok()?,
        };
        Some(read(path).map(|bytes| Segment {
            position,
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            items: u32::from_le_bytes(at(&bytes, 12)),
            from: Time::from_micros(i64::from_le_bytes(at(&bytes, 16))),
            to: Time::from_micros(i64::from_le_bytes(at(&bytes, 24))),
        }))
    }

    /// The batch.
    pub fn batch(&self) -> io::Result<Bytes> {
        Ok(Bytes::from(read(&self.path)?).slice(HEADER..))
    }

    /// The same batch under another position.
    pub fn rename(&mut self, dir: &Path, position: Position) -> io::Result<()> {
        let path = path(dir, position);
        fs::rename(&self.path, &path)?;
        (self.path, self.position) = (path, position);
        Ok(())
    }
}

fn path(dir: &Path, position: Position) -> PathBuf {
    dir.join(format!("{:020}-{:020}.{EXTENSION}", position.epoch, position.seq))
}

/// A whole file whose check sum is right; at least a header.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(damaged("it is longer than a batch can be"));
    }
    let bytes = fs::read(path)?;
    if bytes.len() < HEADER || bytes[..8] != MAGIC {
        return Err(damaged("it is no batch"));
    }
    match u32::from_le_bytes(at(&bytes, 8)) == crc32fast::hash(&bytes[12..]) {
        true => Ok(bytes),
        false => Err(damaged("its check sum is wrong")),
    }
}

/// `bytes` is known to be long enough.
fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}
