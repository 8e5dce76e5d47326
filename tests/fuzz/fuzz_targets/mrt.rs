//! MRT framing, envelopes and dumps, fed in pieces: no panic, and the same inputs however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netfault_model::{Collector, Input};
use netfault_sources::mrt::{Decoder, Origin};

fn decode(bytes: &[u8], piece: usize) -> Vec<Input> {
    let origin = Origin {
        collector: Collector::new("fuzz"),
        file: String::new(),
        starts: None,
        interval: None,
    };
    let mut decoder = Decoder::new(origin, 64);
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
    }
    decoder.finish(None);
    decoder.take_batches().concat()
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else {
        return;
    };
    assert_eq!(decode(bytes, usize::from(piece) + 1), decode(bytes, usize::MAX));
});
