//! bzip2 in: what RouteViews packs its archives with.
//!
//! ```text
//! file ─► bits ─► block: codes, move-to-front ─► sorted runs ─► unbwt ─► bytes ─► runs ─► CRC ─► read()
//! ```
//!
//! * [`bits`] the file, bit by bit
//! * [`huffman`] its codes
//! * [`block`] a block of up to 900 kB, still sorted
//! * [`unbwt`] unsorting it
//! * [`runs`] the last step
//!
//! Why not a library: replaying archives is mostly bzip2, and bzip2 is mostly waiting for memory, in a chain
//! of loads as long as the block. [`unbwt`] makes that chain 32 times shorter, which no decoder does that there
//! is; with it, bzip2 takes about half the time.
//!
//! The format is the one of bzip2 1.0.8 (it has no other specification); what that accepts is accepted here.
//! Deliberately absent: compressing, and going on behind a damaged block.

mod bits;
mod block;
mod huffman;
mod runs;
mod unbwt;

use std::io::{self, Read};

use bits::Bits;
use block::{BlockReader, Sorted};
use runs::Unrun;
use unbwt::unbwt;

/// A block comes out at once, after its CRC was compared, if it is no longer than this. Longer ones, which
/// consist of runs, come in pieces, and the error after them.
const OUT: usize = 2 << 20;

const STREAM: u32 = 0x42_5a_68;
const BLOCK: (u32, u32) = (0x31_4159, 0x26_5359);
const STREAM_END: (u32, u32) = (0x17_7245, 0x38_5090);

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("bzip2 stream is cut off")]
    Truncated,
    #[error("no bzip2 stream where one should begin")]
    Stream,
    #[error("neither block nor end where one should be in a bzip2 stream")]
    Magic,
    #[error("bad bzip2 block: {0}")]
    Block(&'static str),
    #[error("CRC of a bzip2 block is {found:08x}, not {expected:08x}")]
    BlockCrc { expected: u32, found: u32 },
    #[error("CRC of a bzip2 stream is {found:08x}, not {expected:08x}")]
    StreamCrc { expected: u32, found: u32 },
    #[error(transparent)]
    Unreadable(io::Error),
}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Unreadable(error) => error,
            Damage::Truncated => io::Error::new(io::ErrorKind::UnexpectedEof, damage),
            _ => io::Error::new(io::ErrorKind::InvalidData, damage),
        }
    }
}

/// Decompresses all streams of a file, one after the other.
///
/// Every block that is whole and right is delivered before the first error, which comes once; after it the
/// file has ended. Needs 8 MB at most, and its thread 24 MB more.
pub struct Reader<R> {
    bits: Bits<R>,
    blocks: BlockReader,
    stream: Option<Stream>,
    /// Whether the end of the file, or an error, was seen.
    is_done: bool,
    /// The block being delivered.
    block: Option<Block>,
    /// Of the last block, for the next one.
    spare: Vec<u8>,
    out: Vec<u8>,
    delivered: usize,
}

/// The stream being read.
struct Stream {
    /// Bytes in a block, at most.
    limit: usize,
    crc: u32,
}

/// A block, unsorted but still with its runs packed.
struct Block {
    bytes: Vec<u8>,
    unrun: Unrun,
    expected: u32,
    crc: Crc,
}

impl<R: Read> Reader<R> {
    pub fn new(inner: R) -> Self {
        Reader {
            bits: Bits::new(inner),
            blocks: BlockReader::new(),
            stream: None,
            is_done: false,
            block: None,
            spare: Vec::new(),
            out: Vec::new(),
            delivered: 0,
        }
    }

    /// The next block, of whatever stream. `None` at the end of the file.
    fn next_block(&mut self) -> Result<Option<Block>, Damage> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.stream = Some(self.begin_stream()?);
                continue;
            };
            let magic = (self.bits.take(24), self.bits.take(24));
            if magic == BLOCK {
                let sorted = self.blocks.read(&mut self.bits, stream.limit)?;
                stream.crc = stream.crc.rotate_left(1) ^ sorted.crc;
                return Ok(Some(unsort(&sorted, std::mem::take(&mut self.spare))));
            }
            let (expected, found) = (self.bits.take(32), stream.crc);
            self.bits.check()?;
            if magic != STREAM_END {
                return Err(Damage::Magic);
            }
            if expected != found {
                return Err(Damage::StreamCrc { expected, found });
            }
            self.stream = None;
            self.bits.align();
            if self.bits.is_at_end() {
                // Not being able to read on is not the end.
                return self.bits.failure().map_or(Ok(None), Err);
            }
        }
    }

    fn begin_stream(&mut self) -> Result<Stream, Damage> {
        let magic = self.bits.take(24);
        let level = self.bits.take(8);
        self.bits.check()?;
        match char::from_u32(level).and_then(|level| level.to_digit(10)) {
            Some(level @ 1..=9) if magic == STREAM => Ok(Stream {
                limit: level as usize * 100_000,
                crc: 0,
            }),
            _ => Err(Damage::Stream),
        }
    }

    /// More bytes to `out`; none at the end of the file.
    fn refill(&mut self) -> Result<(), Damage> {
        self.out.clear();
        self.delivered = 0;
        while self.out.is_empty() {
            if self.block.is_none() {
                self.block = self.next_block()?;
            }
            let Some(block) = &mut self.block else {
                self.is_done = true;
                break;
            };
            if block.expand(&mut self.out)? {
                self.spare = self.block.take().map_or_else(Vec::new, |block| block.bytes);
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.delivered == self.out.len()
            && !self.is_done
            && !buffer.is_empty()
            && let Err(damage) = self.refill()
        {
            self.out.clear();
            self.is_done = true;
            return Err(damage.into());
        }
        let ready = &self.out[self.delivered..];
        let len = ready.len().min(buffer.len());
        buffer[..len].copy_from_slice(&ready[..len]);
        self.delivered += len;
        Ok(len)
    }
}

fn unsort(sorted: &Sorted, mut bytes: Vec<u8>) -> Block {
    bytes.resize(sorted.len, 0);
    unbwt(sorted.runs, sorted.origin, &mut bytes);
    if sorted.is_randomised {
        runs::derandomise(&mut bytes);
    }
    Block {
        bytes,
        unrun: Unrun::default(),
        expected: sorted.crc,
        crc: Crc::default(),
    }
}

impl Block {
    /// Appends the next piece to `out`, which is empty. True if it was the last, and the CRC is right.
    fn expand(&mut self, out: &mut Vec<u8>) -> Result<bool, Damage> {
        let is_last = self
            .unrun
            .run(&self.bytes, out, OUT)
            .map_err(|_| Damage::Block("it ends inside a run"))?;
        self.crc.update(out);
        if !is_last {
            return Ok(false);
        }
        let (expected, found) = (self.expected, std::mem::take(&mut self.crc).value());
        if expected != found {
            return Err(Damage::BlockCrc { expected, found });
        }
        Ok(true)
    }
}

/// The CRC of the format has the polynomial of gzip's, but takes bits from the other end.
#[derive(Default)]
struct Crc {
    mirrored: crc32fast::Hasher,
}

impl Crc {
    fn update(&mut self, bytes: &[u8]) {
        let mut mirror = [0; 4096];
        for chunk in bytes.chunks(mirror.len()) {
            for (to, from) in mirror.iter_mut().zip(chunk) {
                *to = from.reverse_bits();
            }
            self.mirrored.update(&mirror[..chunk.len()]);
        }
    }

    fn value(self) -> u32 {
        self.mirrored.finalize().reverse_bits()
    }
}
