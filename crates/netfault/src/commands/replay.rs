//! `netfault replay`: files, a past day of an archive, or the service's own journal, through the live pipeline.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use netfault_engine::Watchlist;
use netfault_model::time::micros;
use netfault_model::{Input, Time, Watch};
use netfault_sources::{journal, mrt};
use netfault_store::{Writer, WriterConfig};

use super::{archives, load, runtime};
use crate::cli::{ReplayArgs, Watched};
use crate::config::{Config, Updates};
use crate::exit::{Failure, Result, sentence};
use crate::pipeline::{Counts, Pipeline, Recorder, Sinks};
use crate::render::{EventWriter, Format, Style};
use crate::stores::{OpenStore, section, store_failure};

/// ClickHouse is on the same machine as a rule; a replay that cannot hand over its rows in this time says so.
const DRAIN: Duration = Duration::from_secs(600);

pub fn replay(args: ReplayArgs, format: Format) -> Result<ExitCode> {
    let mut config = load(&args.config)?;
    let configured = super::config_file(&args.config).map(|_| config.watch.clone());
    config.watch = watch(&args, configured);
    let runtime = runtime()?;
    // The source first: a wrong path should not start a database.
    let source = match args.from {
        Some(from) => Source::Archive(Box::new(archives::past(&args, from, &config, &runtime)?)),
        None => Source::open(&args.paths)?,
    };
    let store = match args.store {
        true => Some(runtime.block_on(start_store(&config))?),
        false => None,
    };
    let recorder = match &store {
        Some(store) => Some(recorder(&config, store)?),
        None => None,
    };
    let out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let printer = EventWriter::new(out, format, Style::stdout());
    let mut pipeline = Pipeline::new(
        &config,
        Sinks {
            printer: Some(printer),
            recorder,
            notifier: None,
            observer: None,
        },
    );
    if let Some(from) = args.from {
        pipeline.be_silent_before(from);
    }
    let started = Instant::now();
    let (counts, writer) = play(pipeline, source, &args)?;
    let spool = spool_dir(&config);
    let stored = writer.map(|writer| hand_over(writer, &spool)).transpose();
    if let Some(store) = store {
        runtime.block_on(store.close());
    }
    stored?;
    tell(counts, started.elapsed());
    Ok(ExitCode::SUCCESS)
}

/// What is watched: what was asked for, else what a configuration file lists, else everything.
fn watch(args: &ReplayArgs, configured: Option<Watch>) -> Watch {
    if args.watch.is_empty() {
        let everything = Watch {
            all: true,
            ..Watch::default()
        };
        return configured.map_or(everything, |watch| Watch {
            all: watch.all || args.all,
            ..watch
        });
    }
    let names = configured.map(|watch| watch.names).unwrap_or_default();
    let mut watch = Watch {
        all: args.all,
        names,
        ..Watch::default()
    };
    for watched in &args.watch {
        match *watched {
            Watched::Prefix(prefix) => drop(watch.prefixes.insert(prefix)),
            Watched::Origin(origin) => drop(watch.origins.insert(origin)),
        }
    }
    watch
}

/// Where the inputs come from.
enum Source {
    Mrt(mrt::Stream),
    Journal(journal::Reader),
    Archive(Box<archives::Past>),
}

impl Source {
    fn open(paths: &[String]) -> Result<Source> {
        if let [path] = paths
            && journal::is_journal(Path::new(path))
        {
            let reader =
                journal::Reader::open(Path::new(path)).map_err(|error| Failure::data(sentence(&error)))?;
            return Ok(Source::Journal(reader));
        }
        let files = mrt::discover(paths).map_err(|error| Failure::data(sentence(&error)))?;
        let stream = mrt::Stream::open(files, mrt::Options::default())
            .map_err(|error| Failure::unavailable(sentence(&error)))?;
        Ok(Source::Mrt(stream))
    }

    fn next(&mut self) -> Option<Vec<Input>> {
        match self {
            Source::Mrt(stream) => stream.next(),
            Source::Journal(reader) => reader.next(),
            Source::Archive(past) => past.playback.next(),
        }
    }

    fn bar(&self) -> Bar {
        match self {
            Source::Mrt(stream) => {
                let progress = stream.progress();
                Bar::of(bytes_bar(&progress), move |bar| {
                    bar.set_position(progress.bytes_done())
                })
            }
            Source::Journal(_) => Bar(None),
            Source::Archive(past) => {
                let (progress, archive) = (past.playback.progress(), Arc::clone(&past.archive));
                Bar::of(archives::bar(&progress), move |bar| {
                    archives::show(bar, &progress, &archive)
                })
            }
        }
    }

    /// How many files of updates could not be had.
    fn missing(&self) -> u64 {
        match self {
            Source::Archive(past) => past.playback.progress().files_missing(),
            Source::Mrt(_) | Source::Journal(_) => 0,
        }
    }
}

