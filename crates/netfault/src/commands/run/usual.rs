//! What is usual at this time of day, put beside reports and traffic before they enter the pipeline.
//!
//! ```text
//! POST /api/v1/reports ─► queue (bounded) ─► Usual ─► inputs of the pipeline
//!                                              └─► the store: mean of this quarter of an hour over the last 28 days
//! ```
//!
//! Here and not in the engine, which asks nobody: the number travels in the hint and stands in the journal, so a replay has the
//! same. A store that does not answer holds nothing up: what is usual is then not known.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use netfault_api::{Reports, Server};
use netfault_model::{Hint, HintKind, Input, Time};
use netfault_store::query::hints::{self, Series};
use netfault_store::{Client, StoreTarget};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;

/// Bodies that wait here; more is a 503.
const QUEUE: usize = 64;
/// The hints of one body wait no longer than this for all that is usual.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a store that did not answer. Until then nobody waits for it.
const PAUSE: Duration = Duration::from_secs(30);
/// Series times the slots of a few hours.
const MAX_KNOWN: usize = 4096;
/// As the store cuts the day.
const SLOT_US: i64 = 900_000_000;

type Answer = Result<Option<f64>, String>;
type Ask = Box<dyn Fn(Series, Time, u32) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send>;

/// From now on `door` takes reports; what comes of them goes to `out`.
pub fn take_reports(
    config: &Config,
    store: Option<&StoreTarget>,
    door: &Server,
    out: mpsc::Sender<Vec<Input>>,
) -> impl Future<Output = ()> + Send + use<> {
    let (hints, queue) = mpsc::channel(QUEUE);
    door.take_reports(Reports {
        services: config.watch.services.keys().cloned().collect(),
        hints,
    });
    Usual::of(store).run(queue, out)
}

/// Owned by one task, [`run`](Self::run).
struct Usual {
    /// `None`: nothing is stored.
    ask: Option<Ask>,
    /// Also that there is too little history.
    known: BTreeMap<Key, Option<f64>>,
    /// The store did not answer; it is asked again then.
    paused_until: Option<Instant>,
    patience: Duration,
    pause: Duration,
}

/// A series, its interval, and the quarter of an hour in which the middle of the interval lies, since 1970.
type Key = (Series, u32, i64);

impl Usual {
    fn of(store: Option<&StoreTarget>) -> Usual {
        Usual::asking(store.map(|target| {
            let client = Client::new(target);
            let ask: Ask = Box::new(move |series, at, interval_s| {
                let client = client.clone();
                Box::pin(async move {
                    let found = hints::usual(&client, &series, at, interval_s).await;
                    found.map_err(|error| error.to_string())
                })
            });
            ask
        }))
    }

    fn asking(ask: Option<Ask>) -> Usual {
        Usual {
            ask,
            known: BTreeMap::new(),
            paused_until: None,
            patience: PATIENCE,
            pause: PAUSE,
        }
    }

    /// Until nobody can send any more (the listener has gone), or the pipeline takes no more.
    async fn run(mut self, mut hints: mpsc::Receiver<Vec<Hint>>, out: mpsc::Sender<Vec<Input>>) {
        while let Some(mut batch) = hints.recv().await {
            self.complete(&mut batch).await;
            let inputs = batch.into_iter().map(|hint| Input::Hint(Box::new(hint)));
            // Waits: meanwhile the queue fills, and whoever pushes is told to come again.
            if out.send(inputs.collect()).await.is_err() {
                return;
            }
        }
    }

    async fn complete(&mut self, batch: &mut [Hint]) {
        let deadline = Instant::now() + self.patience;
        for hint in batch {
            let found = self.look_up(hint, deadline).await;
            if let HintKind::Reports { usual, .. } | HintKind::Traffic { usual, .. } = &mut hint.what {
                *usual = found;
            }
        }
    }

