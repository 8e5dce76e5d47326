//! Which alerts: the conditions of routes, silences and maintenance windows. Pure.
//!
//! A matcher is a list of conditions `key=value`; values of the same key are alternatives, keys must all hold. A
//! matcher without conditions matches everything.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use netfault_model::{Asn, Prefix, State, Subject};

use crate::notice::{About, Notice};

/// What is compared of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `3` or more.
    Severity,
    Service,
    /// `name`, `prefix`, `origin`, `country`, `service`.
    Subject,
    Name,
    /// A prefix with its more-specifics, or a pattern of its text.
    Prefix,
    Asn,
    Cause,
    Finding,
    About,
    /// Of the alert or of its incident.
    Id,
}

impl Key {
    pub const ALL: [Key; 10] = [
        Key::Severity,
        Key::Service,
        Key::Subject,
        Key::Name,
        Key::Prefix,
        Key::Asn,
        Key::Cause,
        Key::Finding,
        Key::About,
        Key::Id,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Key::Severity => "severity",
            Key::Service => "service",
            Key::Subject => "subject",
            Key::Name => "name",
            Key::Prefix => "prefix",
            Key::Asn => "asn",
            Key::Cause => "cause",
            Key::Finding => "finding",
            Key::About => "about",
            Key::Id => "id",
        }
    }
}

/// How the parts of an incident count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// One part is enough: whoever cares about it is told (routes).
    Any,
    /// Every part that is in trouble: a silence for one name must not hide another (silences, windows).
    All,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    AtLeast(u8),
    Text(Pattern),
    Within(Prefix),
    Origin(Asn),
    About(About),
}

/// One condition, and how it was written.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    key: Key,
    value: String,
    test: Test,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher(Vec<Condition>);

/// Longer than any name or prefix.
const MAX_VALUE: usize = 300;

impl Matcher {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an alternative for `key`.
    pub fn add(&mut self, key: Key, value: &str) -> Result<(), String> {
        let value = value.trim().to_owned();
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(format!("a value for '{}' is missing here", key.name()));
        }
        let test = test(key, &value)?;
        self.0.push(Condition { key, value, test });
        Ok(())
    }

    /// From `key=value` texts, as the command line and the file of silences have them.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut matcher = Matcher::default();
        for text in texts {
            let Some((name, value)) = text.split_once('=') else {
                return Err(format!(
                    "'{text}' is not a condition: write key=value, such as name=*.example.com or severity=3"
                ));
            };
            let name = name.trim().trim_end_matches('>').trim();
            let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else {
                let known: Vec<&str> = Key::ALL.iter().map(|key| key.name()).collect();
                return Err(format!("'{name}' is no key: there are {}", known.join(", ")));
            };
            matcher.add(key, value)?;
        }
        Ok(matcher)
    }

    /// The conditions as `key=value`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|condition| format!("{}={}", condition.key.name(), condition.value))
    }

    /// The values that were given for `key`.
    pub fn values(&self, key: Key) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |condition| condition.key == key)
            .map(|condition| condition.value.as_str())
    }

    pub fn has(&self, key: Key) -> bool {
        self.values(key).next().is_some()
    }

    /// True if every key holds for `notice`.
    pub fn matches(&self, notice: &Notice, parts: Quantifier) -> bool {
        Key::ALL
            .into_iter()
            .filter(|&key| self.has(key))
            .all(|key| self.holds(key, notice, parts))
    }

    fn holds(&self, key: Key, notice: &Notice, parts: Quantifier) -> bool {
        let any = |does: &dyn Fn(&Test) -> bool| {
            self.0
                .iter()
                .filter(|condition| condition.key == key)
                .any(|condition| does(&condition.test))
        };
        match key {
            Key::Severity => any(&|test| matches!(test, Test::AtLeast(least) if notice.severity >= *least)),
            Key::About => any(&|test| matches!(test, Test::About(about) if notice.about == *about)),
            Key::Service => any(&|test| {
                let mut services = notice.services.iter();
                services.any(|service| is_like(test, service))
            }),
            Key::Cause => any(&|test| notice.cause().is_some_and(|cause| is_like(test, cause))),
            Key::Finding => any(&|test| {
                let mut findings = notice.findings.iter();
                findings.any(|finding| is_like(test, &name_of(finding)))
            }),
            Key::Id => any(&|test| {
                is_like(test, &notice.id) || incident_of(notice).is_some_and(|id| is_like(test, &id))
            }),
            Key::Subject => any(&|test| {
                let subject = notice.subject.as_ref();
                subject.is_some_and(|subject| is_like(test, subject.key().0))
            }),
            Key::Name | Key::Prefix | Key::Asn => {
                let concerns = |subject: &&Subject| any(&|test| concerns(key, test, subject));
                let affected = affected(notice);
                match parts {
                    Quantifier::Any => affected.iter().any(concerns),
                    Quantifier::All => !affected.is_empty() && affected.iter().all(concerns),
                }
            }
        }
    }
}

/// The parts in trouble (those that travel with the notice); the subject itself where there are none.
pub(crate) fn affected(notice: &Notice) -> Vec<&Subject> {
    let children = notice.incident.iter().flat_map(|incident| &incident.children);
    let mut affected: Vec<&Subject> = children
        .filter(|child| {
            notice.is_over()
                || !matches!(
                    child.state,
                    State::Normal | State::Ok | State::Gone | State::Unknown
                )
        })
        .map(|child| &child.subject)
        .collect();
    if affected.is_empty() {
        affected.extend(&notice.subject);
    }
    affected
}

