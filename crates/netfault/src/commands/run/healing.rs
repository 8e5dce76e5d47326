//! The worker's part of healing (see [`crate::heal`]): notes holes before the engine sees them, and swaps engines.

use std::io::Write;

use netfault_model::{Input, Output};
use netfault_sources::journal;

use super::work::Worker;
use crate::config::Config;
use crate::exit::Result;
use crate::heal::{self, Again};

impl<W: Write> Worker<W> {
    /// `batch` is about to be journalled and given to the engine.
    pub(super) fn look_for_holes(&mut self, batch: &[Input]) {
        let (Some(healer), Some(journal)) = (&mut self.healer, &self.journal) else {
            return;
        };
        healer.before(self.pipeline.engine(), journal.offset(), batch);
        if healer.listens() {
            healer.told(&self.pipeline.remember(true));
        }
    }

    /// Goes on with holes whose files have come.
    pub(super) fn heal(&mut self, config: &Config) -> Result<()> {
        let Some(healer) = &mut self.healer else {
            return Ok(());
        };
        if healer.listens() {
            let told = self.pipeline.remember(true);
            healer.told(&told);
        }
        if healer.is_ready() {
            self.sync();
            if let Some(healer) = &mut self.healer {
                healer.start(config);
            }
        }
        let finished = self.healer.as_mut().and_then(heal::Healer::finished);
        match finished {
            Some((again, said)) => self.take_over(again, &said, config),
            None => Ok(()),
        }
    }

    /// The second engine takes the place of the first, once it has caught up.
    fn take_over(&mut self, mut again: Again, said: &[Output], config: &Config) -> Result<()> {
        self.sync();
        let Some(section) = &config.journal else {
            return Ok(());
        };
        if let Err(reason) = again.catch_up(&section.dir) {
            tracing::error!("a hole cannot be healed: {reason}");
            return Ok(());
        }
        let now = again.engine.now();
        let changes = heal::compare(said, &again.said, now);
        tracing::info!(
            holes = again.holes.len(),
            messages = again.messages,
            added = changes.added.len(),
            withdrawn = changes.withdrawn.len(),
            "holes filled from the archive"
        );
        again.engine.raise_versions(
            changes
                .incidents
                .iter()
                .map(|incident| (incident.id, incident.version)),
        );
        let outputs = heal::outputs(&again.holes, again.messages, changes, now);
        self.pipeline.replace(again.engine);
        self.pipeline.remember(false);
        self.pipeline.tell(outputs)?;
        self.pipeline.flush()?;
        // The journal alone would give the first engine again.
        let offset = self.journal.as_ref().map_or(0, journal::Writer::offset);
        self.keeper.save(self.pipeline.engine(), offset);
        Ok(())
    }
}
