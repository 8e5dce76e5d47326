//! `netfault dns walk`: from the root to a name.

use std::io::Write;
use std::process::ExitCode;

use netfault_sources::dns::walk::{Hints, Limits, Walk, run as walk_to};
use netfault_sources::dns::wire::parse_name;
use serde::Serialize;

use super::super::unwritable;
use super::{hints, tree};
use crate::cli::RootArgs;
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, Style, quiet_pipe};

pub async fn run(name: &str, everywhere: bool, root: &RootArgs, format: Format) -> Result<ExitCode> {
    let name = parse_name(name).map_err(|error| Failure::usage(sentence(&error)))?;
    let hints = hints(root)?.unwrap_or_else(Hints::built_in);
    let limits = Limits {
        port: root.port,
        everywhere,
        ..Limits::default()
    };
    let walk = walk_to(&name, &hints, &limits).await;
    quiet_pipe(print(&walk, format)).map_err(unwritable)?;
    Ok(ExitCode::from(walk.verdict.exit_code()))
}

fn print(walk: &Walk, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json | Format::Ndjson => writeln!(out, "{}", serde_json::to_string(walk)?),
        Format::Table => {
            let lines = tree::lines(walk, Style::stdout());
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        }
        Format::Csv => servers(walk, &mut out),
    }
}

/// One server of one zone.
#[derive(Serialize)]
struct Row<'a> {
    zone: &'a str,
    name: &'a str,
    server: String,
    outcome: Option<&'static str>,
    rcode: Option<&'a str>,
    latency_ms: Option<f64>,
}

fn servers(walk: &Walk, out: &mut impl Write) -> std::io::Result<()> {
    let columns = ["zone", "name", "server", "outcome", "rcode", "latency_ms"];
    let columns = columns.map(|key| Column::left(key, key)).to_vec();
    let mut writer = RowWriter::new(out, Format::Csv, columns);
    for zone in &walk.zones {
        for server in &zone.servers {
            writer.row(&Row {
                zone: &zone.zone,
                name: &server.name,
                server: server.server.to_string(),
                outcome: tree::outcome(server),
                rcode: server.rcode.as_deref(),
                latency_ms: server.latency_ms,
            })?;
        }
    }
    writer.finish()?;
    Ok(())
}
