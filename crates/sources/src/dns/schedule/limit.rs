//! Questions a second to one server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The next free moment of each server. As many entries as there are servers in the plan.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    free: BTreeMap<SocketAddr, Instant>,
}

impl Limiter {
    /// The moment at which this server may be asked next, if that is within `patience`; it is taken then.
    pub fn reserve(
        &mut self,
        server: SocketAddr,
        per_second: f64,
        now: Instant,
        patience: Duration,
    ) -> Option<Instant> {
        let free = self.free.entry(server).or_insert(now);
        let slot = (*free).max(now);
        if slot > now + patience {
            return None;
        }
        *free = slot + spacing(per_second);
        Some(slot)
    }

    /// Packets that were sent besides the one that was reserved: retries, CD=1, TCP.
    pub fn charge(&mut self, server: SocketAddr, per_second: f64, packets: u32, now: Instant) {
        let free = self.free.entry(server).or_insert(now);
        *free = (*free).max(now) + spacing(per_second) * packets;
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
        let (mut limiter, now) = (Limiter::default(), Instant::now());
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
}
