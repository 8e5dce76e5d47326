//! `netfault evaluate`: plays a record through the pipeline and holds what it says against the truth.
//!
//! * [`truth`] the labelled events, and what must be reached
//! * [`count`] the independent count, made by a script that shares nothing with the engine
//! * [`heard`] what was said, put together
//! * [`score`] the comparison, pure
//! * [`figures`], [`musts`] its numbers, and whether they suffice

mod count;
mod figures;
mod heard;
mod musts;
mod score;
mod truth;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use netfault_model::{Baseline, Time, Watch};
use netfault_sources::mrt;

use super::{load, unwritable};
use crate::cli::EvaluateArgs;
use crate::config::Config;
use crate::exit::{Failure, Result, sentence};
use crate::pipeline::{Counts, Pipeline, Sinks};
use crate::render::{Column, Format, RowWriter, quiet_pipe};
use heard::Heard;
use musts::Line;
use score::Scored;
use truth::{Event, Outage, Truth};

pub fn evaluate(args: EvaluateArgs, format: Format) -> Result<ExitCode> {
    let mut truth = Truth::load(&args.truth).map_err(|error| Failure::data(sentence(&error)))?;
    let counted = match &args.count {
        Some(path) => Some(count::load(path).map_err(|error| Failure::data(sentence(&error)))?),
        None => None,
    };
    if let Some(counted) = &counted {
        complete(&mut truth, counted);
    }
    let mut config = load(&args.config)?;
    config.watch = Watch {
        all: true,
        ..Watch::default()
    };
    let (heard, counts) = listen(&config, &args.paths)?;
    let end = counts
        .last
        .ok_or_else(|| Failure::data("there is nothing to evaluate: the record has no update"))?;
    let (lines, scored) = score(&truth, counted.as_deref(), &heard, end);
    print(format, &lines)?;
    complain(&scored, args.list);
    let unmet = lines.iter().filter(|line| line.met == Some(false)).count();
    Ok(if unmet == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Labels say when something was done; the count says when it was to be seen.
fn complete(truth: &mut Truth, counted: &[Outage]) {
    for event in truth.groups.iter_mut().flat_map(|group| &mut group.events) {
        if let Event::Outage(outage) = event {
            count::complete(outage, counted);
        }
    }
}

/// Plays the record, all of it evaluated, nothing printed or stored.
fn listen(config: &Config, paths: &[String]) -> Result<(Heard, Counts)> {
    let files = mrt::discover(paths).map_err(|error| Failure::data(sentence(&error)))?;
    let stream = mrt::Stream::open(files, mrt::Options::default())
        .map_err(|error| Failure::unavailable(sentence(&error)))?;
    let heard = Arc::new(Mutex::new(Heard::default()));
    let listener = Arc::clone(&heard);
    let mut pipeline = Pipeline::new(
        config,
        Sinks {
            printer: None::<crate::render::EventWriter<std::io::Sink>>,
            recorder: None,
            notifier: None,
            observer: Some(Box::new(move |output| {
                listener
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(output);
            })),
        },
    );
    for batch in stream {
        pipeline.take(batch)?;
    }
    let (counts, _) = pipeline.finish(None)?;
    let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((heard, counts))
}

/// The name of the group of the whole table in the answer.
const COUNT: &str = "count";

fn score(truth: &Truth, counted: Option<&[Outage]>, heard: &Heard, end: Time) -> (Vec<Line>, Vec<Scored>) {
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for group in &truth.groups {
        let scored = score::group(group, heard, end);
        lines.extend(musts::lines(&group.name, &scored.figures, &group.must));
        all.push(scored);
    }
    let least = truth.count.min_baseline;
    let scored = counted.map(|counted| {
        let large: Vec<Outage> = counted
            .iter()
            .filter(|outage| outage.baseline >= least)
            .cloned()
            .collect();
        let mut scored = score::outages(COUNT, &large, heard, end);
        // Confirmed is what the count has at all; what must be found is what it is sure of.
        let judged = |_, stay: &heard::Stay| stay.baseline == Baseline::Held && stay.eligible >= least;
        score::unconfirmed(COUNT, counted, heard, judged, &mut scored);
        scored
    });
    if scored.is_some() || truth.count.must != musts::Musts::default() {
        let scored = scored.unwrap_or_default();
        lines.extend(musts::lines(COUNT, &scored.figures, &truth.count.must));
        all.push(scored);
    }
    lines.extend(shown(heard));
    (lines, all)
}

/// What an operator who watches everything would be shown, by severity.
fn shown(heard: &Heard) -> Vec<Line> {
    let (by_severity, all) = heard.shown();
    let line = |figure, value: u64| Line {
        group: "incidents".to_owned(),
        figure,
        value: Some(value as f64),
        must: None,
        met: None,
    };
    let names = [
        "shown_severity_5",
        "shown_severity_4",
        "shown_severity_3",
        "shown_severity_2",
        "shown_severity_1",
    ];
    let mut lines = vec![line("all", all), line("shown", by_severity.iter().sum())];
    lines.extend(
        names
            .into_iter()
            .zip(by_severity.into_iter().skip(1).rev())
            .map(|(name, n)| line(name, n)),
    );
    lines
}

fn print(format: Format, lines: &[Line]) -> Result<()> {
    let columns = vec![
        Column::left("group", "group"),
        Column::left("figure", "figure"),
        Column::right("value", "value"),
        Column::left("must", "must"),
        Column::left("met", "met"),
    ];
    let mut writer = RowWriter::new(std::io::stdout().lock(), format, columns);
    for line in lines {
        if !quiet_pipe(writer.row(line)).map_err(unwritable)? {
            return Ok(());
        }
    }
    quiet_pipe(writer.finish().map(drop)).map_err(unwritable)?;
    quiet_pipe(std::io::stdout().flush()).map_err(unwritable)?;
    Ok(())
}

/// The first of the disagreements of each group, on standard error: standard output is data.
fn complain(scored: &[Scored], most: usize) {
    for complaints in scored.iter().map(|scored| &scored.complaints) {
        for complaint in complaints.iter().take(most) {
            eprintln!("{}: {}", complaint.group, complaint.text);
        }
        if complaints.len() > most
            && let Some(first) = complaints.first()
        {
            eprintln!("{}: {} more (--list N)", first.group, complaints.len() - most);
        }
    }
}
