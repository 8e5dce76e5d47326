//! Its servers answer, and what they say of it is missing, or cannot be validated; and what caches make of it.

use netfault_model::{Outcome, Role, State};
use serde_json::Value;

use super::{ALL, Case, play};
use crate::watching::{Setup, time};
use crate::world::{Fault, Layout};
use crate::zones::Shop;

#[test]
fn an_empty_record_with_healthy_servers_is_missing() {
    let shop = Shop {
        www: "www TXT \"no address\"\n".to_owned(),
        ..Shop::default()
    };
    let case = Case {
        test: "an_empty_record_with_healthy_servers_is_missing",
        fault: Fault::Shop(shop),
        finding: "record_missing",
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(8), &Value::from(8))
    );
    course.has("198.18.2.1", Role::Resolver, Outcome::Nodata);
}

#[test]
fn a_deleted_name_is_missing() {
    let shop = Shop {
        www: String::new(),
        ..Shop::default()
    };
    let case = Case {
        test: "a_deleted_name_is_missing",
        fault: Fault::Shop(shop),
        finding: "record_missing",
        ..Case::default()
    };
    let Some((course, _)) = play(case) else { return };
    course.has("198.18.2.2", Role::Resolver, Outcome::Nxdomain);
}

/// One resolver gives the address of its operator for whatever does not exist.
#[test]
fn a_rewritten_nxdomain_does_not_hide_that_the_name_is_gone() {
    let unbound =
        " local-zone: \"www.shop.example.\" redirect\n local-data: \"www.shop.example. A 198.51.100.9\"";
    let case = Case {
        test: "a_rewritten_nxdomain_does_not_hide_that_the_name_is_gone",
        layout: Layout {
            unbound: unbound.to_owned(),
            ..Layout::default()
        },
        fault: Fault::Shop(Shop {
            www: String::new(),
            ..Shop::default()
        }),
        state: State::Degraded,
        finding: "record_missing",
        recovers: false,
        ..Case::default()
    };
    let Some((course, _)) = play(case) else { return };
    course.has("198.18.2.2", Role::Resolver, Outcome::Nxdomain);
    assert!(
        course
            .outcomes("198.18.2.1", Role::Resolver)
            .contains(&Outcome::Ok)
    );
}

/// It keeps a bad key for a minute, whatever the TTL: with two of three the end would take as long.
fn one_unbound() -> Setup {
    Setup {
        resolvers: 2,
        ..Setup::default()
    }
}

#[test]
fn expired_signatures_are_bogus() {
    let case = Case {
        test: "expired_signatures_are_bogus",
        setup: one_unbound(),
        fault: Fault::expired_signatures(),
        finding: "dnssec_bogus",
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(
        (&step["servers_ok"], &step["servers_eligible"]),
        (&Value::from(8), &Value::from(8))
    );
    for resolver in ["198.18.2.1", "198.18.2.2"] {
        course.has(resolver, Role::Resolver, Outcome::Bogus);
    }
}

#[test]
fn a_wrong_ds_is_bogus() {
    let case = Case {
        test: "a_wrong_ds_is_bogus",
        setup: one_unbound(),
        fault: Fault::wrong_ds(),
        finding: "dnssec_bogus",
        ..Case::default()
    };
    play(case);
}

#[test]
fn caches_do_not_hide_an_outage_and_say_how_long_they_hide_it_from_users() {
    let test = "caches_do_not_hide_an_outage_and_say_how_long_they_hide_it_from_users";
    let shop = Shop {
        ttl: 300,
        ..Shop::default()
    };
    let case = Case {
        test,
        layout: Layout {
            shop,
            ..Layout::default()
        },
        fault: Fault::Stopped(ALL.to_vec()),
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    assert_eq!(step["resolvers_ok"], 3, "all of them still have it");
    let left = time(&step["dns"], "masked_until").since(time(&step, "at")) / 1_000_000;
    assert!((200..=300).contains(&left), "{left} s: {step:#}");
    let answers = course.outcomes("198.18.2.1", Role::Resolver);
    assert!(
        answers.iter().all(|outcome| *outcome == Outcome::Ok),
        "{answers:?}"
    );
}

#[test]
fn a_ttl_of_nothing_masks_nothing() {
    let shop = Shop {
        ttl: 0,
        ..Shop::default()
    };
    let case = Case {
        test: "a_ttl_of_nothing_masks_nothing",
        layout: Layout {
            shop,
            ..Layout::default()
        },
        fault: Fault::Stopped(ALL.to_vec()),
        ..Case::default()
    };
    let Some((course, step)) = play(case) else { return };
    let is_past =
        step["dns"]["masked_until"].is_null() || time(&step["dns"], "masked_until") <= time(&step, "at");
    assert!(is_past, "{step:#}");
    course.has("198.18.2.2", Role::Resolver, Outcome::Servfail);
}
