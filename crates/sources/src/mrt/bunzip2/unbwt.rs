//! Undoing the sorting transform.
//!
//! Every row of the sorted block says which row begins one byte later, anywhere in 3.6 MB. Followed as such
//! that is one load after the other, none of which can start before the one before it is there, and most of
//! the time the core waits. So steps are composed first: rows of two bytes, of four, and of leaps of 8, 16
//! and [`LEAP`] bytes, each table in one sweep over the one before. Neighbouring rows mostly lead to
//! neighbouring rows, so sweeps are cheap, and their loads do not depend on each other. Then only one load in
//! [`LEAP`] bytes waits for the one before it: from each leap's start, rows of four bytes are followed while
//! the next leaps are under way.

use std::cell::Cell;

/// Entries of a table: a power of two above the 900,000 of the longest block, so that a mask is all it takes
/// to stay inside of it.
const SIZE: usize = 1 << 20;
const MASK: usize = SIZE - 1;
/// Bytes from one leap's start to the next. Measured: 16 is slower by a tenth.
const LEAP: usize = 32;

type Table<T> = Box<[T; SIZE]>;

/// Memory to unsort a block with: 24 MB.
struct Unbwt {
    /// Of each row: its first byte, and above it (from bit 8) the row that begins one byte later.
    ones: Table<u32>,
    /// The first two bytes, and from bit 16 the row that begins two bytes later.
    twos: Table<u64>,
    /// The first four bytes, and from bit 32 the row that begins four bytes later.
    fours: Table<u64>,
    /// The row that begins a leap later; in the end that is [`LEAP`] bytes. `ones` takes turns with it.
    leaps: Table<u32>,
}

thread_local! {
    /// Each thread has one at most, from its first block on: pages that are touched for the first time would
    /// cost a tenth of the time again.
    static SPARE: Cell<Option<Unbwt>> = const { Cell::new(None) };
}

/// Makes `block` from the last column of its sorted rows, `runs` of `length << 8 | byte` which are as long
/// together as `block` (at most 900,000 bytes), and the number of the row that is the block itself.
pub(super) fn unbwt(runs: &[u32], origin: u32, block: &mut [u8]) {
    let mut tables = SPARE.take().unwrap_or_else(Unbwt::new);
    let len = block.len().min(SIZE);
    tables.fill_ones(runs);
    tables.compose(len);
    tables.follow(origin, block);
    SPARE.set(Some(tables));
}

impl Unbwt {
    fn new() -> Self {
        Unbwt {
            ones: table(),
            twos: table(),
            fours: table(),
            leaps: table(),
        }
    }

    /// The n-th of a byte in the last column is the n-th of it in the first, which is sorted.
    fn fill_ones(&mut self, runs: &[u32]) {
        let mut starts = [0u32; 256];
        for run in runs {
            starts[(run & 0xff) as usize] += run >> 8;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        let mut row = 0;
        for run in runs {
            let (byte, length) = (run & 0xff, run >> 8);
            let start = &mut starts[byte as usize];
            let first = *start as usize;
            *start += length;
            if let Some(ones) = self.ones.get_mut(first..first + length as usize) {
                for (one, next) in ones.iter_mut().zip(row..) {
                    *one = next << 8 | byte;
                }
            }
            row += length;
        }
    }

    /// All other tables from `ones`.
    fn compose(&mut self, len: usize) {
        let Unbwt {
            ones,
            twos,
            fours,
            leaps,
        } = self;
        for (two, &one) in twos[..len].iter_mut().zip(&ones[..len]) {
            let next = ones[(one >> 8) as usize & MASK];
            *two = u64::from(next) << 8 | u64::from(one & 0xff);
        }
        for (four, &two) in fours[..len].iter_mut().zip(&twos[..len]) {
            let next = twos[(two >> 16) as usize & MASK];
            *four = next << 16 | (two & 0xffff);
        }
        for (leap, &four) in ones[..len].iter_mut().zip(&fours[..len]) {
            *leap = (fours[(four >> 32) as usize & MASK] >> 32) as u32;
        }
        double(ones, leaps, len);
        double(leaps, ones, len);
        std::mem::swap(ones, leaps);
    }

    fn follow(&self, origin: u32, block: &mut [u8]) {
        let mut start = origin as usize & MASK;
        let (leaps, rest) = block.as_chunks_mut::<LEAP>();
        for leap in leaps {
            let mut row = start;
            start = self.leaps[start] as usize & MASK;
            for bytes in leap.as_chunks_mut::<4>().0 {
                let four = self.fours[row];
                *bytes = (four as u32).to_le_bytes();
                row = (four >> 32) as usize & MASK;
            }
        }
        for bytes in rest.chunks_mut(4) {
            let four = self.fours[start];
            bytes.copy_from_slice(&four.to_le_bytes()[..bytes.len()]);
            start = (four >> 32) as usize & MASK;
        }
    }
}

/// Leaps twice as far as those of `from`.
fn double(from: &[u32; SIZE], to: &mut [u32; SIZE], len: usize) {
    for (twice, &once) in to[..len].iter_mut().zip(&from[..len]) {
        *twice = from[once as usize & MASK];
    }
}

/// A table of zeros, never on the stack.
fn table<T: Copy + From<u8>>() -> Table<T> {
    match vec![T::from(0); SIZE].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("a vector of SIZE entries has SIZE entries"),
    }
}
