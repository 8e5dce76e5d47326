//! Sends the oldest batch until the collector itself says that it is safe, and says how it is going.

use std::pin::Pin;
use std::time::Duration;

use hyper::Uri;
use netfault_api::batch::Hole;
use netfault_api::client::{Failure, Skew};
use netfault_api::{Client, Position, Taken, Token, tls};
use netfault_model::Time;
use netfault_sources::ris_live::Clock;
use tokio::time::Instant;

use super::pace::Pace;
use super::results::Results;
use super::spool::Spool;
use crate::config::Agent;
use crate::exit;

/// A difference of the clocks that is worth a word, in microseconds.
const SKEW: i64 = 5_000_000;
/// Between two lines that say that it is still so.
const REMIND: Duration = Duration::from_secs(300);

type Sending = Pin<Box<dyn Future<Output = (Client, Result<Taken, Failure>)> + Send>>;

pub struct Courier {
    url: String,
    clock: Clock,
    /// At home, or out with a batch.
    client: Option<Client>,
    sending: Option<(Position, Sending)>,
    pace: Pace,
    mood: Mood,
    /// Results sent since a connection that found more than one batch waiting.
    catching_up: Option<u64>,
    /// The difference of the clocks that was told last.
    skew: i64,
}

/// How it was going when that was last said.
enum Mood {
    New,
    Connected,
    Spooling { why: String, said: Instant },
}

/// What one step has led to.
pub struct Sent {
    position: Position,
    outcome: std::result::Result<Result<Taken, Failure>, std::io::Error>,
}

impl Courier {
    pub fn new(section: &Agent, clock: Clock) -> exit::Result<Courier> {
        let wrong = |error: &dyn std::error::Error| exit::Failure::config(exit::sentence(error));
        let tls = tls::client(section.ca.as_deref()).map_err(|error| wrong(&error))?;
        let url: Uri = section.collector.parse().map_err(|error| wrong(&error))?;
        let token = Token::new(section.token.reveal());
        Ok(Courier {
            url: section.collector.clone(),
            client: Some(Client::new(url, &section.name, token, tls, clock.clone())),
            clock,
            sending: None,
            pace: Pace::new(),
            mood: Mood::New,
            catching_up: None,
            skew: 0,
        })
    }

    /// A batch is out: it may arrive at any moment.
    pub fn is_under_way(&self) -> bool {
        self.sending.is_some()
    }

    /// The last try failed, and it is not time for the next.
    pub fn is_waiting(&self) -> bool {
        self.sending.is_none() && self.pace.next() > Instant::now()
    }

    /// Sends the oldest batch once; without one it never ends. Cancelled, it goes on where it was.
    pub async fn step(&mut self, spool: &Spool) -> Sent {
        if self.sending.is_none() {
            tokio::time::sleep_until(self.pace.next()).await;
            let Some(front) = spool.front() else {
                return std::future::pending().await;
            };
            let position = front.position;
            let batch = match front.batch() {
                Ok(batch) => batch,
                Err(error) => {
                    let outcome = Err(error);
                    return Sent { position, outcome };
                }
            };
            let Some(mut client) = self.client.take() else {
                return std::future::pending().await; // it comes home with `sending`
            };
            let sending = async move {
                let sent = client.send(position, batch).await;
                (client, sent)
            };
            self.sending = Some((position, Box::pin(sending)));
        }
        let Some((position, sending)) = &mut self.sending else {
            return std::future::pending().await;
        };
        let (position, (client, sent)) = (*position, sending.await);
        self.sending = None;
        self.client = Some(client);
        Sent {
            position,
            outcome: Ok(sent),
        }
    }

