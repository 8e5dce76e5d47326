//! The time of a message: decimal seconds since 1970, read without going through a binary fraction.

use netfault_model::Time;

/// Digits after the point that microseconds can hold; further ones are cut off.
const DIGITS: usize = 6;

/// `1787141896.080` to microseconds, exactly. `None` if the text is no such number, or is out of range.
///
/// An exponent (`1.78e9`) is legal JSON that has never been seen; it goes through `f64`, whose 53 bits are
/// exact to the microsecond until the year 2100.
pub fn parse(text: &str) -> Option<Time> {
    let text = text.trim().trim_matches('"');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.bytes().any(|b| b == b'e' || b == b'E') {
        return from_float(text.parse().ok()?);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let kept = &fraction[..fraction.len().min(DIGITS)];
    let scale = 10i64.pow((DIGITS - kept.len()) as u32);
    let micros = seconds
        .checked_mul(1_000_000)?
        .checked_add(kept.parse::<i64>().ok()? * scale)?;
    Some(Time::from_micros(if negative { -micros } else { micros }))
}

fn from_float(seconds: f64) -> Option<Time> {
    let micros = (seconds * 1e6).round();
    // Past 2^53 the neighbours are more than one apart, and a time of the year 2255 is no time of a message.
    (micros.abs() < 9.0e15).then(|| Time::from_micros(micros as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_seconds_become_microseconds_exactly() {
        let table = [
            ("1787141896.080", 1_787_141_896_080_000),
            ("1553627987.89", 1_553_627_987_890_000),
            ("1636245154.8", 1_636_245_154_800_000),
            ("1636245154", 1_636_245_154_000_000),
            ("1789019601.000001", 1_789_019_601_000_001),
            ("1789019601.9999999", 1_789_019_601_999_999),
            ("\"1789019601.67\"", 1_789_019_601_670_000),
            ("1.78901960167e9", 1_789_019_601_670_000),
            ("-0.5", -500_000),
            ("0.1", 100_000),
        ];
        for (text, micros) in table {
            assert_eq!(parse(text), Some(Time::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            ".5",
            "5.",
            "1.2.3",
            "+1",
            "--1",
            "9223372036854775807",
            "1e300",
            "null",
            "true",
            "1.-5",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
