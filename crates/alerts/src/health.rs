//! Whether netfault itself is well: what its parts report, and what is wrong by now.
//!
//! The parts only report ([`Health`] is shared, and cheap to feed); [`Health::judge`] decides, from the reports and the
//! clock that it is given. A trouble that makes us blind or dumb is `stale`: it stops the heartbeats.

mod reports;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use netfault_model::{Output, Time};

pub use reports::{Alive, Store};
use reports::{Source, Standing};

use crate::lane::Counts;

/// Something is wrong with netfault itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// Names it: `source:ris_live`, `store`, `receiver:oncall`.
    pub key: String,
    /// 1 to 5, as of incidents.
    pub severity: u8,
    /// One sentence for people.
    pub title: String,
    pub since: Time,
    /// An input, the pipeline or a sink does not work: nobody may rely on our silence.
    pub stale: bool,
}

/// The clock ticks into the pipeline every second.
const TURN: Duration = Duration::from_secs(30);
/// Playing a day of journal at the start takes minutes.
const START: Duration = Duration::from_secs(1_800);
/// A store that restarts takes less.
const STORE: Duration = Duration::from_secs(60);
/// Share of the spool from which on it is nearly full.
const NEARLY_FULL: f64 = 0.9;
/// A receiver is retried after one, two, four … seconds: by now it is no hiccup.
const RECEIVER: Duration = Duration::from_secs(300);
/// What was lost is lost, and stays worth knowing for so long.
const LOSS: Duration = Duration::from_secs(900);

/// What the parts report.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Time,
    sources: BTreeMap<String, Source>,
    turned: Option<Time>,
    store: Option<(Store, Option<Time>)>,
    standing: BTreeMap<String, Standing>,
    /// Overflows by receiver, and when the number grew last.
    overflows: BTreeMap<String, (u64, Time)>,
}

impl Health {
    pub fn new(now: Time) -> Self {
        Health {
            state: Mutex::new(State {
                started: now,
                sources: BTreeMap::new(),
                turned: None,
                store: None,
                standing: BTreeMap::new(),
                overflows: BTreeMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// `source` is to be heard at least every `limit`. `alive`: asked in between, where a quiet source is no fault.
    pub fn expect(&self, source: &str, limit: Duration, alive: Option<Alive>, now: Time) {
        let source_state = Source {
            heard: now,
            limit,
            alive,
        };
        self.state().sources.insert(source.to_owned(), source_state);
    }

    /// Something came from `source`.
    pub fn heard(&self, source: &str, now: Time) {
        if let Some(source) = self.state().sources.get_mut(source) {
            source.heard = source.heard.max(now);
        }
    }

    /// The pipeline has gone round.
    pub fn turned(&self, now: Time) {
        self.state().turned = Some(now);
    }

    /// How the store fares.
    pub fn store(&self, store: Store, now: Time) {
        let mut state = self.state();
        let failing_since = state.store.take().and_then(|(_, since)| since);
        let since = store.error.is_some().then(|| failing_since.unwrap_or(now));
        state.store = Some((store, since));
    }

    /// What the engine says about feeds, vantages and holes.
    pub fn output(&self, output: &Output, now: Time) {
        reports::note(&mut self.state().standing, output, now);
    }

    /// What is wrong at `now`, in order of its key.
    pub fn judge<'a>(
        &self,
        now: Time,
        receivers: impl IntoIterator<Item = (&'a str, Counts)>,
    ) -> Vec<Trouble> {
        let mut state = self.state();
        let mut found = Vec::new();
        found.extend(pipeline(&state, now));
        found.extend(
            state
                .sources
                .iter_mut()
                .filter_map(|(name, source)| lost_source(name, source, now)),
        );
        found.extend(
            state
                .store
                .iter()
                .flat_map(|(store, since)| self::store(store, *since, now)),
        );
        for (name, counts) in receivers {
            found.extend(dead_receiver(name, &counts, now));
            found.extend(overflow(&mut state.overflows, name, counts.overflowed, now));
        }
        state.standing.retain(|_, standing| !standing.has_faded(now));
        found.extend(
            state
                .standing
                .iter()
                .filter_map(|(key, standing)| standing.trouble(key, now)),
        );
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }
}

fn pipeline(state: &State, now: Time) -> Option<Trouble> {
    let (since, limit) = match state.turned {
        Some(turned) => (turned, TURN),
        None => (state.started, START),
    };
    let is_late = since + limit <= now;
    // Before its first turn nothing is judged yet, so nobody may rely on us; that alone is no alert.
    if !is_late && state.turned.is_some() {
        return None;
    }
    Some(Trouble {
        key: "pipeline".into(),
        severity: if is_late { 4 } else { 0 },
        title: match state.turned {
            Some(_) => "netfault's pipeline stands still: nothing is decided.".into(),
            None => "netfault has not begun to decide: it still plays what an earlier run left.".into(),
        },
        since,
        stale: true,
    })
}

fn lost_source(name: &str, source: &mut Source, now: Time) -> Option<Trouble> {
    if source.alive.as_ref().is_some_and(Alive::ask) {
        source.heard = source.heard.max(now);
    }
    let silent = now.since(source.heard) / 1_000_000;
    (source.heard + source.limit <= now).then(|| Trouble {
        key: format!("source:{name}"),
        severity: 4,
        title: format!("Nothing has come from {name} for {silent} s: outages there are not seen."),
        since: source.heard,
        stale: true,
    })
}

fn store(store: &Store, since: Option<Time>, now: Time) -> Vec<Trouble> {
    let mut found = Vec::new();
    if let (Some(error), Some(since)) = (&store.error, since)
        && since + STORE <= now
    {
        found.push(Trouble {
            key: "store".into(),
            severity: 3,
            title: format!("The store takes nothing: {}.", error.trim_end_matches('.')),
            since,
            stale: true,
        });
    }
    if store.spool_max > 0 && store.spool_bytes as f64 >= NEARLY_FULL * store.spool_max as f64 {
        found.push(Trouble {
            key: "spool".into(),
            severity: 4,
            title: "The spool is nearly full: rows are about to be lost.".into(),
            since: now,
            stale: true,
        });
    }
    found
}

fn dead_receiver(name: &str, counts: &Counts, now: Time) -> Option<Trouble> {
    let since = counts.failing_since.filter(|&since| since + RECEIVER <= now)?;
    let error = counts.last_error.as_deref().unwrap_or("it does not answer");
    Some(Trouble {
        key: format!("receiver:{name}"),
        severity: 3,
        title: format!(
            "Receiver {name} takes no alerts: {}.",
            error.trim_end_matches('.')
        ),
        since,
        stale: true,
    })
}

fn overflow(seen: &mut BTreeMap<String, (u64, Time)>, name: &str, count: u64, now: Time) -> Option<Trouble> {
    let (before, grew) = seen.entry(name.to_owned()).or_insert((0, Time::MIN));
    if count > *before {
        (*before, *grew) = (count, now);
    }
    let recent = grew.micros() != i64::MIN && *grew + LOSS > now;
    recent.then(|| Trouble {
        key: format!("outbox:{name}"),
        severity: 4,
        title: format!("The outbox of receiver {name} is full: {count} alerts were lost."),
        since: *grew,
        stale: true,
    })
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
