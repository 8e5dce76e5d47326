//! What resolvers say: of records that are gone, of servers that are dead, of signatures that are wrong, or what they invent.

use serde_json::Value;

use super::{ALL, STALE, only, world};
use crate::program::{Check, check, check_name};
use crate::wire;
use crate::world::{Fault, Layout, World};
use crate::zones::{NAME, Shop};

/// The records of the name are gone, all servers say so.
#[track_caller]
fn record(test: &str, www: &str, outcome: &str) {
    let Some(mut world) = world(test) else { return };
    let www = www.to_owned();
    world.break_(Fault::Shop(Shop {
        www,
        ..Shop::default()
    }));
    let denied = |answer: &[u8]| !wire::has_answer(answer) && wire::rcode(answer) != wire::SERVFAIL;
    (1..=3).for_each(|n| world.until_resolver(n, denied));
    let check = check(&world);
    check.is("out", "record_missing");
    for role in ["authority", "resolver", "application"] {
        for qtype in ["A", "AAAA"] {
            assert_eq!(check.outcomes(role, qtype), only(outcome), "{role} {qtype}");
        }
    }
    assert_eq!(check.outcomes("authority", "SOA"), only("ok"));
    world.mend();
    (1..=3).for_each(|n| world.until_resolver(n, wire::has_answer));
    crate::program::check(&world).is("ok", "none");
}

#[test]
fn an_empty_name_is_nodata() {
    record("an_empty_name_is_nodata", "www TXT \"no address\"\n", "nodata");
}

#[test]
fn a_deleted_name_is_nxdomain() {
    record("a_deleted_name_is_nxdomain", "", "nxdomain");
}

#[test]
fn dead_authorities_are_servfail_from_the_failure_cache_within_milliseconds() {
    let test = "dead_authorities_are_servfail_from_the_failure_cache_within_milliseconds";
    let Some(mut world) = world(test) else { return };
    world.break_(Fault::Frozen(ALL.to_vec()));
    world.until_resolver(1, |answer| wire::rcode(answer) == wire::SERVFAIL);
    let resolver = world.resolver_addrs()[0].to_string();
    let check = check_name(&world, NAME, &["--resolver", &resolver]);
    check.is("out", "authority_unreachable");
    assert_eq!(check.outcomes("authority", "A"), only("timeout"));
    let probe = check.of(&resolver);
    assert_eq!(
        (&probe["outcome"], &probe["rcode"]),
        (&Value::from("servfail"), &Value::from("SERVFAIL"))
    );
    // Without the cache it waits for eight silent addresses: each of them longer than this.
    assert!(
        probe["latency_ms"].as_f64().is_some_and(|ms| ms < 200.0),
        "{probe}"
    );
}

fn bogus(check: &Check) {
    check.is("out", "dnssec_bogus");
    assert_eq!(check.outcomes("resolver", "A"), only("bogus"));
    // It has no second question with which to tell the one from the other.
    assert_eq!(check.outcomes("application", "A"), only("servfail"));
    assert_eq!(check.outcomes("authority", "A"), only("ok"));
    let resolvers = check.probes().filter(|probe| probe["role"] == "resolver");
    resolvers.for_each(|probe| {
        assert_eq!(
            (&probe["rcode"], &probe["packets_sent"]),
            (&Value::from("SERVFAIL"), &Value::from(2))
        );
    });
}

#[test]
fn expired_signatures_are_bogus() {
    let Some(mut world) = world("expired_signatures_are_bogus") else {
        return;
    };
    world.break_(Fault::expired_signatures());
    (1..=3).for_each(|n| world.until_resolver(n, |answer| wire::rcode(answer) == wire::SERVFAIL));
    let check = check(&world);
    bogus(&check);
    // Signature Expired, or DNSSEC Bogus (RFC 8914): not every release of Unbound is as exact.
    assert!(
        [6, 7]
            .map(Value::from)
            .contains(&check.of("198.18.2.1")["ede"]["code"])
    );
}

#[test]
fn a_wrong_ds_is_bogus() {
    let Some(mut world) = world("a_wrong_ds_is_bogus") else {
        return;
    };
    world.break_(Fault::wrong_ds());
    (1..=3).for_each(|n| world.until_resolver(n, |answer| wire::rcode(answer) == wire::SERVFAIL));
    let check = check(&world);
    bogus(&check);
    assert_eq!(check.faults(), only("ds_matches_no_dnskey"));
}

