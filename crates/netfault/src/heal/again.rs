//! Plays again what happened: a checkpoint, the archive's messages of the holes, and the journal, merged by time.

use std::iter::Peekable;
use std::path::{Path, PathBuf};

use netfault_engine::Engine;
use netfault_model::{Collector, Gap, GapSource, Input, Output, Time};
use netfault_sources::archive::heal::Hole;
use netfault_sources::{journal, mrt};

use super::compare::matters;
use crate::checkpoint::format;
use crate::config::Config;
use crate::exit::sentence;

/// An engine that has seen what the first one missed.
pub struct Again {
    pub engine: Engine,
    /// Up to where it has the journal.
    pub offset: u64,
    /// What it said, from the checkpoint on.
    pub said: Vec<Output>,
    /// Messages that the archive had for the holes.
    pub messages: u64,
    pub holes: Vec<Hole>,
}

/// # Errors
/// In words: a file that cannot be opened, a checkpoint that cannot be read.
pub fn play(
    config: &Config,
    base: &[u8],
    filled: &[(Hole, Vec<PathBuf>)],
    dir: &Path,
    offset: u64,
) -> Result<Again, String> {
    let saved = format::unpack(base).map_err(|error| error.to_string())?;
    let engine = saved.engine.resume(
        config.detect.clone(),
        config.dns.detect.clone(),
        config.watch.clone(),
    );
    let engine = engine.with_countries(config.countries.known.clone());
    let mut again = Again {
        engine,
        offset,
        said: Vec::new(),
        messages: 0,
        holes: filled.iter().map(|(hole, _)| *hole).collect(),
    };
    let mut archive = archive(filled)?.peekable();
    let reader = journal::Reader::open_from(dir, offset).map_err(|error| sentence(&error))?;
    again.catch_up_with(reader, &mut archive);
    Ok(again)
}

/// The messages of the holes, in order of time.
fn archive(filled: &[(Hole, Vec<PathBuf>)]) -> Result<impl Iterator<Item = Input> + use<>, String> {
    let mut paths: Vec<String> = filled
        .iter()
        .flat_map(|(_, paths)| paths.iter().map(|path| path.display().to_string()))
        .collect();
    paths.sort();
    paths.dedup();
    let files = mrt::discover(&paths).map_err(|error| sentence(&error))?;
    let stream = mrt::Stream::open(files, mrt::Options::default()).map_err(|error| sentence(&error))?;
    let holes: Vec<Hole> = filled.iter().map(|(hole, _)| *hole).collect();
    Ok(stream.flatten().filter(move |input| is_missed(input, &holes)))
}

/// True for what a router said in one of the holes.
fn is_missed(input: &Input, holes: &[Hole]) -> bool {
    let peer = match input {
        Input::Update(update) => &update.peer,
        Input::Peer(state) => &state.peer,
        _ => return false,
    };
    let at = input.at();
    holes
        .iter()
        .any(|hole| hole.collector == peer.collector && hole.from <= at && at < hole.to)
}

impl Again {
    /// What the journal got since the second engine has read it.
    ///
    /// # Errors
    /// If the journal cannot be read any more.
    pub fn catch_up(&mut self, dir: &Path) -> Result<(), String> {
        let reader = journal::Reader::open_from(dir, self.offset).map_err(|error| sentence(&error))?;
        self.catch_up_with(reader, &mut std::iter::empty().peekable());
        Ok(())
    }

    fn catch_up_with(
        &mut self,
        mut reader: journal::Reader,
        archive: &mut Peekable<impl Iterator<Item = Input>>,
    ) {
        while let Some(batch) = reader.next() {
            let (Some(first), Some(end)) = (reader.first(), reader.expected()) else {
                continue; // a gap of a journal that is being written
            };
            let known = self.offset.saturating_sub(first);
            let gaps = (batch.len() as u64).saturating_sub(end - first);
            for input in batch.into_iter().skip((known + gaps) as usize) {
                self.fill(archive, input.at());
                match input {
                    Input::Gap(gap) => self.gap(*gap),
                    input => self.take(input),
                }
            }
            self.offset = self.offset.max(end);
        }
        self.fill(archive, Time::MAX);
    }

    /// Everything of the archive up to `until`.
    fn fill(&mut self, archive: &mut Peekable<impl Iterator<Item = Input>>, until: Time) {
        while let Some(input) = archive.next_if(|input| input.at() <= until) {
            self.messages += 1;
            self.take(input);
        }
    }

    /// A gap is there no more for collectors whose hole is filled; a gap of all collectors stays one of the others.
    fn gap(&mut self, gap: Gap) {
        let healed = self.healed(&gap);
        match gap.collector {
            _ if healed.is_empty() => self.take(Input::Gap(Box::new(gap))),
            Some(collector) if healed.contains(&collector) => {}
            Some(_) => self.take(Input::Gap(Box::new(gap))),
            None => {
                let mut others: Vec<Collector> = self.engine.collectors().collect();
                others.retain(|collector| !healed.contains(collector));
                for collector in others {
                    let collector = Some(collector);
                    self.take(Input::Gap(Box::new(Gap {
                        collector,
                        ..gap.clone()
                    })));
                }
            }
        }
    }

    fn healed(&self, gap: &Gap) -> Vec<Collector> {
        let (GapSource::RisLive, Some(from), Some(to)) = (gap.source, gap.from, gap.to) else {
            return Vec::new();
        };
        let inside = self
            .holes
            .iter()
            .filter(|hole| hole.from <= from && to <= hole.to);
        inside.map(|hole| hole.collector).collect()
    }

    fn take(&mut self, input: Input) {
        let mut out = Vec::new();
        self.engine.push(input, &mut out);
        self.said.extend(out.into_iter().filter(matters));
    }
}

#[cfg(test)]
mod tests;
