//! Prefix codes: up to [`MAX_SYMBOLS`] symbols, codes of 1 to [`MAX_LENGTH`] bits, shorter codes first.

pub(super) const MAX_SYMBOLS: usize = 258;
pub(super) const MAX_LENGTH: usize = 20;
/// Codes up to this length, nearly all that occur, take one look into a table of 2 kB.
const SHORT: usize = 10;

/// A code, ready to decode.
pub(super) struct Code {
    /// By the next [`SHORT`] bits: symbol and length, or 0 where the code is longer or there is none.
    short: [u16; 1 << SHORT],
    /// By length: one more than the last code.
    ends: [u32; MAX_LENGTH + 1],
    /// By length: what to add to a code for its place in `symbols`; wraps.
    shifts: [u32; MAX_LENGTH + 1],
    /// Ordered by code.
    symbols: [u16; MAX_SYMBOLS],
}

impl Code {
    /// From the length of each symbol's code. Lengths that leave bit strings without a symbol, or that want
    /// more of them than there are, are taken like the original does: the former make [`Code::decode`] fail
    /// when they occur, of the latter the shortest codes count.
    pub(super) fn new(lengths: &[u8]) -> Self {
        let mut code = Code {
            short: [0; 1 << SHORT],
            ends: [0; MAX_LENGTH + 1],
            shifts: [0; MAX_LENGTH + 1],
            symbols: [0; MAX_SYMBOLS],
        };
        let mut next = 0u32;
        let mut place = 0usize;
        for length in 1..=MAX_LENGTH {
            code.shifts[length] = (place as u32).wrapping_sub(next);
            for (symbol, _) in lengths
                .iter()
                .enumerate()
                .filter(|&(_, &of)| usize::from(of) == length)
            {
                code.symbols[place] = symbol as u16;
                code.enter(symbol as u16, next, length);
                place += 1;
                next += 1;
            }
            code.ends[length] = next;
            // At most 258 symbols: stays below 2^29.
            next <<= 1;
        }
        code
    }

    fn enter(&mut self, symbol: u16, code: u32, length: usize) {
        if length <= SHORT {
            let first = (code as usize) << (SHORT - length);
            let after = first + (1 << (SHORT - length));
            if let Some(entries) = self.short.get_mut(first..after) {
                entries.fill(symbol << 5 | length as u16);
            }
        }
    }

    /// Symbol and length of the code that `window` begins with.
    #[inline(always)]
    pub(super) fn decode(&self, window: u64) -> Option<(u16, u32)> {
        let entry = self.short[(window >> (64 - SHORT)) as usize];
        if entry != 0 {
            return Some((entry >> 5, u32::from(entry & 31)));
        }
        self.decode_long(window)
    }

    #[cold]
    fn decode_long(&self, window: u64) -> Option<(u16, u32)> {
        let length = (SHORT + 1..=MAX_LENGTH)
            .find(|&length| ((window >> (64 - length)) as u32) < self.ends[length])?;
        let place = ((window >> (64 - length)) as u32).wrapping_add(self.shifts[length]);
        let symbol = self.symbols.get(place as usize)?;
        Some((*symbol, length as u32))
    }
}
