//! Answers to one control question, round after round.

use netfault_model::Time;
use serde::{Deserialize, Serialize};

use crate::dns::settings::DnsSettings;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub asked: Time,
    pub good: Option<Time>,
    pub bad_rounds: u32,
    pub bad_since: Option<Time>,
}

impl Run {
    pub fn new(at: Time) -> Self {
        Run {
            asked: at,
            good: None,
            bad_rounds: 0,
            bad_since: None,
        }
    }

    pub fn take(&mut self, at: Time, is_good: bool) {
        self.asked = at;
        if is_good {
            self.good = Some(at);
            self.bad_rounds = 0;
            self.bad_since = None;
        } else {
            self.bad_rounds = self.bad_rounds.saturating_add(1);
            self.bad_since = self.bad_since.or(Some(at));
        }
    }

    pub fn was_good_since(&self, since: Time) -> bool {
        self.good.is_some_and(|good| good >= since)
    }

    pub fn is_fresh(&self, now: Time, settings: &DnsSettings) -> bool {
        now <= self.asked + settings.forget()
    }
}
