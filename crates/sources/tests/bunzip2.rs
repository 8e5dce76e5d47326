//! Our bzip2 decoder against the library, and against damage.

mod mrt_support;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::read::MultiBzDecoder;
use bzip2::write::BzEncoder;
use mrt_support::shared_data;
use netfault_sources::mrt::bunzip2::Reader;
use proptest::prelude::*;

/// What comes out of `reader`, and how it ends.
fn drain(mut reader: impl Read) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = reader.read_to_end(&mut bytes).map(|_| ());
    (bytes, end)
}

fn ours(packed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    drain(Reader::new(packed))
}

fn pack(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bz2_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bz2_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "bz2") {
            out.push(path);
        }
    }
}

/// Every file, whole or cut: the same bytes, and an end of the same kind.
#[test]
fn real_files_come_out_like_from_the_library() {
    let Some(data) = shared_data("real_files_come_out_like_from_the_library") else {
        return;
    };
    let mut files = Vec::new();
    bz2_files(&data, &mut files);
    assert!(files.len() >= 90, "{} files", files.len());
    files.sort();
    // All that are not RouteViews' day, and of that day each eighth.
    let is_day = |path: &PathBuf| path.to_string_lossy().contains("route-views2-20080224");
    let (day, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_day);
    for path in others.into_iter().chain(day.into_iter().step_by(8)) {
        let packed = std::fs::read(&path).unwrap();
        let (expected, its_end) = drain(MultiBzDecoder::new(packed.as_slice()));
        let (bytes, end) = ours(&packed);
        assert!(bytes == expected, "{}: other bytes", path.display());
        assert_eq!(end.is_ok(), its_end.is_ok(), "{}: {end:?}", path.display());
    }
}

/// Text that has sorted rows in common with itself, like archives have: `words` of a few kinds.
fn repetitive(words: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let kinds: Vec<Vec<u8>> = (0..50)
        .map(|_| (0..random.usize(1..60)).map(|_| random.u8(..)).collect())
        .collect();
    (0..words)
        .flat_map(|_| kinds[random.usize(..kinds.len())].clone())
        .collect()
}

fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

#[test]
fn all_sizes_shapes_and_levels_come_back() {
    let mut shapes: Vec<Vec<u8>> = vec![
        vec![],
        random(99_999, 1),
        random(1_000_000, 2),
        repetitive(100_000, 3),
        vec![0xff; 12_000_000],
        b"ab".repeat(500_000),
        (0..=255u8).collect(),
    ];
    // Around the lengths where a run gets a count, where that is full, and where leaps end.
    shapes.extend((1..80).map(|len| random(len, 4)));
    shapes.extend([3, 4, 5, 254, 255, 256, 258, 259, 260, 263, 518, 600].map(|len| vec![7; len]));
    for (index, shape) in shapes.iter().enumerate() {
        for level in [1, 2, 9] {
            let (bytes, end) = ours(&pack(shape, level));
            assert!(end.is_ok(), "shape {index}, level {level}: {end:?}");
            assert!(bytes == *shape, "shape {index}, level {level}");
        }
    }
}

#[test]
fn what_stands_after_a_stream_must_be_one() {
    let mut packed = pack(b"one", 9);
    packed.extend(pack(b"", 1));
    packed.extend(pack(b"two", 5));
    let (bytes, end) = ours(&packed);
    assert_eq!((bytes.as_slice(), end.is_ok()), (b"onetwo".as_slice(), true));
    packed.extend(b"garbage");
    let (bytes, end) = ours(&packed);
    assert_eq!(bytes, b"onetwo");
    assert_eq!(
        end.unwrap_err().to_string(),
        "no bzip2 stream where one should begin"
    );
}

