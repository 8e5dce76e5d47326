//! `netfault dns check`: every server of a name, once.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use netfault_sources::dns::check::{CheckOptions, CheckReport, check};
use netfault_sources::dns::walk::Limits;
use serde::Serialize;

use super::super::unwritable;
use super::{findings, hints, servers};
use crate::cli::RootArgs;
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, Style, quiet_pipe};

pub async fn run(
    name: &str,
    resolvers: &[String],
    authorities: &[String],
    root: &RootArgs,
    format: Format,
) -> Result<ExitCode> {
    let options = CheckOptions {
        resolvers: servers(resolvers)?,
        authorities: servers(authorities)?,
        hints: hints(root)?,
        limits: Limits {
            port: root.port,
            ..Limits::default()
        },
        ..CheckOptions::default()
    };
    let report = check(name, &options)
        .await
        .map_err(|error| Failure::usage(sentence(&error)))?;
    quiet_pipe(print(&report, format)).map_err(unwritable)?;
    Ok(ExitCode::from(report.verdict.exit_code()))
}

/// One row of the table: JSON has the whole report instead.
#[derive(Serialize)]
struct Row<'a> {
    role: &'static str,
    server: SocketAddr,
    question: String,
    outcome: &'static str,
    rcode: Option<&'a str>,
    latency_ms: f64,
    ttl: Option<u32>,
    ede: Option<String>,
    answers: String,
}

fn print(report: &CheckReport, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if matches!(format, Format::Json | Format::Ndjson) {
        return writeln!(out, "{}", serde_json::to_string(report)?);
    }
    let columns = [
        ("role", "role"),
        ("server", "server"),
        ("question", "question"),
        ("outcome", "outcome"),
        ("rcode", "rcode"),
        ("latency_ms", "ms"),
        ("ttl", "TTL"),
        ("ede", "EDE"),
        ("answers", "answers"),
    ];
    let right = ["latency_ms", "ttl"];
    let columns = columns.map(|(key, title)| {
        if right.contains(&key) {
            Column::right(key, title)
        } else {
            Column::left(key, title)
        }
    });
    let mut writer = RowWriter::new(&mut out, format, columns.to_vec());
    for probe in &report.probes {
        writer.row(&Row {
            role: probe.role.name(),
            server: probe.server,
            question: format!("{} {}", probe.qname, probe.qtype),
            outcome: probe.outcome.name(),
            rcode: probe.rcode.as_deref(),
            latency_ms: (probe.latency_ms * 10.0).round() / 10.0,
            ttl: probe.ttl,
            ede: probe
                .ede
                .as_ref()
                .map(|ede| format!("{} {}", ede.code, ede.text).trim_end().to_owned()),
            answers: shorten(&probe.answers.join(" "), 60),
        })?;
    }
    writer.finish()?;
    if format == Format::Table {
        let style = Style::stdout();
        for line in findings(&report.findings, style) {
            writeln!(out, "{line}")?;
        }
        let verdict = super::coloured(report.verdict, style);
        writeln!(out, "{} is {verdict}", report.name)?;
    }
    Ok(())
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
