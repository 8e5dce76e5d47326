//! The `netfault` binary: sources and sinks around the engine.
//!
//! * [`cli`] what can be asked for; [`commands`] one file per command
//! * [`config`] one YAML file in, a valid [`config::Config`] out
//! * [`pipeline`] the path of every input, live or replayed: journal, store, engine, printer, alerts
//! * [`notifier`] what the engine says → what people are told
//! * [`checkpoint`] the engine's state on disk
//! * [`heal`] a hole in a feed filled from the archive
//! * [`stores`] the ClickHouse of the configuration, a server or the embedded engine
//! * [`render`] data on standard output; [`log`] everything else on standard error
//! * [`exit`] how a command ends

mod checkpoint;
mod cli;
mod commands;
mod config;
mod exit;
mod heal;
mod log;
mod notifier;
mod pipeline;
mod render;
mod stores;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print(); // a closed standard error leaves nobody to tell
            return if asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(exit::Code::Usage as u8)
            };
        }
    };
    log::start(cli.quiet, cli.verbose);
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("netfault: {failure}");
            failure.exit_code()
        }
    }
}
