//! The bytes of a checkpoint. Integers are little-endian.

use std::io::{self, Read};

use netfault_engine::{Engine, STATE_VERSION};
use netfault_model::Time;

/// First bytes of every checkpoint.
const MAGIC: [u8; 8] = *b"nfstate\x01";
const HEADER: usize = 8 + 4 + 8 + 8;
/// Fast: the state is mostly bits that repeat from row to row.
const LEVEL: i32 = 1;
/// The largest state that is loaded. A full table of 300 peers needs about 1 GB unpacked.
const MAX_UNPACKED: u64 = 16 << 30;

/// A checkpoint that was read. The engine must still be told today's configuration (`Engine::resume`).
pub struct Saved {
    pub engine: Engine,
    /// Of the journal, behind the last input that the engine was given.
    pub offset: u64,
    /// Engine time.
    pub at: Time,
}

/// Why a checkpoint is passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("it is no checkpoint of netfault")]
    Foreign,
    #[error("its format has version {0}, this is {STATE_VERSION}")]
    Version(u32),
    #[error("it is damaged: {0}")]
    Damaged(String),
}

pub fn pack(engine: &Engine, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1 << 20);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&STATE_VERSION.to_le_bytes());
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&engine.now().micros().to_le_bytes());
    let mut encoder = zstd::stream::Encoder::new(bytes, LEVEL)?;
    encoder.include_checksum(true)?;
    let encoder = postcard::to_io(engine, encoder).map_err(io::Error::other)?;
    encoder.finish()
}

pub fn unpack(bytes: &[u8]) -> Result<Saved, Unreadable> {
    let (header, packed) = bytes.split_at_checked(HEADER).ok_or(Unreadable::Foreign)?;
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(eight)
    };
    if header[..8] != MAGIC {
        return Err(Unreadable::Foreign);
    }
    let version = (number(8) & 0xffff_ffff) as u32;
    if version != STATE_VERSION {
        return Err(Unreadable::Version(version));
    }
    let damaged = |error: &dyn std::fmt::Display| Unreadable::Damaged(error.to_string());
    let mut plain = Vec::new();
    zstd::stream::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_UNPACKED).read_to_end(&mut plain))
        .map_err(|error| damaged(&error))?;
    Ok(Saved {
        engine: postcard::from_bytes(&plain).map_err(|error| damaged(&error))?,
        offset: number(12),
        at: Time::from_micros(number(20) as i64),
    })
}
