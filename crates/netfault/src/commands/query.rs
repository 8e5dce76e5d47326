//! `netfault query`: what happened, from the store.
//!
//! * here: withdrawals, and what all of them share; [`dns`] failures and health; [`delegations`]

mod delegations;
mod dns;

use std::io::Write;
use std::process::ExitCode;

use netfault_store::Client;
use netfault_store::query::{WithdrawalFilter, withdrawals};
use serde::Serialize;

use super::{load, unwritable};
use crate::cli::{ConfigArg, QueryCommand};
use crate::exit::Result;
use crate::render::{Column, Format, RowWriter, quiet_pipe};
use crate::stores::{OpenStore, section, store_failure};

pub async fn query(command: QueryCommand, format: Format) -> Result<ExitCode> {
    match command {
        QueryCommand::Withdrawals {
            config,
            prefix,
            origin,
            span,
        } => {
            let filter = WithdrawalFilter {
                prefix,
                covered: true,
                origin,
                since: span.since,
                until: span.until,
                limit: span.limit,
            };
            let rows = ask(&config, async |client| withdrawals(&client, &filter).await).await?;
            print(
                format,
                &rows,
                withdrawal_columns(),
                "no prefix was withdrawn in that span",
            )
        }
        QueryCommand::Incidents(args) => super::incidents::list(args, format).await,
        QueryCommand::Dns(args) => dns::failures(args, format).await,
        QueryCommand::DnsHealth(args) => dns::health(args, format).await,
        QueryCommand::Delegations(args) => delegations::list(args, format).await,
    }
}

/// The store of the configuration, with its tables up to date; to be closed.
pub async fn store(config: &ConfigArg) -> Result<(OpenStore, Client)> {
    let config = load(config)?;
    let store = OpenStore::join(section(&config)?).await?;
    match store.migrated().await {
        Ok(client) => Ok((store, client)),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

pub async fn ask<T>(
    config: &ConfigArg,
    question: impl AsyncFnOnce(Client) -> Result<T, netfault_store::StoreError>,
) -> Result<T> {
    let (store, client) = store(config).await?;
    let answer = question(client).await.map_err(store_failure);
    store.close().await;
    answer
}

pub fn print<T: Serialize>(
    format: Format,
    rows: &[T],
    columns: Vec<Column>,
    nothing: &str,
) -> Result<ExitCode> {
    if rows.is_empty() && format == Format::Table {
        eprintln!("{nothing}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut writer = RowWriter::new(std::io::stdout().lock(), format, columns);
    for row in rows {
        if !quiet_pipe(writer.row(row)).map_err(unwritable)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    quiet_pipe(writer.finish().map(drop)).map_err(unwritable)?;
    quiet_pipe(std::io::stdout().flush()).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn withdrawal_columns() -> Vec<Column> {
    vec![
        Column::left("prefix", "prefix"),
        Column::right("origin", "origin AS"),
        Column::left("first_evidence_at", "first loss"),
        Column::left("out_at", "out"),
        Column::left("recovered_at", "normal again"),
        Column::right("duration_s", "gone for, s"),
        Column::right("peers_seen", "seen by"),
        Column::right("peers_eligible", "of peer ASes"),
        Column::left("baseline", "baseline"),
        Column::left("cover", "cover"),
        Column::left("state", "state"),
    ]
}
