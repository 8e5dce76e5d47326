//! Which country a block of addresses or AS numbers is registered in: files of the regional registries, in their
//! "extended delegated" format (NRO, "RIR statistics exchange format", version 2.x).
//!
//!     2|apnic|20240101|80000|19830101|20240101|+1000         the version, once, at the top
//!     apnic|*|ipv4|*|50000|summary                           one a type
//!     apnic|AU|ipv4|1.0.0.0|256|20110811|assigned|A91872ED   a count of addresses, not always a power of two
//!     apnic|JP|ipv6|2001:200::|35|19990813|allocated|A92D…   a prefix length
//!     apnic|JP|asn|173|1|20020801|allocated|A92D…            a count of AS numbers
//!     apnic||ipv4|1.2.3.0|256||available|                    nobody's
//!
//! The parser is pure; several files are read as one.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use netfault_engine::origins::{Countries as Known, Range};
use netfault_model::Country;

use super::raw::Text;
use super::resolve::{Context, Result};

/// The files, and what stands in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Countries {
    pub files: Vec<PathBuf>,
    pub known: Arc<Known>,
}

/// A line that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {message}")]
pub struct BadLine {
    pub line: usize,
    message: String,
}

/// Ranges as they stand in files.
#[derive(Debug, Default, PartialEq)]
pub struct Delegated {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
    asns: Vec<Range<u32>>,
}

pub(super) fn resolve(context: &Context, files: Option<&Vec<Text>>) -> Result<Countries> {
    let mut countries = Countries::default();
    let mut delegated = Delegated::default();
    for text in files.into_iter().flatten() {
        let file = context.folder(text)?;
        let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        let read = read.and_then(|content| delegated.read(&content).map_err(|error| error.to_string()));
        if let Err(message) = read {
            return context.wrong(text.referenced, format!("{}: {message}", file.display()));
        }
        countries.files.push(file);
    }
    countries.known = Arc::new(Known::new(delegated.v4, delegated.v6, delegated.asns));
    Ok(countries)
}

impl Delegated {
    /// Adds the records of one file.
    pub fn read(&mut self, content: &str) -> std::result::Result<(), BadLine> {
        for (index, line) in content.lines().enumerate() {
            let read = self.record(line.trim());
            read.map_err(|message| BadLine {
                line: index + 1,
                message,
            })?;
        }
        Ok(())
    }

    fn record(&mut self, line: &str) -> std::result::Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let fields: Vec<&str> = line.split('|').collect();
        let is_version = fields.len() == 7 && fields[0].starts_with(|digit: char| digit.is_ascii_digit());
        if is_version || fields.last() == Some(&"summary") {
            return Ok(());
        }
        let [_registry, country, kind, start, count, _date, status, ..] = fields[..] else {
            return Err(format!(
                "a record has 7 fields or more between '|', this has {}",
                fields.len()
            ));
        };
        if matches!(status, "available" | "reserved") {
            return Ok(());
        }
        let country: Country = country.parse().map_err(|error| format!("{error}"))?;
        match kind {
            "ipv4" => self.v4.push(ipv4(start, count, country)?),
            "ipv6" => self.v6.push(ipv6(start, count, country)?),
            "asn" => self.asns.push(asns(start, count, country)?),
            other => return Err(format!("'{other}' is neither ipv4, ipv6 nor asn")),
        }
        Ok(())
    }
}

fn ipv4(start: &str, count: &str, country: Country) -> std::result::Result<Range<u32>, String> {
    let start: Ipv4Addr = start
        .parse()
        .map_err(|_| format!("'{start}' is not an IPv4 address"))?;
    numbers(u32::from(start), count, country)
        .ok_or_else(|| format!("'{count}' is not a count of addresses from {start} on"))
}

fn asns(start: &str, count: &str, country: Country) -> std::result::Result<Range<u32>, String> {
    let first = start
        .parse()
        .map_err(|_| format!("'{start}' is not an AS number"))?;
    numbers(first, count, country)
        .ok_or_else(|| format!("'{count}' is not a count of AS numbers from {start} on"))
}

