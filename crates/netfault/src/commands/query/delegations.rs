//! `netfault query delegations`: whom names depend on, and which names depend on a prefix.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use netfault_model::{Delegation, Output, Prefix, Route};
use netfault_store::query::{self, DelegationFilter};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{ask, print};
use crate::cli::DelegationArgs;
use crate::commands::unwritable;
use crate::exit::{Failure, Result};
use crate::render::{Column, Format, event_line, moment, quiet_pipe};

pub async fn list(args: DelegationArgs, format: Format) -> Result<ExitCode> {
    let filter = DelegationFilter {
        name: args.name.clone(),
        prefix: args.prefix,
        since: args.since,
        until: args.until,
        limit: args.limit,
    };
    let found = ask(&args.config, async |client| {
        query::delegations(&client, &filter).await
    })
    .await?;
    let nothing = match args.prefix {
        Some(prefix) => format!("no watched name is known to depend on {prefix}"),
        None => "no delegation is known".to_owned(),
    };
    if matches!(format, Format::Json | Format::Ndjson) {
        let events: Vec<Box<RawValue>> = found.into_iter().map(event).collect::<Result<_>>()?;
        return print(format, &events, Vec::new(), &nothing);
    }
    let rows: Vec<Row> = found.iter().flat_map(|it| rows(it, args.prefix)).collect();
    let code = print(format, &rows, columns(format), &nothing)?;
    if format == Format::Table && args.name.is_some() {
        findings(&found)?;
    }
    Ok(code)
}

/// As in the ndjson of the service.
fn event(delegation: Delegation) -> Result<Box<RawValue>> {
    event_line(&Output::Delegation(Box::new(delegation)))
        .and_then(RawValue::from_string)
        .map_err(|error| Failure::bug(format_args!("a delegation is not JSON: {error}")))
}

/// One address that a name depends on.
#[derive(Serialize)]
struct Row {
    name: String,
    role: &'static str,
    zone: String,
    server: String,
    addr: String,
    outcome: &'static str,
    prefix: String,
    origin: String,
    at: String,
    vantage: String,
}

/// With a prefix only the addresses in it.
fn rows(delegation: &Delegation, within: Option<Prefix>) -> Vec<Row> {
    let row = |role, route: Option<Route>| Row {
        name: delegation.name.clone(),
        role,
        zone: String::new(),
        server: String::new(),
        addr: String::new(),
        outcome: "",
        prefix: route.map(|route| route.prefix.to_string()).unwrap_or_default(),
        origin: route
            .and_then(|route| route.origin)
            .map(|origin| origin.to_string())
            .unwrap_or_default(),
        at: moment(delegation.at),
        vantage: delegation.vantage.clone(),
    };
    let is_in = |addr| within.is_none_or(|prefix| prefix.net().contains(&addr));
    let servers = delegation.servers.iter().filter(|it| is_in(it.addr));
    let servers = servers.map(|it| Row {
        zone: it.zone.clone(),
        server: it.name.clone(),
        addr: it.addr.to_string(),
        outcome: it.outcome.map_or("not asked", |outcome| outcome.name()),
        ..row("ns", it.route)
    });
    let addresses = delegation.addresses.iter().filter(|it| is_in(it.addr));
    let addresses = addresses.map(|it| Row {
        addr: it.addr.to_string(),
        ..row("address", it.route)
    });
    servers.chain(addresses).collect()
}

fn columns(format: Format) -> Vec<Column> {
    let all = [
        ("name", "name"),
        ("role", "role"),
        ("zone", "zone"),
        ("server", "server"),
        ("addr", "address"),
        ("outcome", "answered"),
        ("prefix", "prefix"),
        ("origin", "origin AS"),
        ("at", "as of"),
        ("vantage", "seen from"),
    ];
    all.map(|(key, title)| Column::left(key, if format == Format::Csv { key } else { title }))
        .to_vec()
}

/// Below the table: how the walks ended that say more than addresses.
fn findings(found: &[Delegation]) -> Result<()> {
    let mut text = String::new();
    for delegation in found {
        let from = format!("{} from {}", moment(delegation.at), delegation.vantage);
        // A String takes everything.
        if !delegation.complete {
            let _ = writeln!(
                text,
                "{from}: the walk did not come to the zone: {}",
                delegation.end
            );
        }
        if delegation.frozen {
            let _ = writeln!(text, "{from}: kept as it was, since the name or its routes fail");
        }
        for finding in &delegation.findings {
            let kind = if finding.fault { "fault" } else { "risk" };
            let _ = writeln!(text, "{from}: {kind}  {}: {}", finding.zone, finding.text);
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let written = writeln!(out).and_then(|()| out.write_all(text.as_bytes()));
    quiet_pipe(written.and_then(|()| out.flush())).map_err(unwritable)?;
    Ok(())
}
