//! The worker's part of what agents send: into the journal and the engine once, and only then an answer.
//!
//! Several batches share one sync of the disk. The order is: the ledger says what comes where, the batches go into journal and engine
//! like everything else, the journal is synced, the agents are told. A journal that fails is counted and complained about like
//! anywhere else, and no reason to let agents wait: the engine has what they sent.

use std::io::Write;
use std::time::Duration;

use netfault_api::{Callers, Delivery, Doors, Limits, Server, Taken, Token, tls};
use netfault_model::Input;
use netfault_sources::journal;
use netfault_sources::ris_live::system_clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::lag;
use super::ledger::{Ledger, Place};
use super::work::Worker;
use crate::config::{self, Config};
use crate::exit::{Failure, Result, sentence};

/// Batches that wait for the pipeline: an agent has one under way. More is a 503, and stays in the agent's spool.
const QUEUE: usize = 32;
/// From one group to the next: each costs a few syncs of the disk.
const PACE: Duration = Duration::from_millis(100);

/// What the worker owns of it.
pub struct Agents {
    queue: mpsc::Receiver<Delivery>,
    ledger: Ledger,
    next: Instant,
    /// The next batch, while it is too fresh: what agents find is of now, like what we find ourselves ([`super::lag`]).
    fresh: Option<Delivery>,
    lag: Duration,
}

/// Binds the door, if the configuration has one; it is served once the pipeline has its table back.
pub async fn open(
    config: &Config,
    inputs: &mpsc::Sender<Vec<Input>>,
    journal: Option<&journal::Writer>,
) -> Result<(Option<Server>, Agents)> {
    let (deliveries, queue) = mpsc::channel(QUEUE);
    let agents = Agents {
        queue,
        ledger: Ledger::open(&config.data_dir, journal.map(journal::Writer::offset)),
        next: Instant::now(),
        fresh: None,
        lag: lag::of(config),
    };
    let Some(listen) = &config.listen else {
        return Ok((None, agents));
    };
    let doors = Doors {
        inputs: inputs.clone(),
        deliveries,
    };
    let limits = Limits {
        silence: Duration::from_secs(config.dns.detect.stale_s),
        ..Limits::default()
    };
    let tls = match &listen.tls {
        Some(files) => {
            let read = tls::server(&files.cert, &files.key);
            Some(read.map_err(|error| Failure::config(format_args!("listen.tls: {}", sentence(&error))))?)
        }
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let callers = Callers::new(tokens(&listen.agents), tokens(&listen.clients));
    let bound = Server::bind(listen.address, tls, callers, doors, system_clock(), limits).await;
    let server = bound.map_err(|error| {
        Failure::unavailable(format_args!("cannot listen on {}: {error}", listen.address))
    })?;
    let address = server.local_addr().unwrap_or(listen.address);
    tracing::info!(agents = listen.agents.len(), "listening on {scheme}://{address}");
    Ok((Some(server), agents))
}

fn tokens(callers: &[config::Caller]) -> impl Iterator<Item = (&str, Token)> {
    let token = |caller: &config::Caller| Token::new(caller.token.reveal());
    callers
        .iter()
        .map(move |caller| (caller.name.as_str(), token(caller)))
}

impl Agents {
    /// The first batch of the next group; `None` once nobody can send any more. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        tokio::time::sleep_until(self.next).await;
        if self.fresh.is_none() {
            self.fresh = self.queue.recv().await;
        }
        match self.wait() {
            Duration::ZERO => {} // a timer that is due still wants a turn, and beside a busy feed there may be none
            wait => tokio::time::sleep(wait).await,
        }
        self.fresh.take()
    }

    /// What else may be taken now.
    fn another(&mut self) -> Option<Delivery> {
        self.fresh = self.queue.try_recv().ok();
        match self.wait() {
            Duration::ZERO => self.fresh.take(),
            _ => None,
        }
    }

    fn wait(&self) -> Duration {
        let fresh = self.fresh.as_ref();
        fresh.map_or(Duration::ZERO, |delivery| {
            lag::wait(&delivery.inputs, self.lag, system_clock()())
        })
    }
}

impl<W: Write> Worker<W> {
    /// Takes `first` and whatever else is waiting.
    pub(super) fn take_deliveries(&mut self, first: Delivery) -> Result<()> {
        let before = self.agents.ledger.clone();
        let (mut admitted, mut answers) = (Vec::new(), Vec::new());
        let mut offset = self.journal.as_ref().map_or(0, journal::Writer::offset);
        let mut waiting = Some(first);
        while let Some(delivery) = waiting {
            self.admit(delivery, &mut offset, &mut admitted, &mut answers);
            waiting = self.agents.another();
        }
        if !admitted.is_empty()
            && let Err(error) = self.agents.ledger.save()
        {
            tracing::error!(%error, "what agents sent cannot be taken: the ledger cannot be written");
            self.agents.ledger = before;
            return Ok(()); // nobody is told anything but «try again»
        }
        for inputs in admitted {
            self.take(inputs)?;
        }
        self.sync();
        for (taken, answer) in answers {
            let _ = taken.send(answer); // who has gone asks again
        }
        self.agents.next = Instant::now() + PACE;
        Ok(())
    }

    fn admit(
        &mut self,
        delivery: Delivery,
        offset: &mut u64,
        admitted: &mut Vec<Vec<Input>>,
        answers: &mut Vec<(oneshot::Sender<Taken>, Taken)>,
    ) {
        let Delivery {
            agent,
            position,
            mut inputs,
            taken,
        } = delivery;
        let answer = match self.agents.ledger.place(&agent, position, inputs.len()) {
            Place::Known => Taken::Known,
            Place::Older(epoch) => Taken::OlderEpoch(epoch),
            Place::New { skip } => {
                inputs.drain(..skip);
                let count = inputs.len();
                self.agents.ledger.begin(&agent, position, *offset, skip, count);
                *offset += count as u64;
                admitted.push(inputs);
                Taken::Applied
            }
        };
        answers.push((taken, answer));
    }
}

#[cfg(test)]
mod tests {
    use netfault_api::Position;
    use netfault_model::Time;

    use super::*;

    fn delivery(seq: u64, at: Time) -> Delivery {
        Delivery {
            agent: "ams1".into(),
            position: Position { epoch: 1, seq },
            inputs: vec![Input::Tick(at)],
            taken: oneshot::channel().0,
        }
    }

    #[tokio::test]
    async fn a_fresh_batch_waits_for_the_lag_and_is_not_lost_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let (send, queue) = mpsc::channel(QUEUE);
        let mut agents = Agents {
            queue,
            ledger: Ledger::open(dir.path(), None),
            next: Instant::now(),
            fresh: None,
            lag: Duration::from_secs(86_400), // no test waits for that
        };
        let now = system_clock()();
        for (seq, at) in [(1, now - agents.lag), (2, now - agents.lag), (3, now), (4, now)] {
            send.send(delivery(seq, at)).await.unwrap();
        }
        let seq = |delivery: Option<Delivery>| delivery.map(|it| it.position.seq);
        assert_eq!(seq(agents.next().await), Some(1));
        assert_eq!(seq(agents.another()), Some(2));
        assert_eq!(seq(agents.another()), None);
        let cancelled = tokio::time::timeout(Duration::from_millis(20), agents.next()).await;
        assert!(cancelled.is_err(), "it is too fresh");
        agents.lag = Duration::ZERO;
        assert_eq!(seq(agents.next().await), Some(3));
        assert_eq!(seq(agents.another()), Some(4));
        drop(send);
        assert_eq!(seq(agents.next().await), None);
    }
}
