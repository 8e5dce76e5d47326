//! When to try again: soon at first, then every minute, never in step with other agents.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Pace {
    failures: u32,
    next: Instant,
}

impl Pace {
    pub fn new() -> Self {
        Pace {
            failures: 0,
            next: Instant::now(),
        }
    }

    pub fn next(&self) -> Instant {
        self.next
    }

    pub fn succeeded(&mut self) {
        *self = Pace::new();
    }

    /// `after`: what the collector asked for.
    pub fn failed(&mut self, after: Option<Duration>) {
        let wait = after.map_or_else(
            || backoff(self.failures),
            |after| after.mul_f64(1.0 + 0.2 * fastrand::f64()),
        );
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now() + wait;
    }
}

/// Doubles up to a minute; half of it is chance.
fn backoff(failures: u32) -> Duration {
    let most = FIRST.saturating_mul(1 << failures.min(6)).min(MOST);
    most.mul_f64(0.5 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_is_half_chance() {
        for (failures, most) in [(0, 1), (1, 2), (3, 8), (6, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(most);
            for _ in 0..100 {
                let wait = backoff(failures);
                assert!(most / 2 <= wait && wait <= most, "{failures}: {wait:?}");
            }
        }
    }
}