fn incident_of(notice: &Notice) -> Option<String> {
    notice.incident.as_ref().map(|incident| incident.id.to_string())
}

/// A closed enum's name in JSON.
fn name_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn is_like(test: &Test, text: &str) -> bool {
    matches!(test, Test::Text(pattern) if pattern.matches(text))
}

fn concerns(key: Key, test: &Test, subject: &Subject) -> bool {
    match (key, subject) {
        (Key::Name, Subject::Name { name }) => is_like(test, name),
        (Key::Prefix, Subject::Prefix { prefix, .. }) => match test {
            Test::Within(cover) => contains(*cover, *prefix),
            _ => is_like(test, &prefix.to_string()),
        },
        (
            Key::Asn,
            Subject::Prefix {
                origin: Some(origin), ..
            }
            | Subject::Origin { origin },
        ) => match test {
            Test::Origin(asn) => asn == origin,
            _ => is_like(test, &origin.to_string()),
        },
        _ => false,
    }
}

fn contains(cover: Prefix, prefix: Prefix) -> bool {
    let mut at = Some(prefix);
    while let Some(one) = at {
        if one == cover {
            return true;
        }
        at = one.parent();
    }
    false
}

fn test(key: Key, value: &str) -> Result<Test, String> {
    let pattern = |text: &str| {
        Pattern::new(text)
            .map(Test::Text)
            .map_err(|error| format!("'{value}' is not a pattern: {error}"))
    };
    match key {
        Key::Severity => match value.trim_start_matches(">=").trim().parse() {
            Ok(least @ 1..=5) => Ok(Test::AtLeast(least)),
            _ => Err(format!("'{value}' is not a severity: give the least one, 1 to 5")),
        },
        Key::About => match value {
            "target" => Ok(Test::About(About::Target)),
            "self" => Ok(Test::About(About::Ourselves)),
            _ => Err(format!(
                "'{value}' is neither 'target' nor 'self' (netfault itself)"
            )),
        },
        Key::Prefix => match value.parse() {
            Ok(prefix) => Ok(Test::Within(prefix)),
            Err(_) if value.contains(['*', '?']) => pattern(value),
            Err(_) => Err(format!(
                "'{value}' is neither a prefix (192.0.2.0/24) nor a pattern with '*'"
            )),
        },
        Key::Asn => match value.parse() {
            Ok(asn) => Ok(Test::Origin(asn)),
            Err(_) if value.contains(['*', '?']) => pattern(value),
            Err(_) => Err(format!(
                "'{value}' is neither an AS number (AS64500) nor a pattern with '*'"
            )),
        },
        Key::Subject => match value {
            "name" | "prefix" | "origin" | "country" | "service" => pattern(value),
            _ => Err(format!(
                "'{value}' is no kind of subject: there are name, prefix, origin, country, service"
            )),
        },
        Key::Name => pattern(&value.trim_end_matches('.').to_ascii_lowercase()),
        Key::Service | Key::Cause | Key::Finding | Key::Id => pattern(value),
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("everything");
        }
        let texts: Vec<String> = self.texts().collect();
        f.write_str(&texts.join(" "))
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Matcher::parse(text.split_whitespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::Time;

    fn about(subject: Subject, severity: u8) -> Notice {
        Notice {
            severity,
            subject: Some(subject),
            services: vec!["shop".into()],
            ..Notice::blank("0123456789abcdef", Time::from_secs(1))
        }
    }

    fn prefix() -> Notice {
        about(
            Subject::Prefix {
                prefix: "192.0.2.0/24".parse().unwrap(),
                origin: Some(Asn(64500)),
            },
            3,
        )
    }

    #[test]
    fn the_table_of_conditions() {
        let name = about(
            Subject::Name {
                name: "www.example.com".into(),
            },
            2,
        );
        for (text, of_prefix, of_name) in [
            ("", true, true),
            ("severity=3", true, false),
            ("severity>=2", true, true),
            ("severity=4", false, false),
            ("prefix=192.0.0.0/16", true, false),
            ("prefix=192.0.2.0/25", false, false),
            ("prefix=192.0.*", true, false),
            ("asn=AS64500", true, false),
            ("asn=64501", false, false),
            ("asn=AS645*", true, false),
            ("name=*.example.com", false, true),
            ("name=WWW.EXAMPLE.COM.", false, true),
            ("name=example.com", false, false),
            ("subject=name subject=prefix", true, true),
            ("subject=name", false, true),
            ("service=shop severity=3", true, false),
            ("service=sh*", true, true),
            ("service=mail", false, false),
            ("about=self", false, false),
            ("about=target", true, true),
            ("id=0123456789*", true, true),
            ("cause=*", false, false),
        ] {
            let matcher: Matcher = text.parse().unwrap();
            assert_eq!(matcher.matches(&prefix(), Quantifier::Any), of_prefix, "{text}");
            assert_eq!(matcher.matches(&name, Quantifier::All), of_name, "{text}");
            let again = Matcher::parse(matcher.texts().collect::<Vec<_>>().iter().map(String::as_str));
            assert_eq!(again.as_ref(), Ok(&matcher));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "severity=6",
            "severity=x",
            "prefix=192.0.2",
            "asn=x",
            "subject=host",
            "about=me",
            "colour=red",
            "name",
            "name=",
            "name=[a",
        ] {
            assert!(text.parse::<Matcher>().is_err(), "{text}");
        }
    }
}
