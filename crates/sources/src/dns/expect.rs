//! What a name is expected to answer, as its owner says. Pure: answers in, nothing or one sentence out.
//!
//! A sentence becomes the `detail` of a probe whose outcome is then `wrong_answer`. Only whole answers are judged: an answer without
//! the record asked for is `nodata` already.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hickory_proto::rr::RecordType;
use netfault_model::{Family, Prefix};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bogon::is_bogon;

/// Values that a sentence lists; the rest is counted.
const MAX_SHOWN: usize = 4;

/// Every assertion that is given must hold; an empty one says nothing.
///
/// An answer is held against what is said of its own kind: addresses of A against IPv4 entries, of AAAA against IPv6
/// entries, everything else against texts. So one expectation serves both families of a name, and a list of IPv4 addresses says
/// nothing of AAAA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// At least one of these is in the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Wanted>,
    /// All of these are in the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<Wanted>,
    /// Every address of the answer is within one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Prefix>,
    /// Records of the type asked for, at least; of A and of AAAA each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count: Option<u32>,
    /// No address is private, loopback, link-local, multicast or reserved: asked of authorities too, and of names that may
    /// otherwise have private ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_bogon: bool,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    Addr(IpAddr),
    /// Record data in presentation form; letter case, quotes and a last dot do not count.
    Text(String),
}

impl FromStr for Wanted {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(addr) => Wanted::Addr(addr),
            Err(_) => Wanted::Text(text.to_owned()),
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Addr(addr) => addr.fmt(f),
            Wanted::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Wanted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Ok(wanted) = String::deserialize(deserializer)?.parse();
        Ok(wanted)
    }
}

impl Expectation {
    /// True if it asserts nothing.
    pub fn is_empty(&self) -> bool {
        *self == Expectation::default()
    }

    /// `answers`: what `Details` keeps of an answer, records of other types (aliases) preceded by their type.
    ///
    /// # Errors
    /// One short sentence about the first assertion that does not hold.
    pub fn judge(&self, qtype: RecordType, answers: &[String]) -> Result<(), String> {
        let Some(family) = family(qtype) else {
            return self.judge_texts(answers);
        };
        let addrs: Vec<IpAddr> = answers
            .iter()
            .filter_map(|answer| answer.parse().ok())
            .filter(|addr| family_of(*addr) == family)
            .collect();
        let listed = |wanted: &[Wanted]| -> Vec<IpAddr> {
            wanted
                .iter()
                .filter_map(|wanted| match wanted {
                    Wanted::Addr(addr) => Some(*addr),
                    Wanted::Text(_) => None,
                })
                .filter(|addr| family_of(*addr) == family)
                .collect()
        };
        if self.not_bogon
            && let Some(bogon) = addrs.iter().find(|addr| is_bogon(**addr))
        {
            return Err(format!("{bogon} is not a public address"));
        }
        any_of(&listed(&self.any_of), &addrs)?;
        all_of(&listed(&self.all_of), &addrs)?;
        self.judge_within(family, &addrs)?;
        self.judge_count(addrs.len())
    }

    fn judge_texts(&self, answers: &[String]) -> Result<(), String> {
        let answers: Vec<String> = answers.iter().map(|answer| plain(answer)).collect();
        let listed = |wanted: &[Wanted]| -> Vec<String> {
            wanted
                .iter()
                .filter_map(|wanted| match wanted {
                    Wanted::Text(text) => Some(plain(text)),
                    Wanted::Addr(_) => None,
                })
                .collect()
        };
        any_of(&listed(&self.any_of), &answers)?;
        all_of(&listed(&self.all_of), &answers)?;
        self.judge_count(answers.len())
    }

    fn judge_within(&self, family: Family, addrs: &[IpAddr]) -> Result<(), String> {
        let nets: Vec<Prefix> = self
            .within
            .iter()
            .copied()
            .filter(|prefix| prefix.family() == family)
            .collect();
        let outside = |addr: &&IpAddr| !nets.iter().any(|net| net.contains(**addr));
        match addrs.iter().find(outside) {
            Some(addr) if !nets.is_empty() => Err(format!("{addr} is outside {}", shown(&nets))),
            _ => Ok(()),
        }
    }

    fn judge_count(&self, count: usize) -> Result<(), String> {
        match self.min_count {
            Some(least) if count < least as usize => {
                let records = if count == 1 { "record" } else { "records" };
                Err(format!("{count} {records}, and at least {least} are expected"))
            }
            _ => Ok(()),
        }
    }
}

fn any_of<T: PartialEq + fmt::Display>(wanted: &[T], answers: &[T]) -> Result<(), String> {
    if wanted.is_empty() || wanted.iter().any(|value| answers.contains(value)) {
        return Ok(());
    }
    let none = if wanted.len() == 1 { "not" } else { "none of" };
    Err(format!("{none} {} but {}", shown(wanted), shown(answers)))
}

fn all_of<T: PartialEq + fmt::Display>(wanted: &[T], answers: &[T]) -> Result<(), String> {
    match wanted.iter().find(|value| !answers.contains(value)) {
        Some(missing) => Err(format!("{missing} is missing, there is {}", shown(answers))),
        None => Ok(()),
    }
}

fn shown<T: fmt::Display>(values: &[T]) -> String {
    let mut texts: Vec<String> = values.iter().take(MAX_SHOWN).map(T::to_string).collect();
    if values.len() > MAX_SHOWN {
        texts.push(format!("{} more", values.len() - MAX_SHOWN));
    }
    match texts.is_empty() {
        true => "nothing".to_owned(),
        false => texts.join(", "),
    }
}

