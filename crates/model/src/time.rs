//! Engine time: integer microseconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, PrimitiveDateTime, macros::format_description};

/// A moment, in microseconds since the Unix epoch, UTC. Written as RFC 3339 with six decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    pub const MIN: Time = Time(i64::MIN);
    pub const MAX: Time = Time(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Time(micros)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Time(secs.saturating_mul(1_000_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// `self - earlier` in microseconds; negative if `earlier` is later.
    pub const fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    pub const fn plus_micros(self, micros: i64) -> Self {
        Time(self.0.saturating_add(micros))
    }
}

/// A duration as engine arithmetic wants it: microseconds, saturating.
pub const fn micros(duration: Duration) -> i64 {
    let micros = duration.as_micros();
    if micros > i64::MAX as u128 {
        i64::MAX
    } else {
        micros as i64
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        self.plus_micros(micros(rhs))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, rhs: Duration) -> Time {
        Time(self.0.saturating_sub(micros(rhs)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        match OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000) {
            Ok(moment) => f.write_str(&moment.format(&format).map_err(|_| fmt::Error)?),
            // Outside of the years that RFC 3339 can write: only Time::MIN and Time::MAX get here.
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A text that is no time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a time: give RFC 3339 (2021-10-04T15:40:00Z), a date (2021-10-04) or Unix seconds")]
pub struct BadTime(pub String);

impl FromStr for Time {
    type Err = BadTime;

    /// RFC 3339, `YYYY-MM-DD[ T]HH:MM[:SS]` or `YYYY-MM-DD` (both taken as UTC), or Unix seconds.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let minute = format_description!("[year]-[month]-[day]T[hour]:[minute]");
        let second = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
        let day = format_description!("[year]-[month]-[day]");
        let spaced = text.trim().replacen(' ', "T", 1);
        let moment = if let Ok(t) = OffsetDateTime::parse(&spaced, &Rfc3339) {
            t
        } else if let Ok(t) =
            PrimitiveDateTime::parse(&spaced, &second).or_else(|_| PrimitiveDateTime::parse(&spaced, &minute))
        {
            t.assume_utc()
        } else if let Ok(d) = Date::parse(&spaced, &day) {
            d.midnight().assume_utc()
        } else if let Ok(secs) = spaced.parse::<i64>() {
            OffsetDateTime::from_unix_timestamp(secs).map_err(|_| BadTime(text.to_owned()))?
        } else {
            return Err(BadTime(text.to_owned()));
        };
        i64::try_from(moment.unix_timestamp_nanos() / 1000)
            .map(Time)
            .map_err(|_| BadTime(text.to_owned()))
    }
}

impl Serialize for Time {
    /// Text for people (JSON, YAML), microseconds for the journal.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Time)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_six_decimals_and_reads_them_back() {
        let t = Time::from_micros(1_203_818_622_000_001);
        assert_eq!(t.to_string(), "2008-02-24T02:03:42.000001Z");
        assert_eq!(t.to_string().parse(), Ok(t));
    }

    #[test]
    fn reads_what_people_type() {
        let t = Time::from_secs(1_633_361_940);
        for text in [
            "2021-10-04T15:39:00Z",
            "2021-10-04 15:39",
            "2021-10-04T17:39:00+02:00",
            "1633361940",
        ] {
            assert_eq!(text.parse(), Ok(t), "{text}");
        }
        assert_eq!("2021-10-04".parse(), Ok(Time::from_secs(1_633_305_600)));
        assert!("yesterday".parse::<Time>().is_err());
    }
}