    async fn look_up(&mut self, hint: &Hint, deadline: Instant) -> Option<f64> {
        let ask = self.ask.as_ref()?;
        let (series, interval_s) = Series::of(hint)?;
        let middle = hint.at.micros().saturating_sub(i64::from(interval_s) * 500_000);
        let key = (series.clone(), interval_s, middle.div_euclid(SLOT_US));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let now = Instant::now();
        if now >= deadline || self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let why = match timeout_at(deadline, ask(series, hint.at, interval_s)).await {
            Ok(Ok(found)) => {
                self.paused_until = None;
                self.remember(key, found);
                return found;
            }
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", self.patience.as_secs()),
        };
        if self.paused_until.is_none() {
            tracing::warn!(why, "the store does not say what is usual: reports go on without");
        }
        self.paused_until = Some(Instant::now() + self.pause);
        None
    }

    fn remember(&mut self, key: Key, found: Option<f64>) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, found);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use netfault_model::Arrival;

    use super::*;

    fn report(at: i64, service: &str) -> Hint {
        Hint {
            at: Time::from_secs(at),
            arrival: Arrival::InTime,
            service: service.into(),
            source: "helpdesk".into(),
            what: HintKind::Reports {
                interval_s: 60,
                count: 7.0,
                usual: None,
            },
        }
    }

    fn usual(hint: &Hint) -> Option<f64> {
        match hint.what {
            HintKind::Reports { usual, .. } => usual,
            _ => None,
        }
    }

    /// A store that gives these answers, one after another, and counts the questions.
    fn store(answer: impl Fn(usize) -> Option<Answer> + Send + 'static) -> (Usual, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let ask: Ask = Box::new(move |_, _, _| {
            let answer = answer(count.fetch_add(1, Ordering::SeqCst));
            Box::pin(async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            })
        });
        (Usual::asking(Some(ask)), asked)
    }

    #[tokio::test]
    async fn a_slot_of_a_series_is_asked_about_once() {
        let (mut it, asked) = store(|n| Some(Ok(if n == 1 { None } else { Some(n as f64) })));
        // 00:05, 00:10, another service, and the next quarter of an hour.
        let mut batch = [
            report(300, "Shop"),
            report(600, "Shop"),
            report(300, "Mail"),
            report(1000, "Shop"),
        ];
        for _ in 0..2 {
            it.complete(&mut batch).await;
            let found: Vec<_> = batch.iter().map(usual).collect();
            assert_eq!(found, [Some(0.0), Some(0.0), None, Some(2.0)]);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_holds_nobody_up_for_long() {
        let (mut it, asked) = store(|n| (n > 0).then_some(Ok(Some(5.0))));
        (it.patience, it.pause) = (Duration::from_millis(20), Duration::from_secs(3600));
        let mut batch = [report(300, "Shop"), report(300, "Mail")];
        for _ in 0..2 {
            it.complete(&mut batch).await;
            assert_eq!(batch.each_ref().map(usual), [None, None]);
            assert_eq!(asked.load(Ordering::SeqCst), 1, "it is left alone");
        }
        (it.patience, it.paused_until) = (PATIENCE, Some(Instant::now()));
        it.complete(&mut batch).await;
        assert_eq!(batch.each_ref().map(usual), [Some(5.0), Some(5.0)]);
    }

    #[tokio::test]
    async fn an_error_is_no_answer_and_without_a_store_nothing_is_usual() {
        let (mut it, _) = store(|_| Some(Err("no such table".to_owned())));
        let mut batch = [report(300, "Shop")];
        it.complete(&mut batch).await;
        assert_eq!(usual(&batch[0]), None);
        Usual::of(None).complete(&mut batch).await;
        assert_eq!(usual(&batch[0]), None);
    }

    #[tokio::test]
    async fn what_was_taken_gets_through_when_the_listener_has_gone() {
        let (hints, queue) = mpsc::channel(4);
        let (out, mut inputs) = mpsc::channel(4);
        hints
            .send(vec![report(300, "Shop"), report(300, "Mail")])
            .await
            .unwrap();
        drop(hints);
        Usual::of(None).run(queue, out).await;
        let services: Vec<String> = inputs
            .recv()
            .await
            .unwrap()
            .into_iter()
            .map(|input| match input {
                Input::Hint(hint) => hint.service,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(services, ["Shop", "Mail"]);
        assert!(inputs.recv().await.is_none());
    }
}