fn plain(text: &str) -> String {
    text.trim_matches('"').trim_end_matches('.').to_lowercase()
}

/// Of the addresses that a question of this type is for; `None`: it is for none.
fn family(qtype: RecordType) -> Option<Family> {
    match qtype {
        RecordType::A => Some(Family::V4),
        RecordType::AAAA => Some(Family::V6),
        _ => None,
    }
}

fn family_of(addr: IpAddr) -> Family {
    match addr {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(texts: &[&str]) -> Vec<Wanted> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn judge(expected: &Expectation, qtype: RecordType, answers: &[&str]) -> Result<(), String> {
        let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
        expected.judge(qtype, &answers)
    }

    #[test]
    fn each_assertion_holds_or_is_said() {
        use RecordType as T;
        let any = |texts| Expectation {
            any_of: wanted(texts),
            ..Expectation::default()
        };
        let all = |texts| Expectation {
            all_of: wanted(texts),
            ..Expectation::default()
        };
        let within = |texts: &[&str]| Expectation {
            within: texts.iter().map(|text| text.parse().unwrap()).collect(),
            ..Expectation::default()
        };
        let least = |min_count| Expectation {
            min_count: Some(min_count),
            ..Expectation::default()
        };
        let public = Expectation {
            not_bogon: true,
            ..Expectation::default()
        };
        let two = ["192.0.2.1", "192.0.2.2"];
        type Row<'a> = (Expectation, T, &'a [&'a str], Result<(), &'a str>);
        let rows: &[Row] = &[
            (Expectation::default(), T::A, &two, Ok(())),
            (any(&two), T::A, &["192.0.2.2", "192.0.2.9"], Ok(())),
            (
                any(&two),
                T::A,
                &["192.0.2.9"],
                Err("none of 192.0.2.1, 192.0.2.2 but 192.0.2.9"),
            ),
            (
                any(&two[..1]),
                T::A,
                &["192.0.2.9"],
                Err("not 192.0.2.1 but 192.0.2.9"),
            ),
            // Of another family nothing was said.
            (any(&two), T::AAAA, &["2001:db8::1"], Ok(())),
            (all(&two), T::AAAA, &["2001:db8::1"], Ok(())),
            (within(&["192.0.2.0/24"]), T::AAAA, &["2001:db8::1"], Ok(())),
            (any(&["2001:DB8::1"]), T::AAAA, &["2001:db8::1"], Ok(())),
            (all(&two), T::A, &["192.0.2.2", "192.0.2.1", "192.0.2.3"], Ok(())),
            (
                all(&two),
                T::A,
                &["192.0.2.1"],
                Err("192.0.2.2 is missing, there is 192.0.2.1"),
            ),
            // An alias on the way is no address.
            (
                all(&two[..1]),
                T::A,
                &["192.0.2.1", "CNAME www.example.com."],
                Ok(()),
            ),
            (
                within(&["192.0.2.0/25", "198.51.100.0/24"]),
                T::A,
                &["192.0.2.1", "198.51.100.9"],
                Ok(()),
            ),
            (
                within(&["192.0.2.0/25", "198.51.100.0/24"]),
                T::A,
                &["192.0.2.1", "192.0.2.200"],
                Err("192.0.2.200 is outside 192.0.2.0/25, 198.51.100.0/24"),
            ),
            (least(2), T::A, &two, Ok(())),
            (
                least(2),
                T::A,
                &["192.0.2.1", "CNAME b."],
                Err("1 record, and at least 2 are expected"),
            ),
            (
                public.clone(),
                T::A,
                &["10.0.0.1"],
                Err("10.0.0.1 is not a public address"),
            ),
            (
                public.clone(),
                T::AAAA,
                &["fd00::1"],
                Err("fd00::1 is not a public address"),
            ),
            (public, T::A, &two, Ok(())),
            (
                any(&["ns1.example.com", "10 mx.example.com"]),
                T::MX,
                &["10 MX.example.com."],
                Ok(()),
            ),
            (any(&["v=spf1 -all"]), T::TXT, &["\"v=spf1 -all\""], Ok(())),
            (
                any(&["v=spf1 -all"]),
                T::TXT,
                &["v=spf1 +all"],
                Err("not v=spf1 -all but v=spf1 +all"),
            ),
        ];
        for (expected, qtype, answers, said) in rows {
            let judged = judge(expected, *qtype, answers);
            assert_eq!(
                judged.as_ref().err().map(String::as_str),
                said.err(),
                "{expected:?} {answers:?}"
            );
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<String> = (0..9).map(|n| format!("192.0.2.{n}")).collect();
        let expected = Expectation {
            any_of: wanted(&["198.51.100.1"]),
            ..Expectation::default()
        };
        assert_eq!(
            expected.judge(RecordType::A, &many).unwrap_err(),
            "not 198.51.100.1 but 192.0.2.0, 192.0.2.1, 192.0.2.2, 192.0.2.3, 5 more"
        );
    }

    #[test]
    fn it_is_read_and_written_as_text() {
        let text = r#"{"any_of":["192.0.2.1","ns.example"],"within":["192.0.2.0/24"],"min_count":1,"not_bogon":true}"#;
        let read: Expectation = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(serde_json::from_str::<Expectation>(r#"{"anyof":[]}"#).is_err());
        assert!(serde_json::from_str::<Expectation>("{}").unwrap().is_empty());
    }
}
