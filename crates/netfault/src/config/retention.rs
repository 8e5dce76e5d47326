//! `store.retention`: how long each table is kept, counted from when a row came in.

use std::time::Duration;

use netfault_store::Retention;
use serde::{Deserialize, Serialize};

use super::raw::{Text, text};
use super::resolve::{Context, Result};
use super::values;

/// Shorter, and rows could go before anybody has seen them.
const MIN: Duration = Duration::from_secs(3600);
/// A century: ClickHouse counts the seconds of a `DateTime` in 32 bits.
const MAX: Duration = Duration::from_secs(36_500 * 86_400);
const FOREVER: &str = "forever";

/// One key a table. The names are those of [`netfault_store::retention::names`]; a test keeps them the same.
macro_rules! tables {
    ($($table:ident),* $(,)?) => {
        #[derive(Debug, Default, Deserialize, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct RawRetention {
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                $table: Option<Text>,
            )*
        }

        impl RawRetention {
            fn typed(&self) -> impl Iterator<Item = (&'static str, &Text)> {
                let all = [$((stringify!($table), &self.$table)),*];
                all.into_iter().filter_map(|(name, typed)| Some((name, typed.as_ref()?)))
            }

            fn all(value: impl Fn(&str) -> Option<Text>) -> Self {
                RawRetention { $($table: value(stringify!($table))),* }
            }
        }
    };
}

tables!(
    bgp_updates,
    dns_probes,
    dns_health_1m,
    delegations,
    transitions,
    incidents,
    incident_notes,
    notables,
    feed_status,
    reports,
    hints,
);

pub(super) fn resolve(context: &Context, raw: Option<&RawRetention>) -> Result<Retention> {
    let mut retention = Retention::default();
    for (name, typed) in raw.into_iter().flat_map(RawRetention::typed) {
        let keep = context.read(typed, keep)?;
        if let Err(error) = retention.set(name, keep) {
            return context.wrong(typed.referenced, error.to_string());
        }
    }
    Ok(retention)
}

fn keep(text: &str) -> std::result::Result<Option<Duration>, String> {
    if text.trim() == FOREVER {
        return Ok(None);
    }
    match values::duration(text) {
        Ok(keep) if keep < MIN => Err(format!("'{text}' is too short: give at least 1h, or {FOREVER}")),
        Ok(keep) if keep > MAX => Err(format!("'{text}' is longer than a hundred years: give {FOREVER}")),
        // ClickHouse counts whole seconds.
        Ok(keep) => Ok(Some(Duration::from_secs(keep.as_secs()))),
        Err(message) => Err(format!("{message}, or {FOREVER}")),
    }
}

pub(super) fn to_raw(retention: &Retention) -> RawRetention {
    RawRetention::all(|name| {
        let (_, keep) = retention.each().find(|(table, _)| *table == name)?;
        Some(text(show(keep)))
    })
}

/// In days where it is whole days: nobody counts retention in weeks.
fn show(keep: Option<Duration>) -> String {
    const DAY: u64 = 86_400;
    match keep {
        None => FOREVER.to_owned(),
        Some(keep) if keep.as_secs().is_multiple_of(DAY) => format!("{}d", keep.as_secs() / DAY),
        Some(keep) => values::show_duration(keep),
    }
}

/// `kept:    bgp_updates 30d, dns_probes 90d, all else 400d`
pub(super) fn describe(retention: &Retention) -> String {
    let all: Vec<(&str, String)> = retention.each().map(|(name, keep)| (name, show(keep))).collect();
    let count = |keep: &str| all.iter().filter(|(_, other)| other == keep).count();
    // What most tables have is said once.
    let usual = all
        .iter()
        .max_by_key(|(_, keep)| count(keep))
        .map_or(String::new(), |(_, keep)| keep.clone());
    let others: Vec<String> = all
        .iter()
        .filter(|(_, keep)| *keep != usual)
        .map(|(name, keep)| format!("{name} {keep}, "))
        .collect();
    let else_word = if others.is_empty() { "all" } else { "all else" };
    format!(
        "kept:    {}{else_word} {usual}, since it came in",
        others.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_key_of_its_name() {
        let raw = RawRetention::all(|name| Some(text(name)));
        let keys: Vec<&str> = raw.typed().map(|(name, _)| name).collect();
        assert_eq!(keys, netfault_store::retention::names().collect::<Vec<_>>());
    }

    #[test]
    fn it_is_told_in_one_line() {
        let mut retention = Retention::default();
        assert_eq!(
            describe(&retention),
            "kept:    bgp_updates 30d, dns_probes 90d, all else 400d, since it came in"
        );
        retention.set("incidents", None).unwrap();
        assert!(describe(&retention).contains("incidents forever, all else 400d"));
    }

    #[test]
    fn the_table_of_times() {
        let day = Duration::from_secs(86_400);
        assert_eq!(keep("30d"), Ok(Some(30 * day)));
        assert_eq!(keep("forever"), Ok(None));
        for text in ["30", "59m", "always", "0s", "99999w"] {
            assert!(keep(text).unwrap_err().contains("forever"), "{text}");
        }
    }
}
