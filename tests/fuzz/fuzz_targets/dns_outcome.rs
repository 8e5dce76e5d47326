//! DNS outcome: whatever a server sends, there is an outcome, for an authority and for a resolver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netfault_model::{Outcome, Role};
use netfault_sources::dns::RecordType;
use netfault_sources::dns::outcome::{Asked, classify};
use netfault_sources::dns::wire;

fuzz_target!(|data: &[u8]| {
    // What the message itself repeats is asked for, so that the answer section is looked at.
    let question = wire::decode(data).ok().and_then(|answer| answer.question);
    let (name, qtype) = match &question {
        Some(question) => (question.name().clone(), question.query_type()),
        None => (netfault_sources::dns::Name::root(), RecordType::A),
    };
    for role in [Role::Authority, Role::Resolver] {
        let asked = Asked {
            name: name.clone(),
            qtype,
            role,
            private_ok: false,
        };
        let (outcome, details) = classify(&asked, Ok(data));
        assert!(!matches!(outcome, Outcome::Timeout | Outcome::Void));
        assert!(details.rcode.is_some() == (data.len() >= 12));
        assert!(
            details
                .ede
                .is_none_or(|(_, text)| !text.chars().any(char::is_control))
        );
    }
});
