//! `netfault config`: check, init, print.

use std::io::Write;
use std::process::ExitCode;

use super::{load, unwritable};
use crate::cli::ConfigCommand;
use crate::config;
use crate::exit::{Failure, Result, sentence};
use crate::render::quiet_pipe;

pub fn conf(command: ConfigCommand) -> Result<ExitCode> {
    let text = match command {
        ConfigCommand::Check(arg) => load(&arg)?.describe().join("\n") + "\n",
        ConfigCommand::Print(arg) => load(&arg)?
            .to_yaml()
            .map_err(|error| Failure::bug(sentence(&error)))?,
        ConfigCommand::Init { path } => {
            config::init(&path).map_err(|error| Failure::config(sentence(&error)))?;
            eprintln!(
                "wrote {}; check it with: netfault config check -c {}",
                path.display(),
                path.display()
            );
            return Ok(ExitCode::SUCCESS);
        }
    };
    quiet_pipe(std::io::stdout().lock().write_all(text.as_bytes())).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}
