//! Gaps of one kind, summed up: at most one per second and cause, so that a flood of bad frames does not
//! become a flood of gaps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use netfault_model::{Collector, Gap, GapSource, Time};

/// One gap per cause in this time.
const EVERY: Duration = Duration::from_secs(1);
/// Causes kept apart; a further one is reported at once.
const MAX_OPEN: usize = 256;

#[derive(Debug)]
struct Open {
    since: Time,
    at: Time,
    lost: u64,
}

/// Gaps that have begun and are not yet told.
#[derive(Debug, Default)]
pub struct Gaps {
    open: BTreeMap<(Cow<'static, str>, Option<Collector>), Open>,
}

impl Gaps {
    /// Counts one lost message. `at` is the time of the last good message, `now` the clock.
    pub fn count(
        &mut self,
        reason: Cow<'static, str>,
        collector: Option<Collector>,
        at: Time,
        now: Time,
    ) -> Option<Gap> {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&(reason.clone(), collector)) {
            return Some(gap(
                (reason, collector),
                &Open {
                    since: now,
                    at,
                    lost: 1,
                },
                at,
            ));
        }
        let open = self.open.entry((reason, collector)).or_insert(Open {
            since: now,
            at,
            lost: 0,
        });
        open.lost += 1;
        None
    }

    /// Those that are due, in order of cause. `last` is the time of the last good message.
    pub fn due(&mut self, last: Time, now: Time) -> Vec<Gap> {
        if self
            .open
            .values()
            .all(|open| now.since(open.since) < netfault_model::time::micros(EVERY))
        {
            return Vec::new();
        }
        self.all(last)
    }

    /// All, due or not.
    pub fn all(&mut self, last: Time) -> Vec<Gap> {
        std::mem::take(&mut self.open)
            .into_iter()
            .map(|(cause, open)| gap(cause, &open, last))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

fn gap((reason, collector): (Cow<'static, str>, Option<Collector>), open: &Open, last: Time) -> Gap {
    Gap {
        at: last,
        source: GapSource::RisLive,
        collector,
        peer: None,
        from: Some(open.at),
        to: Some(last.max(open.at)),
        offset: None,
        reason,
        lost: Some(open.lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_bad_frames_is_one_gap() {
        let mut gaps = Gaps::default();
        let t = Time::from_secs;
        for _ in 0..500 {
            assert_eq!(gaps.count("garbage".into(), None, t(10), t(100)), None);
        }
        assert!(gaps.due(t(10), t(100)).is_empty());
        let due = gaps.due(t(11), t(101));
        assert_eq!(due.len(), 1);
        assert_eq!(
            (due[0].lost, due[0].from, due[0].to),
            (Some(500), Some(t(10)), Some(t(11)))
        );
        assert!(gaps.is_empty());
    }

    #[test]
    fn causes_are_kept_apart_and_bounded() {
        let mut gaps = Gaps::default();
        let now = Time::from_secs(1);
        let told: usize = (0..1000)
            .filter_map(|n| gaps.count(format!("cause {n}").into(), None, now, now))
            .count();
        assert_eq!(told, 1000 - MAX_OPEN);
        assert_eq!(gaps.all(now).len(), MAX_OPEN);
    }
}
