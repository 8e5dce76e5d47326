//! What fails on our side of the network is said of us, and never of a name.

use netfault_model::{Outcome, Role};

use crate::watching::{Setup, watch_until_ok};
use crate::world::{Fault, Layout, World};
use crate::zones::{NAME, STEADY};

/// The vantage goes offline and comes back, and no name is accused of it.
#[track_caller]
fn offline(test: &str, layout: Layout, controls: bool) {
    let beside = layout.beside;
    let Some(mut world) = World::new(test, layout) else {
        return;
    };
    let mut watching = watch_until_ok(
        &world,
        &Setup {
            controls,
            ..Setup::default()
        },
    );
    world.break_(Fault::Uplink);
    let said = watching.until_said("vantage_offline", false);
    assert!(
        said["summary"].as_str().is_some_and(|text| text.contains("here")),
        "{said}"
    );
    crate::daemon::pause(std::time::Duration::from_secs(9)); // three rounds more, in which nothing may be said
    world.mend();
    watching.until_said("vantage_offline", true);
    watching.until("both names to be seen again", |event| {
        event["subject"]["name"] == NAME && event["to"] == "ok"
    });
    watching.until_offline_is_over();
    let course = watching.stop();
    course.accuses_no_name();
    for name in [NAME, STEADY] {
        assert_eq!(course.states(name).last(), Some(&"ok"));
    }
    let resolver = if beside { "127.0.0.53" } else { "198.18.2.1" };
    let outcomes = course.outcomes(resolver, Role::Resolver);
    assert!(
        outcomes.iter().any(|outcome| *outcome != Outcome::Ok),
        "{outcomes:?}"
    );
}

#[test]
fn an_uplink_that_is_cut_is_the_vantage_offline_and_no_target_alert() {
    let test = "an_uplink_that_is_cut_is_the_vantage_offline_and_no_target_alert";
    offline(test, Layout::default(), true);
}

#[test]
fn without_control_servers_it_is_so_too() {
    offline("without_control_servers_it_is_so_too", Layout::default(), false);
}

/// It answers SERVFAIL all the time: netfault does hear somebody.
#[test]
fn a_resolver_beside_us_that_fails_with_our_uplink_accuses_nobody() {
    let layout = Layout {
        beside: true,
        ..Layout::default()
    };
    offline(
        "a_resolver_beside_us_that_fails_with_our_uplink_accuses_nobody",
        layout,
        true,
    );
}

#[test]
fn ipv6_lost_here_is_no_fault_of_names() {
    let Some(mut world) = World::new("ipv6_lost_here_is_no_fault_of_names", Layout::default()) else {
        return;
    };
    let watching = watch_until_ok(&world, &Setup::default());
    world.break_(Fault::UplinkV6);
    crate::daemon::pause(std::time::Duration::from_secs(14)); // four rounds, in which nothing may be said
    let course = watching.stop();
    course
        .accuses_no_name()
        .has("fd00:18:1::1", Role::Authority, Outcome::Timeout);
    assert_eq!(course.alerts, Vec::<String>::new());
}
