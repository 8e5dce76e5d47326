//! RIS Live frames: any text must give inputs or a counted gap, never a panic.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use netfault_model::Time;
use netfault_sources::ris_live::{Decoder, Lateness, Stats};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for lateness in [Lateness::Judge, Lateness::Trust] {
        let mut decoder = Decoder::new(lateness, 16, Arc::new(Stats::default()));
        let mut inputs = Vec::new();
        // Several frames share one decoder: its state between them is part of what is tried.
        for (n, frame) in text.split('\n').enumerate() {
            decoder.text(frame, Time::from_secs(1_789_000_000 + n as i64), &mut inputs);
        }
        decoder.finish(Time::from_secs(1_789_100_000), &mut inputs);
    }
});
