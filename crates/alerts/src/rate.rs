//! A cap on messages: a bucket of tokens that fills again evenly. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use netfault_model::Time;
use netfault_model::time::micros;

/// `30/10m`: at most 30 at once, and 30 in every ten minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub max: u32,
    pub per: Duration,
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a rate: give a number and a time, such as 30/10m or 5/h");
        let (max, per) = text.trim().split_once('/').ok_or_else(wrong)?;
        let max: u32 = max.trim().parse().map_err(|_| wrong())?;
        let per = per.trim();
        let unit = per.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = &per[..per.len() - unit.len()];
        let count: u64 = if count.is_empty() {
            1
        } else {
            count.parse().map_err(|_| wrong())?
        };
        let (_, secs) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match count.checked_mul(*secs) {
            Some(secs @ 1..=31_536_000) if max > 0 => Ok(Rate {
                max,
                per: Duration::from_secs(secs),
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.per.as_secs();
        let (unit, size) = UNITS
            .iter()
            .rev()
            .find(|(_, size)| secs.is_multiple_of(*size))
            .unwrap_or(&UNITS[0]);
        write!(f, "{}/{}{unit}", self.max, secs / size)
    }
}

#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// Millionths of a token.
    tokens: u64,
    filled_at: Time,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    pub fn new(rate: Rate, now: Time) -> Self {
        Bucket {
            rate,
            tokens: u64::from(rate.max) * TOKEN,
            filled_at: now,
        }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        self.fill(now);
        let has = self.tokens >= TOKEN;
        if has {
            self.tokens -= TOKEN;
        }
        has
    }

    /// Gives a token back: the message was not sent after all.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + TOKEN).min(self.full());
    }

    fn full(&self) -> u64 {
        u64::from(self.rate.max) * TOKEN
    }

    /// A clock that was set back fills nothing, and goes on from there.
    fn fill(&mut self, now: Time) {
        let passed = u128::try_from(now.since(self.filled_at)).unwrap_or(0);
        let per = u128::try_from(micros(self.rate.per)).unwrap_or(1).max(1);
        let more = passed * u128::from(self.full()) / per;
        self.tokens = u64::try_from(u128::from(self.tokens) + more)
            .unwrap_or(u64::MAX)
            .min(self.full());
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_equal() {
        for (text, shown) in [
            ("30/10m", "30/10m"),
            ("5/h", "5/1h"),
            (" 1 / 90s ", "1/90s"),
            ("7/1440m", "7/1d"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rate));
        }
        for text in [
            "",
            "30",
            "0/m",
            "3/0m",
            "3/x",
            "-1/m",
            "3/99999999999999999999d",
            "3/9999999d",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_burst_then_an_even_flow() {
        let rate = "6/1m".parse().unwrap();
        let mut bucket = Bucket::new(rate, Time::from_secs(0));
        let taken = |bucket: &mut Bucket, at| (0..10).filter(|_| bucket.take(Time::from_secs(at))).count();
        assert_eq!(taken(&mut bucket, 0), 6);
        assert_eq!(taken(&mut bucket, 9), 0);
        assert_eq!(taken(&mut bucket, 20), 2);
        assert_eq!(taken(&mut bucket, 1_000), 6);
        assert_eq!(taken(&mut bucket, 10), 0, "the clock was set back");
        assert_eq!(taken(&mut bucket, 20), 1);
    }
}
