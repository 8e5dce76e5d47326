//! `netfault import reports`: the history of user reports, so that it is known what is usual before the first live report comes.
//!
//! The file is read twice: once to see that every line of it is good, then into the store. So a bad line leaves nothing behind, and a
//! file of any length needs no memory. Importing it again changes nothing: a report is known by service, source, time and interval.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use netfault_model::Time;
use netfault_store::{Writer, WriterConfig};
use serde::Serialize;

use super::{load, query, replay};
use crate::cli::{ImportCommand, ImportReportsArgs};
use crate::config::Config;
use crate::exit::{Failure, Result};
use crate::render::{Column, Format};
use crate::stores::{OpenStore, section, store_failure};
use file::{Given, Reports};

/// What was imported of one series.
#[derive(Serialize)]
struct Row {
    service: String,
    source: String,
    rows: u64,
    first: Time,
    last: Time,
}

pub async fn import(command: ImportCommand, format: Format) -> Result<ExitCode> {
    match command {
        ImportCommand::Reports(args) => reports(args, format).await,
    }
}

async fn reports(args: ImportReportsArgs, format: Format) -> Result<ExitCode> {
    let config = load(&args.config)?;
    let section = section(&config)?;
    let given = given(&args, &config)?;
    let found = look(&args.file, &config, &given)?;
    let store = OpenStore::join(section).await?;
    let written = match store.migrated().await {
        Ok(_) => write(&args.file, &config, &given, &store),
        Err(failure) => Err(failure),
    };
    store.close().await;
    written?;
    let columns = vec![
        Column::left("service", "service"),
        Column::left("source", "source"),
        Column::right("rows", "rows"),
        Column::left("first", "first"),
        Column::left("last", "last"),
    ];
    query::print(format, &found, columns, "there are no reports in this file")
}

/// What the file need not say.
fn given(args: &ImportReportsArgs, config: &Config) -> Result<Given> {
    if let Some(service) = &args.service {
        file::check_service(service, config).map_err(Failure::usage)?;
    }
    Ok(Given {
        service: args.service.clone(),
        source: args.source.clone(),
        interval_s: args.interval_s,
    })
}

fn look(path: &Path, config: &Config, given: &Given) -> Result<Vec<Row>> {
    let mut found: BTreeMap<(String, String), Row> = BTreeMap::new();
    for hint in Reports::open(path, config, given)? {
        let hint = hint?;
        let row = found
            .entry((hint.service.clone(), hint.source.clone()))
            .or_insert(Row {
                service: hint.service,
                source: hint.source,
                rows: 0,
                first: hint.at,
                last: hint.at,
            });
        row.rows += 1;
        row.first = row.first.min(hint.at);
        row.last = row.last.max(hint.at);
    }
    Ok(found.into_values().collect())
}

fn write(path: &Path, config: &Config, given: &Given, store: &OpenStore) -> Result<()> {
    let section = section(config)?;
    let spool = section.spool_dir.join("import");
    let mut settings = WriterConfig::archive(&spool, store.target.clone());
    settings.spool_max_bytes = section.spool_max;
    let writer = Writer::open(settings).map_err(store_failure)?;
    for hint in Reports::open(path, config, given)? {
        writer.hint(&hint?);
    }
    replay::hand_over(writer, &spool)
}
