//! One block: from its bits to the runs of bytes that the sorting transform made.

use std::io::Read;

use super::Damage;
use super::bits::Bits;
use super::huffman::{Code, MAX_LENGTH, MAX_SYMBOLS};

/// Symbols that share a code.
const GROUP: usize = 50;
/// The most a block of 900,000 bytes can have; writers that announce more mean nothing by it.
const MAX_SELECTORS: usize = 18_002;
const MAX_RUN_WEIGHT: usize = 1 << 21;

/// A block, still sorted.
pub(super) struct Sorted<'a> {
    pub crc: u32,
    pub is_randomised: bool,
    /// Which of the sorted rows is the block itself; below `len`.
    pub origin: u32,
    /// Last column of the sorted rows: `length << 8 | byte`.
    pub runs: &'a [u32],
    /// How long they are together.
    pub len: usize,
}

/// Decodes blocks one after the other; keeps its memory between them.
pub(super) struct BlockReader {
    selectors: Vec<u8>,
    codes: Vec<Code>,
    runs: Vec<u32>,
}

impl BlockReader {
    pub(super) fn new() -> Self {
        BlockReader {
            selectors: Vec::new(),
            codes: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Reads a block of at most `limit` bytes, from behind its magic.
    ///
    /// # Errors
    /// What no writer makes.
    pub(super) fn read<R: Read>(&mut self, bits: &mut Bits<R>, limit: usize) -> Result<Sorted<'_>, Damage> {
        let crc = bits.take(32);
        let is_randomised = bits.bit();
        let origin = bits.take(24);
        let (alphabet, used) = read_alphabet(bits);
        if used == 0 {
            bits.check()?;
            return Err(Damage::Block("no byte is in use"));
        }
        self.read_selectors(bits)?;
        let count = used + 2;
        for code in &mut self.codes {
            *code = read_code(bits, count)?;
        }
        let len = self.read_runs(bits, alphabet, used, limit)?;
        if origin as usize >= len {
            return Err(Damage::Block("its origin is outside of it"));
        }
        Ok(Sorted {
            crc,
            is_randomised,
            origin,
            runs: &self.runs,
            len,
        })
    }

    /// Number of codes, and which group of symbols uses which.
    fn read_selectors<R: Read>(&mut self, bits: &mut Bits<R>) -> Result<(), Damage> {
        let codes = bits.take(3) as usize;
        let count = bits.take(15) as usize;
        bits.check()?;
        if !(2..=6).contains(&codes) || count == 0 {
            return Err(Damage::Block("number of codes"));
        }
        self.codes.resize_with(codes, || Code::new(&[]));
        self.selectors.clear();
        let mut recent = [0u8, 1, 2, 3, 4, 5];
        for _ in 0..count {
            let mut place = 0;
            while bits.bit() {
                place += 1;
                if place >= codes {
                    return Err(Damage::Block("choice of a code"));
                }
            }
            let code = recent[place];
            recent.copy_within(..place, 1);
            recent[0] = code;
            if self.selectors.len() < MAX_SELECTORS {
                self.selectors.push(code);
            }
        }
        bits.check()
    }

    /// Symbols to runs. Returns how many bytes they are.
    fn read_runs<R: Read>(
        &mut self,
        bits: &mut Bits<R>,
        mut recent: [u8; 256],
        used: usize,
        limit: usize,
    ) -> Result<usize, Damage> {
        let BlockReader {
            selectors,
            codes,
            runs,
        } = self;
        let end = used as u16 + 1;
        runs.clear();
        // Symbols 0 and 1 are the digits, 1 and 2 in base 2, of how often the last byte comes again.
        let mut last = u32::from(recent[0]);
        let mut again = 0;
        let mut weight = 1;
        let mut len = 0;
        for &selector in selectors.iter() {
            let code = &codes[usize::from(selector)];
            for _ in 0..GROUP {
                bits.need(MAX_LENGTH as u32);
                let Some((symbol, length)) = code.decode(bits.peek()) else {
                    bits.check()?;
                    return Err(Damage::Block("no such symbol"));
                };
                bits.skip(length);
                if symbol <= 1 {
                    if weight >= MAX_RUN_WEIGHT {
                        bits.check()?;
                        return Err(Damage::Block("longer than its stream allows"));
                    }
                    again += weight << symbol;
                    weight <<= 1;
                    continue;
                }
                len += again + 1;
                if len > limit + usize::from(symbol == end) {
                    bits.check()?;
                    return Err(Damage::Block("longer than its stream allows"));
                }
                runs.push(last + ((again as u32) << 8));
                if symbol == end {
                    bits.check()?;
                    return Ok(len - 1);
                }
                last = 1 << 8 | u32::from(to_front(&mut recent, usize::from(symbol) - 1));
                again = 0;
                weight = 1;
            }
            bits.check()?;
        }
        Err(Damage::Block("it does not end"))
    }
}

/// Moves the byte at `place` (not 0) to the front.
#[inline(always)]
fn to_front(recent: &mut [u8; 256], place: usize) -> u8 {
    let byte = recent[place & 255];
    match recent.first_chunk_mut::<16>() {
        Some(front) if place < 16 => {
            // Sixteen bytes move at once: those up to `place` by one, those behind it stay.
            let old = u128::from_le_bytes(*front);
            let moved = u128::MAX >> (8 * (15 - place));
            let new = (old & !moved) | ((old << 8 | u128::from(byte)) & moved);
            *front = new.to_le_bytes();
        }
        _ => {
            recent.copy_within(..place & 255, 1);
            recent[0] = byte;
        }
    }
    byte
}

/// The bytes that occur, in order, and how many they are.
fn read_alphabet<R: Read>(bits: &mut Bits<R>) -> ([u8; 256], usize) {
    let mut alphabet = [0; 256];
    let mut used = 0;
    let sixteenths = bits.take(16);
    for high in (0..16u8).filter(|high| sixteenths & (0x8000 >> high) != 0) {
        let bytes = bits.take(16);
        for low in (0..16u8).filter(|low| bytes & (0x8000 >> low) != 0) {
            alphabet[used] = high << 4 | low;
            used += 1;
        }
    }
    (alphabet, used)
}

/// Code lengths of `count` symbols, each as steps from the one before.
fn read_code<R: Read>(bits: &mut Bits<R>, count: usize) -> Result<Code, Damage> {
    let mut lengths = [0; MAX_SYMBOLS];
    let mut length = bits.take(5);
    for slot in &mut lengths[..count] {
        loop {
            if !(1..=MAX_LENGTH as u32).contains(&length) {
                bits.check()?;
                return Err(Damage::Block("length of a code"));
            }
            if !bits.bit() {
                break;
            }
            length = if bits.bit() { length - 1 } else { length + 1 };
        }
        *slot = length as u8;
    }
    bits.check()?;
    Ok(Code::new(&lengths[..count]))
}
