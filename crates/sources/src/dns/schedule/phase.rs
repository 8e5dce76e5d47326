//! When within the interval a name has its turn. Deterministic: the same plan has the same turns.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::FxHasher;

/// Fraction of the interval at which name number `n` has its turn. Multiples of the golden ratio lie evenly
/// however many there are, so that no second has more than its share.
pub(super) fn phase(n: usize) -> f64 {
    (n as f64 * 0.618_033_988_749_895).fract()
}

/// ± 5 % of the interval, another for every round, so that names do not march in step with anything else; from one round to
/// the next it is then the interval ± 10 %, and two rounds are at most 2.1 intervals: what the promised time of detection needs.
pub(super) fn jitter(name: &str, round: u64, interval: Duration) -> f64 {
    let mut hasher = FxHasher::default();
    (name, round).hash(&mut hasher);
    // FxHash mixes upwards: the high bits are the good ones.
    let unit = (hasher.finish() >> 32) as f64 / f64::from(u32::MAX);
    (unit - 0.5) * 0.1 * interval.as_secs_f64()
}

/// Start of round `round` of name number `n`, counted from the start of the schedule.
pub(crate) fn due(n: usize, name: &str, round: u64, interval: Duration) -> Duration {
    let whole = (round as f64 + phase(n)) * interval.as_secs_f64();
    let jitter = jitter(name, round, interval);
    Duration::try_from_secs_f64(whole + jitter).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_half_again_its_share() {
        let interval = Duration::from_secs(60);
        let names: Vec<String> = (0..10_000).map(|n| format!("name-{n}.example")).collect();
        let mut seconds = vec![0u32; 60 * 6];
        for (n, name) in names.iter().enumerate() {
            for round in 0..5 {
                seconds[due(n, name, round, interval).as_secs() as usize] += 1;
            }
        }
        let steady = &seconds[60..240];
        let mean = f64::from(steady.iter().sum::<u32>()) / steady.len() as f64;
        let most = f64::from(steady.iter().copied().max().unwrap());
        assert!(most / mean < 1.5, "{most} of {mean}");
    }

    #[test]
    fn two_rounds_of_a_name_are_an_interval_apart_give_or_take() {
        let interval = Duration::from_secs(30);
        for n in 0..200 {
            let name = format!("{n}.example");
            for round in 1..20 {
                let gap = due(n, &name, round + 1, interval) - due(n, &name, round, interval);
                assert!((27_000..=33_000).contains(&gap.as_millis()), "{gap:?}");
            }
        }
    }
}
