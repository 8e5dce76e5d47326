//! Packing of bodies, in both directions: ClickHouse's own blocks and HTTP's encodings.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::blocks;
use super::error::Exception;

/// How a request's body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inflate {
    #[default]
    Plain,
    /// `decompress=1`.
    Blocks,
    Gzip,
    Deflate,
    Lz4,
    Zstd,
}

impl Inflate {
    pub fn choose(blocks: bool, encoding: Option<&str>) -> Result<Self, Exception> {
        if blocks {
            return Ok(Self::Blocks);
        }
        match encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("identity") => Ok(Self::Plain),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("deflate") => Ok(Self::Deflate),
            Some("lz4") => Ok(Self::Lz4),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => {
                let message = format!("Unknown compression method {other}: use gzip, deflate, lz4 or zstd");
                Err(Exception::new(48, "NOT_IMPLEMENTED", message))
            }
        }
    }

    /// Unpacks what `reader` gives.
    pub fn reader<'r>(self, reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Plain => Box::new(reader),
            Self::Blocks => Box::new(blocks::Unpack::new(reader)),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            Self::Deflate => Box::new(flate2::read::ZlibDecoder::new(reader)),
            Self::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(reader)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(reader)?),
        })
    }
}

/// How an answer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pack {
    #[default]
    Plain,
    /// `compress=1`.
    Blocks,
    Gzip,
    Lz4,
    Zstd,
}

impl Pack {
    /// HTTP encodings are used only when asked for with `enable_http_compression=1`: on loopback they cost more than
    /// they save, and clients that merely accept them take plain bytes as well.
    pub fn choose(blocks: bool, http: bool, accepts: Option<&str>) -> Self {
        if blocks {
            return Self::Blocks;
        }
        let accepts = accepts.filter(|_| http).unwrap_or_default().to_ascii_lowercase();
        let wants = |name| {
            accepts
                .split(',')
                .any(|part| part.split(';').next().map(str::trim) == Some(name))
        };
        match () {
            () if wants("gzip") => Self::Gzip,
            () if wants("zstd") => Self::Zstd,
            () if wants("lz4") => Self::Lz4,
            () => Self::Plain,
        }
    }

    /// The value of Content-Encoding.
    #[must_use]
    pub fn encoding(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Blocks => None,
            Self::Gzip => Some("gzip"),
            Self::Lz4 => Some("lz4"),
            Self::Zstd => Some("zstd"),
        }
    }

    pub fn packer(self) -> io::Result<Packer> {
        Ok(match self {
            Self::Plain => Packer::Plain,
            Self::Blocks => Packer::Blocks,
            Self::Gzip => Packer::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::fast(),
            )),
            Self::Lz4 => Packer::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
            Self::Zstd => Packer::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        })
    }
}

/// A packed answer in the making; gives out what is ready after each piece.
pub enum Packer {
    Plain,
    Blocks,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// ClickHouse's default block size when it compresses (`max_compress_block_size`).
const BLOCK: usize = 1 << 20;

impl Packer {
    /// What can be sent after `piece`; may be empty.
    pub fn push(&mut self, piece: impl AsRef<[u8]> + Send + 'static) -> io::Result<Bytes> {
        let data = piece.as_ref();
        Ok(match self {
            Self::Plain => return Ok(Bytes::from_owner(piece)),
            Self::Blocks => {
                let mut out = Vec::new();
                data.chunks(BLOCK).for_each(|block| blocks::pack(block, &mut out));
                out.into()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(data)?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Lz4(encoder) => {
                encoder.write_all(data)?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(data)?;
                std::mem::take(encoder.get_mut()).into()
            }
        })
    }

    /// The end of the packed stream.
    pub fn finish(self) -> io::Result<Bytes> {
        match self {
            Self::Plain | Self::Blocks => Ok(Bytes::new()),
            Self::Gzip(encoder) => encoder.finish().map(Bytes::from),
            Self::Lz4(encoder) => encoder.finish().map(Bytes::from).map_err(io::Error::other),
            Self::Zstd(encoder) => encoder.finish().map(Bytes::from),
        }
    }
}

/// A request's body as a blocking reader, fed by the task that owns the socket.
pub struct BodyReader {
    from: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl BodyReader {
    #[must_use]
    pub fn new(from: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self {
            from,
            piece: Bytes::new(),
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let length = self.piece.len().min(out.len());
        out[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packing_comes_back() {
        let data: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let pairs = [
            (Pack::Plain, Inflate::Plain),
            (Pack::Blocks, Inflate::Blocks),
            (Pack::Gzip, Inflate::Gzip),
            (Pack::Lz4, Inflate::Lz4),
            (Pack::Zstd, Inflate::Zstd),
        ];
        for (pack, inflate) in pairs {
            let mut packer = pack.packer().unwrap();
            let mut wire = Vec::new();
            for piece in data.chunks(70_001) {
                wire.extend_from_slice(&packer.push(piece.to_vec()).unwrap());
            }
            wire.extend_from_slice(&packer.finish().unwrap());
            let mut back = Vec::new();
            inflate
                .reader(wire.as_slice())
                .unwrap()
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == data, "{pack:?}");
        }
    }

    #[test]
    fn http_encodings_need_to_be_switched_on() {
        assert_eq!(Pack::choose(false, false, Some("gzip")), Pack::Plain);
        assert_eq!(Pack::choose(false, true, Some("br, gzip;q=0.5")), Pack::Gzip);
        assert_eq!(Pack::choose(false, true, Some("br")), Pack::Plain);
        assert_eq!(Pack::choose(true, true, Some("gzip")), Pack::Blocks);
        assert_eq!(Inflate::choose(false, Some("br")).unwrap_err().code, 48);
    }
}
