//! The path of every input, live or replayed: store, engine, printer, alerts. Sources and sinks differ; this
//! does not.

use std::io::Write;

use netfault_engine::{Engine, Watchlist};
use netfault_model::{Arrival, Input, NotableKind, Output, Time};
use netfault_store::Writer;

use crate::config::{Config, Updates};
use crate::exit::{Failure, Result};
use crate::notifier::{Notifier, Past};
use crate::render::{EventWriter, quiet_pipe};

/// Where outputs go. What is absent is not asked for.
pub struct Sinks<W: Write> {
    pub printer: Option<EventWriter<W>>,
    pub recorder: Option<Recorder>,
    pub notifier: Option<Notifier>,
    /// Sees every output before the others do.
    pub observer: Option<Observer>,
}

pub type Observer = Box<dyn FnMut(&Output) + Send>;

/// Rows for ClickHouse.
pub struct Recorder {
    pub writer: Writer,
    /// Which single updates are kept.
    pub updates: Updates,
    pub watchlist: Watchlist,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub updates: u64,
    pub routes: u64,
    pub probes: u64,
    pub gaps: u64,
    pub transitions: u64,
    pub incidents: u64,
    /// Inputs before the time that was asked for.
    pub learnt: u64,
    pub first: Option<Time>,
    pub last: Option<Time>,
}

pub struct Pipeline<W: Write> {
    engine: Engine,
    sinks: Sinks<W>,
    outputs: Vec<Output>,
    pub counts: Counts,
    /// The reader of standard output is still there.
    heard: bool,
    /// What is said of earlier times is neither printed nor stored.
    silent_before: Time,
    /// What was delivered since it was last taken, while somebody wants to know.
    memory: Option<Vec<Output>>,
}

impl<W: Write> Pipeline<W> {
    pub fn new(config: &Config, sinks: Sinks<W>) -> Self {
        let engine = Engine::new(
            config.detect.clone(),
            config.dns.detect.clone(),
            config.watch.clone(),
        )
        .with_countries(config.countries.known.clone());
        Pipeline {
            engine,
            sinks,
            outputs: Vec::new(),
            counts: Counts::default(),
            heard: true,
            silent_before: Time::MIN,
            memory: None,
        }
    }

    /// Inputs before `at` are only learnt from: nothing of them, and nothing said of their time, reaches a sink.
    pub fn be_silent_before(&mut self, at: Time) {
        self.silent_before = at;
    }

    /// The engine, to be saved.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Goes on with an engine that was saved.
    pub fn resume(&mut self, engine: Engine, config: &Config) {
        let engine = engine.resume(
            config.detect.clone(),
            config.dns.detect.clone(),
            config.watch.clone(),
        );
        self.engine = engine.with_countries(config.countries.known.clone());
    }

    /// Goes on with another engine, which has seen what this one missed.
    pub fn replace(&mut self, engine: Engine) {
        self.engine = engine;
    }

    /// Tells what no engine says by itself.
    pub fn tell(&mut self, outputs: impl IntoIterator<Item = Output>) -> Result<()> {
        self.outputs.extend(outputs);
        self.deliver()
    }

    /// What was delivered since the last call; from now on it is kept only if `wanted`.
    pub fn remember(&mut self, wanted: bool) -> Vec<Output> {
        let memory = if wanted { Some(Vec::new()) } else { None };
        std::mem::replace(&mut self.memory, memory).unwrap_or_default()
    }

    /// Takes inputs in arrival order. False if nobody listens any more.
    pub fn take(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<bool> {
        self.push(inputs);
        self.deliver()?;
        Ok(self.heard || self.sinks.recorder.is_some() || self.sinks.notifier.is_some())
    }

    /// The first half of [`take`](Self::take): inputs into the engine, nobody is told yet.
    pub fn push(&mut self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            let is_warm_up = input.at() < self.silent_before;
            if is_warm_up {
                self.counts.learnt += 1;
            } else {
                self.count(&input);
            }
            if let Some(recorder) = &self.sinks.recorder {
                match is_warm_up {
                    true => recorder.skip(&input),
                    false => recorder.input(&input),
                }
            }
            self.engine.push(input, &mut self.outputs);
        }
    }

    /// A decision waits for [`deliver`](Self::deliver).
    pub fn has_decided(&self) -> bool {
        self.outputs
            .iter()
            .any(|output| matches!(output, Output::Transition(_) | Output::Incident(_)))
    }

    /// Takes inputs of an earlier run: the engine learns from them again, and says nothing to people. Rows are
    /// written only if `to_store`.
    pub fn relive(&mut self, inputs: Vec<Input>, to_store: bool, past: &mut Past) {
        for input in inputs {
            if let Some(recorder) = &self.sinks.recorder {
                match to_store {
                    true => recorder.input(&input),
                    false => recorder.skip(&input),
                }
            }
            self.engine.push(input, &mut self.outputs);
        }
        for output in self.outputs.drain(..) {
            if let Some(recorder) = self.sinks.recorder.as_ref().filter(|_| to_store) {
                recorder.output(&output);
            }
            if let Some(notifier) = &mut self.sinks.notifier {
                notifier.relive(output, past);
            }
        }
    }

    /// Inputs that the engine has in its saved state already.
    pub fn skip(&self, inputs: &[Input]) {
        if let Some(recorder) = &self.sinks.recorder {
            inputs.iter().for_each(|input| recorder.skip(input));
        }
    }

    /// After the last of [`relive`](Self::relive): tells what people should have been told and were not.
    pub fn settle(&mut self, past: Past) {
        if let Some(notifier) = &mut self.sinks.notifier {
            notifier.settle(past);
        }
    }

