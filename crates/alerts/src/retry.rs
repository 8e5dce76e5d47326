//! Again, or not, and when. Pure: the answer and a random number in, the decision out.

use std::time::Duration;

/// How one attempt ended, as far as a next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// The receiver as a whole does not answer: the next notice would fail as well.
    RetryReceiver {
        after: Option<Duration>,
    },
    /// It may be about this notice (a bug on the other side): others first, then this one again.
    RetryNotice,
    /// It will not be taken, however often it is sent.
    Refused,
}

/// RFC 9110 §15, RFC 6585 §4. `retry_after` is the header's value in seconds.
pub fn judge(status: u16, retry_after: Option<&str>) -> Verdict {
    let after = || {
        retry_after
            .and_then(|text| text.trim().parse().ok())
            .map(|s| Duration::from_secs(s).min(MAX_WAIT))
    };
    match status {
        200..=299 => Verdict::Accepted,
        // 408 and 425 say themselves that the request may be repeated; gateways answer 502 to 504 for a
        // receiver that is away.
        408 | 425 | 429 | 502..=504 => Verdict::RetryReceiver { after: after() },
        // Who we are or whom we ask is wrong, not what we say: until somebody mends it (a token, a URL), nothing else
        // will be taken either, and an alert is no less true for it.
        300..=399 | 401 | 403..=405 | 407 | 410 => Verdict::RetryReceiver { after: Some(LONGEST) },
        500..=599 => Verdict::RetryNotice,
        _ => Verdict::Refused,
    }
}

/// First pause. Short, because most failures are a restart of the receiver.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause: a receiver that comes back after a night is told within five minutes.
pub const LONGEST: Duration = Duration::from_secs(300);
/// A receiver may ask for more than [`LONGEST`], within reason.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Pause before attempt `failures + 1`: doubling from 1 s to 5 min, spread over the upper half (`random` in
/// 0..1), so that many senders do not come back at one instant.
pub fn pause(failures: u32, random: f64) -> Duration {
    let full = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST);
    full.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_answers() {
        let receiver = Verdict::RetryReceiver { after: None };
        let mend = Verdict::RetryReceiver { after: Some(LONGEST) };
        for (status, verdict) in [
            (200, Verdict::Accepted),
            (204, Verdict::Accepted),
            (301, mend),
            (400, Verdict::Refused),
            (401, mend),
            (404, mend),
            (408, receiver),
            (410, mend),
            (413, Verdict::Refused),
            (422, Verdict::Refused),
            (425, receiver),
            (429, receiver),
            (500, Verdict::RetryNotice),
            (501, Verdict::RetryNotice),
            (503, receiver),
        ] {
            assert_eq!(judge(status, None), verdict, "{status}");
        }
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let after = |text| match judge(429, Some(text)) {
            Verdict::RetryReceiver { after } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("999999999"), Some(Duration::from_secs(3600)));
        assert_eq!(
            after("Wed, 21 Oct 2015 07:28:00 GMT"),
            None,
            "a date falls back to our own pause"
        );
    }

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses: Vec<u64> = (1..=10).map(|n| pause(n, 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(pause(u32::MAX, 0.0), Duration::from_secs(150));
    }
}