/// Three blocks: as many are delivered as are whole.
#[test]
fn a_cut_file_gives_its_whole_blocks() {
    let whole = random(250_000, 5);
    let packed = pack(&whole, 1);
    for cut in (0..packed.len())
        .step_by(9_973)
        .chain(packed.len() - 12..packed.len())
    {
        let (expected, _) = drain(MultiBzDecoder::new(&packed[..cut]));
        let (bytes, end) = ours(&packed[..cut]);
        assert!(
            bytes == expected,
            "cut at {cut}: {} of {}",
            bytes.len(),
            expected.len()
        );
        let error = end.unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::UnexpectedEof,
            "cut at {cut}: {error}"
        );
    }
}

#[test]
fn a_small_file_cut_anywhere_ends_in_an_error() {
    let whole = repetitive(20, 6);
    let packed = pack(&whole, 9);
    for cut in 0..packed.len() {
        let (bytes, end) = ours(&packed[..cut]);
        assert!(whole.starts_with(&bytes));
        assert_eq!(
            end.unwrap_err().to_string(),
            "bzip2 stream is cut off",
            "cut at {cut}"
        );
    }
}

/// The level may be changed, and bits that fill the last byte, and the mark of a randomised block (byte 14),
/// which means nothing before the 618th byte: that is not wrong.
#[test]
fn a_small_file_with_a_changed_byte_never_gives_wrong_bytes() {
    let whole = repetitive(20, 7);
    let packed = pack(&whole, 5);
    for place in 0..packed.len() {
        for bit in 0..8 {
            let mut packed = packed.clone();
            packed[place] ^= 1 << bit;
            let (bytes, end) = ours(&packed);
            assert!(bytes.is_empty() || bytes == whole, "bit {bit} of {place}");
            let may_pass = place == 3 || (place, bit) == (14, 7) || place + 1 == packed.len();
            assert!(
                end.is_err() || (may_pass && bytes == whole),
                "bit {bit} of {place}"
            );
        }
    }
}

/// Reading fails after `good` bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("disk on fire")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_on_says_why() {
    let packed = pack(b"some bytes", 9);
    for good in [2, packed.len() / 2, packed.len()] {
        let (_, end) = drain(Reader::new(Failing(&packed[..good])));
        assert_eq!(end.unwrap_err().to_string(), "disk on fire", "after {good}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn runs_of_any_length_come_back(
        runs in prop::collection::vec((0u8..4, 1usize..700), 0..40),
        levels in prop::collection::vec(1u32..=9, 1..4),
        piece in 1usize..5000,
    ) {
        let whole: Vec<u8> = runs.iter().flat_map(|&(byte, len)| vec![byte; len]).collect();
        let packed: Vec<u8> = levels.iter().flat_map(|&level| pack(&whole, level)).collect();
        let mut reader = Reader::new(packed.as_slice());
        let mut bytes = Vec::new();
        let mut buffer = vec![0; piece];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
        prop_assert!(bytes == whole.repeat(levels.len()));
    }

    /// Behind a right beginning, anything: an error, or the library takes it too and has the same bytes.
    #[test]
    fn random_bytes_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..600),
        keep in 0usize..60,
    ) {
        let mut packed = pack(b"a block to begin with, a block to go on with", 9);
        packed.truncate(keep);
        packed.extend(tail);
        let (bytes, end) = ours(&packed);
        if end.is_ok() {
            prop_assert_eq!(bytes, drain(MultiBzDecoder::new(packed.as_slice())).0);
        }
    }

    #[test]
    fn damage_in_the_middle_gives_the_blocks_before_it(
        hits in prop::collection::vec((any::<u32>(), any::<u8>()), 1..4),
    ) {
        let whole = repetitive(12_000, 8);
        let mut packed = pack(&whole, 1);
        let len = packed.len();
        let mut is_changed = false;
        for (place, value) in hits {
            let byte = &mut packed[place as usize % (len - 5) + 4];
            is_changed |= *byte != value;
            *byte = value;
        }
        let (bytes, end) = ours(&packed);
        prop_assert!(whole.starts_with(&bytes));
        prop_assert!(end.is_err() || !is_changed || bytes == whole);
    }
}
