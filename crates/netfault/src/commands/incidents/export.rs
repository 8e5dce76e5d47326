//! `netfault incidents export`: a post-mortem in Markdown, from everything that the store knows of an incident.

use std::io::Write;
use std::process::ExitCode;

use netfault_model::Time;
use netfault_store::Client;
use netfault_store::query;

use super::super::explain::{Found, Wanted, find_in_store};
use super::super::query::store;
use super::super::unwritable;
use super::report::{self, Case};
use crate::cli::{ExportArgs, IdDigits};
use crate::exit::{Failure, Result};
use crate::render::{Format, quiet_pipe};
use crate::stores::store_failure;

/// With their evidence; more than anybody reads, and an origin with thousands of prefixes has that many.
const MOST_TRANSITIONS: u64 = 5_000;
const MOST_TROUBLES: u64 = 1_000;
/// Hints before the first evidence: users may notice first.
const BEFORE_US: i64 = 15 * 60 * 1_000_000;
/// And after the end: applications are whole later than routes.
const AFTER_US: i64 = 2 * 3600 * 1_000_000;

pub async fn export(args: ExportArgs, format: Format) -> Result<ExitCode> {
    if format != Format::Table {
        return Err(Failure::usage(
            "a post-mortem is Markdown; for data: netfault incidents show --format json",
        ));
    }
    let (store, client) = store(&args.config).await?;
    let case = case(&client, &args.id).await;
    store.close().await;
    let text = report::markdown(&case?);
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    quiet_pipe(written).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

async fn case(client: &Client, digits: &IdDigits) -> Result<Case> {
    let Found::Incident(history) = find_in_store(client, digits, Wanted::Incident).await? else {
        return Err(Failure::bug(
            "a transition was found where an incident was asked for",
        ));
    };
    let newest = history.newest().clone();
    let end = newest.cleared_at.unwrap_or(newest.at);
    let (first, last): (Time, Time) = (
        newest.first_evidence_at.plus_micros(-BEFORE_US),
        end.plus_micros(AFTER_US),
    );
    let transitions = query::incident_transitions(client, &newest, MOST_TRANSITIONS).await;
    let troubles = query::feed_troubles(client, newest.first_evidence_at, end, MOST_TROUBLES).await;
    let mut hints = query::hints::hints(client, first, last)
        .await
        .map_err(store_failure)?;
    hints.retain(|hint| newest.services.contains(&hint.service));
    Ok(Case {
        history,
        transitions: transitions.map_err(store_failure)?,
        troubles: troubles.map_err(store_failure)?,
        hints,
    })
}
