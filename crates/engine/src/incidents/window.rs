//! Whether a loss belongs, by time, to an incident that concerns the same names or services (DESIGN section 7).
//!
//! Losses of one layer go together as everywhere: within 300 s of the last and 1800 s of the first. Of two layers, the first routing
//! evidence may come up to 15 minutes before the first failing answer and at most 2 minutes after it. A name whose servers sit, for
//! the greater part, in prefixes that are down in the incident now fails because of it, whenever that shows (a server that was cached
//! or restarted): that is dependence, not time.

use netfault_model::Time;

use super::Instant;
use super::join::Loss;
use super::live::Live;
use super::part::{Key, Part};
use super::severity::is_down;
use crate::settings::secs;

pub(super) fn joins(live: &Live, loss: &Loss, it: Instant) -> bool {
    let (start, at) = (loss.start(), loss.transition.at);
    match &loss.key {
        Key::Name(name) => {
            let routing = first(live, |key| matches!(key, Key::Prefix(_)));
            routing.is_some_and(|routing| in_window(it, routing, start))
                || live.fits(start, at, it.settings)
                || depends(live, name, it)
        }
        Key::Prefix(_) => {
            let failing = first(live, |key| matches!(key, Key::Name(_)));
            failing.is_some_and(|failing| in_window(it, start, failing)) || live.fits(start, at, it.settings)
        }
        _ => live.fits(start, at, it.settings),
    }
}

/// First evidence of the parts of one layer that are in trouble.
fn first(live: &Live, is_of_layer: impl Fn(&Key) -> bool) -> Option<Time> {
    let of_layer = live
        .parts
        .iter()
        .filter(|(key, part)| is_of_layer(key) && !part.is_settled());
    of_layer.map(|(_, part)| part.first_evidence).min()
}

fn in_window(it: Instant, routing: Time, failing: Time) -> bool {
    let lead = failing.since(routing);
    (-secs(it.settings.dns_before_s)..=secs(it.settings.dns_after_s)).contains(&lead)
}

fn depends(live: &Live, name: &str, it: Instant) -> bool {
    let is_down_now = |part: &Part| is_down(part.known);
    let lost = |prefix| live.parts.get(&Key::Prefix(prefix)).is_some_and(is_down_now);
    let node = it.world.graph.node(name);
    node.is_some_and(|node| node.standing(lost).servers_gone())
}
