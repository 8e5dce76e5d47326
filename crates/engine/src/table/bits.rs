//! One row of bits per prefix, all rows in one piece of memory.

use smallvec::SmallVec;

/// A session, as its place in every row.
pub type Slot = u16;

/// One row's worth of bits, by itself.
pub type Mask = SmallVec<[u64; 8]>;

/// Rows of equal width. A row widens by 64 sessions at a time; that copies everything and is rare.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct BitRows {
    words: Vec<u64>,
    /// Words per row.
    width: usize,
}

impl BitRows {
    pub fn push_row(&mut self) {
        self.words.resize(self.words.len() + self.width, 0);
    }

    pub fn row(&self, row: u32) -> &[u64] {
        let start = row as usize * self.width;
        &self.words[start..start + self.width]
    }

    pub fn row_mut(&mut self, row: u32) -> &mut [u64] {
        let start = row as usize * self.width;
        &mut self.words[start..start + self.width]
    }

    /// Makes room for slots `0..slots` in each of `rows` rows.
    pub fn widen(&mut self, slots: usize, rows: usize) {
        let width = slots.div_ceil(64);
        if width <= self.width {
            return;
        }
        let mut words = vec![0; width * rows];
        if self.width > 0 {
            for (new, old) in words
                .chunks_exact_mut(width)
                .zip(self.words.chunks_exact(self.width))
            {
                new[..self.width].copy_from_slice(old);
            }
        }
        self.words = words;
        self.width = width;
    }

    pub fn width(&self) -> usize {
        self.width
    }
}

pub fn get(words: &[u64], slot: Slot) -> bool {
    words
        .get(slot as usize / 64)
        .is_some_and(|word| word >> (slot % 64) & 1 == 1)
}

/// Returns whether the bit was clear before. The row must be wide enough.
pub fn set(words: &mut [u64], slot: Slot) -> bool {
    let (word, bit) = (&mut words[slot as usize / 64], 1u64 << (slot % 64));
    let was_clear = *word & bit == 0;
    *word |= bit;
    was_clear
}

/// Returns whether the bit was set before.
pub fn clear(words: &mut [u64], slot: Slot) -> bool {
    let Some(word) = words.get_mut(slot as usize / 64) else {
        return false;
    };
    let bit = 1u64 << (slot % 64);
    let was_set = *word & bit != 0;
    *word &= !bit;
    was_set
}

pub fn count(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// The slots whose bit is set, ascending.
pub fn slots(words: &[u64]) -> impl Iterator<Item = Slot> + '_ {
    words.iter().enumerate().flat_map(|(index, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            Some((index * 64) as Slot + bit as Slot)
        })
    })
}

/// A growing set of numbers, for sets that are temporary and large.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct BitSet(Vec<u64>);

impl BitSet {
    /// True if it was not a member.
    pub fn insert(&mut self, member: u32) -> bool {
        let (word, bit) = (member as usize / 64, 1u64 << (member % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub fn remove(&mut self, member: u32) {
        if let Some(word) = self.0.get_mut(member as usize / 64) {
            *word &= !(1 << (member % 64));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, member: u32) -> bool {
        self.0
            .get(member as usize / 64)
            .is_some_and(|word| word >> (member % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_keeps_every_bit() {
        let mut rows = BitRows::default();
        rows.widen(3, 0);
        rows.push_row();
        rows.push_row();
        assert!(set(rows.row_mut(1), 2));
        assert!(!set(rows.row_mut(1), 2));
        rows.widen(200, 2);
        assert!(set(rows.row_mut(1), 199));
        assert_eq!(slots(rows.row(1)).collect::<Vec<_>>(), [2, 199]);
        assert_eq!(count(rows.row(0)), 0);
        assert!(clear(rows.row_mut(1), 2) && !clear(rows.row_mut(1), 2));
    }
}
