//! What `netfault run` says of a name that is broken: states, findings, one alert, and its end when it is mended.
//!
//! * [`servers`] its servers fail; [`records`] what they say of it is wrong, or of its signatures; [`validation`] the same where
//!   no resolver validates

mod records;
mod servers;
mod validation;

use netfault_model::State;
use serde_json::Value;

use crate::watching::{Course, Setup, watch_until_ok};
use crate::world::{Fault, Layout, World};
use crate::zones::NAME;

const ALL: [u8; 4] = [1, 2, 3, 4];

/// What is expected of one fault.
struct Case<'a> {
    test: &'a str,
    layout: Layout,
    setup: Setup,
    fault: Fault,
    /// The worst state, and why.
    state: State,
    finding: &'a str,
    /// Whether the name passes through Recovering.
    recovers: bool,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Case {
            test: "",
            layout: Layout::default(),
            setup: Setup::default(),
            fault: Fault::NoTcp,
            state: State::Out,
            finding: "authority_unreachable",
            recovers: true,
        }
    }
}

/// Breaks the world, waits for the verdict, mends it, waits for the end. `None` where it cannot be built.
#[track_caller]
fn play(case: Case) -> Option<(Course, Value)> {
    let mut world = World::new(case.test, case.layout)?;
    let mut watching = watch_until_ok(&world, &case.setup);
    world.break_(case.fault);
    let step = watching.until_state(case.state.name());
    assert_eq!(step["finding"], case.finding, "{step:#}");
    // Some servers less, and the name still works: that is shown, and wakes nobody.
    let alerts = case.state != State::Partial;
    if alerts {
        watching.until_alert(" ALERT ");
    }
    world.mend();
    if case.recovers {
        watching.until_state("recovering");
    }
    watching.until_state("ok");
    if alerts {
        watching.until_alert("RESOLVED");
    }
    let course = watching.stop();
    course.leaves_the_other_alone().alerted(usize::from(alerts));
    let states = course.states(NAME);
    assert_eq!(
        states.iter().filter(|state| **state == "ok").count(),
        2,
        "it stays mended: {states:?}"
    );
    Some((course, step))
}
