//! The time of the schedule: it stands still while the probe host does.
//!
//! A process that was stopped for a minute (a debugger, a suspended machine, a moved virtual machine) must neither make up
//! for the rounds of that minute in one burst, nor take the silence in it for that of the servers. So the plan goes on where
//! it stood, a minute later, and questions that were under way then are not believed when they end in silence.

use std::time::Duration;

use netfault_model::Time;
use tokio::time::Instant;

/// Later than this for what was due: the host stood still. Machines under load are late by less.
const STALL: Duration = Duration::from_secs(1);
/// So often at least somebody looks, so that a short stop is seen, too.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    stood_still: Duration,
    /// When somebody looked last, by both clocks.
    looked: (Instant, Time),
    /// How often it stood still.
    stalls: u32,
}

impl Pace {
    pub fn new(now: Instant, wall: Time) -> Self {
        Pace {
            start: now,
            stood_still: Duration::ZERO,
            looked: (now, wall),
            stalls: 0,
        }
    }

    /// Time of the schedule: zero at its start.
    pub fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start + self.stood_still)
    }

    /// When to wake up for what is due then.
    pub fn wake(&self, due: Option<Duration>) -> Instant {
        let look = self.looked.0 + LOOK;
        due.map_or(look, |due| look.min(self.start + self.stood_still + due))
    }

    pub fn stalls(&self) -> u32 {
        self.stalls
    }

    /// Called after every sleep until `wake`, or sooner. Returns for how long the host stood still, if it did.
    ///
    /// A suspended machine may stop the monotonic clock as well: then the wall clock alone went on.
    pub fn look(&mut self, wake: Instant, now: Instant, wall: Time) -> Option<Duration> {
        let (last, last_wall) = std::mem::replace(&mut self.looked, (now, wall));
        let late = now.saturating_duration_since(wake.max(last));
        let passed = now.saturating_duration_since(last);
        let wall_passed = Duration::from_micros(u64::try_from(wall.since(last_wall)).unwrap_or(0));
        if late > STALL {
            self.stood_still += late;
        } else if wall_passed <= passed + STALL {
            return None;
        }
        self.stalls = self.stalls.wrapping_add(1);
        Some(late.max(wall_passed.saturating_sub(passed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_goes_on_where_it_stood() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let wall = |seconds: i64| Time::from_micros(1_000_000_000 + seconds * 1_000_000);
        let mut pace = Pace::new(start, wall(0));
        let due = Some(Duration::from_millis(500));
        assert_eq!(pace.wake(due), at(0.5));
        assert_eq!(pace.wake(Some(Duration::from_secs(30))), at(1.0), "it looks");
        assert_eq!(pace.look(at(0.5), at(0.9), wall(1)), None, "a busy machine");
        assert_eq!(pace.at(at(0.9)), Duration::from_millis(900));

        // Due at 1.9, and it is a minute later.
        let stood = pace.look(at(1.9), at(61.9), wall(62));
        assert_eq!((stood, pace.stalls()), (Some(Duration::from_secs(60)), 1));
        assert_eq!(pace.at(at(61.9)), Duration::from_millis(1900));
        assert_eq!(pace.look(at(62.4), at(62.4), wall(62)), None);

        // Suspended, with the monotonic clock: nothing is late, an hour has gone.
        let stood = pace.look(at(63.4), at(63.4), wall(3662));
        assert!(stood.is_some_and(|stood| stood.as_secs() == 3599), "{stood:?}");
        assert_eq!(
            (pace.stalls(), pace.at(at(63.4))),
            (2, Duration::from_millis(3400))
        );

        // Set back: the plan does not care.
        assert_eq!(pace.look(at(64.4), at(64.4), wall(10)), None);
        assert_eq!(pace.at(at(64.4)), Duration::from_millis(4400));
    }
}
