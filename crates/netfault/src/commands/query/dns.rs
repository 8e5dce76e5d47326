//! `netfault query dns` and `dns-health`: which names failed and at which servers, and how servers did.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use netfault_model::Time;
use netfault_store::query::{
    self, DnsFailure, DnsFailureFilter, FailingServer, Health, HealthFilter, dns_failures,
};
use serde::Serialize;

use super::{ask, print};
use crate::cli::{DnsArgs, HealthArgs};
use crate::commands::unwritable;
use crate::exit::Result;
use crate::render::{Column, Format, RowWriter, moment, moment_beside, quiet_pipe};

/// A failure of a name, with who failed in it where that was asked for.
#[derive(Serialize)]
struct Failure {
    #[serde(flatten)]
    failure: DnsFailure,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<FailingServer>>,
}

pub async fn failures(args: DnsArgs, format: Format) -> Result<ExitCode> {
    let filter = DnsFailureFilter {
        name: args.name.clone(),
        since: args.span.since,
        until: args.span.until,
        limit: args.span.limit,
    };
    let with_servers = args.servers || args.name.is_some();
    let found = ask(&args.config, async |client| {
        let mut found = Vec::new();
        for failure in dns_failures(&client, &filter).await? {
            let servers = match with_servers {
                true => Some(query::failing_servers(&client, &failure).await?),
                false => None,
            };
            found.push(Failure { failure, servers });
        }
        Ok(found)
    })
    .await?;
    let nothing = "no name failed in that span";
    match format {
        Format::Table if with_servers && !found.is_empty() => page(&found),
        Format::Csv if with_servers => print(format, &flat(&found), flat_columns(), nothing),
        _ => print(format, &found, failure_columns(), nothing),
    }
}

/// Each failure as a paragraph: what it was, then its servers.
fn page(found: &[Failure]) -> Result<ExitCode> {
    let mut text = String::new();
    for (n, Failure { failure, servers }) in found.iter().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        // A String takes everything.
        let _ = writeln!(text, "{}", sentence(failure));
        let rows: Vec<ServerRow> = servers
            .iter()
            .flatten()
            .map(|it| ServerRow::of(it, failure))
            .collect();
        if rows.is_empty() {
            text.push_str("  no probe of it is left in the store\n");
            continue;
        }
        let mut table = Vec::new();
        let mut writer = RowWriter::new(&mut table, Format::Table, server_columns());
        // Writing into memory does not fail.
        let _ = rows.iter().try_for_each(|row| writer.row(row));
        let _ = writer.finish();
        for line in String::from_utf8_lossy(&table).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    quiet_pipe(written).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

/// `example.com was out from 2021-10-04 15:51:22Z until 21:20:00 (authority unreachable; 0 of 4 servers)`
fn sentence(failure: &DnsFailure) -> String {
    let until = match failure.recovered_at {
        Some(at) => format!(" until {}", moment_beside(at, failure.failed_at)),
        None => format!(", is {} now", failure.state.name()),
    };
    let mut facts = Vec::new();
    if let Some(finding) = failure.finding {
        let word = serde_json::to_value(finding).unwrap_or_default();
        facts.push(word.as_str().unwrap_or_default().replace('_', " "));
    }
    if let (Some(ok), Some(of)) = (failure.servers_ok, failure.servers_eligible) {
        facts.push(format!("{ok} of {of} servers were well"));
    }
    let facts = match facts.is_empty() {
        true => String::new(),
        false => format!(" ({})", facts.join("; ")),
    };
    format!(
        "{} was {} from {}{until}{facts}",
        failure.name,
        failure.worst.name(),
        moment(failure.failed_at)
    )
}

/// A server in a table for people.
#[derive(Serialize)]
struct ServerRow {
    role: String,
    server: String,
    first: String,
    last: String,
    failed: u64,
    probes: u64,
    how: String,
}

impl ServerRow {
    fn of(it: &FailingServer, failure: &DnsFailure) -> ServerRow {
        ServerRow {
            role: it.role.clone(),
            server: endpoint(it.server, it.port),
            first: moment_beside(it.first_failure_at, failure.failed_at),
            last: moment_beside(it.last_failure_at, failure.failed_at),
            failed: it.failed,
            probes: it.probes,
            how: outcomes(&it.outcomes),
        }
    }
}

fn server_columns() -> Vec<Column> {
    vec![
        Column::left("role", "role"),
        Column::left("server", "server"),
        Column::left("first", "first failure"),
        Column::left("last", "last failure"),
        Column::right("failed", "failed"),
        Column::right("probes", "of"),
        Column::left("how", "outcomes"),
    ]
}

/// One row a server, for CSV.
#[derive(Serialize)]
struct Flat<'a> {
    name: &'a str,
    failed_at: Time,
    recovered_at: Option<Time>,
    #[serde(flatten)]
    server: &'a FailingServer,
    how: String,
}

