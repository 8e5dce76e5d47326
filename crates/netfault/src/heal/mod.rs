//! Healing: a hole in a live feed is filled from the archive, in event time, and verdicts that change are said so.
//!
//! The engine knows nothing of it. What it would have said without the hole is found by the code that says everything
//! else: a second engine is loaded from a checkpoint made just before the hole, and given the archive's messages of the
//! hole and everything that the journal has since, in order of time ([`again`]). What it says is compared with what
//! was said ([`compare`]); then it takes the place of the first.
//!
//! ```text
//! gap ─► checkpoint, holes ─► archive task … files ─► thread: again() ─► compare ─► sinks, engine swapped
//! ```
//!
//! Several holes that overlap in waiting are healed together, from the first one's checkpoint. Without a journal
//! there is nothing to play again, and holes stay. A restart while files are awaited forgets the hole: its routes stay
//! unknown until they are heard again, as without an archive.

mod again;
mod compare;
mod tell;

use std::path::PathBuf;
use std::thread::JoinHandle;

use netfault_engine::Engine;
use netfault_model::{Collector, Input, Output};
use netfault_sources::archive::heal::{Healing, Hole};
use tokio::sync::mpsc;

use crate::checkpoint::format;
use crate::config::Config;

pub use again::Again;
pub use compare::compare;
pub use tell::outputs;

/// Statements that are kept for comparison. More than that is no hole any more but another day.
const MAX_SAID: usize = 200_000;

/// The pipeline's side of it.
pub struct Healer {
    collectors: Vec<Collector>,
    holes: mpsc::Sender<Hole>,
    answers: mpsc::Receiver<Healing>,
    open: Option<Open>,
    running: Option<JoinHandle<Result<Again, String>>>,
}

/// Holes that wait for their files.
struct Open {
    /// The engine before the first of them, packed, and its offset in the journal.
    base: Vec<u8>,
    offset: u64,
    waiting: usize,
    filled: Vec<(Hole, Vec<PathBuf>)>,
    /// Keeps the files in the cache.
    answers: Vec<Healing>,
    said: Vec<Output>,
}

impl Healer {
    pub fn new(
        collectors: Vec<Collector>,
        holes: mpsc::Sender<Hole>,
        answers: mpsc::Receiver<Healing>,
    ) -> Self {
        Healer {
            collectors,
            holes,
            answers,
            open: None,
            running: None,
        }
    }

    /// Looks for holes in what is about to be given to `engine`, which stands at `offset` of the journal.
    pub fn before(&mut self, engine: &Engine, offset: u64, batch: &[Input]) {
        for input in batch {
            let Input::Gap(gap) = input else { continue };
            for hole in Hole::of(gap, &self.collectors) {
                self.note(engine, offset, hole);
            }
        }
    }

    fn note(&mut self, engine: &Engine, offset: u64, hole: Hole) {
        if self.running.is_some() {
            // It is part of the journal that is being played, as a hole: it stays one.
            return tracing::warn!(collector = %hole.collector, "a hole while another one is being healed stays");
        }
        if self.open.is_none() {
            let base = match format::pack(engine, offset) {
                Ok(base) => base,
                Err(error) => return tracing::error!(%error, "a hole cannot be healed"),
            };
            self.open = Some(Open {
                base,
                offset,
                waiting: 0,
                filled: Vec::new(),
                answers: Vec::new(),
                said: Vec::new(),
            });
        }
        let Some(open) = &mut self.open else { return };
        match self.holes.try_send(hole) {
            Ok(()) => open.waiting += 1,
            Err(_) => tracing::warn!(collector = %hole.collector, "too many holes: this one stays"),
        }
        self.forget_if_idle();
    }

    /// What was told, as long as it may have to be compared.
    pub fn told(&mut self, outputs: &[Output]) {
        let Some(open) = self.open.as_mut().filter(|open| open.said.len() < MAX_SAID) else {
            return;
        };
        open.said
            .extend(outputs.iter().filter(|output| compare::matters(output)).cloned());
    }

    /// True if somebody has to remember what is told.
    pub fn listens(&self) -> bool {
        self.open.is_some()
    }

    /// Takes the archive's answers. True once all files are there: then [`start`](Self::start).
    pub fn is_ready(&mut self) -> bool {
        while let Ok(answer) = self.answers.try_recv() {
            let Some(open) = &mut self.open else { continue };
            open.waiting = open.waiting.saturating_sub(1);
            if let Healing::Filled(filled) = &answer {
                open.filled.push((filled.hole, filled.paths()));
            }
            open.answers.push(answer);
        }
        self.forget_if_idle();
        self.running.is_none() && self.open.as_ref().is_some_and(|open| open.waiting == 0)
    }

    /// Nothing could be had for any hole.
    fn forget_if_idle(&mut self) {
        if self.running.is_none()
            && self
                .open
                .as_ref()
                .is_some_and(|open| open.waiting == 0 && open.filled.is_empty())
        {
            self.open = None;
        }
    }

    /// Plays again what happened, on a thread of its own. The journal must be flushed up to now.
    pub fn start(&mut self, config: &Config) {
        let (Some(open), Some(journal)) = (&mut self.open, &config.journal) else {
            return;
        };
        let (base, filled) = (std::mem::take(&mut open.base), std::mem::take(&mut open.filled));
        tracing::info!(
            holes = filled.len(),
            "the archive has what was missed: playing it again"
        );
        let (config, dir, offset) = (config.clone(), journal.dir.clone(), open.offset);
        self.running = Some(std::thread::spawn(move || {
            again::play(&config, &base, &filled, &dir, offset)
        }));
    }

    /// The second engine, once it has come to the end of the journal as it was then.
    pub fn finished(&mut self) -> Option<(Again, Vec<Output>)> {
        if !self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            return None;
        }
        let ended = self.running.take()?.join();
        let said = self.open.take().map(|open| open.said).unwrap_or_default();
        match ended {
            Ok(Ok(again)) => return Some((again, said)),
            Ok(Err(reason)) => tracing::error!("a hole cannot be healed: {reason}"),
            Err(_) => tracing::error!("a hole cannot be healed: the second engine ended badly"),
        }
        None
    }
}
