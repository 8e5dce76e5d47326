//! The `dns.controls` section: whom this vantage asks to learn about itself and its resolvers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use netfault_sources::dns::Name as DnsName;
use netfault_sources::dns::schedule::Controls as Usual;
use netfault_sources::dns::walk::Hints;
use netfault_sources::dns::wire::{parse_name, plain_name};

use super::super::raw::{RawControls, Text, text};
use super::super::resolve::{Context, Result, dns_server};
use super::super::types::Controls;
use super::super::values;

/// The engine listens to so many.
const MAX: usize = 16;

pub(super) fn resolve(
    context: &Context,
    raw: RawControls,
    watched: &BTreeSet<String>,
    hints: Option<&Hints>,
) -> Result<Controls> {
    if raw.enabled == Some(false) {
        return Ok(Controls::default());
    }
    let names = match &raw.names {
        Some(typed) => names(context, typed, watched)?,
        None => {
            let watched: Vec<DnsName> = watched.iter().filter_map(|name| parse_name(name).ok()).collect();
            Usual::usual_names(&watched).iter().map(plain_name).collect()
        }
    };
    let authorities = match raw.authorities {
        Some(typed) => authorities(context, typed)?,
        None => {
            let built_in = Hints::built_in();
            let usual = Usual::usual_authorities(hints.unwrap_or(&built_in), None);
            let usual = usual.into_iter();
            usual
                .map(|(zone, servers)| (plain_name(&zone), servers.into_iter().collect()))
                .collect()
        }
    };
    Ok(Controls { names, authorities })
}

fn names(context: &Context, typed: &[Text], watched: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for text in typed {
        let name = context.read(text, |text| {
            let name = values::name(text)?;
            match (watched.contains(&name), names.contains(&name), names.len() < MAX) {
                (true, ..) => Err(format!(
                    "{name} is watched: a control name is one of another operator"
                )),
                (_, true, _) => Err(format!("the control name {name} stands here a second time")),
                (.., false) => Err(format!("more than {MAX} control names")),
                _ => Ok(name),
            }
        })?;
        names.push(name);
    }
    Ok(names)
}

fn authorities(
    context: &Context,
    typed: BTreeMap<String, Vec<Text>>,
) -> Result<BTreeMap<String, Vec<SocketAddr>>> {
    let mut zones = BTreeMap::new();
    let mut count = 0;
    for (zone, servers) in typed {
        let mut of_zone = Vec::new();
        let name = match zone.as_str() {
            "." => Ok(".".to_owned()),
            other => values::name(other),
        };
        for text in &servers {
            count += 1;
            of_zone.push(context.read(text, |text| match &name {
                Err(message) => Err(message.clone()),
                Ok(_) if count > MAX => Err(format!("more than {MAX} control authorities")),
                Ok(_) => dns_server(text),
            })?);
        }
        if let (Ok(name), false) = (name, of_zone.is_empty()) {
            zones.insert(name, of_zone);
        }
    }
    Ok(zones)
}

pub(in crate::config) fn to_raw(controls: &Controls) -> RawControls {
    let texts = |servers: &Vec<SocketAddr>| servers.iter().map(|server| text(server.to_string())).collect();
    let zones = controls.authorities.iter();
    RawControls {
        enabled: Some(*controls != Controls::default()),
        names: Some(controls.names.iter().map(text).collect()),
        authorities: Some(
            zones
                .map(|(zone, servers)| (zone.clone(), texts(servers)))
                .collect(),
        ),
    }
}
