//! `netfault dns check`: every server of a name, once.

use std::io::Write;
use std::process::ExitCode;

use netfault_model::{Finding, Prefix};
use netfault_sources::dns::check::{CheckOptions, CheckProbe, CheckReport, ask_all};
use serde::Serialize;

use super::super::unwritable;
use super::findings;
use super::options::options;
use super::routes::Known;
use crate::cli::CheckArgs;
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, Style, quiet_pipe};

pub async fn run(args: &CheckArgs, format: Format) -> Result<ExitCode> {
    let options = CheckOptions {
        as_application: true,
        ..options(args)?
    };
    let report = report(args, &options, &mut Known::new(&args.routes)?).await?;
    quiet_pipe(print(&report, format)).map_err(unwritable)?;
    Ok(ExitCode::from(report.verdict.exit_code()))
}

pub async fn report(args: &CheckArgs, options: &CheckOptions, known: &mut Known) -> Result<CheckReport> {
    let checked = ask_all(&args.name, options).await;
    let checked = checked.map_err(|error| Failure::usage(sentence(&error)))?;
    known.look_up(checked.addrs()).await?;
    let origins = args.expect.origins.iter().copied().collect();
    Ok(checked.report(&origins, &|addr| known.of(addr)))
}

/// One row of the table: JSON has the whole report instead.
#[derive(Serialize)]
struct Row<'a> {
    role: &'static str,
    server: String,
    question: String,
    outcome: &'static str,
    rcode: Option<&'a str>,
    latency_ms: f64,
    ttl: Option<u32>,
    ede: Option<String>,
    dnssec: Option<&'static str>,
    nsid: Option<&'a str>,
    prefix: Option<Prefix>,
    origin: Option<String>,
    answers: String,
    detail: Option<&'a str>,
}

/// Columns in their order, and whether a table may leave them out when there is nothing in them.
const COLUMNS: [(&str, &str, bool); 14] = [
    ("role", "role", false),
    ("server", "server", false),
    ("question", "question", false),
    ("outcome", "outcome", false),
    ("rcode", "rcode", false),
    ("latency_ms", "ms", false),
    ("ttl", "TTL", false),
    ("ede", "EDE", true),
    ("dnssec", "DNSSEC", true),
    ("nsid", "NSID", true),
    ("prefix", "prefix", true),
    ("origin", "origin", true),
    ("answers", "answers", false),
    ("detail", "detail", true),
];

/// As it was written, where it is not simply asked over UDP.
pub fn server(probe: &CheckProbe) -> String {
    match &probe.via {
        Some(resolver) => resolver.to_string(),
        None => probe.server.to_string(),
    }
}

fn row(probe: &CheckProbe) -> Row<'_> {
    Row {
        role: probe.role.name(),
        server: server(probe),
        question: format!("{} {}", probe.qname, probe.qtype),
        outcome: probe.outcome.name(),
        rcode: probe.rcode.as_deref(),
        latency_ms: (probe.latency_ms * 10.0).round() / 10.0,
        ttl: probe.ttl,
        ede: probe
            .ede
            .as_ref()
            .map(|ede| format!("{} {}", ede.code, ede.text).trim_end().to_owned()),
        dnssec: probe.dnssec.map(|security| security.name()),
        nsid: probe.nsid.as_deref(),
        prefix: probe.prefix,
        origin: probe.origin.map(|asn| asn.to_string()),
        answers: shorten(&probe.answers.join(" "), 60),
        detail: probe.detail.as_deref(),
    }
}

fn columns(report: &CheckReport, format: Format) -> Vec<Column> {
    let any = |has: &dyn Fn(&CheckProbe) -> bool| report.all_probes().any(has);
    let is_filled = |key: &str| match key {
        "ede" => any(&|probe| probe.ede.is_some()),
        "dnssec" => any(&|probe| probe.dnssec.is_some()),
        "nsid" => any(&|probe| probe.nsid.is_some()),
        "prefix" | "origin" => any(&|probe| probe.prefix.is_some()),
        "detail" => any(&|probe| probe.detail.is_some()),
        _ => true,
    };
    COLUMNS
        .iter()
        .filter(|(key, _, optional)| !optional || format != Format::Table || is_filled(key))
        .map(|(key, title, _)| match *key {
            "latency_ms" | "ttl" => Column::right(key, title),
            _ => Column::left(key, title),
        })
        .collect()
}

fn print(report: &CheckReport, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if matches!(format, Format::Json | Format::Ndjson) {
        return writeln!(out, "{}", serde_json::to_string(report)?);
    }
    let mut writer = RowWriter::new(&mut out, format, columns(report, format));
    for probe in report.all_probes() {
        writer.row(&row(probe))?;
    }
    writer.finish()?;
    if format == Format::Table {
        let style = Style::stdout();
        for line in findings(&report.findings, style) {
            writeln!(out, "{line}")?;
        }
        let verdict = super::coloured(report.verdict, style);
        let finding = match report.finding {
            Finding::None => String::new(),
            finding => format!(": {}", super::words(finding)),
        };
        writeln!(out, "{} is {verdict}{finding}", report.name)?;
    }
    Ok(())
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
