//! bzip2: no panic, bounded memory, and the same bytes however they are read.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use netfault_sources::mrt::bunzip2::Reader;

/// A few bytes can stand for 46 MB a block.
const MOST: u64 = 64 << 20;

fuzz_target!(|data: &[u8]| {
    let mut whole = Vec::new();
    let end = Reader::new(data).take(MOST).read_to_end(&mut whole);
    let mut pieces = Vec::new();
    let mut reader = Reader::new(data).take(MOST);
    let mut piece = [0; 1021];
    let end_of_pieces = loop {
        match reader.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(read) => pieces.extend_from_slice(&piece[..read]),
            Err(error) => break Err(error.to_string()),
        }
    };
    assert_eq!((whole, end.map(|_| ()).map_err(|error| error.to_string())), (pieces, end_of_pieces));
});
