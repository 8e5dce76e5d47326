//! `netfault db`: migrate, status, sql, serve.

use std::io::{Read, Write};
use std::process::ExitCode;

use netfault_store::embedded::{self, Ready, ServeOptions};
use netfault_store::{Client, migrate};
use serde::Serialize;

use super::{load, unwritable};
use crate::cli::{ConfigArg, DbCommand, ServeArgs};
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, quiet_pipe};
use crate::stores::{OpenStore, section, store_failure};

pub async fn db(command: DbCommand, format: Format) -> Result<ExitCode> {
    match command {
        DbCommand::Serve(args) => serve(args).await,
        DbCommand::Migrate(config) => {
            let store = open(&config).await?;
            let done = store.prepared().await;
            let listed = match done {
                Ok(client) => list(&client, format).await,
                Err(failure) => Err(failure),
            };
            store.close().await;
            listed
        }
        DbCommand::Status(config) => {
            let store = open(&config).await?;
            let listed = match Client::connect_server(&store.target).await {
                Ok(client) => list(&client, format).await,
                Err(error) => Err(store_failure(error)),
            };
            store.close().await;
            listed
        }
        DbCommand::Sql { config, statement } => {
            let statement = match statement {
                Some(statement) => statement,
                None => read_statement()?,
            };
            let store = open(&config).await?;
            let done = sql(&store, &statement, format).await;
            store.close().await;
            done
        }
    }
}

async fn open(config: &ConfigArg) -> Result<OpenStore> {
    OpenStore::join(section(&load(config)?)?).await
}

fn read_statement() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format_args!("standard input is no SQL text: {error}")))?;
    if text.trim().is_empty() {
        Err(Failure::usage("there is no SQL statement"))
    } else {
        Ok(text)
    }
}

async fn sql(store: &OpenStore, statement: &str, format: Format) -> Result<ExitCode> {
    let client = Client::new(&store.target);
    let name = match format {
        Format::Table => "PrettyCompactMonoBlock",
        Format::Json => "JSON",
        Format::Ndjson => "JSONEachRow",
        Format::Csv => "CSVWithNames",
    };
    let mut answer = client.sql(statement, name).map_err(store_failure)?;
    let mut out = std::io::stdout().lock();
    while let Some(piece) = answer.next().await.map_err(store_failure)? {
        if !quiet_pipe(out.write_all(&piece)).map_err(unwritable)? {
            break;
        }
    }
    quiet_pipe(out.flush()).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct MigrationRow {
    number: u32,
    name: String,
    state: String,
}

async fn list(client: &Client, format: Format) -> Result<ExitCode> {
    let status = migrate::status(client)
        .await
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    let columns = vec![
        Column::right("number", "number"),
        Column::left("name", "migration"),
        Column::left("state", "state"),
    ];
    let mut writer = RowWriter::new(std::io::stdout().lock(), format, columns);
    for migration in status {
        let row = MigrationRow {
            number: migration.number,
            name: migration.name.to_string(),
            state: migration
                .applied_at
                .map_or("not applied".to_owned(), |at| format!("applied {at}")),
        };
        if !quiet_pipe(writer.row(&row)).map_err(unwritable)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    quiet_pipe(writer.finish().map(drop)).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: ServeArgs) -> Result<ExitCode> {
    let mut options = ServeOptions::new(&args.dir);
    options.listen = args.listen;
    options.user = args.user;
    options.password = args.password;
    options.libchdb = args.libchdb;
    options.stop_with_stdin = args.stop_with_stdin;
    options.ready = args.ready_fd.map_or(Ready::Stdout, Ready::Fd);
    embedded::serve(options)
        .await
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    Ok(ExitCode::SUCCESS)
}
