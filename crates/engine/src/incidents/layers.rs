//! The layers of an incident: routing, DNS, and beside them what users notice.

use std::collections::BTreeMap;

use netfault_model::{Layer, LayerKind, Time};

use super::part::{Key, Part};
use crate::cause::Hints;

/// Each layer that has anything to do with it, in their order. The application layer is of the services concerned; it is a hint.
pub fn of(parts: &BTreeMap<Key, Part>, services: &[String], hints: &Hints) -> Vec<Layer> {
    let is_name = |key: &Key| matches!(key, Key::Name(_));
    let bgp = network(LayerKind::Bgp, parts.iter().filter(|(key, _)| !is_name(key)));
    let dns = network(LayerKind::Dns, parts.iter().filter(|(key, _)| is_name(key)));
    let started = [&bgp, &dns].into_iter().flatten().map(|layer| layer.since).min();
    let users = services.iter().filter_map(|service| hints.trouble(service));
    let application = users
        .filter(|(_, calm)| calm.is_none_or(|calm| started.is_none_or(|started| calm >= started)))
        .map(|(since, recovered_at)| Layer {
            layer: LayerKind::Application,
            since,
            recovered_at,
        })
        .reduce(|one, other| Layer {
            since: one.since.min(other.since),
            recovered_at: one.recovered_at.zip(other.recovered_at).map(|(a, b)| a.max(b)),
            ..one
        });
    [bgp, dns, application].into_iter().flatten().collect()
}

/// From the first evidence of a part to the moment when all are well again.
fn network<'a>(layer: LayerKind, parts: impl Iterator<Item = (&'a Key, &'a Part)>) -> Option<Layer> {
    let mut since: Option<Time> = None;
    let mut recovered: Option<Time> = Some(Time::MIN);
    for (_, part) in parts {
        since = Some(since.map_or(part.first_evidence, |known| known.min(part.first_evidence)));
        recovered = recovered.zip(part.cleared_at).map(|(one, other)| one.max(other));
    }
    Some(Layer {
        layer,
        since: since?,
        recovered_at: recovered,
    })
}
