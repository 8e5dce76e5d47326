//! One collector's updates, or its table dump, file after file.

use std::collections::VecDeque;

use netfault_model::{Input, Time};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::fetch::Held;
use crate::mrt::{self, MrtError};

/// Files that are decoded at once in one lane: one in use, one behind it.
const DECODING: usize = 2;

/// What a fetching task came to.
#[derive(Debug)]
pub(super) enum Fetched {
    File(Held),
    /// A file that cannot be had; `None` if it does not matter for the span.
    Missing(Option<Box<netfault_model::Gap>>),
    /// A span that no file covers.
    Hole(Box<netfault_model::Gap>),
}

/// A task that ends with its handle.
#[derive(Debug)]
pub(super) struct Fetching(pub JoinHandle<Fetched>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Lane {
    /// In order. Its depth is how far ahead files are fetched.
    coming: mpsc::Receiver<Fetching>,
    /// The first of them, if it was looked at and was not here yet.
    coming_next: Option<Fetching>,
    open: VecDeque<Opened>,
    pub head: std::vec::IntoIter<Input>,
    /// What is outside of `[starts, to)` is not played.
    starts: Time,
    to: Time,
    is_over: bool,
}

enum Opened {
    File(mrt::Stream, #[allow(dead_code)] Held), // held so that the cache keeps the file
    Gap(Box<netfault_model::Gap>),
}

impl Lane {
    pub fn new(coming: mpsc::Receiver<Fetching>, starts: Time, to: Time) -> Self {
        Lane {
            coming,
            coming_next: None,
            open: VecDeque::new(),
            head: Vec::new().into_iter(),
            starts,
            to,
            is_over: false,
        }
    }

    /// Gets the next batch that has anything in it. False at the end, or when told to stop. Waits for files.
    pub fn refill(
        &mut self,
        runtime: &Handle,
        stop: &mut watch::Receiver<bool>,
        done: impl Fn(),
    ) -> Result<bool, MrtError> {
        loop {
            while !self.is_over && self.open.len() < DECODING {
                if self.coming_next.is_none() {
                    self.coming_next = self.coming.try_recv().ok();
                }
                // What is here is opened ahead, so that it is decoded meanwhile; what is not is waited for only
                // when there is nothing else.
                let is_here = self.coming_next.as_ref().is_some_and(|next| next.0.is_finished());
                if !is_here && !self.open.is_empty() {
                    break;
                }
                match runtime.block_on(next(&mut self.coming_next, &mut self.coming, stop)) {
                    Some(fetched) => self.add(fetched, &done)?,
                    None => self.is_over = true,
                }
            }
            let batch = match self.open.front_mut() {
                None if self.is_over => return Ok(false),
                None => continue,
                Some(Opened::Gap(gap)) => {
                    let gap = Input::Gap(gap.clone());
                    self.open.pop_front();
                    vec![gap]
                }
                Some(Opened::File(stream, _)) => match stream.next() {
                    Some(batch) => batch,
                    None => {
                        self.open.pop_front();
                        done();
                        continue;
                    }
                },
            };
            let batch = self.within(batch);
            if !batch.is_empty() {
                self.head = batch.into_iter();
                return Ok(true);
            }
        }
    }

    fn add(&mut self, fetched: Fetched, done: &impl Fn()) -> Result<(), MrtError> {
        match fetched {
            Fetched::File(held) => {
                let options = mrt::Options {
                    threads: 1,
                    ..mrt::Options::default()
                };
                let stream = mrt::Stream::open(vec![held.file.clone()], options)?;
                self.open.push_back(Opened::File(stream, held));
            }
            Fetched::Missing(gap) => {
                self.open.extend(gap.map(Opened::Gap));
                done();
            }
            Fetched::Hole(gap) => self.open.push_back(Opened::Gap(gap)),
        }
        Ok(())
    }

    /// Exactly what belongs to the span. A hole that reaches into it begins with it.
    fn within(&self, mut batch: Vec<Input>) -> Vec<Input> {
        batch.retain_mut(|input| {
            if let Input::Gap(gap) = input {
                let is_over = gap.to.is_some_and(|to| to <= self.starts);
                gap.at = gap.at.max(self.starts);
                return !is_over && gap.at < self.to;
            }
            (self.starts..self.to).contains(&input.at())
        });
        batch
    }
}

async fn next(
    coming_next: &mut Option<Fetching>,
    coming: &mut mpsc::Receiver<Fetching>,
    stop: &mut watch::Receiver<bool>,
) -> Option<Fetched> {
    let fetched = async {
        let mut fetching = match coming_next.take() {
            Some(fetching) => fetching,
            None => coming.recv().await?,
        };
        // An aborted task belongs to a runtime that ends.
        (&mut fetching.0).await.ok()
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        fetched = fetched => fetched,
    }
}
