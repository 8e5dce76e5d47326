//! When each agent was last heard: one that is silent is a hole in what is known, and is told as one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netfault_model::{Gap, GapSource, Input, Time};

#[derive(Debug)]
struct Last {
    at: Time,
    told: bool,
}

/// Of all agents of the configuration.
#[derive(Debug)]
pub(crate) struct Heard(Mutex<BTreeMap<Arc<str>, Last>>);

impl Heard {
    /// Who was never heard is silent since `start`, or since the last [`begin`](Self::begin).
    pub fn new<'a>(agents: impl Iterator<Item = &'a Arc<str>>, start: Time) -> Self {
        let last = |agent: &Arc<str>| {
            let last = Last {
                at: start,
                told: false,
            };
            (agent.clone(), last)
        };
        Heard(Mutex::new(agents.map(last).collect()))
    }

    /// The door is opened only now.
    pub fn begin(&self, now: Time) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().for_each(|last| last.at = now);
    }

    pub fn note(&self, agent: &str, now: Time) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = all.get_mut(agent) {
            if last.told {
                tracing::info!(agent, since = %last.at, "the agent reports again");
            }
            *last = Last {
                at: last.at.max(now),
                told: false,
            };
        }
    }

    /// Those that have become silent: each silence once.
    pub fn silent(&self, after: Duration, now: Time) -> Vec<Input> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = all
            .iter_mut()
            .filter(|(_, last)| !last.told && last.at + after <= now);
        silent
            .map(|(agent, last)| {
                last.told = true;
                tracing::warn!(agent = %agent, since = %last.at, "the agent does not report: names are judged without it");
                Input::Gap(Box::new(gap(agent, last.at, now)))
            })
            .collect()
    }
}

fn gap(agent: &str, since: Time, now: Time) -> Gap {
    Gap {
        at: now,
        source: GapSource::Dns,
        collector: None,
        peer: None,
        from: Some(since),
        to: Some(now),
        offset: None,
        reason: format!("agent {agent}: it does not report").into(),
        lost: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_silence_is_told_once() {
        let agents: [Arc<str>; 2] = ["a".into(), "b".into()];
        let at = Time::from_secs;
        let heard = Heard::new(agents.iter(), at(0));
        let after = Duration::from_secs(180);
        heard.note("a", at(100));
        heard.note("stranger", at(100));
        let told = |now| {
            let gaps = heard.silent(after, at(now)).into_iter();
            gaps.map(|input| match input {
                Input::Gap(gap) => (gap.reason.to_string(), gap.from),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(told(179), []);
        assert_eq!(
            told(180),
            [("agent b: it does not report".to_owned(), Some(at(0)))]
        );
        assert_eq!(
            told(280),
            [("agent a: it does not report".to_owned(), Some(at(100)))]
        );
        assert_eq!(told(9999), []);
        heard.note("a", at(10_000));
        assert_eq!(told(10_179), []);
        assert_eq!(told(10_180).len(), 1);
    }
}
