//! How long rows are kept, counted from when they came in: a replay of 2008 stays as long as today's data.
//!
//! The migrations give every table a TTL. What the user wants otherwise is put in its place here, after them: the files
//! stay as they are, and so do their checksums.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::client::Client;
use crate::error::StoreError;

const DAY: u64 = 86_400;

/// A table with a time to live, as the migrations have it. Rollups come under the name of their view.
struct Kept {
    name: &'static str,
    table: &'static str,
    /// What is compared with the clock: a `DateTime`.
    since: &'static str,
    days: u64,
}

const fn kept(name: &'static str, days: u64) -> Kept {
    Kept {
        name,
        table: name,
        since: "ingested_at",
        days,
    }
}

const ALL: [Kept; 11] = [
    kept("bgp_updates", 30),
    kept("dns_probes", 90),
    Kept {
        table: "dns_health_1m_data",
        ..kept("dns_health_1m", 400)
    },
    kept("delegations", 400),
    kept("transitions", 400),
    kept("incidents", 400),
    Kept {
        since: "toDateTime(ingested_at)",
        ..kept("incident_notes", 400)
    },
    kept("notables", 400),
    kept("feed_status", 400),
    kept("reports", 400),
    kept("hints", 400),
];

/// For each table by its name: how long, in whole seconds; `None` is for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention(BTreeMap<&'static str, Option<u64>>);

impl Default for Retention {
    fn default() -> Self {
        Retention(
            ALL.iter()
                .map(|kept| (kept.name, Some(kept.days * DAY)))
                .collect(),
        )
    }
}

/// There is no table of this name whose rows go away by age.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no table '{name}'; the tables are {}", names().collect::<Vec<_>>().join(", "))]
pub struct UnknownTable {
    pub name: String,
}

/// The tables that can be named, in the order in which they are told.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|kept| kept.name)
}

impl Retention {
    /// `None`: for ever.
    pub fn set(&mut self, name: &str, keep: Option<Duration>) -> Result<(), UnknownTable> {
        let Some(slot) = self.0.get_mut(name) else {
            return Err(UnknownTable {
                name: name.to_owned(),
            });
        };
        *slot = keep.map(|keep| keep.as_secs());
        Ok(())
    }

    /// How long rows of each table are kept.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> {
        names().map(|name| {
            let seconds = self.0.get(name).copied().flatten();
            (name, seconds.map(Duration::from_secs))
        })
    }

    /// Changes the tables whose time to live is another one, and returns their names. What is too old then goes in the
    /// background, as ClickHouse merges its parts.
    pub async fn apply(&self, client: &Client) -> Result<Vec<&'static str>, StoreError> {
        let found = found(client).await?;
        let mut changed = Vec::new();
        for kept in &ALL {
            let wanted = self.0.get(kept.name).copied().flatten();
            let Some(engine) = found.get(kept.table) else {
                continue; // not migrated yet
            };
            if seconds_in(engine) == wanted {
                continue;
            }
            let change = match wanted {
                // In seconds always: it has to be read back.
                Some(seconds) => format!("MODIFY TTL {} + toIntervalSecond({seconds})", kept.since),
                None => "REMOVE TTL".to_owned(),
            };
            let sql = format!("ALTER TABLE {} {change}", kept.table);
            client.run(client.query(&sql)).await?;
            changed.push(kept.name);
        }
        Ok(changed)
    }
}

/// The engines of our tables, as ClickHouse writes them down.
async fn found(client: &Client) -> Result<BTreeMap<String, String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        engine_full: String,
    }
    let query = client
        .query("SELECT name, engine_full FROM system.tables WHERE database = {db:String} AND engine LIKE '%MergeTree'")
        .param("db", client.database());
    let rows: Vec<Row> = client.fetch(query).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.engine_full)).collect())
}

/// The time to live in `… TTL ingested_at + toIntervalDay(30) SETTINGS …`. `None`: there is none, or it is not of ours.
fn seconds_in(engine: &str) -> Option<u64> {
    let (_, ttl) = engine.split_once(" TTL ")?;
    let ttl = ttl.split(" SETTINGS ").next()?;
    let (unit, number) = ttl.rsplit_once("toInterval")?.1.split_once('(')?;
    let number: u64 = number.trim_end_matches(')').parse().ok()?;
    let factor = match unit {
        "Second" => 1,
        "Minute" => 60,
        "Hour" => 3600,
        "Day" => DAY,
        "Week" => 7 * DAY,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_read_as_clickhouse_writes_it() {
        let engine = |ttl: &str| {
            format!(
                "ReplacingMergeTree PARTITION BY toDate(at) ORDER BY at{ttl} SETTINGS index_granularity = 8192"
            )
        };
        for (ttl, seconds) in [
            ("", None),
            (" TTL ingested_at + toIntervalDay(30)", Some(30 * DAY)),
            (" TTL ingested_at + toIntervalSecond(90)", Some(90)),
            (" TTL toDateTime(ingested_at) + toIntervalHour(2)", Some(7200)),
            (" TTL at + toIntervalMonth(1)", None),
        ] {
            assert_eq!(seconds_in(&engine(ttl)), seconds, "{ttl}");
        }
    }

    /// What the migrations say and what is held to be the default are the same numbers.
    #[test]
    fn the_defaults_are_those_of_the_migrations() {
        for kept in &ALL {
            let head = format!("CREATE TABLE IF NOT EXISTS {}\n", kept.table);
            let sql = crate::migrate::ALL.iter().find_map(|migration| {
                let (_, table) = migration.sql.split_once(&head)?;
                table.split(';').find(|text| text.contains("\nTTL "))
            });
            let ttl = format!("TTL {} + INTERVAL {} DAY\n", kept.since, kept.days);
            assert!(sql.is_some_and(|sql| sql.contains(&ttl)), "{}: {ttl}", kept.table);
        }
        let tables = crate::migrate::ALL
            .iter()
            .map(|migration| migration.sql.matches("CREATE TABLE").count());
        assert_eq!(tables.sum::<usize>(), ALL.len(), "a table that nobody can set");
    }

    #[test]
    fn an_unknown_table_is_refused_by_name() {
        let error = Retention::default().set("bgp", None).unwrap_err();
        assert!(error.to_string().contains("'bgp'") && error.to_string().contains("bgp_updates, dns_probes"));
    }
}
