//! Archives as commands use them: from arguments or configuration to a plan, with errors a user can act on.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use netfault_model::time::micros;
use netfault_model::{Collector, Time};
use netfault_sources::archive::entry::is_plain;
use netfault_sources::archive::{
    Archive, ArchiveError, CacheSettings, Limits, Plan, Playback, Progress, Request, Source,
};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cli::ReplayArgs;
use crate::config::{self, Config};
use crate::exit::{Failure, Result, sentence};

/// Longer spans are a slip of the keyboard, not a day.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A past span under way.
pub struct Past {
    pub playback: Playback,
    pub archive: Arc<Archive>,
    /// The playback ends when it is dropped.
    _running: watch::Sender<bool>,
}

/// The archive of a section of the configuration.
pub fn open(section: &config::Archive) -> Result<Arc<Archive>> {
    let cache = CacheSettings {
        dir: section.cache.clone(),
        max_bytes: section.max_size,
        max_age: section.max_age,
    };
    Archive::open(section.source.clone(), cache, Limits::default())
        .map(Arc::new)
        .map_err(failure)
}

pub fn failure(error: ArchiveError) -> Failure {
    if error.is_about_data() {
        Failure::data(sentence(&error))
    } else {
        Failure::unavailable(sentence(&error))
    }
}

/// `replay --from --to --collector [--archive]`: finds the files, and starts.
pub fn past(args: &ReplayArgs, from: Time, config: &Config, runtime: &Runtime) -> Result<Past> {
    let request = request(args, from)?;
    let archive = open(&section(args, config)?)?;
    let plan = runtime.block_on(plan(&archive, &request)).map_err(failure)?;
    for (collector, dump) in plan.seeds() {
        match dump {
            Some(at) => {
                tracing::info!(%collector, "the table of {at} is the seed; what follows until {from} is learnt, not printed")
            }
            None if request.seed => {}
            None => tracing::info!(%collector, "no seed was asked for: the table is learnt from updates"),
        }
    }
    tracing::info!(
        files = plan.files(),
        "playing {from} to {} from {}",
        request.to,
        archive.source()
    );
    let (running, stop) = watch::channel(false);
    Ok(Past {
        playback: Playback::start(&archive, plan, runtime.handle(), stop),
        archive,
        _running: running,
    })
}

fn request(args: &ReplayArgs, from: Time) -> Result<Request> {
    let to = args.to.ok_or_else(|| Failure::usage("--from needs --to"))?;
    if from >= to {
        return Err(Failure::usage(format_args!(
            "--from {from} is not before --to {to}"
        )));
    }
    if to.since(from) > micros(LONGEST) {
        return Err(Failure::usage(format_args!(
            "from {from} to {to} is more than a year"
        )));
    }
    let mut collectors = Vec::new();
    for name in &args.collector {
        if !is_plain(name) {
            return Err(Failure::usage(format_args!(
                "--collector '{name}' is not the name of a collector: give one such as rrc00 or route-views2"
            )));
        }
        collectors.push(Collector::new(name));
    }
    collectors.sort_unstable();
    collectors.dedup();
    Ok(Request {
        collectors,
        from,
        to,
        seed: args.seed_rib.unwrap_or(true),
        is_past: true,
    })
}

/// What was asked for, else what the configuration has, else the public broker.
fn section(args: &ReplayArgs, config: &Config) -> Result<config::Archive> {
    let configured = config.archive.clone();
    let default = || config::Archive::at(Source::public(), &config.data_dir);
    let Some(text) = &args.archive else {
        return Ok(configured.unwrap_or_else(default));
    };
    let source = text
        .parse()
        .map_err(|error| Failure::usage(format_args!("--archive: {error}")))?;
    Ok(config::Archive {
        source,
        ..configured.unwrap_or_else(default)
    })
}

/// Listings take seconds and table dumps minutes: a terminal sees how far it is.
async fn plan(archive: &Arc<Archive>, request: &Request) -> std::result::Result<Plan, ArchiveError> {
    let work = archive.plan(request);
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new_spinner();
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let mut work = std::pin::pin!(work);
    let planned = loop {
        tokio::select! {
            planned = &mut work => break planned,
            _ = ticks.tick() => {
                let fetched = archive.bytes_fetched() / 1_000_000;
                bar.set_message(format!("asking {}; {fetched} MB of table dumps", archive.source()));
                bar.tick();
            }
        }
    };
    bar.finish_and_clear();
    planned
}

/// Files done of files in all, and what has been fetched.
pub fn bar(progress: &Progress) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} files, {msg}, {eta} to go");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    Some(ProgressBar::new(progress.files()).with_style(style))
}

pub fn show(bar: &ProgressBar, progress: &Progress, archive: &Archive) {
    bar.set_position(progress.files_done());
    bar.set_message(format!("{} MB fetched", archive.bytes_fetched() / 1_000_000));
}