fn flat(found: &[Failure]) -> Vec<Flat<'_>> {
    let mut rows = Vec::new();
    for failure in found {
        let servers = failure.servers.iter().flatten();
        rows.extend(servers.map(|server| Flat::of(&failure.failure, server)));
    }
    rows
}

impl<'a> Flat<'a> {
    fn of(failure: &'a DnsFailure, server: &'a FailingServer) -> Flat<'a> {
        Flat {
            name: &failure.name,
            failed_at: failure.failed_at,
            recovered_at: failure.recovered_at,
            server,
            how: outcomes(&server.outcomes),
        }
    }
}

fn flat_columns() -> Vec<Column> {
    [
        "name",
        "failed_at",
        "recovered_at",
        "role",
        "server",
        "port",
        "first_failure_at",
        "last_failure_at",
        "failed",
        "probes",
        "how",
        "vantages",
    ]
    .map(|key| Column::left(key, key))
    .to_vec()
}

fn failure_columns() -> Vec<Column> {
    vec![
        Column::left("name", "name"),
        Column::left("first_evidence_at", "first failure"),
        Column::left("out_at", "out"),
        Column::left("recovered_at", "ok again"),
        Column::right("duration_s", "failed for, s"),
        Column::left("worst", "worst"),
        Column::left("finding", "finding"),
        Column::right("servers_ok", "servers ok"),
        Column::right("servers_eligible", "of"),
        Column::left("state", "state"),
    ]
}

pub async fn health(args: HealthArgs, format: Format) -> Result<ExitCode> {
    let filter = HealthFilter {
        name: args.name,
        server: args.server,
        since: args.span.since,
        until: args.span.until,
        step_s: args.step,
        limit: args.span.limit,
    };
    let found = ask(&args.config, async |client| {
        query::dns_health(&client, &filter).await
    })
    .await?;
    let nothing = "there is no DNS probe in that span";
    match format {
        Format::Json | Format::Ndjson => print(format, &found, Vec::new(), nothing),
        Format::Csv => print(format, &found, health_columns(), nothing),
        Format::Table => {
            let rows: Vec<HealthRow> = found.iter().map(HealthRow::of).collect();
            print(format, &rows, health_table(), nothing)
        }
    }
}

/// A step of one server in a table for people.
#[derive(Serialize)]
struct HealthRow {
    at: String,
    name: String,
    role: String,
    server: String,
    vantage: String,
    ok: u64,
    probes: u64,
    p50: Option<String>,
    p95: Option<String>,
    how: String,
}

impl HealthRow {
    fn of(it: &Health) -> HealthRow {
        let millis = |value: Option<f64>| value.map(|value| format!("{value:.1}"));
        HealthRow {
            at: moment(it.at),
            name: it.name.clone(),
            role: it.role.replace('_', " "),
            server: endpoint(it.server, it.port),
            vantage: it.vantage.clone(),
            ok: it.ok,
            probes: it.probes,
            p50: millis(it.latency_p50_ms),
            p95: millis(it.latency_p95_ms),
            how: outcomes(&it.outcomes),
        }
    }
}

fn health_table() -> Vec<Column> {
    vec![
        Column::left("at", "from"),
        Column::left("name", "name"),
        Column::left("role", "role"),
        Column::left("server", "server"),
        Column::left("vantage", "vantage"),
        Column::right("ok", "ok"),
        Column::right("probes", "of"),
        Column::right("p50", "median, ms"),
        Column::right("p95", "95 %, ms"),
        Column::left("how", "outcomes"),
    ]
}

fn health_columns() -> Vec<Column> {
    [
        "at",
        "name",
        "role",
        "server",
        "port",
        "vantage",
        "probes",
        "ok",
        "failed",
        "outcomes",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
    ]
    .map(|key| Column::left(key, key))
    .to_vec()
}

/// The port only where it is not the usual one.
fn endpoint(addr: std::net::IpAddr, port: u16) -> String {
    match port {
        53 => addr.to_string(),
        _ => std::net::SocketAddr::new(addr, port).to_string(),
    }
}

/// `timeout 6, ok 3`: the most frequent first.
fn outcomes(outcomes: &std::collections::BTreeMap<String, u64>) -> String {
    let mut all: Vec<_> = outcomes.iter().collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
    let words: Vec<String> = all
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words.join(", ")
}
