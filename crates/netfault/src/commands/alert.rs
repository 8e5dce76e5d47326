//! `netfault alert`: does it reach anybody?

use std::process::ExitCode;

use netfault_sources::ris_live::system_clock;

use super::load;
use crate::cli::AlertCommand;
use crate::exit::{Failure, Result, sentence};

pub async fn alert(command: AlertCommand) -> Result<ExitCode> {
    let AlertCommand::Test { config, receiver } = command;
    let receivers = load(&config)?.receivers().map_err(Failure::config)?;
    let known: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    if let Some(name) = &receiver
        && !known.contains(&name.as_str())
    {
        return Err(Failure::usage(format_args!(
            "there is no receiver '{name}'; there are: {}",
            known.join(", ")
        )));
    }
    if receivers.is_empty() {
        return Err(Failure::config("the configuration has no alert receivers"));
    }
    let mut failed = Vec::new();
    for one in receivers
        .iter()
        .filter(|one| receiver.as_ref().is_none_or(|name| *name == one.name))
    {
        match netfault_alerts::test(one, system_clock()()).await {
            Ok(()) => eprintln!("{}: accepted", one.name),
            Err(error) => {
                eprintln!("{}: {}", one.name, sentence(&error));
                failed.push(one.name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::unavailable(format_args!(
        "the test notice did not reach {}",
        failed.join(", ")
    )))
}
