//! Whether the plan fits the servers' limits, and what it is in words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use netfault_sources::dns::resolver::Resolver;
use serde_saphyr::Location;

use super::super::resolve::{Context, Result};
use super::super::types::{Config, Dns, Name};
use super::super::values::show_duration;

/// A resolver is asked for A and AAAA, and each again with CD=1 where it fails; an authority for the SOA.
const RESOLVER_QUESTIONS: f64 = 2.0;
const RESOLVER_PACKETS: f64 = 4.0;

/// Packets that a server may be asked for in one interval, and by how many names.
#[derive(Clone, Copy, Default)]
struct Asked {
    packets: f64,
    names: u32,
}

/// Refuses a plan that asks a server for more than its limit allows: rounds would be skipped all the time, or as soon as
/// something fails. Said at the first name that is too many, with an interval in which all of them fit.
pub(in crate::config) fn check(context: &Context, names: &[(Location, Name)], dns: &Dns) -> Result<()> {
    let mut asked: BTreeMap<(bool, SocketAddr), Asked> = BTreeMap::new();
    let mut first = None;
    for server in dns.controls.authorities.values().flatten() {
        asked.entry((true, *server)).or_default().packets += 1.0;
    }
    for (place, name) in names {
        for (is_authority, server) in servers(name, dns) {
            let canaries = dns.controls.names.len() as f64;
            let sum = asked.entry((is_authority, server)).or_default();
            sum.packets += match (is_authority, sum.names) {
                (true, _) => 1.0,
                (false, 0) => RESOLVER_PACKETS + canaries,
                (false, _) => RESOLVER_PACKETS,
            };
            sum.names += 1;
            if first.is_none() && seconds_for(is_authority, sum, dns) > dns.interval.as_secs_f64() {
                first = Some((*place, is_authority, server, *sum));
            }
        }
    }
    let Some((place, is_authority, server, sum)) = first else {
        return Ok(());
    };
    let needed = asked
        .iter()
        .map(|((is_authority, _), sum)| seconds_for(*is_authority, sum, dns));
    let needed = Duration::from_secs(needed.fold(0.0, f64::max).ceil() as u64);
    context.wrong(place, too_much(is_authority, server, &sum, dns, needed))
}

/// How long a server takes for what it is asked in one interval, at its limit.
fn seconds_for(is_authority: bool, asked: &Asked, dns: &Dns) -> f64 {
    asked.packets / limit(is_authority, dns).1
}

fn limit(is_authority: bool, dns: &Dns) -> (&'static str, f64) {
    match is_authority {
        true => ("authority_per_second", dns.authority_per_second),
        false => ("resolver_per_second", dns.resolver_per_second),
    }
}

fn servers<'a>(name: &'a Name, dns: &'a Dns) -> impl Iterator<Item = (bool, SocketAddr)> + 'a {
    let authorities: BTreeSet<SocketAddr> = name.authorities.iter().copied().collect();
    let resolvers: BTreeSet<SocketAddr> = resolvers(name, dns).iter().map(|it| it.addr).collect();
    let authorities = authorities.into_iter().map(|server| (true, server));
    authorities.chain(resolvers.into_iter().map(|server| (false, server)))
}

fn resolvers<'a>(name: &'a Name, dns: &'a Dns) -> &'a [Resolver] {
    match name.resolvers.is_empty() {
        true => &dns.resolvers,
        false => &name.resolvers,
    }
}

fn too_much(is_authority: bool, server: SocketAddr, asked: &Asked, dns: &Dns, needed: Duration) -> String {
    let (key, limit) = limit(is_authority, dns);
    let why = match is_authority {
        true => "",
        false => " (A and AAAA, each again with CD=1 where it fails)",
    };
    format!(
        "with this name the server {server} would be asked up to {:.0} questions every {}{why}, and dns.{key}: {limit} \
         allows {:.0}: {} names fit; or give a dns.interval of {}, in which all names fit, a higher limit, or spread the names \
         over more servers",
        asked.packets,
        show_duration(dns.interval),
        limit * dns.interval.as_secs_f64(),
        asked.names - 1,
        show_duration(needed),
    )
}

/// For `config check`.
pub(in crate::config) fn describe(config: &Config) -> Vec<String> {
    let dns = &config.dns;
    let Some(_) = config.names.first() else {
        return vec!["dns:     no names, nothing is asked".to_owned()];
    };
    let delegated = config
        .names
        .iter()
        .filter(|name| name.authorities.is_empty())
        .count();
    let mut line = format!(
        "dns:     {} every {} at {} and their authoritative servers, as vantage '{}'",
        count(config.names.len(), "name", "names"),
        show_duration(dns.interval),
        count(dns.resolvers.len(), "resolver", "resolvers"),
        dns.vantage
    );
    if delegated > 0 {
        line.push_str(&format!(
            "; {delegated} of them by their delegation, looked up every {}",
            show_duration(dns.refresh)
        ));
    }
    vec![line, rate(config, delegated), controls(config)]
}

fn rate(config: &Config, delegated: usize) -> String {
    let dns = &config.dns;
    let all: Vec<(bool, SocketAddr)> = config.names.iter().flat_map(|name| servers(name, dns)).collect();
    let questions = |is_authority: &bool| if *is_authority { 1.0 } else { RESOLVER_QUESTIONS };
    let of_names: f64 = all.iter().map(|(is_authority, _)| questions(is_authority)).sum();
    let resolvers: BTreeSet<&SocketAddr> = all
        .iter()
        .filter(|(auth, _)| !auth)
        .map(|(_, server)| server)
        .collect();
    let canaries = resolvers.len() * dns.controls.names.len();
    let roots = dns.controls.authorities.values().flatten().count();
    let sum = (of_names + (canaries + roots) as f64) / dns.interval.as_secs_f64();
    let mut line = format!(
        "         {sum:.1} questions a second in all; at most {} to one authority, {} to one resolver",
        dns.authority_per_second, dns.resolver_per_second
    );
    if delegated > 0 {
        line.push_str("; besides them those to the servers of the delegations");
    }
    line
}

fn controls(config: &Config) -> String {
    let controls = &config.dns.controls;
    let authorities = controls.authorities.values().flatten().count();
    if controls.names.is_empty() && authorities == 0 {
        return "         no controls: nothing tells a fault of this vantage from a fault of theirs"
            .to_owned();
    }
    format!(
        "         controls: {} at every resolver ({}), and {}",
        count(controls.names.len(), "name", "names"),
        controls.names.join(", "),
        count(authorities, "authority", "authorities"),
    )
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
