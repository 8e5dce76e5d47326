//! `netfault why`: is it the network? From the state that the service saves, and its journal since: the same engine answers that decides.

use std::io::Write;
use std::process::ExitCode;

use netfault_engine::Engine;
use netfault_engine::cause::{Answer, Word};
use netfault_model::{State, Time};

use super::run::restore;
use super::{load, unwritable};
use crate::cli::WhyArgs;
use crate::exit::{Failure, Result};
use crate::pipeline::{Pipeline, Sinks};
use crate::render::{Format, Style, quiet_pipe};

pub fn why(args: &WhyArgs, format: Format) -> Result<ExitCode> {
    let config = load(&args.config)?;
    let nobody: Sinks<std::io::Sink> = Sinks {
        printer: None,
        recorder: None,
        notifier: None,
        observer: None,
    };
    let mut pipeline = Pipeline::new(&config, nobody);
    let (_stop, running) = tokio::sync::watch::channel(false);
    if restore::restore(&mut pipeline, &config, &running)?.is_none() {
        let dir = config.data_dir.display();
        return Err(Failure::unavailable(format_args!(
            "nothing is known yet: there is neither a saved state nor a journal in {dir}; does `netfault run` use this configuration?"
        )));
    }
    let engine: &Engine = pipeline.engine();
    let Some(answer) = engine.answer(&args.what) else {
        return Err(Failure::usage(format_args!(
            "'{}' is neither a service of the configuration nor a name that was asked about",
            args.what
        )));
    };
    quiet_pipe(print(&answer, format)).map_err(unwritable)?;
    Ok(ExitCode::from(match answer.answer {
        Word::NoNetworkFault => 0,
        Word::Unwell => 1,
        Word::Incident => 2,
        Word::Unknown => 3,
    }))
}

fn print(answer: &Answer, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json | Format::Ndjson => writeln!(out, "{}", serde_json::to_string(answer)?),
        Format::Csv => csv(answer, &mut out),
        Format::Table => page(answer, &mut out),
    }
}

fn page(answer: &Answer, out: &mut impl Write) -> std::io::Result<()> {
    let style = Style::stdout();
    let state = match answer.answer {
        Word::NoNetworkFault => State::Ok,
        Word::Unwell => State::Degraded,
        Word::Incident => State::Out,
        Word::Unknown => State::Unknown,
    };
    writeln!(out, "{}", style.state(state, &answer.summary))?;
    writeln!(out, "as of {}", second(answer.at))?;
    for incident in &answer.incidents {
        let since = second(incident.since);
        writeln!(
            out,
            "\nincident {}  severity {}  since {since}\n  {}",
            incident.id, incident.severity, incident.summary
        )?;
    }
    writeln!(out)?;
    for name in &answer.names {
        let servers = format!("{} of {} name servers answer", name.servers_up, name.servers);
        let state = style.state(name.state, &format!("{:<10}", name.state.name()));
        writeln!(out, "{:<24}  {state}  {servers}", name.name)?;
    }
    for prefix in &answer.prefixes {
        let origin = prefix
            .route
            .origin
            .map(|origin| origin.to_string())
            .unwrap_or_default();
        let state = style.state(prefix.state, &format!("{:<10}", prefix.state.name()));
        writeln!(out, "{:<24}  {state}  {origin}", prefix.route.prefix.to_string())?;
    }
    for hint in &answer.hints {
        writeln!(out, "hint: {hint}")?;
    }
    Ok(())
}

fn csv(answer: &Answer, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "subject,state")?;
    for name in &answer.names {
        writeln!(out, "{},{}", name.name, name.state.name())?;
    }
    for prefix in &answer.prefixes {
        writeln!(out, "{},{}", prefix.route.prefix, prefix.state.name())?;
    }
    Ok(())
}

/// `2021-10-04 15:52:40Z`
fn second(at: Time) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock}Z"),
        _ => text,
    }
}