    /// What follows from it.
    pub fn settle(&mut self, sent: Sent, spool: &mut Spool, results: &mut Results, name: &str) {
        let Sent { position, outcome } = sent;
        match outcome {
            Ok(Ok(taken)) => self.taken(position, taken, spool),
            Ok(Err(failure)) => self.failed(position, failure, spool, results),
            Err(error) => {
                tracing::warn!(%error, "a batch of the spool is damaged");
                self.set_aside(
                    position,
                    format!("a batch of the spool is damaged: {error}"),
                    spool,
                    results,
                );
            }
        }
        self.compare_clocks(results, name);
    }

    fn taken(&mut self, position: Position, taken: Taken, spool: &mut Spool) {
        tracing::debug!(?position, ?taken, "sent");
        let sent = spool
            .remove(position)
            .map_or(0, |segment| u64::from(segment.items));
        self.pace.succeeded();
        if !matches!(
            std::mem::replace(&mut self.mood, Mood::Connected),
            Mood::Connected
        ) {
            let (batches, results) = spool.size();
            tracing::info!(waiting = batches, results, "connected to {}", self.url);
            self.catching_up = (batches > 0).then_some(0);
        }
        let Some(so_far) = &mut self.catching_up else {
            return;
        };
        *so_far += sent;
        if spool.is_empty() {
            tracing::info!(results = *so_far, "caught up");
            self.catching_up = None;
        }
    }

    fn failed(&mut self, position: Position, failure: Failure, spool: &mut Spool, results: &mut Results) {
        match failure {
            Failure::Refused { .. } => {
                tracing::error!("{failure}: it is set aside");
                self.set_aside(position, failure.to_string(), spool, results);
            }
            Failure::OlderEpoch(epoch) if epoch < u64::MAX => {
                tracing::warn!(
                    "{failure}: is the name used twice, or was the clock set back? What is spooled is sent as a later run"
                );
                self.pace.failed(None);
                if let Err(error) = spool.renumber(epoch) {
                    tracing::error!(%error, "the spool cannot be renumbered");
                }
            }
            Failure::Busy { after, .. } => {
                self.pace.failed(after);
                self.grumble(&failure, spool);
            }
            _ => {
                self.pace.failed(None);
                self.grumble(&failure, spool);
            }
        }
    }

    /// A batch that will never be taken must not hold up the others.
    fn set_aside(&mut self, position: Position, reason: String, spool: &mut Spool, results: &mut Results) {
        self.pace.succeeded();
        if let Some(segment) = spool.remove(position) {
            results.hole(Hole {
                at: (self.clock)(),
                from: Some(segment.from),
                to: Some(segment.to),
                reason,
                lost: Some(u64::from(segment.items)),
            });
        }
    }

    /// Once for each reason, and every five minutes.
    fn grumble(&mut self, failure: &Failure, spool: &Spool) {
        let why = failure.to_string();
        if let Mood::Spooling { why: last, said } = &self.mood
            && *last == why
            && said.elapsed() < REMIND
        {
            return;
        }
        let (batches, results) = spool.size();
        tracing::warn!(batches, results, "spooling, because {why}");
        self.mood = Mood::Spooling {
            why,
            said: Instant::now(),
        };
    }

    /// Says that a clock is wrong, when it is, when it is otherwise wrong, and when it is right again.
    fn compare_clocks(&mut self, results: &mut Results, name: &str) {
        let skew = self
            .client
            .as_ref()
            .and_then(Client::skew)
            .map_or(0, Skew::at_least);
        let skew = if skew.abs() > SKEW { skew } else { 0 };
        if (skew - self.skew).abs() <= SKEW {
            return;
        }
        self.skew = skew;
        let now: Time = (self.clock)();
        if skew == 0 {
            return tracing::info!("the clock agrees with the collector's again");
        }
        let seconds = skew.abs() as f64 / 1e6;
        let which = if skew > 0 { "behind" } else { "ahead of" };
        let reason = format!("the clock of {name} is {seconds:.1} s {which} the collector's");
        tracing::warn!("{reason}: its results may come too late or too early to count");
        results.hole(Hole {
            at: now,
            from: None,
            to: None,
            reason,
            lost: None,
        });
    }
}
