//! ClickHouse's native compressed blocks, as `compress=1` and `decompress=1` use them.
//!
//! A block is a CityHash128 (v1.0.2) of the rest, then a method byte, the size with this 9-byte header, the size
//! when unpacked (both u32, little-endian), and the packed bytes. Sizes are checked before memory is taken for them.

use std::io::{self, Read};

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;

/// ClickHouse's own limit (`DBMS_MAX_COMPRESSED_SIZE`) is 1 GiB; no client writes blocks near this one.
const MAX_BLOCK: u32 = 128 << 20;

/// Appends `data` as one LZ4 block.
pub fn pack(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + CHECKSUM + HEADER, 0);
    out.resize(
        start + CHECKSUM + HEADER + lz4_flex::block::get_maximum_output_size(data.len()),
        0,
    );
    let body = start + CHECKSUM + HEADER;
    // The buffer has the maximum size, so this cannot run out of room; an empty block would be seen by the reader.
    let packed = lz4_flex::block::compress_into(data, &mut out[body..]).unwrap_or(0);
    out.truncate(body + packed);
    let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    out[start + CHECKSUM] = METHOD_LZ4;
    out[start + CHECKSUM + 1..start + CHECKSUM + 5].copy_from_slice(&size(packed + HEADER));
    out[start + CHECKSUM + 5..body].copy_from_slice(&size(data.len()));
    let sum = checksum(&out[start + CHECKSUM..]);
    out[start..start + CHECKSUM].copy_from_slice(&sum);
}

/// The hash's low half comes first.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    cityhash_rs::cityhash_102_128(bytes)
        .rotate_right(64)
        .to_le_bytes()
}

/// Unpacks a stream of blocks.
pub struct Unpack<R> {
    inner: R,
    packed: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
}

impl<R: Read> Unpack<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            packed: Vec::new(),
            plain: Vec::new(),
            at: 0,
        }
    }

    /// Reads and unpacks the next block; `false` at a clean end.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut head = [0; CHECKSUM + HEADER];
        if !fill(&mut self.inner, &mut head)? {
            return Ok(false);
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (packed, plain) = (word(CHECKSUM + 1), word(CHECKSUM + 5));
        if packed < HEADER as u32 || packed > MAX_BLOCK || plain > MAX_BLOCK {
            return Err(bad(format!(
                "a compressed block states {packed} bytes packed and {plain} bytes unpacked"
            )));
        }
        let body = packed as usize - HEADER;
        self.packed.clear();
        self.packed.extend_from_slice(&head[CHECKSUM..]);
        // `take` and not `resize`: the memory grows with what arrives, not with what was stated.
        let read = (&mut self.inner)
            .take(body as u64)
            .read_to_end(&mut self.packed)?;
        if read < body {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the last compressed block is cut off",
            ));
        }
        if checksum(&self.packed) != head[..CHECKSUM] {
            return Err(bad(
                "checksum doesn't match: corrupted data in a compressed block".to_owned(),
            ));
        }
        self.plain.clear();
        self.at = 0;
        self.decode(head[CHECKSUM], plain as usize)?;
        Ok(true)
    }

    fn decode(&mut self, method: u8, size: usize) -> io::Result<()> {
        let body = &self.packed[HEADER..];
        match method {
            METHOD_NONE => self.plain.extend_from_slice(body),
            METHOD_LZ4 => {
                // LZ4 packs at most 255 : 1, so a larger claim is a lie.
                if size > body.len().saturating_mul(255).saturating_add(64) {
                    return Err(bad(format!(
                        "an LZ4 block of {} bytes claims to hold {size}",
                        body.len()
                    )));
                }
                self.plain.resize(size, 0);
                let got = lz4_flex::block::decompress_into(body, &mut self.plain)
                    .map_err(|e| bad(e.to_string()))?;
                self.plain.truncate(got);
            }
            METHOD_ZSTD => {
                let frame = zstd::stream::read::Decoder::new(body)?;
                frame.take(size as u64 + 1).read_to_end(&mut self.plain)?;
            }
            other => return Err(bad(format!("unknown compression method 0x{other:02x}"))),
        }
        if self.plain.len() == size {
            return Ok(());
        }
        Err(bad(format!(
            "a compressed block holds {} bytes, {size} were stated",
            self.plain.len()
        )))
    }
}

impl<R: Read> Read for Unpack<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let rest = &self.plain[self.at..];
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

fn bad(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Fills `buffer`; `false` when there was nothing at all, an error when it ends in between.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut at = 0;
    while at < buffer.len() {
        match reader.read(&mut buffer[at..]) {
            Ok(0) if at == 0 => return Ok(false),
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a compressed block's header is cut off",
                ));
            }
            Ok(read) => at += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Unpack::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn blocks_follow_one_another() {
        let mut packed = Vec::new();
        pack(b"hello ", &mut packed);
        pack(&[b'x'; 100_000], &mut packed);
        let plain = unpack(&packed).unwrap();
        assert_eq!((plain.len(), &plain[..7]), (100_006, &b"hello x"[..]));
    }

    #[test]
    fn lies_about_sizes_and_flipped_bytes_are_refused() {
        let mut good = Vec::new();
        pack(&[7; 1000], &mut good);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            assert!(unpack(&bad).is_err(), "byte {at}");
        }
        for cut in 1..good.len() {
            assert!(unpack(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut huge = good[..CHECKSUM + HEADER].to_vec();
        huge[CHECKSUM + 1..].fill(0xff);
        assert!(
            unpack(&huge)
                .unwrap_err()
                .to_string()
                .contains("4294967295 bytes packed")
        );
    }

    #[test]
    fn the_halves_of_the_checksum_are_swapped_on_the_wire() {
        let data = b"Lorem ipsum dolor sit amet, consectetur adipiscing elit";
        let mut packed = Vec::new();
        pack(data, &mut packed);
        let sum = cityhash_rs::cityhash_102_128(&packed[CHECKSUM..]);
        let high = u64::from_le_bytes(packed[..8].try_into().unwrap());
        assert_eq!(u128::from(high), sum >> 64);
        assert_eq!(unpack(&packed).unwrap(), data);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
        }

        #[test]
        fn what_is_packed_comes_back(data: Vec<u8>) {
            let mut packed = Vec::new();
            pack(&data, &mut packed);
            proptest::prop_assert_eq!(unpack(&packed).unwrap(), data);
        }
    }
}
