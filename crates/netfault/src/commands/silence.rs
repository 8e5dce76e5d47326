//! `netfault silence`: what nobody wants to be told for a while. Kept in a file that the running service reads again.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use netfault_alerts::{Matcher, Silence, SilenceFile};
use netfault_model::Time;
use netfault_sources::ris_live::system_clock;
use serde::Serialize;

use super::{load, unwritable};
use crate::cli::ConfigArg;
use crate::config;
use crate::exit::{Failure, Result, sentence};
use crate::render::{Column, Format, RowWriter, quiet_pipe};

#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Silence what matches all conditions; prints the id.
    Add(AddArgs),
    /// Silences that are in force or to come.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Also those that ended in the last week.
        #[arg(long)]
        all: bool,
    },
    /// End a silence now. What is still open is told then.
    Expire {
        #[command(flatten)]
        config: ConfigArg,
        /// Its id, or the first digits of it.
        id: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Keys: severity (3 means 3 or more), service, subject (name, prefix, origin, country, service), name, \
prefix (with its more-specifics), asn, cause, finding, about (target or self), id. Values of one key are alternatives; \
* and ? stand for any text. Names, prefixes and AS numbers match an incident only if all its parts match."
)]
pub struct AddArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Conditions: name=*.example.com prefix=192.0.2.0/24 asn=AS64500 service=shop severity=3 …
    #[arg(value_name = "KEY=VALUE")]
    conditions: Vec<String>,
    /// Everything; instead of conditions.
    #[arg(long, conflicts_with = "conditions")]
    everything: bool,
    /// For so long: 30m, 2h, 1d.
    #[arg(long = "for", value_name = "DURATION", value_parser = config::parse_duration, required_unless_present = "until")]
    lasts: Option<Duration>,
    /// Until then.
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    until: Option<Time>,
    /// From then on, instead of now.
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    #[arg(long, default_value = "")]
    comment: String,
    /// Who says so.
    #[arg(long, env = "USER", default_value = "")]
    by: String,
}

#[derive(Serialize)]
struct Row {
    id: String,
    state: &'static str,
    from: Time,
    until: Time,
    #[serde(rename = "match")]
    conditions: String,
    by: String,
    comment: String,
}

pub fn silence(command: SilenceCommand, format: Format) -> Result<ExitCode> {
    match command {
        SilenceCommand::Add(args) => add(args),
        SilenceCommand::List { config, all } => list(&file(&config)?, all, format),
        SilenceCommand::Expire { config, id } => expire(&file(&config)?, &id),
    }
}

fn file(config: &ConfigArg) -> Result<SilenceFile> {
    Ok(SilenceFile::new(load(config)?.alerts.silences))
}

fn unusable(error: netfault_alerts::silences::SilenceError) -> Failure {
    Failure::unavailable(sentence(&error))
}

fn add(args: AddArgs) -> Result<ExitCode> {
    let now = system_clock()();
    let matcher = Matcher::parse(args.conditions.iter().map(String::as_str)).map_err(Failure::usage)?;
    if matcher.is_empty() && !args.everything {
        return Err(Failure::usage(
            "a silence needs a condition, such as name=*.example.com; --everything silences all",
        ));
    }
    let from = args.from.unwrap_or(now);
    let until = match (args.until, args.lasts) {
        (Some(until), _) => until,
        (None, Some(lasts)) => from + lasts,
        (None, None) => return Err(Failure::usage("give --for or --until")),
    };
    if until <= from.max(now) {
        return Err(Failure::usage(format_args!(
            "the silence would be over before it begins: it ends at {until}"
        )));
    }
    let silence = Silence::new(matcher, from, until, &args.comment, &args.by);
    let id = silence.id.clone();
    let file = file(&args.config)?;
    file.change(|all| all.push(silence), now).map_err(unusable)?;
    println!("{id}");
    tracing::info!("silent from {from} until {until}");
    Ok(ExitCode::SUCCESS)
}

fn state(silence: &Silence, now: Time) -> &'static str {
    match (silence.is_active(now), silence.until <= now) {
        (true, _) => "active",
        (false, true) => "over",
        (false, false) => "to come",
    }
}

fn list(file: &SilenceFile, all: bool, format: Format) -> Result<ExitCode> {
    let now = system_clock()();
    let columns = vec![
        Column::left("id", "id"),
        Column::left("state", "state"),
        Column::left("from", "from"),
        Column::left("until", "until"),
        Column::left("match", "what"),
        Column::left("by", "by"),
        Column::left("comment", "comment"),
    ];
    let mut writer = RowWriter::new(std::io::stdout().lock(), format, columns);
    let silences = file.read().map_err(unusable)?;
    for silence in silences.into_iter().filter(|one| all || one.until > now) {
        let row = Row {
            state: state(&silence, now),
            conditions: silence.matcher.to_string(),
            id: silence.id,
            from: silence.from,
            until: silence.until,
            by: silence.by,
            comment: silence.comment,
        };
        if !quiet_pipe(writer.row(&row)).map_err(unwritable)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    quiet_pipe(writer.finish().map(drop)).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn expire(file: &SilenceFile, digits: &str) -> Result<ExitCode> {
    let now = system_clock()();
    let end = |all: &mut Vec<Silence>| {
        let mut found: Vec<&mut Silence> = all
            .iter_mut()
            .filter(|one| one.until > now && one.id.starts_with(digits))
            .collect();
        match found.as_mut_slice() {
            [] => Err(format!("no silence in force has the id {digits}")),
            [one] => {
                one.from = one.from.min(now);
                one.until = now;
                Ok(one.id.clone())
            }
            several => Err(format!(
                "{} silences begin with {digits}: give more digits",
                several.len()
            )),
        }
    };
    let ended = file.change(end, now).map_err(unusable)?.map_err(Failure::usage)?;
    tracing::info!("silence {ended} is over");
    Ok(ExitCode::SUCCESS)
}
