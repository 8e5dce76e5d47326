//! One file per command: what was asked for in, an exit code out.

mod agent;
mod alert;
mod archives;
mod conf;
mod db;
mod dev;
mod dns;
mod evaluate;
mod explain;
mod import;
mod incidents;
mod query;
mod replay;
mod run;
pub mod silence;
mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigArg};
use crate::config::Config;
use crate::exit::{Failure, Result, sentence};

pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    let format = cli.format;
    match cli.command {
        Command::Run(args) => run::run(&args, format),
        Command::Agent(args) => agent::agent(&args),
        Command::Replay(args) => replay::replay(args, format),
        Command::Evaluate(args) => evaluate::evaluate(args, format),
        Command::Incidents(command) => runtime()?.block_on(incidents::incidents(command, format)),
        Command::Why(args) => why::why(&args, format),
        Command::Explain(args) => runtime()?.block_on(explain::explain(args, format)),
        Command::Query(command) => runtime()?.block_on(query::query(command, format)),
        Command::Import(command) => runtime()?.block_on(import::import(command, format)),
        Command::Dns(command) => runtime()?.block_on(dns::dns(command, format)),
        Command::Config(command) => conf::conf(command),
        Command::Db(command) => runtime()?.block_on(db::db(command, format)),
        Command::Alert(command) => runtime()?.block_on(alert::alert(command, format)),
        Command::Silence(command) => silence::silence(command, format),
        Command::Dev(command) => runtime()?.block_on(dev::dev(command)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(format_args!("no threads for the runtime: {error}")))
}

/// The file that was asked for, or `netfault.yaml` if there is one here.
fn config_file(arg: &ConfigArg) -> Option<PathBuf> {
    let here = Path::new("netfault.yaml");
    arg.config
        .clone()
        .or_else(|| here.exists().then(|| here.to_owned()))
}

/// The configuration in [`config_file`], or the built-in one.
fn load(arg: &ConfigArg) -> Result<Config> {
    let loaded = config_file(arg).map_or_else(Config::builtin, |path| Config::load(&path));
    loaded.map_err(|error| Failure::config(sentence(&error)))
}

fn unwritable(error: std::io::Error) -> Failure {
    Failure::unavailable(format_args!("standard output cannot be written: {error}"))
}
