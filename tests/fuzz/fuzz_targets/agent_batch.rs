//! A batch of an agent: any bytes must give inputs of its own vantage or an error, never a panic; and packed JSON that is
//! nearly right must get as far as the checks of what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netfault_api::batch::{inputs, pack, unpack};
use netfault_model::{Input, Time};

fuzz_target!(|data: &[u8]| {
    let now = Time::from_secs(1_789_000_000);
    let json = zstd::bulk::compress(data, 1).unwrap_or_default();
    for bytes in [data, &json] {
        let Ok(items) = unpack(bytes) else { continue };
        let many = items.len();
        if let Ok(packed) = pack(&items) {
            assert_eq!(unpack(&packed).ok().as_ref(), Some(&items), "what was read can be sent on");
        }
        let Ok(inputs) = inputs(items, "ams1", now) else { continue };
        assert_eq!(inputs.len(), many);
        for input in inputs {
            match input {
                Input::Probe(probe) => assert_eq!(probe.vantage, "ams1"),
                Input::Delegation(delegation) => assert_eq!(delegation.vantage, "ams1"),
                Input::Gap(gap) => assert!(gap.at <= now && gap.reason.starts_with("agent ams1: ")),
                other => panic!("{other:?}"),
            }
        }
    }
});