fn play<W: Write>(
    mut pipeline: Pipeline<W>,
    mut source: Source,
    args: &ReplayArgs,
) -> Result<(Counts, Option<Writer>)> {
    let bar = source.bar();
    let mut pace = args.speed.map(Pace::new);
    while let Some(batch) = source.next() {
        let goes_on = match &mut pace {
            None => pipeline.take(batch)?,
            Some(pace) => pace.play(&mut pipeline, batch)?,
        };
        bar.show();
        if !goes_on {
            break;
        }
    }
    bar.finish();
    let missing = source.missing();
    let played = pipeline.finish(args.until)?;
    if missing > 0 && played.0.updates == 0 {
        return Err(Failure::unavailable(format_args!(
            "none of the {missing} files of updates could be fetched"
        )));
    }
    Ok(played)
}

/// Brings a bar up to date.
type Show = Box<dyn Fn(&ProgressBar)>;

/// A bar on a terminal; elsewhere nothing.
struct Bar(Option<(ProgressBar, Show)>);

impl Bar {
    fn of(bar: Option<ProgressBar>, show: impl Fn(&ProgressBar) + 'static) -> Self {
        Bar(bar.map(|bar| (bar, Box::new(show) as Show)))
    }

    fn show(&self) {
        if let Some((bar, show)) = &self.0 {
            show(bar);
        }
    }

    fn finish(self) {
        if let Some((bar, _)) = self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bytes_bar(progress: &mrt::Progress) -> Option<ProgressBar> {
    let total = progress.bytes_total();
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style =
        ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {eta} to go");
    Some(ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}

/// Plays inputs at a multiple of the speed of the record.
struct Pace {
    speed: f64,
    began: Instant,
    first: Option<Time>,
    /// Never sent to: waiting on it is how to wait.
    never: (std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>),
}

impl Pace {
    fn new(speed: f64) -> Self {
        Pace {
            speed,
            began: Instant::now(),
            first: None,
            never: std::sync::mpsc::channel(),
        }
    }

    fn play<W: Write>(&mut self, pipeline: &mut Pipeline<W>, batch: Vec<Input>) -> Result<bool> {
        for input in batch {
            let at = input.at();
            let first = *self.first.get_or_insert(at);
            let due = Duration::from_micros(at.since(first).max(0) as u64).div_f64(self.speed);
            let early = due.saturating_sub(self.began.elapsed());
            if early > Duration::from_millis(5) {
                pipeline.flush()?;
                let _ = self.never.1.recv_timeout(early);
            }
            if !pipeline.take([input])? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

async fn start_store(config: &Config) -> Result<OpenStore> {
    let store = OpenStore::open(section(config)?).await?;
    match store.prepared().await {
        Ok(_) => Ok(store),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

fn spool_dir(config: &Config) -> PathBuf {
    let spool = config.store.as_ref().map(|store| store.spool_dir.as_path());
    spool.unwrap_or(&config.data_dir).join("replay")
}

fn recorder(config: &Config, store: &OpenStore) -> Result<Recorder> {
    let section = section(config)?;
    let mut settings = WriterConfig::archive(spool_dir(config), store.target.clone());
    settings.spool_max_bytes = section.spool_max;
    let writer = Writer::open(settings).map_err(store_failure)?;
    // A replay that is stored is stored whole.
    Ok(Recorder {
        writer,
        updates: Updates::All,
        watchlist: Watchlist::new(config.watch.clone()),
    })
}

/// Waits until the store has everything, and says what it has not. `spool` is the writer's.
pub fn hand_over(writer: Writer, spool: &Path) -> Result<()> {
    let report = writer.finish(DRAIN).map_err(store_failure)?;
    let refused: u64 = report.stats.tables.iter().map(|table| table.rejected).sum();
    if refused > 0 {
        let kept = spool.join("rejected");
        return Err(Failure::unavailable(format_args!(
            "the store refused {refused} rows; they are in {}",
            kept.display()
        )));
    }
    let shed: u64 = report.stats.tables.iter().map(|table| table.shed).sum();
    if shed > 0 {
        return Err(Failure::unavailable(format_args!(
            "{shed} rows are not in the store: {}",
            report.stats.last_error.as_deref().unwrap_or("the disk is full")
        )));
    }
    if !report.drained {
        return Err(Failure::unavailable(format_args!(
            "{} segments ({} bytes) are not in the store yet; they are kept in the spool and go out at the next start",
            report.segments_left, report.bytes_left
        )));
    }
    let rows: u64 = report.stats.tables.iter().map(|table| table.sent).sum();
    tracing::info!(rows, "stored");
    Ok(())
}

fn tell(counts: Counts, took: Duration) {
    let (Some(first), Some(last)) = (counts.first, counts.last) else {
        tracing::warn!(gaps = counts.gaps, "there was nothing to replay in these files");
        return;
    };
    if counts.learnt > 0 {
        tracing::info!(inputs = counts.learnt, "learnt from what was before");
    }
    let span = micros(Duration::from_secs(1)).max(1);
    tracing::info!(
        "replayed {} to {} ({:.1} h) in {:.1} s: {} updates, {} dumped routes, {} probes, {} gaps; {} transitions, {} incidents",
        first,
        last,
        last.since(first) as f64 / span as f64 / 3600.0,
        took.as_secs_f64(),
        counts.updates,
        counts.routes,
        counts.probes,
        counts.gaps,
        counts.transitions,
        counts.incidents,
    );
}
