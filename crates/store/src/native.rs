//! ClickHouse's `Native` format: whole columns, one after another, as the server keeps them in memory.
//!
//! Source: <https://clickhouse.com/docs/interfaces/formats/Native>, and `NativeReader.cpp`. A block is the
//! number of columns and of rows (varints), then for each column its name, its type and its data. Numbers
//! are little-endian. Nothing here knows our tables.

/// A block in the making. Columns must all have the number of rows given at the start.
pub(crate) struct Block {
    out: Vec<u8>,
    rows: usize,
    /// The names still to come, in order.
    columns: &'static [&'static str],
}

impl Block {
    /// `columns` are the names of all columns, in the order in which they are going to be added.
    pub fn new(columns: &'static [&'static str], rows: usize) -> Self {
        let mut out = Vec::with_capacity(64 + rows * 80);
        varint(&mut out, columns.len() as u64);
        varint(&mut out, rows as u64);
        Block { out, rows, columns }
    }

    pub fn finish(self) -> Vec<u8> {
        debug_assert!(self.columns.is_empty(), "columns missing: {:?}", self.columns);
        self.out
    }

    fn head(&mut self, name: &str, kind: &str, rows: usize) {
        debug_assert_eq!(rows, self.rows, "column {name}");
        debug_assert_eq!(self.columns.first(), Some(&name));
        self.columns = self.columns.get(1..).unwrap_or_default();
        text(&mut self.out, name);
        text(&mut self.out, kind);
    }

    /// Bytes as they are: UInt8, Int8, Bool, Enum8.
    pub fn bytes(&mut self, name: &str, kind: &str, values: &[u8]) {
        self.head(name, kind, values.len());
        self.out.extend_from_slice(values);
    }

    pub fn u16s(&mut self, name: &str, values: impl ExactSizeIterator<Item = u16>) {
        self.head(name, "UInt16", values.len());
        put(&mut self.out, values.map(u16::to_le_bytes));
    }

    pub fn u32s(&mut self, name: &str, values: impl ExactSizeIterator<Item = u32>) {
        self.head(name, "UInt32", values.len());
        put(&mut self.out, values.map(u32::to_le_bytes));
    }

    pub fn u64s(&mut self, name: &str, values: impl ExactSizeIterator<Item = u64>) {
        self.head(name, "UInt64", values.len());
        put(&mut self.out, values.map(u64::to_le_bytes));
    }

    /// `DateTime64(6)`: microseconds since the epoch. It has no time zone here; the table has.
    pub fn times(&mut self, name: &str, values: impl ExactSizeIterator<Item = i64>) {
        self.head(name, "DateTime64(6)", values.len());
        put(&mut self.out, values.map(i64::to_le_bytes));
    }

    /// `IPv6`: 16 bytes in network order.
    pub fn addrs(&mut self, name: &str, values: impl ExactSizeIterator<Item = [u8; 16]>) {
        self.head(name, "IPv6", values.len());
        put(&mut self.out, values);
    }

    pub fn f64s(&mut self, name: &str, values: impl ExactSizeIterator<Item = f64>) {
        self.head(name, "Float64", values.len());
        put(&mut self.out, values.map(f64::to_le_bytes));
    }

    pub fn strings<'a>(&mut self, name: &str, values: impl ExactSizeIterator<Item = &'a str>) {
        self.head(name, "String", values.len());
        for value in values {
            text(&mut self.out, value);
        }
    }

    /// `Nullable(X)`: one byte a row that says null, then all values, with anything in place of the nulls.
    pub fn nullable<T, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        values: &[Option<T>],
        put: impl Fn(&T) -> [u8; N],
    ) {
        self.head(name, &format!("Nullable({kind})"), values.len());
        self.out
            .extend(values.iter().map(|value| u8::from(value.is_none())));
        for value in values {
            self.out.extend_from_slice(&value.as_ref().map_or([0; N], &put));
        }
    }

    /// `Array(String)`: the ends of all rows, then all elements.
    pub fn string_arrays<'a>(
        &mut self,
        name: &str,
        rows: impl ExactSizeIterator<Item = &'a [String]> + Clone,
    ) {
        self.head(name, "Array(String)", rows.len());
        let mut end = 0u64;
        for row in rows.clone() {
            end += row.len() as u64;
            self.out.extend_from_slice(&end.to_le_bytes());
        }
        for value in rows.flatten() {
            text(&mut self.out, value);
        }
    }

    /// `Array(String)` of texts that are made here.
    pub fn text_arrays<T>(&mut self, name: &str, rows: &[&[T]], show: impl Fn(&T) -> String) {
        self.head(name, "Array(String)", rows.len());
        self.ends(rows);
        for value in rows.iter().copied().flatten() {
            text(&mut self.out, &show(value));
        }
    }

    /// `Array(X)` of any fixed width: the ends of all rows, then all elements.
    pub fn arrays<T, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        rows: &[&[T]],
        put: impl Fn(&T) -> [u8; N],
    ) {
        self.head(name, &format!("Array({kind})"), rows.len());
        self.ends(rows);
        for value in rows.iter().copied().flatten() {
            self.out.extend_from_slice(&put(value));
        }
    }

    /// `Array(Nullable(X))`: the ends of all rows, then a byte for each element that says null, then all elements.
    pub fn nullable_arrays<T, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        rows: &[&[T]],
        put: impl Fn(&T) -> Option<[u8; N]>,
    ) {
        self.head(name, &format!("Array(Nullable({kind}))"), rows.len());
        self.ends(rows);
        let all = || rows.iter().copied().flatten().map(&put);
        self.out.extend(all().map(|value| u8::from(value.is_none())));
        for value in all() {
            self.out.extend_from_slice(&value.unwrap_or([0; N]));
        }
    }

    fn ends<T>(&mut self, rows: &[&[T]]) {
        let mut end = 0u64;
        for row in rows {
            end += row.len() as u64;
            self.out.extend_from_slice(&end.to_le_bytes());
        }
    }

    /// `Array(UInt32)`: the ends of all rows, then all elements.
    pub fn u32_arrays<'a>(&mut self, name: &str, rows: impl ExactSizeIterator<Item = &'a [u32]> + Clone) {
        self.head(name, "Array(UInt32)", rows.len());
        let mut end = 0u64;
        for row in rows.clone() {
            end += row.len() as u64;
            self.out.extend_from_slice(&end.to_le_bytes());
        }
        for row in rows {
            put(&mut self.out, row.iter().map(|value| value.to_le_bytes()));
        }
    }

    /// `LowCardinality(X)`: a dictionary, then an index into it for each row (`SerializationLowCardinality.cpp`).
    /// `keys` has at least one entry, and no index lies beyond it.
    pub fn dictionary(
        &mut self,
        name: &str,
        kind: &str,
        keys: impl ExactSizeIterator<Item = Vec<u8>>,
        indices: impl ExactSizeIterator<Item = u32>,
    ) {
        const SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS: u64 = 1;
        const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;
        const NEED_UPDATE_DICTIONARY: u64 = 1 << 10;
        self.head(name, &format!("LowCardinality({kind})"), indices.len());
        self.out
            .extend_from_slice(&SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS.to_le_bytes());
        if indices.len() == 0 {
            return;
        }
        let width: u64 = match keys.len() {
            0..=0xff => 0,
            0x100..=0xffff => 1,
            _ => 2,
        };
        self.out
            .extend_from_slice(&(width | HAS_ADDITIONAL_KEYS | NEED_UPDATE_DICTIONARY).to_le_bytes());
        self.out.extend_from_slice(&(keys.len() as u64).to_le_bytes());
        for key in keys {
            self.out.extend_from_slice(&key);
        }
        self.out.extend_from_slice(&(indices.len() as u64).to_le_bytes());
        match width {
            0 => self.out.extend(indices.map(|index| index as u8)),
            1 => self
                .out
                .extend(indices.flat_map(|index| (index as u16).to_le_bytes())),
            _ => put(&mut self.out, indices.map(u32::to_le_bytes)),
        }
    }
}

/// A string as a key of [`Block::dictionary`].
pub(crate) fn string_key(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 2);
    text(&mut out, value);
    out
}

/// Values of one width. Sized first and filled then: a third of the time of appending one by one.
fn put<const N: usize>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = [u8; N]>) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    for (slot, value) in out[start..].chunks_exact_mut(N).zip(values) {
        slot.copy_from_slice(&value);
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// LEB128.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_counts_then_columns() {
        let mut block = Block::new(&["a"], 2);
        block.strings("a", ["x", "yz"].into_iter());
        assert_eq!(block.finish(), b"\x01\x02\x01a\x06String\x01x\x02yz");
    }

    #[test]
    fn a_varint_has_seven_bits_a_byte() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }
}
