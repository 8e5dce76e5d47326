//! The files of a hole in a live feed, once the archive has them.
//!
//! ```text
//! holes (bounded) ─► waiting holes ─► list ─► fetch into the cache ─► answers (bounded)
//! ```
//!
//! One task, which lives until `stop`, or until nobody listens, or until nobody sends and nothing waits any more. It never touches the live feed:
//! it hands over files, and when nobody takes them it waits. Cancelling it anywhere leaves only a download that
//! removes itself. Files appear 5 to 20 minutes after their span; a hole is asked for again and again, ever less
//! often, and given up after two hours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use netfault_model::{Collector, Gap, GapSource, Time};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::entry::{self, Entry};
use super::fetch::{Archive, ArchiveError, Held};
use super::layout;
use crate::mrt::FileKind;

/// Holes waiting at once: ten of every collector that there is. Later ones are given up at once.
const MAX_WAITING: usize = 512;
/// Collectors are seconds apart on their way to us, so the last message of the feed before a hole says little
/// about the others: the hole is taken to be a little longer.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(5);

/// What a collector saw in `[from, to)` is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    pub collector: Collector,
    pub from: Time,
    pub to: Time,
}

impl Hole {
    /// The holes of a gap of the live feed, a little wider than the gap, for those of `collectors` that it
    /// concerns. None if the gap does not say from when to when.
    pub fn of(gap: &Gap, collectors: &[Collector]) -> Vec<Hole> {
        let (GapSource::RisLive, Some(from), Some(to)) = (gap.source, gap.from, gap.to) else {
            return Vec::new();
        };
        // A message that came with a stamp of another day is no hole of its own day's length.
        if gap.reason.ends_with("time stamp") {
            return Vec::new();
        }
        let concerned = collectors
            .iter()
            .filter(|collector| gap.collector.is_none_or(|only| only == **collector));
        let hole = |&collector| Hole {
            collector,
            from: from - BEFORE,
            to: to.max(from) + AFTER,
        };
        concerned.map(hole).collect()
    }
}

/// What became of a hole.
#[derive(Clone, Debug)]
pub enum Healing {
    Filled(Filled),
    GivenUp(GivenUp),
}

/// Every file of the hole is here, whole. They stay in the cache as long as this lives.
#[derive(Clone, Debug)]
pub struct Filled {
    pub hole: Hole,
    /// In order of time. They begin before the hole and end after it.
    pub files: Vec<Held>,
}

impl Filled {
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|held| held.file.path.clone()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct GivenUp {
    pub hole: Hole,
    /// In words of the field.
    pub reason: String,
}

/// How often to ask.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between the end of the file that covers a hole and the first time it is asked for.
    pub margin: Duration,
    /// Before the second time; half as much again each time.
    pub wait: Duration,
    pub longest_wait: Duration,
    /// Since the hole became known.
    pub give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            margin: Duration::from_secs(60),
            wait: Duration::from_secs(60),
            longest_wait: Duration::from_secs(600),
            give_up: Duration::from_secs(7200),
        }
    }
}

/// Holes of one collector that the same files fill.
struct Waiting {
    /// All of them.
    span: Hole,
    /// Each is answered.
    holes: Vec<Hole>,
    since: Instant,
    due: Instant,
    wait: Duration,
}

/// Answers every hole, once, with the files that fill it, or with why it stays. `clock` tells how long ago a hole was.
pub async fn run(
    archive: Arc<Archive>,
    pace: Pace,
    clock: impl Fn() -> Time,
    mut holes: mpsc::Receiver<Hole>,
    answers: mpsc::Sender<Healing>,
    mut stop: watch::Receiver<bool>,
) {
    let healer = Healer {
        archive,
        pace,
        answers,
    };
    let healing = async move {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut open = true;
        while open || !waiting.is_empty() {
            let due = waiting.iter().map(|one| one.due).min();
            let wake = async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                hole = holes.recv(), if open => {
                    let Some(hole) = hole else {
                        open = false;
                        continue;
                    };
                    let answered = healer.note(&mut waiting, hole, clock()).await;
                    if answered.is_err() { return }
                }
                () = wake => {
                    if healer.try_due(&mut waiting).await.is_err() { return }
                }
            }
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = healing => {}
    }
}

/// Nobody listens to answers any more.
struct Unheard;

struct Healer {
    archive: Arc<Archive>,
    pace: Pace,
    answers: mpsc::Sender<Healing>,
}

