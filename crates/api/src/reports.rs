//! Counts of user reports and traffic, as others push them.
//!
//! ```text
//! {"service": "Shop", "source": "helpdesk", "at": "2026-03-29T12:00:00Z", "interval_s": 900, "count": 37}
//! {"service": "Shop", "at": 1774785600, "interval_s": 60, "of": "DE", "unit": "bytes", "value": 123456789}
//! ```
//!
//! One object, an array of them, or one a line (NDJSON). All of a body is taken, or nothing is. `source` is by default the
//! name of the client, `at` (the end of the interval) by default now.

use std::collections::BTreeSet;

use netfault_model::{Arrival, Asn, Hint, HintKind, Time};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::batch::arrival;

/// Of one body.
pub(crate) const MAX_BODY: usize = 1 << 20;
pub(crate) const MAX_ITEMS: usize = 5_000;
/// A day: what is coarser says nothing of now.
const MAX_INTERVAL: u32 = 86_400;
const MAX_SOURCE: usize = 64;
/// Beyond it a double counts no longer by one.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// Who takes reports.
#[derive(Clone, Debug)]
pub struct Reports {
    /// Of the configuration.
    pub services: BTreeSet<String>,
    /// Bounded; a full one is a 503 with Retry-After, never a wait.
    pub hints: mpsc::Sender<Vec<Hint>>,
}

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the body is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "there is nothing in the body: give {{\"service\": …, \"interval_s\": …, \"count\": …}}, an array or a line of them"
    )]
    Empty,
    #[error("more than {MAX_ITEMS} items: send them in several bodies")]
    TooMany,
    #[error("item {item}: {why}")]
    Item { item: usize, why: String },
    #[error("item {item}: the service '{service}' is not in the configuration, which has {known}")]
    Unknown {
        item: usize,
        service: String,
        known: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    service: String,
    source: Option<String>,
    at: Option<At>,
    interval_s: u32,
    count: Option<f64>,
    of: Option<String>,
    unit: Option<String>,
    value: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a time is RFC 3339 or Unix seconds")]
enum At {
    Text(String),
    Seconds(i64),
}

/// The hints in a body. `client`: who sends it. `now`: our clock.
///
/// # Errors
/// [`Refused`], and then nothing of it counts.
pub fn read(body: &[u8], services: &BTreeSet<String>, client: &str, now: Time) -> Result<Vec<Hint>, Refused> {
    let mut hints = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
        match value? {
            Value::Array(items) => {
                for item in items {
                    push(&mut hints, item, services, client, now)?;
                }
            }
            item => push(&mut hints, item, services, client, now)?,
        }
    }
    match hints.is_empty() {
        true => Err(Refused::Empty),
        false => Ok(hints),
    }
}

fn push(
    hints: &mut Vec<Hint>,
    item: Value,
    services: &BTreeSet<String>,
    client: &str,
    now: Time,
) -> Result<(), Refused> {
    let number = hints.len() + 1;
    if number > MAX_ITEMS {
        return Err(Refused::TooMany);
    }
    let wrong = |why: String| Refused::Item { item: number, why };
    let item: Item = serde_json::from_value(item).map_err(|error| wrong(error.to_string()))?;
    if !services.contains(&item.service) {
        return Err(Refused::Unknown {
            item: number,
            service: item
                .service
                .chars()
                .filter(|c| !c.is_control())
                .take(64)
                .collect(),
            known: known(services),
        });
    }
    hints.push(hint(item, client, now).map_err(wrong)?);
    Ok(())
}

fn known(services: &BTreeSet<String>) -> String {
    let names: Vec<&str> = services.iter().take(20).map(String::as_str).collect();
    match (names.as_slice(), services.len()) {
        ([], _) => "no services".to_owned(),
        (names, many) if many > names.len() => {
            format!("{} and {} more", names.join(", "), many - names.len())
        }
        (names, _) => names.join(", "),
    }
}

fn hint(item: Item, client: &str, now: Time) -> Result<Hint, String> {
    if !(1..=MAX_INTERVAL).contains(&item.interval_s) {
        return Err(format!("interval_s is 1 to {MAX_INTERVAL}"));
    }
    let source = item.source.unwrap_or_else(|| client.to_owned());
    if source.is_empty() || source.chars().count() > MAX_SOURCE || source.chars().any(char::is_control) {
        return Err(format!("source is a text of 1 to {MAX_SOURCE} characters"));
    }
    let at = match item.at {
        None => now,
        Some(At::Seconds(seconds)) => Time::from_secs(seconds),
        Some(At::Text(text)) => text
            .parse()
            .map_err(|error: netfault_model::time::BadTime| error.to_string())?,
    };
    let what = match (item.count, item.value) {
        (Some(count), None) if item.unit.is_none() && item.of.is_none() => HintKind::Reports {
            interval_s: item.interval_s,
            count: amount("count", count)?,
            usual: None,
        },
        (None, Some(value)) => HintKind::Traffic {
            interval_s: item.interval_s,
            of: item.of.map_or(Ok(String::new()), |of| part(&of))?,
            unit: item
                .unit
                .filter(|unit| ["bytes", "count"].contains(&unit.as_str()))
                .ok_or("traffic needs the unit of its value: \"bytes\" or \"count\"")?,
            value: amount("value", value)?,
            usual: None,
        },
        _ => {
            return Err("give count for reports of users, or unit and value (and of) for traffic".to_owned());
        }
    };
    let arrival = arrival(at, now);
    Ok(Hint {
        // Engine time must not run ahead with a clock that is a little fast.
        at: if arrival == Arrival::InTime {
            at.min(now)
        } else {
            at
        },
        arrival,
        service: item.service,
        source,
        what,
    })
}

fn amount(key: &str, amount: f64) -> Result<f64, String> {
    match (0.0..=MAX_COUNT).contains(&amount) {
        true => Ok(amount),
        false => Err(format!("{key} is a number from 0 on")),
    }
}

/// A country (ISO 3166-1 alpha-2) or an AS; empty: all.
fn part(of: &str) -> Result<String, String> {
    let is_country = of.len() == 2 && of.bytes().all(|byte| byte.is_ascii_uppercase());
    if of.is_empty() || is_country {
        return Ok(of.to_owned());
    }
    match of.parse::<Asn>() {
        Ok(asn) => Ok(asn.to_string()),
        Err(_) => Err("of is a country (DE) or an AS (AS64500)".to_owned()),
    }
}

#[cfg(test)]
mod tests;
