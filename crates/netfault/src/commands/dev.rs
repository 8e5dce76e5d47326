//! `netfault dev`: tools for those who work on netfault.

use std::process::ExitCode;
use std::time::Duration;

use netfault_sources::mrt;
use netfault_sources::ris_live::server::{self, Faults, ServedFile, ServerConfig, Speed, Stamps};
use tokio::sync::{oneshot, watch};

use crate::cli::{DevCommand, RisLiveServerArgs};
use crate::exit::{Failure, Result, sentence};

pub async fn dev(command: DevCommand) -> Result<ExitCode> {
    match command {
        DevCommand::RisLiveServer(args) => ris_live_server(args).await,
    }
}

async fn ris_live_server(args: RisLiveServerArgs) -> Result<ExitCode> {
    let config = server_config(&args)?;
    let (ready, bound) = oneshot::channel();
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(server::serve(config, ready, stopping));
    if let Ok(address) = bound.await {
        println!("ws://{address}/v1/ws/");
    }
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = stop.send(true);
        }
        std::future::pending::<()>().await; // the sender lives as long as the server
    });
    let served = serving
        .await
        .map_err(|error| Failure::bug(format_args!("the server ended badly: {error}")))?;
    let served = served.map_err(|error| Failure::unavailable(sentence(&error)))?;
    tracing::info!(
        messages = served.messages,
        unreadable = served.unreadable,
        "served"
    );
    Ok(ExitCode::SUCCESS)
}

fn server_config(args: &RisLiveServerArgs) -> Result<ServerConfig> {
    let files = mrt::discover(&args.files).map_err(|error| Failure::data(sentence(&error)))?;
    let files = files
        .into_iter()
        .map(|file| ServedFile {
            path: file.path,
            collector: file.collector.name().to_owned(),
        })
        .collect();
    let mut config = ServerConfig::new(args.listen, files);
    config.speed = speed(&args.speed)?;
    config.stamps = if args.now { Stamps::Shift } else { Stamps::Keep };
    config.repeat = args.repeat;
    config.once = args.once;
    config.faults = Faults {
        cut_after: args.cut_after,
        stall: args.stall.as_deref().map(stall).transpose()?,
        duplicate_every: args.duplicate_every,
        garbage_every: args.garbage_every,
        state_every: args.state_every,
    };
    Ok(config)
}

fn speed(text: &str) -> Result<Speed> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    if let Some(rate) = text.strip_suffix("/s").and_then(|rate| rate.parse::<f64>().ok()) {
        return Ok(Speed::PerSecond(rate));
    }
    match text.parse::<f64>() {
        Ok(times) if times > 0.0 && times.is_finite() => Ok(Speed::Times(times)),
        _ => Err(Failure::usage(format_args!(
            "'{text}' is not a speed: give 1, 60, 20000/s or max"
        ))),
    }
}

fn stall(text: &str) -> Result<(u64, Duration)> {
    let parts = text.split_once(':').and_then(|(frames, seconds)| {
        Some((
            frames.parse().ok()?,
            Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?,
        ))
    });
    parts.ok_or_else(|| Failure::usage(format_args!("'{text}' is not FRAMES:SECONDS, such as 1000:45")))
}
