//! The bytes of a segment. Integers are little-endian.

use std::path::{Path, PathBuf};

use netfault_model::Input;

/// First bytes of every segment; the last one is the version of the format.
pub const MAGIC: [u8; 8] = *b"nfjrnl\x00\x02";
pub const EXTENSION: &str = "nfj";
/// Length of a block's header.
pub const HEADER: usize = 4 + 4 + 8 + 4 + 4;
/// A block is packed when it has so many bytes. Larger packs better; a torn block loses more.
pub const BLOCK_BYTES: usize = 256 * 1024;
/// The longest input that is kept. The largest real one, an UPDATE of 65,535 octets, needs about 400 kB.
pub const MAX_INPUT: usize = 4 << 20;
/// Limits for what a header may claim.
pub const MAX_UNPACKED: usize = BLOCK_BYTES + MAX_INPUT;
pub const MAX_PACKED: usize = MAX_UNPACKED + MAX_UNPACKED / 128 + 1024;
/// The smallest input, a tick, has two bytes.
const MIN_INPUT: usize = 2;

/// Header of a block. `packed == 0`: the segment was closed in order, and `first` is its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub packed: u32,
    pub crc: u32,
    /// Offset of the first input.
    pub first: u64,
    pub count: u32,
    pub unpacked: u32,
}

impl Header {
    pub fn new(first: u64, count: u32, unpacked: u32, payload: &[u8]) -> Self {
        let mut header = Header {
            packed: payload.len() as u32,
            crc: 0,
            first,
            count,
            unpacked,
        };
        header.crc = header.checksum(payload);
        header
    }

    /// Over the other fields of the header and the payload, so that a wrong length is noticed too.
    pub fn checksum(&self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.packed.to_le_bytes());
        hasher.update(&self.first.to_le_bytes());
        hasher.update(&self.count.to_le_bytes());
        hasher.update(&self.unpacked.to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }

    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&self.packed.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.unpacked.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let first = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        Header {
            packed: u32_at(0),
            crc: u32_at(4),
            first,
            count: u32_at(16),
            unpacked: u32_at(20),
        }
    }

    /// False if the lengths cannot be those of a block. Checked before anything is allocated.
    pub fn is_plausible(&self) -> bool {
        let (packed, unpacked) = (self.packed as usize, self.unpacked as usize);
        packed <= MAX_PACKED
            && unpacked <= MAX_UNPACKED
            && (self.count as usize).saturating_mul(MIN_INPUT) <= unpacked
            && self.first.checked_add(u64::from(self.count)).is_some()
    }
}

/// Unpacks a block whose check sum was right. `None` if it is no block of ours all the same.
pub fn unpack(header: &Header, payload: &[u8]) -> Option<Vec<Input>> {
    let bytes = zstd::bulk::decompress(payload, header.unpacked as usize).ok()?;
    let mut rest = bytes.as_slice();
    let mut inputs = Vec::with_capacity(header.count as usize);
    for _ in 0..header.count {
        let (input, after) = postcard::take_from_bytes(rest).ok()?;
        inputs.push(input);
        rest = after;
    }
    rest.is_empty().then_some(inputs)
}

/// The path of the segment that begins at `first`. Twenty digits hold every u64, so names sort by offset.
pub fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

/// The segments of a folder, oldest first.
pub fn segments(dir: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(first) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}
