//! The wall clock, for waits, silences and signatures. Decisions about outages never look at it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netfault_model::Time;

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_secs(0) + since
}

/// From now until `at`; nothing if it is over.
pub(crate) fn until(at: Time) -> Duration {
    Duration::from_micros(u64::try_from(at.since(now())).unwrap_or(0))
}
