//! Questions a second to one server, over all who ask: the schedule and the walks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Servers that are remembered; beyond that, those that may be asked again anyway are forgotten.
const MAX_KEPT: usize = 100_000;

/// The next free moment of each server.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    free: Mutex<BTreeMap<SocketAddr, Instant>>,
}

impl Limiter {
    /// The moment at which this server may be asked next, if that is within `patience`; it is taken then.
    pub fn reserve(
        &self,
        server: SocketAddr,
        per_second: f64,
        now: Instant,
        patience: Duration,
    ) -> Option<Instant> {
        let mut free = self.free(now);
        let next = free.entry(server).or_insert(now);
        let slot = (*next).max(now);
        if slot > now + patience {
            return None;
        }
        *next = slot + spacing(per_second);
        Some(slot)
    }

    /// Packets that were sent besides the one that was reserved: retries, CD=1, TCP.
    pub fn charge(&self, server: SocketAddr, per_second: f64, packets: u32, now: Instant) {
        let mut free = self.free(now);
        let next = free.entry(server).or_insert(now);
        *next = (*next).max(now) + spacing(per_second) * packets;
    }

    /// It may be asked at once.
    pub fn is_free(&self, server: SocketAddr, now: Instant) -> bool {
        self.free(now).get(&server).is_none_or(|next| *next <= now)
    }

    /// Waits until nobody else keeps this server busy. False: not before `deadline`.
    ///
    /// Nothing is reserved ahead, so that whoever plans (the schedule) comes before whoever has time (a walk).
    pub async fn wait(&self, server: SocketAddr, per_second: f64, deadline: Instant) -> bool {
        loop {
            let now = Instant::now();
            if self.reserve(server, per_second, now, Duration::ZERO).is_some() {
                return true;
            }
            let next = self.free(now).get(&server).copied().unwrap_or(now);
            if next >= deadline {
                return false;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    fn free(&self, now: Instant) -> MutexGuard<'_, BTreeMap<SocketAddr, Instant>> {
        // Nothing that happens under this lock leaves it half done.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() >= MAX_KEPT {
            free.retain(|_, next| *next > now);
        }
        free
    }
}

fn spacing(per_second: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / per_second.max(0.001)).unwrap_or(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_no_faster_than_its_limit() {
        let server: SocketAddr = ([192, 0, 2, 1], 53).into();
        let (limiter, now) = (Limiter::default(), Instant::now());
        let patience = Duration::from_secs(3);
        let slots: Vec<_> = (0..6)
            .map(|_| limiter.reserve(server, 1.0, now, patience))
            .collect();
        let after = |slot: &Option<Instant>| slot.map(|slot| (slot - now).as_secs());
        assert_eq!(
            slots.iter().map(after).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(2), Some(3), None, None]
        );
        let other: SocketAddr = ([192, 0, 2, 2], 53).into();
        assert_eq!(limiter.reserve(other, 1.0, now, patience), Some(now));
        limiter.charge(other, 1.0, 2, now);
        assert_eq!(
            limiter.reserve(other, 1.0, now, patience),
            Some(now + Duration::from_secs(3))
        );
    }

    #[tokio::test]
    async fn who_waits_takes_only_what_is_free_now() {
        let server: SocketAddr = ([192, 0, 2, 1], 53).into();
        let (limiter, begun) = (Limiter::default(), Instant::now());
        let deadline = begun + Duration::from_secs(60);
        assert!(limiter.wait(server, 20.0, deadline).await);
        assert!(!limiter.is_free(server, begun));
        assert!(limiter.wait(server, 20.0, deadline).await);
        assert!(begun.elapsed() >= Duration::from_millis(50));
        limiter.charge(server, 1.0, 100, Instant::now());
        assert!(
            !limiter.wait(server, 1.0, deadline).await,
            "the schedule has it all"
        );
        assert!(Instant::now() < deadline, "and that is known at once");
    }
}
