//! After a restart: the journal of the earlier run through the engine again, so that the route table, open
//! outages and running holds are what they were.
//!
//! Nothing is printed again. Rows go to the store only from where it was not certain to have them; they have
//! the ids they had, so a row that was there already stays one row. Alerts are compared at the end: what is
//! out and was never told is told, what is back and was never resolved is resolved, and nothing else.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use netfault_model::{Input, Time};
use netfault_sources::journal;
use tokio::sync::watch;

use crate::config::Journal;
use crate::exit::{Failure, Result, sentence};
use crate::pipeline::{Past, Pipeline};

/// A day is what baselines look back (DESIGN section 5).
const MAX_AGE: Duration = Duration::from_secs(25 * 3600);
/// The full feed writes about as much in an hour and a half, and it is read in minutes.
const MAX_BYTES: u64 = 1 << 30;

/// Time of the last input that was restored; `None` if there is no journal yet.
pub fn restore<W: Write>(
    pipeline: &mut Pipeline<W>,
    section: Option<&Journal>,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Time>> {
    let Some(section) = section else { return Ok(None) };
    let mut reader = match journal::Reader::open_newest(&section.dir, MAX_BYTES, MAX_AGE) {
        Ok(reader) => reader,
        Err(journal::OpenError::Empty { .. }) => return Ok(None),
        Err(error) => return Err(Failure::unavailable(sentence(&error))),
    };
    let started = Instant::now();
    let bytes = bytes(&section.dir);
    tracing::info!(bytes, "restoring the state of the last run from its journal");
    let safe = safe_offset(pipeline, &section.dir);
    let (mut past, mut inputs, mut stored, mut last) = (Past::default(), 0u64, 0u64, None);
    while let Some(batch) = reader.next() {
        if *stop.borrow() {
            return Ok(last);
        }
        let to_store = reader.expected().is_none_or(|end| end > safe);
        inputs += batch.len() as u64;
        stored += if to_store { batch.len() as u64 } else { 0 };
        last = batch.iter().map(Input::at).max().max(last);
        pipeline.relive(batch, to_store, &mut past);
    }
    pipeline.settle(past);
    tracing::info!(
        inputs,
        again_to_the_store = stored,
        until = last.map(|at| at.to_string()).unwrap_or_default(),
        seconds = started.elapsed().as_secs_f64().round(),
        "restored"
    );
    Ok(last)
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

fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}
