//! The truth file: what happened, labelled by people, and what an evaluation must reach.
//!
//! ```yaml
//! version: 1
//! groups:
//!   ris_beacons:
//!     complete: true          # every outage of these prefixes is listed: another Out is false
//!     must: { recall: 1, out_error_s: 1 }
//!     events:
//!       - { kind: outage, prefix: 84.205.71.0/24, at: 2008-02-24T02:00:00Z, end: 2008-02-24T04:00:00Z, within: 600 }
//! count:                      # of the file given with --count
//!   min_baseline: 20
//!   must: { missed: 2 }
//! ```
//!
//! A label says when the cause was (`at`, `end`) and how late its effect may be (`within`, seconds). When routes
//! really went is measured: from the independent count, or from `crossed_at`, `out_at`, `back_at` where given.
//! The other kinds: `origin_loss` (origin, prefixes: how many), `origin_change` (prefix, origins), `never_out`
//! (prefix or origin). An `optional` outage is true, but nobody can be asked to find it.

use std::collections::BTreeMap;
use std::path::Path;

use netfault_model::{Asn, Prefix, Time};
use serde::Deserialize;

use super::musts::Musts;

/// How long after its label an effect may begin, if the truth does not say: path hunting takes minutes.
const WITHIN_S: u64 = 600;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    #[serde(default)]
    groups: BTreeMap<String, RawGroup>,
    #[serde(default)]
    count: CountTruth,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    #[serde(default)]
    complete: bool,
    #[serde(default)]
    must: Musts,
    events: Vec<RawEvent>,
}

/// What is asked of the whole table, against the independent count.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountTruth {
    /// Outages with fewer peer ASes in their baseline are left out.
    pub min_baseline: u32,
    pub must: Musts,
}

impl Default for CountTruth {
    fn default() -> Self {
        CountTruth {
            min_baseline: 20,
            must: Musts::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Outage,
    OriginLoss,
    OriginChange,
    NeverOut,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    kind: Kind,
    prefix: Option<Prefix>,
    origin: Option<Asn>,
    origins: Option<Vec<Asn>>,
    at: Option<Time>,
    end: Option<Time>,
    within: Option<u64>,
    crossed_at: Option<Time>,
    out_at: Option<Time>,
    back_at: Option<Time>,
    fifth_lost_at: Option<Time>,
    prefixes: Option<usize>,
    #[serde(default)]
    optional: bool,
}

/// Valid by construction.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    pub groups: Vec<Group>,
    pub count: CountTruth,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: String,
    pub complete: bool,
    pub must: Musts,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A prefix went, and came back if `until` is given.
    Outage(Outage),
    /// A good part of an origin's prefixes went together.
    OriginLoss(OriginLoss),
    /// Another AS announced the prefix.
    OriginChange {
        prefix: Prefix,
        origins: Vec<Asn>,
        at: Time,
        within_s: u64,
    },
    /// Nothing of it may be called Out in that span.
    NeverOut { of: Of, from: Time, until: Time },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Of {
    Prefix(Prefix),
    Origin(Asn),
}

/// One outage of one prefix: of the truth, or of the count. Moments that are not known are `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    pub prefix: Prefix,
    /// An Out that belongs to it is not stamped before …
    pub from: Time,
    /// … and not after. `None`: it had not ended when the record did.
    pub until: Option<Time>,
    pub fifth_lost_at: Option<Time>,
    pub crossed_at: Option<Time>,
    pub out_at: Option<Time>,
    pub back_at: Option<Time>,
    /// Its label says that it came back.
    pub comes_back: bool,
    /// Peer ASes; 0 if nobody counted.
    pub baseline: u32,
    /// It happened, but nobody can be asked to find it: before any baseline, say. Confirms, and is never missed.
    pub optional: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OriginLoss {
    pub origin: Asn,
    /// What goes out between these two went together; what goes later is another loss of that origin.
    pub from: Time,
    pub until: Time,
    /// How many went.
    pub prefixes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    #[error("cannot read the truth {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {message}")]
    Yaml { path: String, message: String },
    #[error("{path}: version {version} of a truth file is not known; this netfault reads version 1")]
    Version { path: String, version: u32 },
    #[error("{path}: event {number} of group '{group}' {what}")]
    Event {
        path: String,
        group: String,
        number: usize,
        what: &'static str,
    },
}

impl Truth {
    pub fn load(path: &Path) -> Result<Truth, TruthError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| TruthError::Read {
            path: shown.clone(),
            source,
        })?;
        Truth::parse(&text, &shown)
    }

    pub fn parse(text: &str, path: &str) -> Result<Truth, TruthError> {
        let raw: Raw = serde_saphyr::from_str(text).map_err(|error| TruthError::Yaml {
            path: path.to_owned(),
            message: one_line(&error.without_snippet().to_string()),
        })?;
        if raw.version != 1 {
            return Err(TruthError::Version {
                path: path.to_owned(),
                version: raw.version,
            });
        }
        let groups = raw.groups.into_iter().map(|(name, group)| {
            let events = group.events.into_iter().enumerate().map(|(index, event)| {
                event.resolve().map_err(|what| TruthError::Event {
                    path: path.to_owned(),
                    group: name.clone(),
                    number: index + 1,
                    what,
                })
            });
            Ok(Group {
                events: events.collect::<Result<_, _>>()?,
                name: name.clone(),
                complete: group.complete,
                must: group.must,
            })
        });
        Ok(Truth {
            groups: groups.collect::<Result<_, _>>()?,
            count: raw.count,
        })
    }
}

