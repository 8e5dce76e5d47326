//! A body of `POST /api/v1/reports`: any bytes must give hints of services that are known, with amounts that can be added up, or a
//! sentence; never a panic.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use netfault_api::reports::read;
use netfault_model::{HintKind, Time};

fuzz_target!(|data: &[u8]| {
    let services: BTreeSet<String> = ["Shop".to_owned()].into();
    match read(data, &services, "helpdesk", Time::from_secs(1_789_000_000)) {
        Ok(hints) => {
            assert!(!hints.is_empty());
            for hint in hints {
                assert!(hint.service == "Shop" && !hint.source.is_empty());
                let (HintKind::Reports { count: amount, usual, .. } | HintKind::Traffic { value: amount, usual, .. }) =
                    hint.what
                else {
                    panic!("no count")
                };
                assert!(amount.is_finite() && amount >= 0.0 && usual.is_none());
            }
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