fn numbers(first: u32, count: &str, country: Country) -> Option<Range<u32>> {
    let more = count.parse::<u64>().ok()?.checked_sub(1)?;
    let last = u32::try_from(u64::from(first) + more).ok()?;
    Some(Range { first, last, country })
}

fn ipv6(start: &str, length: &str, country: Country) -> std::result::Result<Range<u128>, String> {
    let address: Ipv6Addr = start
        .parse()
        .map_err(|_| format!("'{start}' is not an IPv6 address"))?;
    let length: u32 = match length.parse() {
        Ok(length @ 1..=128) => length,
        _ => return Err(format!("'{length}' is not a prefix length of IPv6")),
    };
    let host = u128::MAX.checked_shr(length).unwrap_or(0);
    let first = u128::from(address) & !host;
    Ok(Range {
        first,
        last: first | host,
        country,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
2|apnic|20240101|6|19830101|20240101|+1000
apnic|*|asn|*|1|summary
apnic|*|ipv4|*|3|summary

apnic|AU|ipv4|1.0.0.0|256|20110811|assigned|A91872ED
apnic|cn|ipv4|1.0.1.0|768|20110414|allocated|A92E1062|e-stats
apnic||ipv4|1.2.3.0|256||available|
apnic||ipv4|1.2.4.0|256||reserved|
apnic|ZZ|ipv4|1.2.5.0|256||reserved
apnic|JP|ipv6|2001:200::|35|19990813|allocated|A92D9378
apnic|JP|asn|173|2|20020801|allocated|A92D9378
";

    fn known(text: &str) -> Known {
        let mut delegated = Delegated::default();
        delegated.read(text).unwrap();
        Known::new(delegated.v4, delegated.v6, delegated.asns)
    }

    #[test]
    fn ranges_prefixes_and_numbers() {
        let known = known(FILE);
        for (prefix, expected) in [
            ("1.0.0.0/24", Some("AU")),
            ("1.0.1.0/24", Some("CN")),
            ("1.0.3.0/24", Some("CN")), // 768 addresses are no prefix
            ("1.0.4.0/24", None),
            ("1.2.3.0/24", None),
            ("2001:200:1000::/36", Some("JP")),
            ("2001:200:2000::/36", None),
        ] {
            let found = known
                .of_prefix(prefix.parse().unwrap())
                .map(|country| country.to_string());
            assert_eq!(found.as_deref(), expected, "{prefix}");
        }
        let of_asn = |asn| {
            known
                .of_asn(netfault_model::Asn(asn))
                .map(|country| country.to_string())
        };
        assert_eq!(
            [172, 173, 174, 175].map(of_asn),
            [None, Some("JP".into()), Some("JP".into()), None]
        );
        assert_eq!(known.len(), (2, 1, 1));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (line, expected) in [
            (
                "apnic|AU|ipv4|1.0.0.0|256",
                "line 2: a record has 7 fields or more between '|', this has 5",
            ),
            (
                "apnic|AU|ipv4|1.0.0|256|2|assigned",
                "line 2: '1.0.0' is not an IPv4 address",
            ),
            (
                "apnic|AU|ipv4|255.255.255.0|257|2|assigned",
                "line 2: '257' is not a count of addresses from 255.255.255.0 on",
            ),
            (
                "apnic|AU|ipv4|1.0.0.0|0|2|assigned",
                "line 2: '0' is not a count of addresses from 1.0.0.0 on",
            ),
            (
                "apnic|AUS|ipv4|1.0.0.0|256|2|assigned",
                "line 2: 'AUS' is not a country code: give two letters, as in ISO 3166",
            ),
            (
                "apnic||ipv4|1.0.0.0|256|2|assigned",
                "line 2: '' is not a country code: give two letters, as in ISO 3166",
            ),
            (
                "apnic|AU|ipv6|2001::|129|2|assigned",
                "line 2: '129' is not a prefix length of IPv6",
            ),
            (
                "apnic|AU|ipx|1|1|2|assigned",
                "line 2: 'ipx' is neither ipv4, ipv6 nor asn",
            ),
            (
                "apnic|AU|asn|4294967295|2|2|assigned",
                "line 2: '2' is not a count of AS numbers from 4294967295 on",
            ),
        ] {
            let error = Delegated::default()
                .read(&format!("# top\n{line}\n"))
                .unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
