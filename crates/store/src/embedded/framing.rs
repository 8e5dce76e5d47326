//! Which output formats can be fetched in pieces.
//!
//! libchdb starts the output format anew for every piece of a streamed SELECT, so each piece is a whole document.
//! For formats that are mere rows that does not show; those with a header repeat it, and it is cut off again here;
//! the others (JSON, Pretty, Parquet, …) have to be made in one go, in memory.

use super::ffi::Output;

/// How the pieces of a format join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Rows only.
    Rows,
    /// So many header lines; `quoted`: a line break inside double quotes does not end one (CSV).
    Lines { count: usize, quoted: bool },
    /// RowBinary: a count and so many strings for each column.
    Binary { strings: usize },
    /// One document.
    Whole,
}

impl Framing {
    /// The framing of a format by its name (case does not matter to ClickHouse).
    #[must_use]
    pub fn of(format: &str) -> Self {
        let name = format.to_ascii_lowercase();
        let (base, count) = match name.strip_suffix("withnamesandtypes") {
            Some(base) => (base, 2),
            None => name
                .strip_suffix("withnames")
                .map_or((name.as_str(), 0), |base| (base, 1)),
        };
        let lines = |quoted| {
            if count == 0 {
                Self::Rows
            } else {
                Self::Lines { count, quoted }
            }
        };
        match base {
            "tabseparated"
            | "tabseparatedraw"
            | "tsv"
            | "tsvraw"
            | "jsoncompacteachrow"
            | "jsoncompactstringseachrow" => lines(false),
            "csv" => lines(true),
            "rowbinary" if count > 0 => Self::Binary { strings: count },
            "rowbinary"
            | "rowbinarywithdefaults"
            | "native"
            | "jsoneachrow"
            | "jsonstringseachrow"
            | "jsonlines"
            | "ndjson"
            | "tskv"
            | "lineasstring"
            | "null"
                if count == 0 =>
            {
                Self::Rows
            }
            _ => Self::Whole,
        }
    }

    /// The length of the header with which `piece` begins; 0 where it has none or is cut off.
    #[must_use]
    pub fn header_length(self, piece: &[u8]) -> usize {
        match self {
            Self::Rows | Self::Whole => 0,
            Self::Lines { count, quoted } => lines_end(piece, count, quoted).unwrap_or(0),
            Self::Binary { strings } => binary_end(piece, strings).unwrap_or(0),
        }
    }
}

fn lines_end(piece: &[u8], count: usize, quoted: bool) -> Option<usize> {
    let (mut inside, mut left) = (false, count);
    for (at, byte) in piece.iter().enumerate() {
        match byte {
            b'"' if quoted => inside = !inside,
            b'\n' if !inside => left -= 1,
            _ => {}
        }
        if left == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn binary_end(piece: &[u8], strings: usize) -> Option<usize> {
    let mut at = 0;
    let columns = varuint(piece, &mut at)?;
    for _ in 0..columns.checked_mul(strings)? {
        let length = varuint(piece, &mut at)?;
        at = at.checked_add(length).filter(|end| *end <= piece.len())?;
    }
    Some(at)
}

fn varuint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Cuts the repeated header off the pieces of one answer.
pub struct Joiner {
    framing: Framing,
    header: Option<Vec<u8>>,
}

impl Joiner {
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            header: None,
        }
    }

    /// The piece as it is to be sent.
    pub fn next(&mut self, output: Output) -> Piece {
        let skip = self.skip(output.as_ref());
        Piece { output, skip }
    }

    fn skip(&mut self, piece: &[u8]) -> usize {
        match &self.header {
            Some(header) if piece.starts_with(header) => header.len(),
            Some(_) => 0,
            None => {
                self.header = Some(piece[..self.framing.header_length(piece)].to_vec());
                0
            }
        }
    }
}

/// A piece of output without its repeated header.
pub struct Piece {
    output: Output,
    skip: usize,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.output.as_ref()[self.skip..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name() {
        let lines = |count, quoted| Framing::Lines { count, quoted };
        for (format, want) in [
            ("TabSeparated", Framing::Rows),
            ("TSVWithNames", lines(1, false)),
            ("CSVWithNamesAndTypes", lines(2, true)),
            ("JSONCompactEachRowWithNames", lines(1, false)),
            ("RowBinary", Framing::Rows),
            ("rowbinarywithnamesandtypes", Framing::Binary { strings: 2 }),
            ("RowBinaryWithNames", Framing::Binary { strings: 1 }),
            ("Native", Framing::Rows),
            ("JSON", Framing::Whole),
            ("JSONCompact", Framing::Whole),
            ("PrettyCompact", Framing::Whole),
            ("Parquet", Framing::Whole),
            ("NativeWithNames", Framing::Whole),
        ] {
            assert_eq!(Framing::of(format), want, "{format}");
        }
    }

    #[test]
    fn headers_are_cut_off_all_but_the_first_piece() {
        let mut joiner = Joiner::new(Framing::of("CSVWithNames"));
        assert_eq!(joiner.skip(b"\"a\nb\",\"c\"\n1,2\n"), 0);
        assert_eq!(joiner.skip(b"\"a\nb\",\"c\"\n3,4\n"), 10);
        let mut joiner = Joiner::new(Framing::of("RowBinaryWithNamesAndTypes"));
        assert_eq!(joiner.skip(b"\x01\x01a\x05UInt8\x07"), 0);
        assert_eq!(joiner.skip(b"\x01\x01a\x05UInt8\x08"), 9);
        let mut joiner = Joiner::new(Framing::Rows);
        assert_eq!((joiner.skip(b"1\n"), joiner.skip(b"1\n")), (0, 0));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            for format in ["CSVWithNames", "TSVWithNamesAndTypes", "RowBinaryWithNamesAndTypes"] {
                assert!(Framing::of(format).header_length(&bytes) <= bytes.len());
            }
        }
    }
}
