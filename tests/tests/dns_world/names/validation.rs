//! Signatures that break where no resolver validates: `dnssec: validate` of the watched name sees it all the same.

use netfault_model::{Outcome, Role};
use serde_json::Value;

use super::{Case, play};
use crate::watching::Setup;
use crate::world::{Fault, Layout};
use crate::zones::NAME;

/// The name is out and comes back, and probes of every resolver say which link did not hold.
#[track_caller]
fn broken(test: &str, fault: Fault, link: &str) {
    let case = Case {
        test,
        layout: Layout {
            trusting: true,
            ..Layout::default()
        },
        setup: Setup {
            resolvers: 2,
            validate: true,
            ..Setup::default()
        },
        fault,
        finding: "dnssec_bogus",
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(8), &Value::from(8))
    );
    for resolver in ["198.18.2.1", "198.18.2.2"] {
        let outcomes = course.outcomes(resolver, Role::Resolver);
        assert!(
            !outcomes.contains(&Outcome::Servfail),
            "it validates: {outcomes:?}"
        );
        let bogus: Vec<&str> = course
            .probes
            .iter()
            .filter(|probe| probe.name == NAME && probe.outcome == Outcome::Bogus)
            .filter(|probe| probe.server.ip().to_string() == resolver)
            .filter_map(|probe| probe.detail.as_deref())
            .collect();
        assert!(!bogus.is_empty(), "{resolver}: {outcomes:?}");
        assert!(bogus.iter().all(|detail| detail.contains(link)), "{bogus:?}");
    }
}

#[test]
fn expired_signatures_are_seen_without_a_validating_resolver() {
    broken(
        "expired_signatures_are_seen_without_a_validating_resolver",
        Fault::expired_signatures(),
        "expired at 2020-02-01",
    );
}

#[test]
fn a_wrong_ds_is_seen_without_a_validating_resolver() {
    broken(
        "a_wrong_ds_is_seen_without_a_validating_resolver",
        Fault::wrong_ds(),
        "no key of shop.example (",
    );
}