    /// Ends without settling what is held: it is in the journal.
    pub fn into_writer(self) -> Option<Writer> {
        self.sinks.recorder.map(|recorder| recorder.writer)
    }

    /// The input has ended: settles what is held.
    pub fn end(&mut self, until: Option<Time>) -> Result<()> {
        self.engine.finish(until, &mut self.outputs);
        self.deliver()
    }

    /// [`end`](Self::end) and [`close`](Self::close).
    pub fn finish(mut self, until: Option<Time>) -> Result<(Counts, Option<Writer>)> {
        self.end(until)?;
        self.close()
    }

    /// After [`end`](Self::end): gives the sinks back for closing.
    pub fn close(mut self) -> Result<(Counts, Option<Writer>)> {
        let stats = self.engine.stats();
        let (prefixes, sessions) = self.engine.size();
        tracing::debug!(?stats, prefixes, sessions, "engine");
        if prefixes > 0 {
            tracing::info!("{}", self.engine.maturity().summary());
        }
        if stats.quarantined + stats.late + stats.older > 0 {
            tracing::info!(
                quarantined = stats.quarantined,
                late = stats.late,
                older_than_their_session = stats.older,
                "messages put aside for their time stamps"
            );
        }
        if self.heard
            && let Some(printer) = self.sinks.printer.take()
        {
            quiet_pipe(printer.finish()).map_err(unwritable)?;
        }
        Ok((self.counts, self.sinks.recorder.map(|recorder| recorder.writer)))
    }

    pub fn writer(&self) -> Option<&Writer> {
        self.sinks.recorder.as_ref().map(|recorder| &recorder.writer)
    }

    /// Shows what has been printed so far.
    pub fn flush(&mut self) -> Result<()> {
        if let Some(printer) = self.sinks.printer.as_mut().filter(|_| self.heard) {
            self.heard = quiet_pipe(printer.flush()).map_err(unwritable)?;
        }
        Ok(())
    }

    fn count(&mut self, input: &Input) {
        match input {
            Input::Update(update) => self.counts.updates += u64::from(update.arrival == Arrival::InTime),
            Input::Rib(_) => self.counts.routes += 1,
            Input::Probe(_) => self.counts.probes += 1,
            _ => {}
        }
        if !matches!(input, Input::Gap(_) | Input::Tick(_)) {
            let at = input.at();
            self.counts.first = Some(self.counts.first.map_or(at, |first| first.min(at)));
            self.counts.last = self.counts.last.max(Some(at));
        }
    }

    /// The second half of [`take`](Self::take): what was decided goes to the sinks.
    pub fn deliver(&mut self) -> Result<()> {
        let mut notices = Vec::new();
        self.outputs.retain(|output| output.at() >= self.silent_before);
        if let Some(memory) = &mut self.memory {
            memory.extend_from_slice(&self.outputs);
        }
        for output in self.outputs.drain(..) {
            match &output {
                Output::Transition(_) => self.counts.transitions += 1,
                Output::Gap(_) => self.counts.gaps += 1,
                Output::Incident(incident) => self.counts.incidents += u64::from(incident.version == 1),
                Output::Notable(it) if it.what == NotableKind::Baseline && self.sinks.notifier.is_some() => {
                    tracing::info!("{}", it.summary);
                }
                Output::Feed(_) | Output::Notable(_) | Output::Delegation(_) => {}
            }
            if let Some(observer) = &mut self.sinks.observer {
                observer(&output);
            }
            if let Some(recorder) = &self.sinks.recorder {
                recorder.output(&output);
            }
            if let Some(notifier) = &mut self.sinks.notifier {
                notices.extend(notifier.hear(&output));
            }
            if let Some(printer) = self.sinks.printer.as_mut().filter(|_| self.heard) {
                self.heard = quiet_pipe(printer.write(&output)).map_err(unwritable)?;
            }
        }
        if let Some(notifier) = &mut self.sinks.notifier {
            notifier.send(notices);
        }
        Ok(())
    }
}

impl Recorder {
    fn input(&self, input: &Input) {
        match input {
            Input::Update(update) if self.keeps(update) => self.writer.update(update),
            // Late ones too: they decide nothing, and happened all the same.
            Input::Probe(probe) => self.writer.probe(probe),
            Input::Hint(hint) => self.writer.hint(hint),
            _ => {}
        }
    }

    /// The store has this one: only its place among the messages of its instant counts.
    fn skip(&self, input: &Input) {
        if let Input::Update(update) = input
            && self.keeps(update)
        {
            self.writer.skip_update(update);
        }
    }

    fn keeps(&self, update: &netfault_model::Update) -> bool {
        match self.updates {
            Updates::All => true,
            Updates::Watched => self.concerns(update),
            Updates::None => false,
        }
    }

    /// A message is kept whole if any of its prefixes is watched.
    fn concerns(&self, update: &netfault_model::Update) -> bool {
        let origin = update
            .announcement
            .as_ref()
            .and_then(|announcement| announcement.origin);
        update
            .withdrawn()
            .iter()
            .any(|nlri| self.watchlist.is_watched(nlri.prefix, None))
            || update
                .announced()
                .iter()
                .any(|nlri| self.watchlist.is_watched(nlri.prefix, origin))
    }

    fn output(&self, output: &Output) {
        match output {
            Output::Transition(transition) => self.writer.transition(transition),
            Output::Feed(feed) => self.writer.feed(feed),
            Output::Incident(incident) => self.writer.incident(incident),
            Output::Notable(notable) => self.writer.notable(notable),
            Output::Gap(gap) => self.writer.gap(gap),
            Output::Delegation(delegation) => self.writer.delegation(delegation),
        }
    }
}

fn unwritable(error: std::io::Error) -> Failure {
    Failure::unavailable(format_args!("standard output cannot be written: {error}"))
}
