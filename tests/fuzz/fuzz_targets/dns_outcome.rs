//! DNS outcome: whatever a server sends, there is an outcome, for an authority and for a resolver; and whatever it answers can be held
//! against what the owner expects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netfault_model::{Outcome, Role};
use netfault_sources::dns::RecordType;
use netfault_sources::dns::expect::Expectation;
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
        if let Err(why) = expectation().judge(qtype, &details.answers) {
            assert!(!why.is_empty() && !why.chars().any(char::is_control));
        }
        assert!(
            details
                .ede
                .is_none_or(|(_, text)| !text.chars().any(char::is_control))
        );
    }
});

fn expectation() -> Expectation {
    Expectation {
        any_of: vec![
            "192.0.2.1".parse().expect("a value"),
            "www.example.com".parse().expect("a value"),
        ],
        within: vec!["192.0.2.0/24".parse().expect("a prefix")],
        min_count: Some(1),
        not_bogon: true,
        ..Expectation::default()
    }
}
