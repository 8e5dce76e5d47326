//! The `dns` section: how often servers are asked, and whether that can work at all.
//!
//! * [`answers`] what a name is expected to answer, and who is asked for it
//! * [`controls`] whom this vantage asks to learn about itself
//! * [`plan`] whether the plan fits the servers' limits, and what it is in words

pub(super) mod answers;
pub(super) mod controls;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use netfault_engine::dns::DnsSettings;
use netfault_sources::dns::resolver::Resolver;
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::dns::validate::Validation;
use netfault_sources::dns::walk::Hints;
use serde_saphyr::{Location, Spanned};

pub(super) use plan::{check as check_plan, describe};

use super::raw::{RawDns, Text};
use super::resolve::{Context, Result};
use super::types::{Dns, RootHints};
use super::values;

/// One round every 30 s: DESIGN section 6.
const INTERVAL: Duration = Duration::from_secs(30);
/// One question a second is the most that an authority is asked (DESIGN section 6).
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const AUTHORITY_TIMEOUT: Duration = Duration::from_secs(2);
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions a second that one server is asked at most (DESIGN section 6).
const AUTHORITY_PER_SECOND: f64 = 1.0;
const RESOLVER_PER_SECOND: f64 = 50.0;
/// Beyond this a limit is none.
const MAX_PER_SECOND: f64 = 100_000.0;
/// A new walk every ten minutes (DESIGN section 6). More often than once a minute is a burden for others.
const REFRESH: Duration = Duration::from_secs(600);
const MIN_REFRESH: Duration = Duration::from_secs(60);
/// Rounds after which a server is forgotten, and a name that nobody asked about is unknown.
const FORGET_ROUNDS: u64 = 4;
const STALE_ROUNDS: u64 = 6;

pub(super) fn resolve(
    context: &Context,
    raw: RawDns,
    resolvers: Vec<Resolver>,
    watched: &BTreeSet<String>,
) -> Result<Dns> {
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
    let root_hints = raw.root_hints.as_ref().map(|text| root_hints(context, text));
    let root_hints = root_hints.transpose()?;
    let hints = root_hints.as_ref().map(|root| &root.hints);
    Ok(Dns {
        resolvers,
        authority_per_second: limit(context, raw.authority_per_second, AUTHORITY_PER_SECOND)?,
        resolver_per_second: limit(context, raw.resolver_per_second, RESOLVER_PER_SECOND)?,
        refresh: context.read_or(raw.refresh.as_ref(), REFRESH, |text| {
            match values::duration(text)? {
                refresh if refresh < MIN_REFRESH => Err(format!("'{text}' is too short: at least 1m")),
                refresh => Ok(refresh),
            }
        })?,
        controls: controls::resolve(context, raw.controls.unwrap_or_default(), watched, hints)?,
        root_hints,
        trust_anchors: context.file(raw.trust_anchors.as_ref(), Validation::from_file)?,
        ca_file: context.file(raw.ca_file.as_ref(), TlsRoots::with_file)?,
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

fn limit(context: &Context, typed: Option<Spanned<f64>>, default: f64) -> Result<f64> {
    let Some(typed) = typed else {
        return Ok(default);
    };
    if typed.value > 0.0 && typed.value <= MAX_PER_SECOND {
        return Ok(typed.value);
    }
    let message = format!("questions a second: more than 0, and at most {MAX_PER_SECOND}");
    context.wrong(typed.referenced, message)
}

fn root_hints(context: &Context, text: &Text) -> Result<RootHints> {
    let path = context.folder(text)?;
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    match read.and_then(|content| Hints::parse(&content).map_err(|bad| bad.to_string())) {
        Ok(hints) => Ok(RootHints { path, hints }),
        Err(message) => context.wrong(text.referenced, format!("{}: {message}", path.display())),
    }
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