/// The first resolver says something else than everybody else.
#[track_caller]
fn liar(test: &str, unbound: &str, outcome: &str) {
    let unbound = unbound.to_owned();
    let Some(world) = World::new(
        test,
        Layout {
            unbound,
            ..Layout::default()
        },
    ) else {
        return;
    };
    let check = check(&world);
    check.is("degraded", "resolver_fault");
    assert_eq!(check.of("198.18.2.1")["outcome"], outcome, "{}", check.table());
    assert_eq!(check.of("198.18.2.2")["outcome"], "ok");
}

#[test]
fn a_resolver_that_gives_a_private_address_is_a_bogon() {
    let lines = " local-zone: \"www.shop.example.\" redirect\n local-data: \"www.shop.example. A 10.0.0.1\"";
    liar(
        "a_resolver_that_gives_a_private_address_is_a_bogon",
        lines,
        "bogon",
    );
}

#[test]
fn a_resolver_that_denies_what_is_there_is_named() {
    let lines = " local-zone: \"www.shop.example.\" always_nxdomain";
    liar("a_resolver_that_denies_what_is_there_is_named", lines, "nxdomain");
}

/// It answers with the address of its operator whatever does not exist.
#[test]
fn a_rewritten_nxdomain_does_not_hide_that_the_name_is_gone() {
    let unbound =
        " local-zone: \"www.shop.example.\" redirect\n local-data: \"www.shop.example. A 198.51.100.9\"";
    let shop = Shop {
        www: String::new(),
        ..Shop::default()
    };
    let layout = Layout {
        unbound: unbound.to_owned(),
        shop,
        ..Layout::default()
    };
    let Some(world) = World::new("a_rewritten_nxdomain_does_not_hide_that_the_name_is_gone", layout) else {
        return;
    };
    let check = check(&world);
    check.is("out", "record_missing");
    assert_eq!(check.of("198.18.2.1")["outcome"], "ok");
    assert_eq!(check.of("198.18.2.2")["outcome"], "nxdomain");
}

#[test]
fn a_stale_answer_is_seen_by_its_ede() {
    let unbound = STALE.to_owned();
    let Some(mut world) = World::new(
        "a_stale_answer_is_seen_by_its_ede",
        Layout {
            unbound,
            ..Layout::default()
        },
    ) else {
        return;
    };
    world.until_resolver(1, wire::has_answer);
    world.break_(Fault::Frozen(ALL.to_vec()));
    crate::daemon::pause(std::time::Duration::from_millis(2100)); // the TTL of a second is over: an hour-glass of the DNS
    let check = check(&world);
    assert_eq!(
        check.report["verdict"], "out",
        "what is stale does not make the servers healthy"
    );
    let stale = check.of("198.18.2.1");
    assert_eq!(stale["outcome"], "ok");
    assert_eq!(
        (&stale["ede"]["code"], &stale["ttl"]),
        (&Value::from(3), &Value::from(30)),
        "{stale}"
    );
}

/// 19 is the EDE for it; Unbound calls every stale answer 3, and BIND keeps no denial that has expired.
#[test]
fn a_stale_denial_is_seen_by_its_ede() {
    let shop = Shop {
        www: String::new(),
        ..Shop::default()
    };
    let layout = Layout {
        unbound: STALE.to_owned(),
        shop,
        ..Layout::default()
    };
    let Some(mut world) = World::new("a_stale_denial_is_seen_by_its_ede", layout) else {
        return;
    };
    world.until_resolver(1, |answer| wire::rcode(answer) == wire::NXDOMAIN);
    world.break_(Fault::Frozen(ALL.to_vec()));
    crate::daemon::pause(std::time::Duration::from_millis(2100)); // as above
    let check = check(&world);
    let stale = check.of("198.18.2.1");
    assert_eq!(stale["outcome"], "nxdomain", "{stale}");
    assert!(
        [3, 19].map(Value::from).contains(&stale["ede"]["code"]),
        "{stale}"
    );
}

#[test]
fn a_ttl_of_nothing_is_an_answer_like_any_other() {
    let shop = Shop {
        ttl: 0,
        ..Shop::default()
    };
    let Some(world) = World::new(
        "a_ttl_of_nothing_is_an_answer_like_any_other",
        Layout {
            shop,
            ..Layout::default()
        },
    ) else {
        return;
    };
    let check = check(&world);
    check.is("ok", "none");
    assert!(
        check
            .probes()
            .filter(|probe| probe["role"] == "resolver")
            .all(|probe| probe["ttl"] == 0)
    );
}
