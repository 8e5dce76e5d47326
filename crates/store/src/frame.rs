//! ClickHouse's compressed frames, as `decompress=1` reads them from an HTTP body.
//!
//! `CompressedWriteBuffer.cpp`: CityHash128 (the old version 1.0.2) of what follows, one byte for the
//! method (0x82 LZ4), the size of the compressed data with these nine bytes, the size of the raw data.

use cityhash_rs::cityhash_102_128;

/// Raw bytes per frame. ClickHouse writes 1 MiB itself; smaller ones start the receiver earlier.
const FRAME: usize = 1 << 20;
const LZ4: u8 = 0x82;

/// The whole body as LZ4 frames.
pub(crate) fn compress(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 3 + 64);
    for chunk in raw.chunks(FRAME) {
        let start = out.len();
        out.resize(
            start + 25 + lz4_flex::block::get_maximum_output_size(chunk.len()),
            0,
        );
        // The space is the maximum for this size, so this cannot fail; an empty frame would be caught by its checksum.
        let packed = lz4_flex::block::compress_into(chunk, &mut out[start + 25..]).unwrap_or(0);
        out.truncate(start + 25 + packed);
        out[start + 16] = LZ4;
        out[start + 17..start + 21].copy_from_slice(&(packed as u32 + 9).to_le_bytes());
        out[start + 21..start + 25].copy_from_slice(&(chunk.len() as u32).to_le_bytes());
        let hash = cityhash_102_128(&out[start + 16..]);
        // High half first: the order in which ClickHouse lays out its pair.
        out[start..start + 8].copy_from_slice(&((hash >> 64) as u64).to_le_bytes());
        out[start + 8..start + 16].copy_from_slice(&(hash as u64).to_le_bytes());
    }
    out
}
