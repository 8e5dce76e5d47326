//! Maintenance windows: every week at the same hours of a time zone's wall clock. Pure.
//!
//! `Mon 02:00-04:00 Europe/Berlin`, `Mon-Fri 22:00-01:30 UTC`, `Sat,Sun 00:00-24:00 America/New_York`,
//! `daily 03:00-03:30 UTC`. What counts is what the wall clock shows, so daylight saving needs no rule of its own: an
//! hour that comes twice is inside twice, one that is left out is not there.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use netfault_model::Time;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const DAY: u16 = 24 * 60;

/// A span of a weekly clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Weekly {
    /// As it was written.
    text: String,
    /// Days on which it begins, Monday first.
    days: [bool; 7],
    /// Minutes since midnight; an end at or before the beginning is on the next day.
    from: u16,
    to: u16,
    zone: TimeZone,
}

impl Weekly {
    pub fn is_active(&self, now: Time) -> bool {
        let Ok(at) = Timestamp::from_microsecond(now.micros()) else {
            return false;
        };
        let local = at.to_zoned_datetime(self.zone.clone());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs()) % 7;
        let began_today = self.days[today] && minute >= self.from && (self.crosses() || minute < self.to);
        let began_yesterday = self.days[(today + 6) % 7] && self.crosses() && minute < self.to;
        began_today || began_yesterday
    }

    fn crosses(&self) -> bool {
        self.to <= self.from
    }
}

impl FromStr for Weekly {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is not a weekly window: write it as in 'Mon 02:00-04:00 Europe/Berlin'");
        let mut words = text.split_whitespace();
        let (Some(days), Some(hours), Some(zone), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let days = self::days(days).ok_or_else(wrong)?;
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == DAY {
            return Err(wrong());
        }
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("'{zone}' is no time zone: give one such as Europe/Berlin or UTC"))?;
        Ok(Weekly {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            days,
            from,
            to,
            zone,
        })
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn day(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    DAYS.iter().position(|(name, _)| *name == lower)
}

/// `Mon`, `Mon,Wed`, `Mon-Fri`, `Fri-Mon`, `daily`.
fn days(text: &str) -> Option<[bool; 7]> {
    if text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        loop {
            days[at] = true;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

/// `02:00`, `24:00`: minutes since midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(window: &str, at: &str) -> bool {
        window.parse::<Weekly>().unwrap().is_active(at.parse().unwrap())
    }

    #[test]
    fn the_table_of_windows() {
        for (window, at, expected) in [
            // 2026-01-05 is a Monday; Berlin is an hour ahead of UTC in winter, two in summer.
            ("Mon 02:00-04:00 Europe/Berlin", "2026-01-05T00:59:59Z", false),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-01-05T01:00:00Z", true),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-01-05T02:59:59Z", true),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-01-05T03:00:00Z", false),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-07-06T00:00:00Z", true),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-07-06T02:00:00Z", false),
            ("Mon 02:00-04:00 Europe/Berlin", "2026-01-06T01:30:00Z", false),
            // Over midnight: it belongs to the day on which it begins.
            ("Mon 22:00-02:00 UTC", "2026-01-05T21:59:00Z", false),
            ("Mon 22:00-02:00 UTC", "2026-01-05T23:00:00Z", true),
            ("Mon 22:00-02:00 UTC", "2026-01-06T01:59:00Z", true),
            ("Mon 22:00-02:00 UTC", "2026-01-06T02:00:00Z", false),
            ("Mon 22:00-02:00 UTC", "2026-01-05T01:00:00Z", false),
            ("Sat,Sun 00:00-24:00 UTC", "2026-01-04T23:59:59Z", true),
            ("Sat,Sun 00:00-24:00 UTC", "2026-01-05T00:00:00Z", false),
            ("Fri-Mon 12:00-13:00 UTC", "2026-01-05T12:30:00Z", true),
            ("Fri-Mon 12:00-13:00 UTC", "2026-01-06T12:30:00Z", false),
            ("daily 03:00-03:30 America/New_York", "2026-01-08T08:10:00Z", true),
            // A day of 24 hours that begins at another hour than midnight.
            ("Mon 06:00-06:00 UTC", "2026-01-06T05:59:00Z", true),
        ] {
            assert_eq!(active(window, at), expected, "{window} at {at}");
        }
    }

    /// In Berlin the clock goes from 02:00 to 03:00 on 2026-03-29 and from 03:00 back to 02:00 on 2026-10-25.
    #[test]
    fn daylight_saving_is_what_the_clock_on_the_wall_shows() {
        let window = "Sun 02:30-04:00 Europe/Berlin";
        assert!(!active(window, "2026-03-29T00:59:59Z"), "01:59:59");
        assert!(
            active(window, "2026-03-29T01:00:00Z"),
            "03:00: half past two was left out"
        );
        assert!(active(window, "2026-03-29T01:59:59Z"), "03:59:59");
        assert!(!active(window, "2026-03-29T02:00:00Z"), "04:00");

        assert!(active(window, "2026-10-25T00:30:00Z"), "02:30 for the first time");
        assert!(
            !active(window, "2026-10-25T01:15:00Z"),
            "02:15 for the second time"
        );
        assert!(
            active(window, "2026-10-25T01:30:00Z"),
            "02:30 for the second time"
        );
        assert!(active(window, "2026-10-25T02:59:59Z"), "03:59:59");
        assert!(!active(window, "2026-10-25T03:00:00Z"), "04:00");
        // Two hours on the clock are three hours that day.
        let whole = "Sun 02:00-04:00 Europe/Berlin";
        let start: Time = "2026-10-25T00:00:00Z".parse().unwrap();
        let minutes = (0..600).filter(|n| {
            let at = Time::from_secs(start.micros() / 1_000_000 - 3_600 + n * 60);
            whole.parse::<Weekly>().unwrap().is_active(at)
        });
        assert_eq!(minutes.count(), 180);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "Mon",
            "Mon 02:00-04:00",
            "Mon 2:00-4:00 UTC",
            "Mon 24:00-25:00 UTC",
            "Mon 24:00-02:00 UTC",
            "Day 02:00-04:00 UTC",
            "Mon 02:00 04:00 UTC",
            "Mon 02:00-04:00 Europe/Nowhere",
            "Mon 02:60-04:00 UTC",
            "Mon 02:00-04:00 UTC more",
        ] {
            assert!(text.parse::<Weekly>().is_err(), "{text}");
        }
    }
}
