//! The table from an archive: the newest dump of each collector, and the updates since.
//!
//! It is learnt like the journal of an earlier run (see [`super::restore`]): nothing of it is printed or stored, and
//! people are told only what is still so at its end. It is not journalled either (a dump of one large collector is
//! fifty million routes); a checkpoint behind it keeps what was learnt.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netfault_model::{Collector, Input, Time};
use netfault_sources::archive::{Archive, Playback, Request};
use netfault_sources::journal;
use netfault_sources::ris_live::system_clock;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{sources, work::Worker};
use crate::config::Config;
use crate::exit::sentence;
use crate::notifier::Past;

/// A table that is not older is not read again: what it missed is a hole, and holes are filled.
const FRESH: Duration = Duration::from_secs(2 * 3600);

impl<W: Write> Worker<W> {
    /// The time up to which every collector of the archive is in the table. An archive that cannot be had is said,
    /// and no reason not to run: netfault learns without.
    pub(super) fn seed_from(
        &mut self,
        archive: &Arc<Archive>,
        config: &Config,
        restored: Option<Time>,
        stop: &watch::Receiver<bool>,
        runtime: &Handle,
    ) -> Option<Time> {
        let now = system_clock()();
        if !sources::is_live(config) {
            tracing::info!(
                "the live feed brings its own time (lateness: trust): nothing is seeded from the archive"
            );
            return None;
        }
        if restored.is_some_and(|restored| now - FRESH < restored) {
            return None;
        }
        let request = Request {
            collectors: config
                .archive
                .as_ref()
                .map(|section| section.collectors.clone())?,
            from: now,
            to: now,
            seed: true,
            is_past: false,
        };
        tracing::info!("seeding the table from {}", archive.source());
        let mut stopped = stop.clone();
        let planned = runtime.block_on(async {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => None,
                planned = archive.plan(&request) => Some(planned),
            }
        });
        let plan = match planned? {
            Ok(plan) => plan,
            Err(error) => {
                tracing::warn!("nothing is seeded: {}", sentence(&error));
                return None;
            }
        };
        let playback = Playback::start(archive, plan, runtime, stop.clone());
        self.learn(playback, restored, stop)
    }

    fn learn(
        &mut self,
        playback: Playback,
        restored: Option<Time>,
        stop: &watch::Receiver<bool>,
    ) -> Option<Time> {
        let begun = Instant::now();
        let (mut past, mut inputs, mut older) = (Past::default(), 0u64, 0u64);
        let mut last: BTreeMap<Collector, Time> = BTreeMap::new();
        for mut batch in playback {
            if *stop.borrow() {
                return None;
            }
            let all = batch.len();
            batch.retain(|input| restored.is_none_or(|restored| input.at() > restored));
            older += (all - batch.len()) as u64;
            inputs += batch.len() as u64;
            for input in &batch {
                let collector = match input {
                    Input::Update(update) => update.peer.collector,
                    Input::Rib(route) => route.peer.collector,
                    _ => continue,
                };
                let at = input.at();
                last.entry(collector)
                    .and_modify(|last| *last = at.max(*last))
                    .or_insert(at);
            }
            self.pipeline.relive(batch, false, &mut past);
        }
        self.pipeline.settle(past);
        let offset = self.journal.as_ref().map_or(0, journal::Writer::offset);
        self.keeper.save(self.pipeline.engine(), offset);
        let until = last.into_values().min();
        tracing::info!(
            inputs,
            older_than_the_last_run = older,
            until = until.map(|at| at.to_string()).unwrap_or_default(),
            seconds = begun.elapsed().as_secs_f64().round(),
            "seeded from the archive"
        );
        until
    }
}
