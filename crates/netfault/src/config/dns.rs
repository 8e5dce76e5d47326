//! The `dns` section: how often servers are asked, and whether that can work at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use netfault_engine::dns::DnsSettings;
use serde_saphyr::{Location, Spanned};

use super::raw::RawDns;
use super::resolve::{Context, Result};
use super::types::{Dns, Name};
use super::values;

/// One round every 30 s: DESIGN section 6.
const INTERVAL: Duration = Duration::from_secs(30);
/// One question a second is the most that an authority is asked (DESIGN section 6).
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const AUTHORITY_TIMEOUT: Duration = Duration::from_secs(2);
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions a second that one server is asked at most (DESIGN section 6), as the schedule keeps them.
const AUTHORITY_PER_SECOND: f64 = 1.0;
const RESOLVER_PER_SECOND: f64 = 50.0;
/// A resolver is asked for A and AAAA, an authority for the SOA.
const RESOLVER_QUESTIONS: f64 = 2.0;
/// Rounds after which a server is forgotten, and a name that nobody asked about is unknown.
const FORGET_ROUNDS: u64 = 4;
const STALE_ROUNDS: u64 = 6;

pub(super) fn resolve(context: &Context, raw: RawDns, resolvers: Vec<SocketAddr>) -> Result<Dns> {
    let interval = context.read_or(raw.interval.as_ref(), INTERVAL, |text| {
        match values::duration(text)? {
            interval if interval < MIN_INTERVAL => Err(format!(
                "'{text}' is too short: a server is asked at most once a second"
            )),
            interval => Ok(interval),
        }
    })?;
    // One question in flight per (name, server): an answer that may come after the next round is no answer.
    let timeout = |text: &str| match values::duration(text)? {
        timeout if timeout.is_zero() => Err("a timeout of nothing lets no server answer".to_owned()),
        timeout if timeout > interval => Err(format!(
            "'{text}' is longer than dns.interval ({})",
            values::show_duration(interval)
        )),
        timeout => Ok(timeout),
    };
    Ok(Dns {
        resolvers,
        interval,
        authority_timeout: context.read_or(
            raw.authority_timeout.as_ref(),
            AUTHORITY_TIMEOUT.min(interval),
            timeout,
        )?,
        resolver_timeout: context.read_or(
            raw.resolver_timeout.as_ref(),
            RESOLVER_TIMEOUT.min(interval),
            timeout,
        )?,
        vantage: match &raw.vantage {
            Some(text) => context.text(text)?,
            None => hostname(),
        },
        detect: detect(context, raw.detect, interval)?,
    })
}

/// The times of detection follow the interval. What was typed otherwise must fit it.
fn detect(context: &Context, raw: Option<Spanned<DnsSettings>>, interval: Duration) -> Result<DnsSettings> {
    let (place, typed) = match raw {
        Some(raw) => (raw.referenced, raw.value),
        None => (Location::UNKNOWN, DnsSettings::default()),
    };
    let defaults = DnsSettings::default();
    let seconds = interval.as_millis().div_ceil(1000) as u64;
    let (forget, stale) = (FORGET_ROUNDS * seconds, STALE_ROUNDS * seconds);
    let grace = (interval.as_millis() as u64 / 1000).saturating_sub(1).max(1);
    let mut settings = typed;
    if settings.forget_s == defaults.forget_s {
        settings.forget_s = forget.max(defaults.forget_s);
    }
    if settings.stale_s == defaults.stale_s {
        settings.stale_s = stale.max(defaults.stale_s);
    }
    if settings.round_grace_s == defaults.round_grace_s {
        settings.round_grace_s = grace.min(defaults.round_grace_s);
    }
    let shown = values::show_duration(interval);
    let wrong = if settings.forget_s < forget {
        format!(
            "forget_s: {} is less than {FORGET_ROUNDS} rounds of dns.interval ({shown}): servers would be forgotten between rounds",
            settings.forget_s
        )
    } else if settings.stale_s < stale {
        format!(
            "stale_s: {} is less than {STALE_ROUNDS} rounds of dns.interval ({shown}): names would be unknown between rounds",
            settings.stale_s
        )
    } else if settings.round_grace_s > grace {
        format!(
            "round_grace_s: {} is not shorter than dns.interval ({shown}): a round would still be open when the next begins",
            settings.round_grace_s
        )
    } else {
        return Ok(settings);
    };
    context.wrong(place, wrong)
}

/// Refuses a plan that asks a server for more than its limit allows: rounds would be skipped all the time.
pub(super) fn check_plan(context: &Context, names: &[(Location, Name)], dns: &Dns) -> Result<()> {
    let seconds = dns.interval.as_secs_f64();
    let mut asked: BTreeMap<(bool, SocketAddr), f64> = BTreeMap::new();
    for (place, name) in names {
        let resolvers = match name.resolvers.is_empty() {
            true => &dns.resolvers,
            false => &name.resolvers,
        };
        let authorities = name.authorities.iter().map(|server| (true, *server, 1.0));
        let resolvers = resolvers
            .iter()
            .map(|server| (false, *server, RESOLVER_QUESTIONS));
        for (is_authority, server, questions) in authorities.chain(resolvers) {
            let sum = asked.entry((is_authority, server)).or_default();
            *sum += questions;
            let limit = if is_authority {
                AUTHORITY_PER_SECOND
            } else {
                RESOLVER_PER_SECOND
            };
            if *sum > limit * seconds {
                let message = format!(
                    "with this name the server {server} would be asked {sum} questions every {}, and {limit} a second is \
                     the most: give a longer dns.interval or spread the names over more servers",
                    values::show_duration(dns.interval)
                );
                return context.wrong(*place, message);
            }
        }
    }
    Ok(())
}

/// What the host calls itself; `local` where that cannot be read.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "local".to_owned()
    } else {
        name.to_owned()
    }
}
