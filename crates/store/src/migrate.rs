//! Migrations: the numbered SQL files of `schemas/clickhouse`, built into the program.
//!
//! Each is applied once and its SHA-256 is written down. A file that was edited after it was applied is
//! refused: what stands in the database would no longer be what the file says. Every statement is
//! written so that running it again does no harm (`IF NOT EXISTS`, `OR REPLACE`), so a migration that was
//! cut off in the middle is simply run again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::error::StoreError;

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub number: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../../schemas/clickhouse/", $name, ".sql")),
        }),*]
    };
}

/// All of them, in order.
pub const ALL: &[Migration] = migrations![
    1 "0001_bgp_updates",
    2 "0002_transitions",
    3 "0003_dns_probes",
    4 "0004_feed_status",
    5 "0005_views",
    6 "0006_evidence",
    7 "0007_incidents",
    8 "0008_notables",
    9 "0009_views",
    10 "0010_dns_evidence",
    11 "0011_delegations",
    12 "0012_dns_rollups",
    13 "0013_hints",
    14 "0014_incident_notes",
];

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "migration {number:04} ({name}) was edited after it was applied: its file has checksum {file}, the \
         database has {applied}; put the file back and write a new migration"
    )]
    Edited {
        number: u32,
        name: String,
        file: String,
        applied: String,
    },

    #[error(
        "the database has migration {number:04} ({name}), which this netfault does not know: it is older"
    )]
    Unknown { number: u32, name: String },

    #[error("migration {number:04} ({name}): {source}")]
    Failed {
        number: u32,
        name: String,
        source: StoreError,
    },

    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One line of `netfault db status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub number: u32,
    pub name: String,
    pub checksum: String,
    /// RFC 3339; `None` if it is still to be applied.
    pub applied_at: Option<String>,
}

#[derive(Deserialize)]
struct Applied {
    number: u32,
    name: String,
    checksum: String,
    applied_at: String,
}

/// Creates the database where it is missing and applies what is not applied yet. Returns what it applied.
pub async fn apply(client: &Client) -> Result<Vec<Status>, MigrateError> {
    apply_these(client, ALL).await
}

/// What is applied and what is not. Edited and unknown migrations are errors here too.
pub async fn status(client: &Client) -> Result<Vec<Status>, MigrateError> {
    let applied = applied(client).await?;
    compare(ALL, &applied)
}

/// [`apply`] for a list of the caller's; tests use it to edit a file after the fact.
pub async fn apply_these(client: &Client, migrations: &[Migration]) -> Result<Vec<Status>, MigrateError> {
    prepare(client).await?;
    let known = applied(client).await?;
    let plan = compare(migrations, &known)?;
    let mut done = Vec::new();
    for (migration, status) in migrations.iter().zip(plan) {
        if status.applied_at.is_some() {
            continue;
        }
        run(client, migration)
            .await
            .map_err(|source| MigrateError::Failed {
                number: migration.number,
                name: migration.name.to_owned(),
                source,
            })?;
        done.push(status);
    }
    Ok(done)
}

async fn prepare(client: &Client) -> Result<(), StoreError> {
    let create = format!("CREATE DATABASE IF NOT EXISTS {}", quoted(client.database()));
    client.run(client.server_query(&create)).await?;
    let table = "CREATE TABLE IF NOT EXISTS schema_migrations (\
                   number UInt32, name String, checksum String, applied_at DateTime64(6, 'UTC') DEFAULT now64(6)\
                 ) ENGINE = ReplacingMergeTree ORDER BY number \
                 SETTINGS non_replicated_deduplication_window = 100";
    client.run(client.query(table)).await
}

async fn run(client: &Client, migration: &Migration) -> Result<(), StoreError> {
    for statement in statements(migration.sql) {
        client.run(client.query(statement)).await?;
    }
    let insert = "INSERT INTO schema_migrations (number, name, checksum) \
                  SELECT {number:UInt32}, {name:String}, {checksum:String}";
    let query = client
        .query(insert)
        .param("number", migration.number)
        .param("name", migration.name)
        .param("checksum", checksum(migration.sql));
    client.run(query).await
}

async fn applied(client: &Client) -> Result<BTreeMap<u32, Applied>, StoreError> {
    let query = client.query("SELECT number, name, checksum, applied_at FROM schema_migrations FINAL");
    match client.fetch::<Applied>(query).await {
        Ok(rows) => Ok(rows.into_iter().map(|row| (row.number, row)).collect()),
        Err(StoreError::TableMissing { .. } | StoreError::DatabaseMissing { .. }) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

fn compare(migrations: &[Migration], applied: &BTreeMap<u32, Applied>) -> Result<Vec<Status>, MigrateError> {
    if let Some(unknown) = applied
        .values()
        .find(|row| migrations.iter().all(|m| m.number != row.number))
    {
        return Err(MigrateError::Unknown {
            number: unknown.number,
            name: unknown.name.clone(),
        });
    }
    migrations
        .iter()
        .map(|migration| {
            let checksum = checksum(migration.sql);
            let row = applied.get(&migration.number);
            if let Some(row) = row.filter(|row| row.checksum != checksum) {
                return Err(MigrateError::Edited {
                    number: migration.number,
                    name: migration.name.to_owned(),
                    file: checksum,
                    applied: row.checksum.clone(),
                });
            }
            Ok(Status {
                number: migration.number,
                name: migration.name.to_owned(),
                checksum,
                applied_at: row.map(|row| row.applied_at.clone()),
            })
        })
        .collect()
}

fn checksum(sql: &str) -> String {
    Sha256::digest(sql.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An identifier in back quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The statements of a file: split at each `;` outside of quotes and comments; empty ones are left out.
fn statements(sql: &str) -> Vec<&str> {
    let bytes = sql.as_bytes();
    let (mut out, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'`' | b'"') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b';' => {
                out.push(&sql[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    out.push(&sql[start..]);
    out.retain(|statement| {
        statement
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim().starts_with("--"))
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let sql =
            "-- a; b\nCREATE TABLE x (a String DEFAULT 'one;two'); -- c;\n\nSELECT `a;b`;\n-- the end\n";
        let found = statements(sql);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("'one;two')"));
        assert!(found[1].trim_end().ends_with("`a;b`"));
    }

    #[test]
    fn migrations_are_numbered_without_holes_and_named_after_their_number() {
        for (index, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.number as usize, index + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)));
            assert!(!statements(migration.sql).is_empty());
        }
    }

    #[test]
    fn every_table_is_deduplicated_and_has_a_time_to_live() {
        for migration in ALL {
            for statement in statements(migration.sql)
                .iter()
                .filter(|s| s.contains("CREATE TABLE"))
            {
                assert!(
                    statement.contains("non_replicated_deduplication_window"),
                    "{}",
                    migration.name
                );
                assert!(statement.contains("TTL "), "{}", migration.name);
            }
        }
    }

    #[test]
    fn an_edited_file_is_refused() {
        let was = Migration {
            number: 1,
            name: "0001_x",
            sql: "SELECT 1",
        };
        let row = Applied {
            number: 1,
            name: "0001_x".into(),
            checksum: checksum(was.sql),
            applied_at: "2026-01-01T00:00:00Z".into(),
        };
        let applied = BTreeMap::from([(1, row)]);
        assert!(compare(&[was], &applied).is_ok());
        let edited = Migration {
            sql: "SELECT 2",
            ..was
        };
        assert!(matches!(
            compare(&[edited], &applied),
            Err(MigrateError::Edited { number: 1, .. })
        ));
        assert!(matches!(
            compare(&[], &applied),
            Err(MigrateError::Unknown { number: 1, .. })
        ));
    }
}
