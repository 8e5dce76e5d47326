//! How long a peer is usually quiet, and whether it is quiet for too long now.

use netfault_model::Time;

/// Histogram of the gaps between a peer's messages, in powers of two of a second: enough for a median.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Gaps {
    counts: [u32; 16],
    total: u32,
}

impl Gaps {
    /// Adds a gap in microseconds. Counts are halved now and then, so that the median follows the peer.
    pub fn add(&mut self, gap: i64) {
        let seconds = (gap.max(0) / 1_000_000).min(1 << 15) as u32;
        self.counts[(32 - seconds.leading_zeros()).min(15) as usize] += 1;
        self.total += 1;
        if self.total >= 4096 {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// Upper bound of the median gap, in seconds.
    pub fn median_s(&self) -> u64 {
        let mut below = 0;
        for (power, &count) in self.counts.iter().enumerate() {
            below += count;
            if below * 2 >= self.total {
                return (1u64 << power) - 1;
            }
        }
        0
    }
}

/// The silence of one session. Its collector's own silences do not count.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Silence {
    pub gaps: Gaps,
    /// `CollectorHealth::silent_total` when the session last said something.
    pub collector_silent: i64,
    /// A deadline is waiting for this session.
    pub armed: bool,
}

impl Silence {
    /// When the session will have been silent for too long. `collector_silent` is the sum of the collector's
    /// silences by now.
    pub fn due(&self, last_at: Time, limit_s: u64, gaps: u64, collector_silent: i64) -> Time {
        let limit = limit_s.max(gaps.saturating_mul(self.gaps.median_s()));
        let own = crate::settings::secs(limit);
        last_at
            .plus_micros(own)
            .plus_micros(collector_silent - self.collector_silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_gaps_seen() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.median_s(), 0);
        for seconds in [0, 0, 0, 40, 40, 40, 40] {
            gaps.add(seconds * 1_000_000);
        }
        assert_eq!(gaps.median_s(), 63);
        for _ in 0..5000 {
            gaps.add(200_000);
        }
        assert_eq!(gaps.median_s(), 0);
    }
}
