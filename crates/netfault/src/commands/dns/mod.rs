//! `netfault dns`: ask DNS servers, now.
//!
//! * [`check`] every server of a name, once; [`options`] what to ask, [`routes`] where the servers are in the routing table
//! * [`watch`] the same again and again; [`changes`] what is different
//! * [`walk`] from the root to a name, as a [`tree`]

mod changes;
mod check;
mod options;
mod routes;
mod tree;
mod walk;
mod watch;

use std::net::SocketAddr;
use std::process::ExitCode;

use netfault_model::{Finding, State};
use netfault_sources::dns::check::Verdict;
use netfault_sources::dns::walk::findings::Level;
use netfault_sources::dns::walk::{Hints, WalkFinding};

use crate::cli::{DnsCommand, RootArgs};
use crate::config::parse_server;
use crate::exit::{Failure, Result};
use crate::render::{Format, Style};

pub async fn dns(command: DnsCommand, format: Format) -> Result<ExitCode> {
    match command {
        DnsCommand::Check(args) => check::run(&args, format).await,
        DnsCommand::Watch(args) => watch::run(&args, format).await,
        DnsCommand::Walk {
            name,
            every_server,
            root,
        } => walk::run(&name, every_server, &root, format).await,
    }
}

fn servers(texts: &[String]) -> Result<Vec<SocketAddr>> {
    texts
        .iter()
        .map(|text| parse_server(text).map_err(Failure::usage))
        .collect()
}

/// The user's root; `None`: that of the Internet.
fn hints(root: &RootArgs) -> Result<Option<Hints>> {
    let Some(path) = &root.root_hints else {
        return Ok(None);
    };
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::data(format!("{place}: {error}")))?;
    let hints =
        Hints::parse(&text).map_err(|bad| Failure::data(format!("{place}:{}: {}", bad.line, bad.why)))?;
    Ok(Some(hints))
}

/// One line for each, faults first.
fn findings(findings: &[WalkFinding], style: Style) -> Vec<String> {
    let mut sorted: Vec<&WalkFinding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    sorted
        .iter()
        .map(|finding| {
            let (state, level) = match finding.level {
                Level::Fault => (State::Degraded, "fault"),
                Level::Risk => (State::Unknown, "risk "),
            };
            let zone = match finding.zone.as_str() {
                "." => "the root",
                zone => zone,
            };
            format!("{}  {zone}: {}", style.state(state, level), finding.text)
        })
        .collect()
}

fn coloured(verdict: Verdict, style: Style) -> String {
    let state = match verdict {
        Verdict::Ok => State::Ok,
        Verdict::Degraded => State::Degraded,
        Verdict::Out => State::Out,
        Verdict::Unknown => State::Unknown,
    };
    style.state(state, verdict.name())
}

/// `authority_partial` in words.
fn words(finding: Finding) -> String {
    let name = serde_json::to_value(finding).ok();
    let name = name
        .as_ref()
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    name.replace('_', " ")
}
