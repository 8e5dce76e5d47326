//! The small values of a configuration: from text, and back into the text that `config print` shows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// `30s`, `1h30m`, `250ms`. A bare number is refused, because nobody knows what it counts.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("'{text}' is not a duration: give a number with a unit, such as 500ms, 30s, 10m, 24h or 7d")
    };
    let mut millis: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let (unit, after) = after.split_at(
            after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len()),
        );
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part = number.checked_mul(*factor).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

/// The largest unit that says it exactly.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = UNITS
        .iter()
        .rev()
        .find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor));
    exact.map_or_else(
        || "0s".to_owned(),
        |(unit, factor)| format!("{}{unit}", millis / factor),
    )
}

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// `64MB`, `2GiB`. A bare number is refused.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("'{text}' is not a size: give a whole number with a unit, such as 64MB, 2GB or 512MiB");
    let (number, unit) = split_number(text.trim());
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim();
    let (_, factor) = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or_else(wrong)?;
    number.checked_mul(*factor).ok_or_else(wrong)
}

pub(super) fn show_size(bytes: u64) -> String {
    let exact = SIZES
        .iter()
        .filter(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    exact.max_by_key(|(_, factor)| *factor).map_or_else(
        || format!("{bytes}B"),
        |(unit, factor)| format!("{}{unit}", bytes / factor),
    )
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// An address with or without a port: `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`.
pub(super) fn server(text: &str, port: u16) -> Result<SocketAddr, String> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(addr) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(addr, port));
    }
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() != 0 => Ok(addr),
        _ => Err(format!(
            "'{text}' is not the address of a server: give an IP address, with a port if it is not {port} \
             (192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:5353); a name would need DNS to work"
        )),
    }
}

/// A DNS name (RFC 1035 §2.3.4: labels of at most 63, in all at most 253 characters), lower case and
/// without the last dot. Names of other scripts are given in their A-label form (RFC 5890 §2.3.2.1).
pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    if !name.is_ascii() {
        return Err(format!(
            "'{text}' is not ASCII: give the A-label form of the name (xn--…)"
        ));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(format!("'{text}' is not a DNS name"));
    }
    Ok(name)
}

/// A URL with one of the given schemes and a host. The parts behind are left to the client that uses it.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<String, String> {
    let text = text.trim();
    let rest = text
        .split_once("://")
        .filter(|(scheme, _)| schemes.contains(scheme))
        .map(|(_, rest)| rest);
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let Some(authority) = authority.filter(|authority| host_and_port(authority)) else {
        return Err(format!(
            "'{text}' is not a URL: it begins with {}:// and a host",
            schemes.join(":// or ")
        ));
    };
    if authority.contains('@') {
        return Err("a user or password does not belong into a URL; there are keys for them".to_owned());
    }
    Ok(text.to_owned())
}

fn host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_fits = !host.is_empty() && !host.contains(char::is_whitespace);
    host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_durations() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("1h30m", 5_400_000, "90m"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0s"),
        ] {
            let read = duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(millis), "{text}");
            assert_eq!(show_duration(read), shown);
            assert_eq!(duration(shown), Ok(read));
        }
        for text in [
            "",
            "30",
            "s",
            "-3s",
            "1.5h",
            "3 s",
            "3y",
            "99999999999999999999s",
            "99999999999999999w",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_of_sizes() {
        for (text, bytes, shown) in [
            ("64MB", 64_000_000, "64MB"),
            ("64 mb", 64_000_000, "64MB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("1500B", 1_500, "1500B"),
            ("0B", 0, "0B"),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), shown);
            assert_eq!(size(shown), Ok(bytes));
        }
        for text in ["", "64", "MB", "1.5GB", "-1MB", "99999999999TB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_of_servers() {
        for (text, shown) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(server(text, 53).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "ns1.example.com",
            "192.0.2.53:0",
            "192.0.2.53:99999",
            "192.0.2",
            "192.0.2.0/24",
        ] {
            assert!(server(text, 53).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(name("WWW.Example.COM."), Ok("www.example.com".to_owned()));
        assert_eq!(name("_dmarc.example.com"), Ok("_dmarc.example.com".to_owned()));
        let long_label = format!("{}.com", "a".repeat(64));
        for text in ["", ".", "a..b", "bücher.example", "a b.com", long_label.as_str()] {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        assert!(url("http://127.0.0.1:8123", &["http", "https"]).is_ok());
        assert!(url("wss://[2001:db8::1]:443/v1/?a=b", &["ws", "wss"]).is_ok());
        for text in [
            "",
            "127.0.0.1:8123",
            "ftp://host",
            "http://",
            "http://host:99999",
            "http://u:p@host",
        ] {
            assert!(url(text, &["http", "https"]).is_err(), "{text}");
        }
    }
}
