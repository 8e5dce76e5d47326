//! The failure of a resolver is named as its own, and wakes nobody for the name.

use netfault_model::{Outcome, Role};

use crate::outcomes::STALE;
use crate::watching::{Setup, watch_until_ok};
use crate::world::{Fault, Layout, World};
use crate::zones::NAME;

/// The first resolver alone is broken while names are watched, or lies from the beginning.
#[track_caller]
fn alone(test: &str, layout: Layout, fault: Option<Fault>, outcome: Outcome) {
    let Some(mut world) = World::new(test, layout) else {
        return;
    };
    let mut watching = watch_until_ok(&world, &Setup::default());
    let is_broken = fault.is_some();
    fault.into_iter().for_each(|fault| world.break_(fault));
    let said = watching.until_said("resolver_fault", false);
    assert!(
        said["summary"]
            .as_str()
            .is_some_and(|text| text.contains("198.18.2.1")),
        "{said}"
    );
    if is_broken {
        world.mend();
        watching.until_said("resolver_fault", true);
    }
    let course = watching.stop();
    course
        .accuses_no_name()
        .has("198.18.2.1", Role::Resolver, outcome);
    assert_eq!(course.states(NAME), ["ok"]);
    assert_eq!(course.alerts, Vec::<String>::new());
}

#[test]
fn a_resolver_that_hangs() {
    let fault = Some(Fault::ResolverFrozen(1));
    alone(
        "a_resolver_that_hangs",
        Layout::default(),
        fault,
        Outcome::Timeout,
    );
}

#[test]
fn a_resolver_that_has_ended() {
    let fault = Some(Fault::ResolverStopped(1));
    alone(
        "a_resolver_that_has_ended",
        Layout::default(),
        fault,
        Outcome::ConnRefused,
    );
}

fn lines(unbound: &str) -> Layout {
    let unbound = unbound.to_owned();
    Layout {
        unbound,
        ..Layout::default()
    }
}

#[test]
fn a_resolver_that_gives_private_addresses() {
    let lies = " local-zone: \"www.shop.example.\" redirect\n local-data: \"www.shop.example. A 10.0.0.1\"";
    alone(
        "a_resolver_that_gives_private_addresses",
        lines(lies),
        None,
        Outcome::Bogon,
    );
}

#[test]
fn a_resolver_that_denies_what_is_there() {
    let lies = " local-zone: \"www.shop.example.\" always_nxdomain";
    alone(
        "a_resolver_that_denies_what_is_there",
        lines(lies),
        None,
        Outcome::Nxdomain,
    );
}

#[test]
fn a_resolver_that_serves_what_is_stale_does_not_hide_the_outage() {
    let test = "a_resolver_that_serves_what_is_stale_does_not_hide_the_outage";
    let Some(mut world) = World::new(test, lines(STALE)) else {
        return;
    };
    let mut watching = watch_until_ok(&world, &Setup::default());
    world.break_(Fault::Frozen(vec![1, 2, 3, 4]));
    let step = watching.until_state("out");
    assert_eq!(step["finding"], "authority_unreachable");
    world.mend();
    watching.until_state("ok");
    watching.until_alert("RESOLVED");
    let course = watching.stop();
    course.leaves_the_other_alone().alerted(1);
    let stale = |probe: &&netfault_model::Probe| probe.name == NAME && matches!(probe.ede, Some((3 | 19, _)));
    let probe = course.probes.iter().find(stale).expect("a stale answer");
    assert_eq!((probe.outcome, probe.ttl), (Outcome::Ok, Some(30)));
}

/// Their canaries fail with them, so none of them has a vote: the name's servers answer, and that is what counts.
#[test]
fn all_resolvers_dead_is_their_own_fault_while_the_servers_answer() {
    let test = "all_resolvers_dead_is_their_own_fault_while_the_servers_answer";
    let Some(mut world) = World::new(test, Layout::default()) else {
        return;
    };
    let mut watching = watch_until_ok(&world, &Setup::default());
    (1..=3).for_each(|n| world.break_(Fault::ResolverStopped(n)));
    (1..=3).for_each(|_| drop(watching.until_said("resolver_fault", false)));
    world.mend();
    (1..=3).for_each(|_| drop(watching.until_said("resolver_fault", true)));
    let course = watching.stop();
    course.accuses_no_name();
    // The kernel says that a port is closed once a second at most; to the others it says nothing.
    let outcomes = course.outcomes("198.18.2.3", Role::Resolver);
    assert!(
        outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::ConnRefused | Outcome::Timeout))
    );
    assert_eq!(course.alerts, Vec::<String>::new());
}
