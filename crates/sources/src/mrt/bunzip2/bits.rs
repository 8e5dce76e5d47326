//! Bits of a compressed file, most significant first.

use std::io::{self, Read};

use super::Damage;

const BUFFER: usize = 64 * 1024;

/// A bit reader over `inner`. Behind the end of the file it delivers zeros, so that a decoder's inner loops
/// need not look for the end at every symbol; [`Bits::check`] tells whether any of those were taken.
pub(super) struct Bits<R> {
    inner: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// The next bits, from the top. Below `count` of them are more bits of the file, or zeros.
    window: u64,
    count: u32,
    /// How many of the bits that were put into the window lie behind the end of the file.
    beyond: u64,
    ended: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Bits<R> {
    pub(super) fn new(inner: R) -> Self {
        Bits {
            inner,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            at: 0,
            end: 0,
            window: 0,
            count: 0,
            beyond: 0,
            ended: false,
            failed: None,
        }
    }

    /// Makes sure that at least `bits` (up to 56) are in the window.
    #[inline(always)]
    pub(super) fn need(&mut self, bits: u32) {
        if self.count < bits {
            self.refill();
        }
    }

    /// The window, next bit on top.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.window
    }

    /// Takes `bits` that [`Bits::need`] made sure of.
    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.window <<= bits;
        self.count -= bits;
    }

    /// The next 1 to 32 bits as a number.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        self.need(bits);
        let value = (self.window >> (64 - bits)) as u32;
        self.skip(bits);
        value
    }

    #[inline]
    pub(super) fn bit(&mut self) -> bool {
        self.take(1) == 1
    }

    /// To the next byte boundary.
    pub(super) fn align(&mut self) {
        self.skip(self.count % 8);
    }

    /// Whether the file ends here. Ask at a byte boundary.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.need(8);
        self.beyond >= u64::from(self.count)
    }

    /// # Errors
    /// The file ended before the bits that were taken, or could not be read.
    #[inline]
    pub(super) fn check(&mut self) -> Result<(), Damage> {
        if self.beyond <= u64::from(self.count) {
            return Ok(());
        }
        Err(self.failure().unwrap_or(Damage::Truncated))
    }

    /// Why the file ended here, if not because it is its end.
    pub(super) fn failure(&mut self) -> Option<Damage> {
        self.failed.take().map(Damage::Unreadable)
    }

    #[inline]
    fn refill(&mut self) {
        // The bits below `count` are the ones that are or-ed over them here: the same ones.
        match self.buffer[..self.end]
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<8>)
        {
            Some(word) => {
                self.window |= u64::from_be_bytes(*word) >> self.count;
                self.at += (63 - self.count as usize) / 8;
                self.count |= 56;
            }
            None => self.refill_slowly(),
        }
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            if self.at == self.end {
                self.read();
            }
            let byte = if self.at < self.end {
                self.at += 1;
                self.buffer[self.at - 1]
            } else {
                self.beyond += 8;
                0
            };
            self.window |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn read(&mut self) {
        while !self.ended {
            match self.inner.read(&mut self.buffer) {
                Ok(read) => {
                    self.at = 0;
                    self.end = read;
                    self.ended = read == 0;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    self.ended = true;
                }
            }
        }
    }
}
