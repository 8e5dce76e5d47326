//! `netfault dns check --validate`: authorities along the walk to them, and a resolver that validates nothing itself.

use serde_json::Value;

use super::only;
use crate::program::{Check, check_name};
use crate::world::{Fault, Layout, World};
use crate::zones::{NAME, STEADY};

const RESOLVER: &str = "198.18.2.1";

fn check(world: &World, name: &str) -> Check {
    let anchors = world.zones.anchor_file();
    let anchors = anchors.to_str().expect("a path");
    let options = ["--validate", "--trust-anchor", anchors, "--resolver", RESOLVER];
    check_name(world, name, &options)
}

fn addresses(check: &Check) -> impl Iterator<Item = &Value> {
    let asked = check.probes().filter(|probe| probe["role"] != "application");
    asked.filter(|probe| probe["qtype"] != "SOA")
}

#[track_caller]
fn all_secure(world: &World) {
    let check = check(world, NAME);
    check.is("ok", "none");
    assert_eq!(addresses(&check).count(), 9 * 2);
    assert!(
        addresses(&check).all(|probe| probe["dnssec"] == "secure"),
        "{}",
        check.report
    );
}

/// It is bogus at everybody, who all answer; `link` is said of the first thing that does not hold; and it is fine when mended.
#[track_caller]
fn broken(test: &str, fault: Fault, link: &str) {
    let layout = Layout {
        trusting: true,
        ..Layout::default()
    };
    let Some(mut world) = World::new(test, layout) else {
        return;
    };
    all_secure(&world);
    world.break_(fault);
    world.forget(1);
    let check = check(&world, NAME);
    check.is("out", "dnssec_bogus");
    for role in ["authority", "resolver"] {
        assert_eq!(
            check.outcomes(role, "A"),
            only("bogus"),
            "{role}: {}",
            check.report
        );
    }
    assert_eq!(check.outcomes("authority", "SOA"), only("ok"));
    for probe in addresses(&check) {
        assert_eq!(
            (&probe["rcode"], &probe["dnssec"]),
            (&"NOERROR".into(), &"bogus".into())
        );
        let detail = probe["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(link), "{probe}");
    }
    world.mend();
    world.forget(1);
    all_secure(&world);
}

#[test]
fn expired_signatures_are_named_along_the_walk() {
    broken(
        "expired_signatures_are_named_along_the_walk",
        Fault::expired_signatures(),
        "the keys of shop.example: the signature (key ",
    );
}

#[test]
fn a_wrong_ds_is_named_along_the_walk() {
    broken(
        "a_wrong_ds_is_named_along_the_walk",
        Fault::wrong_ds(),
        "no key of shop.example (",
    );
}

#[test]
fn an_unsigned_zone_is_insecure_and_fine() {
    let Some(world) = World::new("an_unsigned_zone_is_insecure_and_fine", Layout::default()) else {
        return;
    };
    let check = check(&world, STEADY);
    check.is("ok", "none");
    for probe in addresses(&check) {
        assert_eq!(
            (&probe["dnssec"], &probe["outcome"]),
            (&"insecure".into(), &"ok".into()),
            "{probe}"
        );
        assert_eq!(probe["detail"], "insecure: test is not signed (no DS)");
    }
}
