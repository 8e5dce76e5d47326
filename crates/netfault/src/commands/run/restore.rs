//! After a restart: the newest checkpoint, and from there on the journal of the earlier run through the engine again,
//! so that the route table, baselines, open incidents and running holds are what they were.
//!
//! Nothing is printed again. Rows go to the store only from where it was not certain to have them; they have
//! the ids they had, so a row that was there already stays one row. Alerts are compared at the end: what is
//! out and was never told is told, what is back and was never resolved is resolved, and nothing else.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use netfault_model::{Input, Time};
use netfault_sources::journal;
use tokio::sync::watch;

use crate::checkpoint;
use crate::config::Config;
use crate::exit::{Failure, Result, sentence};
use crate::notifier::Past;
use crate::pipeline::Pipeline;

/// A day is what baselines look back (DESIGN section 5).
const MAX_AGE: Duration = Duration::from_secs(25 * 3600);
/// The full feed writes about as much in an hour and a half, and it is read in minutes.
const MAX_BYTES: u64 = 1 << 30;

/// Time of the last input that was restored; `None` if there is neither a checkpoint nor a journal yet.
pub fn restore<W: Write>(
    pipeline: &mut Pipeline<W>,
    config: &Config,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Time>> {
    let started = Instant::now();
    let saved = checkpoint::newest(&config.data_dir);
    let from = saved.as_ref().map(|saved| saved.offset);
    let mut last = saved.as_ref().map(|saved| saved.at);
    if let Some(saved) = saved {
        tracing::info!(at = %saved.at, "the state of the last run is loaded from its checkpoint");
        pipeline.resume(saved.engine, config);
    }
    if let Some(section) = &config.journal
        && let Some(reader) = journal(&section.dir, from)?
    {
        last = play(pipeline, reader, &section.dir, from.unwrap_or(0), stop)?.max(last);
    }
    let until = last.map(|at| at.to_string()).unwrap_or_default();
    tracing::info!(
        until,
        seconds = started.elapsed().as_secs_f64().round(),
        "restored"
    );
    Ok(last)
}

/// What the journal has from `from` on; without a checkpoint as much of its end as a baseline looks back.
fn journal(dir: &Path, from: Option<u64>) -> Result<Option<journal::Reader>> {
    // A journal that ends before the checkpoint is another one: it was removed, or switched off for a time.
    let is_older = |from: u64| journal::end_of(dir).unwrap_or(0) < from;
    let opened = match from {
        Some(from) if is_older(from) => return Ok(None),
        Some(from) => journal::Reader::open_from(dir, from),
        None => journal::Reader::open_newest(dir, MAX_BYTES, MAX_AGE),
    };
    match opened {
        Ok(reader) => Ok(Some(reader)),
        Err(journal::OpenError::Empty { .. }) => Ok(None),
        Err(error) => Err(Failure::unavailable(sentence(&error))),
    }
}

/// Time of the last input.
fn play<W: Write>(
    pipeline: &mut Pipeline<W>,
    mut reader: journal::Reader,
    dir: &Path,
    from: u64,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Time>> {
    let safe = safe_offset(pipeline, dir);
    let (mut past, mut inputs, mut stored, mut last) = (Past::default(), 0u64, 0u64, None);
    while let Some(mut batch) = reader.next() {
        if *stop.borrow() {
            return Ok(last);
        }
        let known = known(&reader, &batch, from);
        pipeline.skip(&batch[..known]);
        batch.drain(..known);
        let to_store = reader.expected().is_none_or(|end| end > safe);
        inputs += batch.len() as u64;
        stored += if to_store { batch.len() as u64 } else { 0 };
        last = batch.iter().map(Input::at).max().max(last);
        pipeline.relive(batch, to_store, &mut past);
    }
    pipeline.settle(past);
    tracing::info!(inputs, again_to_the_store = stored, "the journal was played");
    Ok(last)
}

/// How many at the beginning of a batch are older than `from`. A gap before them stands there without an offset.
fn known(reader: &journal::Reader, batch: &[Input], from: u64) -> usize {
    let (Some(first), Some(end)) = (reader.first(), reader.expected()) else {
        return 0;
    };
    let older = from.saturating_sub(first) as usize;
    let gaps = (batch.len() as u64).saturating_sub(end - first) as usize;
    if older == 0 {
        0
    } else {
        (older + gaps).min(batch.len())
    }
}

/// Everything before this offset is in the store or its spool. A journal that ends before it is another one
/// than that of the last run: then nothing is certain.
fn safe_offset<W: Write>(pipeline: &Pipeline<W>, dir: &Path) -> u64 {
    let committed = pipeline
        .writer()
        .map_or(u64::MAX, |writer| writer.committed_offset());
    let end = journal::end_of(dir).unwrap_or(0);
    if committed > end && pipeline.writer().is_some() {
        0
    } else {
        committed
    }
}