impl Healer {
    async fn note(&self, waiting: &mut Vec<Waiting>, hole: Hole, now: Time) -> Result<(), Unheard> {
        let step = layout::step(hole.collector, FileKind::Updates);
        let published = hole.to + step + self.pace.margin;
        let ahead = Duration::from_micros(published.since(now).max(0).unsigned_abs());
        let due = Instant::now() + ahead.min(self.pace.give_up);
        let near = |one: &&mut Waiting| {
            one.span.collector == hole.collector
                && hole.from <= one.span.to + step
                && one.span.from <= hole.to + step
        };
        if waiting.iter().map(|one| one.holes.len()).sum::<usize>() >= MAX_WAITING {
            return self
                .give_up(&[hole], "too many holes wait to be healed".to_owned())
                .await;
        }
        if let Some(one) = waiting.iter_mut().find(near) {
            one.span.from = one.span.from.min(hole.from);
            one.span.to = one.span.to.max(hole.to);
            one.due = one.due.max(due);
            one.holes.push(hole);
            return Ok(());
        }
        waiting.push(Waiting {
            span: hole,
            holes: vec![hole],
            since: Instant::now(),
            due,
            wait: self.pace.wait,
        });
        Ok(())
    }

    async fn try_due(&self, waiting: &mut Vec<Waiting>) -> Result<(), Unheard> {
        let mut index = 0;
        while index < waiting.len() {
            if waiting[index].due > Instant::now() {
                index += 1;
                continue;
            }
            let one = &mut waiting[index];
            let Hole { collector, from, .. } = one.span;
            match self.files(one.span).await {
                Ok(files) => {
                    let filled = waiting.swap_remove(index).holes;
                    self.fill(filled, files).await?;
                }
                Err(reason) if one.since.elapsed() < self.pace.give_up => {
                    tracing::debug!(%collector, %from, "not healed yet: {reason}");
                    one.due = Instant::now() + one.wait;
                    one.wait = one.wait.mul_f64(1.5).min(self.pace.longest_wait);
                    index += 1;
                }
                Err(reason) => {
                    let stay = waiting.swap_remove(index).holes;
                    self.give_up(&stay, reason).await?;
                }
            }
        }
        Ok(())
    }

    async fn fill(&self, holes: Vec<Hole>, files: Vec<Held>) -> Result<(), Unheard> {
        for hole in holes {
            let files = files.clone();
            let answer = Healing::Filled(Filled { hole, files });
            self.answers.send(answer).await.map_err(|_| Unheard)?;
        }
        Ok(())
    }

    async fn give_up(&self, holes: &[Hole], reason: String) -> Result<(), Unheard> {
        if let (Some(first), Some(last)) = (holes.iter().min(), holes.iter().max_by_key(|hole| hole.to)) {
            let (collector, from, to) = (first.collector, first.from, last.to);
            tracing::warn!(%collector, %from, %to, "a hole stays: {reason}");
        }
        for &hole in holes {
            let reason = reason.clone();
            let answer = Healing::GivenUp(GivenUp { hole, reason });
            self.answers.send(answer).await.map_err(|_| Unheard)?;
        }
        Ok(())
    }

    /// Every file of the hole, or why it cannot be filled yet.
    async fn files(&self, hole: Hole) -> Result<Vec<Held>, String> {
        let Hole { collector, from, to } = hole;
        let listed = self.archive.list(collector, FileKind::Updates, from, to).await;
        let entries = listed.map_err(|error| sentence(&error))?;
        let reaches = entries.last().is_some_and(|last| last.ends >= to);
        if !reaches || !entry::holes(&entries, from, to).is_empty() {
            return Err("the archive does not have every file of it".to_owned());
        }
        let fetches = entries.into_iter().map(|entry| self.whole(entry));
        stream::iter(fetches)
            .buffered(self.archive.limits().ahead.max(1))
            .try_collect()
            .await
    }

    async fn whole(&self, entry: Entry) -> Result<Held, String> {
        let held = self
            .archive
            .fetch(&entry)
            .await
            .map_err(|error| error.to_string())?;
        if self.archive.is_whole(&held).await {
            return Ok(held);
        }
        self.archive.forget(held);
        Err(format!("{} is not whole", entry.address()))
    }
}

fn sentence(error: &ArchiveError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_the_feed_is_a_hole_of_each_collector() {
        let (a, b) = (Collector::new("rrc00"), Collector::new("rrc01"));
        let gap = |collector, to| Gap {
            at: Time::from_secs(100),
            source: GapSource::RisLive,
            collector,
            peer: None,
            from: Some(Time::from_secs(100)),
            to,
            offset: None,
            reason: "connection lost".into(),
            lost: None,
        };
        let to = Some(Time::from_secs(130));
        let hole = |collector| Hole {
            collector,
            from: Time::from_secs(90),
            to: Time::from_secs(135),
        };
        assert_eq!(Hole::of(&gap(None, to), &[a, b]), [hole(a), hole(b)]);
        assert_eq!(Hole::of(&gap(Some(b), to), &[a, b]), [hole(b)]);
        assert!(Hole::of(&gap(Some(b), to), &[a]).is_empty());
        assert!(Hole::of(&gap(None, None), &[a, b]).is_empty());
    }
}
