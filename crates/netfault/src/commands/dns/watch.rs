//! `netfault dns watch`: a check again and again, one line a round, and what has changed.
//!
//! A round that takes longer than the interval is followed by the next one at once, and none is made up for.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netfault_model::{Finding, Outcome, Time};
use netfault_sources::dns::check::{CheckReport, Verdict};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::super::unwritable;
use super::changes::View;
use super::check::report;
use super::options::options;
use super::routes::Known;
use super::{coloured, words};
use crate::cli::WatchArgs;
use crate::exit::{Failure, Result};
use crate::render::{Format, Style, moment, quiet_pipe};

pub async fn run(args: &WatchArgs, format: Format) -> Result<ExitCode> {
    let options = options(&args.check)?;
    let mut known = Known::new(&args.check.routes)?;
    let no_signals = |error| Failure::unavailable(format_args!("signals cannot be caught: {error}"));
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut rounds = interval(args.interval);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(format);
    while args.count.is_none_or(|count| watch.tally.rounds() < count) {
        let round = async {
            rounds.tick().await;
            let at = now();
            report(&args.check, &options, &mut known)
                .await
                .map(|report| (at, report))
        };
        let (at, report) = tokio::select! {
            round = round => round?,
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        };
        if !quiet_pipe(watch.round(at, &report, &mut io::stdout().lock())).map_err(unwritable)? {
            return Ok(ExitCode::from(watch.last.exit_code()));
        }
    }
    quiet_pipe(watch.end(&args.check.name, &mut io::stdout().lock())).map_err(unwritable)?;
    Ok(ExitCode::from(watch.last.exit_code()))
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_secs(0) + since
}

/// Rounds by verdict.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    ok: u64,
    degraded: u64,
    out: u64,
    unknown: u64,
}

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Ok => &mut self.ok,
            Verdict::Degraded => &mut self.degraded,
            Verdict::Out => &mut self.out,
            Verdict::Unknown => &mut self.unknown,
        } += 1;
    }

    fn rounds(self) -> u64 {
        self.ok + self.degraded + self.out + self.unknown
    }
}

struct Watch {
    format: Format,
    style: Style,
    began: Instant,
    tally: Tally,
    /// Unknown before the first round.
    last: Verdict,
    before: Option<View>,
}

/// A report and its time, one line of ndjson.
#[derive(Serialize)]
struct Timed<'a> {
    at: Time,
    #[serde(flatten)]
    report: &'a CheckReport,
}

/// One line of CSV.
#[derive(Serialize)]
struct Row<'a> {
    at: Time,
    name: &'a str,
    verdict: &'static str,
    finding: Finding,
    latency_ms: Option<f64>,
    failing: String,
}

impl Watch {
    fn new(format: Format) -> Self {
        Watch {
            format,
            style: Style::stdout(),
            began: Instant::now(),
            tally: Tally::default(),
            last: Verdict::Unknown,
            before: None,
        }
    }

    fn round(&mut self, at: Time, report: &CheckReport, out: &mut impl Write) -> io::Result<()> {
        let view = View::of(report);
        let is_first = self.tally.rounds() == 0;
        self.tally.add(report.verdict);
        self.last = report.verdict;
        match self.format {
            Format::Json | Format::Ndjson => {
                writeln!(out, "{}", serde_json::to_string(&Timed { at, report })?)?;
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .has_headers(is_first)
                    .from_writer(&mut *out);
                writer.serialize(Row {
                    at,
                    name: &report.name,
                    verdict: report.verdict.name(),
                    finding: report.finding,
                    latency_ms: latency(report),
                    failing: view.failing().join("; "),
                })?;
                writer.flush()?;
            }
            Format::Table => {
                writeln!(out, "{}", line(at, report, &view, self.style))?;
                let changes = self.before.as_ref().map(|before| view.changes(before));
                for change in changes.unwrap_or_default() {
                    writeln!(out, "                      {}", self.style.note(&change))?;
                }
            }
        }
        self.before = Some(view);
        out.flush()
    }

    /// How many rounds were what. Beside data it goes to standard error.
    fn end(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        let Tally {
            ok,
            degraded,
            out: lost,
            unknown,
        } = self.tally;
        let rounds = self.tally.rounds();
        let took = Duration::from_secs(self.began.elapsed().as_secs());
        let s = if rounds == 1 { "" } else { "s" };
        let text = format!(
            "{name}: {rounds} round{s} in {} s: {ok} ok, {degraded} degraded, {lost} out, {unknown} unknown",
            took.as_secs()
        );
        match self.format {
            Format::Table => writeln!(out, "{text}"),
            _ => {
                tracing::info!("{text}");
                Ok(())
            }
        }
    }
}

/// `2026-11-27 03:41:02Z  degraded  12 ms  authority partial, 1 of 4 servers fails: 192.0.2.2:53 timeout`
fn line(at: Time, report: &CheckReport, view: &View, style: Style) -> String {
    let padded = format!("{:<8}", report.verdict.name());
    let verdict = coloured(report.verdict, style).replace(report.verdict.name(), &padded);
    let latency = latency(report).map_or("     -".to_owned(), |ms| format!("{ms:>6.1}"));
    let failing = view.failing();
    let finding = match report.finding {
        Finding::None => String::new(),
        finding => format!("{}, ", words(finding)),
    };
    let servers = match (view.servers(), failing.len()) {
        (0, _) => "nobody to ask".to_owned(),
        (1, 0) => "the server answers".to_owned(),
        (all, 0) => format!("all {all} servers answer"),
        (all, fail) => {
            let verb = if fail == 1 { "fails" } else { "fail" };
            format!("{fail} of {all} {verb}: {}", failing.join(", "))
        }
    };
    format!("{}  {verdict}  {latency} ms  {finding}{servers}", moment(at))
}

/// The median of the good answers.
fn latency(report: &CheckReport) -> Option<f64> {
    let good = report
        .probes
        .iter()
        .filter(|probe| matches!(probe.outcome, Outcome::Ok | Outcome::Nodata | Outcome::Nxdomain));
    let mut all: Vec<f64> = good.map(|probe| probe.latency_ms).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}