impl RawEvent {
    fn resolve(self) -> Result<Event, &'static str> {
        let within_s = self.within.unwrap_or(WITHIN_S);
        let late = i64::try_from(within_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        if let (Some(at), Some(end)) = (self.at, self.end)
            && end <= at
        {
            return Err("ends before it begins");
        }
        Ok(match self.kind {
            Kind::Outage => {
                let prefix = self.prefix.ok_or("is an outage without a prefix")?;
                let at = self.at.or(self.crossed_at).or(self.out_at);
                Event::Outage(Outage {
                    prefix,
                    from: at.ok_or("is an outage without 'at'")?,
                    until: self.back_at.or(self.end.map(|end| end.plus_micros(late))),
                    fifth_lost_at: self.fifth_lost_at,
                    crossed_at: self.crossed_at,
                    out_at: self.out_at,
                    back_at: self.back_at,
                    comes_back: self.back_at.or(self.end).is_some(),
                    baseline: 0,
                    optional: self.optional,
                })
            }
            Kind::OriginLoss => {
                let at = self.at.ok_or("is an origin_loss without 'at'")?;
                Event::OriginLoss(OriginLoss {
                    origin: self.origin.ok_or("is an origin_loss without an origin")?,
                    from: at,
                    until: self.end.unwrap_or(Time::MAX).min(at.plus_micros(late)),
                    prefixes: self
                        .prefixes
                        .filter(|&prefixes| prefixes > 0)
                        .ok_or("is an origin_loss that does not say how many prefixes")?,
                })
            }
            Kind::OriginChange => Event::OriginChange {
                prefix: self.prefix.ok_or("is an origin_change without a prefix")?,
                origins: self
                    .origins
                    .filter(|origins| !origins.is_empty())
                    .ok_or("is an origin_change without origins")?,
                at: self.at.ok_or("is an origin_change without 'at'")?,
                within_s,
            },
            Kind::NeverOut => Event::NeverOut {
                of: match (self.prefix, self.origin) {
                    (Some(prefix), None) => Of::Prefix(prefix),
                    (None, Some(origin)) => Of::Origin(origin),
                    _ => return Err("is a never_out that needs a prefix or an origin, and not both"),
                },
                from: self.at.unwrap_or(Time::MIN),
                until: self.end.unwrap_or(Time::MAX),
            },
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Truth, String> {
        Truth::parse(text, "t.yaml").map_err(|error| error.to_string())
    }

    #[test]
    fn a_truth_is_read() {
        let truth = parse(
            "version: 1\n\
             groups:\n\
             \x20 beacons:\n\
             \x20   complete: true\n\
             \x20   must: { recall: 1 }\n\
             \x20   events:\n\
             \x20     - { kind: outage, prefix: 192.0.2.0/24, at: 2008-02-24T02:00:00Z, end: 2008-02-24T04:00:00Z }\n\
             \x20     - { kind: origin_change, prefix: 192.0.2.0/24, origins: [64500, AS64501], at: 2008-02-24T18:47:57Z, within: 10 }\n\
             \x20     - { kind: never_out, origin: 64500 }\n\
             count: { min_baseline: 10 }\n",
        )
        .unwrap();
        assert_eq!(truth.count.min_baseline, 10);
        assert!(truth.groups[0].complete);
        let [
            Event::Outage(outage),
            Event::OriginChange {
                origins, within_s, ..
            },
            Event::NeverOut { of, .. },
        ] = truth.groups[0].events.as_slice()
        else {
            panic!("{:?}", truth.groups[0].events);
        };
        assert_eq!(outage.until.unwrap().since(outage.from), 7_800_000_000);
        assert_eq!((origins.len(), *within_s), (2, 10));
        assert_eq!(*of, Of::Origin(Asn(64500)));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        let event = |event: &str| {
            let text = format!("version: 1\ngroups:\n  g:\n    events:\n      - {event}\n");
            parse(&text).unwrap_err()
        };
        assert_eq!(
            event("{ kind: outage, at: 2008-02-24T02:00:00Z }"),
            "t.yaml: event 1 of group 'g' is an outage without a prefix"
        );
        assert!(event("{ kind: never_out }").contains("needs a prefix or an origin"));
        assert!(
            event(
                "{ kind: outage, prefix: 192.0.2.0/24, at: 2008-02-24T02:00:00Z, end: 2008-02-24T01:00:00Z }"
            )
            .ends_with("ends before it begins")
        );
        assert!(event("{ kind: outage, perfix: 192.0.2.0/24 }").contains("perfix"));
        assert!(parse("version: 2\n").unwrap_err().contains("version 2"));
        assert!(!event("{ kind: lost }").contains('\n'));
    }
}
