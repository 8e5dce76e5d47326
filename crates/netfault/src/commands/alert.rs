//! `netfault alert`: does it reach anybody, and what has not?

use std::process::ExitCode;

use netfault_alerts::{Counts, Receiver, Setup, status};
use netfault_model::Time;
use netfault_sources::ris_live::system_clock;
use serde::Serialize;

use super::{load, unwritable};
use crate::cli::{AlertCommand, ConfigArg};
use crate::config::Config;
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, quiet_pipe};

pub async fn alert(command: AlertCommand, format: Format) -> Result<ExitCode> {
    match command {
        AlertCommand::Test { config, whom } => test(&load(&config)?, whom.as_deref()).await,
        AlertCommand::Status(config) => show(&config, format),
    }
}

async fn test(config: &Config, whom: Option<&str>) -> Result<ExitCode> {
    let setup = config.alerts.setup().map_err(Failure::config)?;
    if setup.receivers.is_empty() {
        return Err(Failure::config("the configuration has no alert receivers"));
    }
    let names = match whom {
        Some(name) => named(&setup, name)?,
        None => setup.receivers.iter().map(|one| one.name.clone()).collect(),
    };
    let mut failed = Vec::new();
    for receiver in setup.receivers.iter().filter(|one| names.contains(&one.name)) {
        if !try_out(receiver).await {
            failed.push(receiver.name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::unavailable(format_args!(
        "the test notice did not reach {}",
        failed.join(", ")
    )))
}

async fn try_out(receiver: &Receiver) -> bool {
    match netfault_alerts::test(receiver, system_clock()()).await {
        Ok(()) => {
            eprintln!("{}: accepted", receiver.name);
            true
        }
        Err(error) => {
            eprintln!("{}: {}", receiver.name, sentence(&error));
            false
        }
    }
}

/// The receivers of a route, or a receiver.
fn named(setup: &Setup, name: &str) -> Result<Vec<String>> {
    let routes = &setup.routing.routes;
    if let Some(route) = routes.iter().find(|route| route.name == name) {
        return Ok(route.receivers.clone());
    }
    let receivers: Vec<&str> = setup.receivers.iter().map(|one| one.name.as_str()).collect();
    if receivers.contains(&name) {
        return Ok(vec![name.to_owned()]);
    }
    let routes: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    let what = if routes.is_empty() {
        "receiver"
    } else {
        "receiver or route"
    };
    Err(Failure::usage(format_args!(
        "there is no {what} '{name}'; there are: {}",
        [receivers, routes].concat().join(", ")
    )))
}

/// One receiver in the table.
#[derive(Serialize)]
struct Row {
    receiver: String,
    pending: u64,
    oldest: Option<Time>,
    open: u64,
    accepted: u64,
    retried: u64,
    refused: u64,
    suppressed: u64,
    lost: u64,
    error: String,
}

fn row(receiver: String, counts: Counts) -> Row {
    Row {
        receiver,
        pending: counts.pending,
        oldest: counts.oldest,
        open: counts.open,
        accepted: counts.accepted,
        retried: counts.retried,
        refused: counts.refused,
        suppressed: counts.suppressed,
        lost: counts.overflowed,
        error: counts.last_error.unwrap_or_default(),
    }
}

fn show(config: &ConfigArg, format: Format) -> Result<ExitCode> {
    let config = load(config)?;
    let read = status::read(&config.alerts.outbox);
    let unreadable = |error| Failure::unavailable(format_args!("the status cannot be read: {error}"));
    let Some(status) = read.map_err(unreadable)? else {
        return Err(Failure::unavailable(format_args!(
            "there is no status in {}: no service has run with it yet",
            config.alerts.outbox.display()
        )));
    };
    tracing::info!("as of {}", status.at);
    let columns = vec![
        Column::left("receiver", "receiver"),
        Column::right("pending", "pending"),
        Column::left("oldest", "oldest"),
        Column::right("open", "open"),
        Column::right("accepted", "accepted"),
        Column::right("retried", "retried"),
        Column::right("refused", "refused"),
        Column::right("suppressed", "suppressed"),
        Column::right("lost", "lost"),
        Column::left("error", "last error"),
    ];
    let mut writer = RowWriter::new(std::io::stdout().lock(), format, columns);
    for receiver in status.receivers {
        if !quiet_pipe(writer.row(&row(receiver.name, receiver.counts))).map_err(unwritable)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    quiet_pipe(writer.finish().map(drop)).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}
