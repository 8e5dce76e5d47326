//! What a client sends, and which messages its subscriptions let through.
//! Source: <https://ris-live.ripe.net/manual/>.

use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxHashSet;
use serde::Deserialize;
use serde_json::Value;

use super::record::{Body, Record, Segment, Update};

/// A message from a client.
#[derive(Debug)]
pub enum Command {
    Subscribe(Box<Filter>),
    Unsubscribe,
    Ping,
    RrcList,
}

/// What a client sent cannot be understood; the text is for `ris_error`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct BadCommand(pub String);

/// One subscription. A message must pass every field that is set.
#[derive(Debug, Default)]
pub struct Filter {
    host: Option<String>,
    kind: Option<String>,
    require: Option<String>,
    peer: Option<IpAddr>,
    path: Option<PathPattern>,
    prefixes: Option<Prefixes>,
    pub include_raw: bool,
    pub acknowledge: bool,
}

/// A run of AS numbers anywhere in the path, or at its beginning (`^`) or end (`$`).
#[derive(Debug)]
struct PathPattern {
    asns: Vec<u32>,
    from_start: bool,
    to_end: bool,
}

#[derive(Debug)]
struct Prefixes {
    set: FxHashSet<IpNet>,
    more_specific: bool,
    less_specific: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawFilter {
    host: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    require: Option<String>,
    peer: Option<String>,
    path: Option<Value>,
    prefix: Option<OneOrMany>,
    more_specific: Option<bool>,
    less_specific: Option<bool>,
    socket_options: RawOptions,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawOptions {
    include_raw: bool,
    acknowledge: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Command {
    pub fn parse(text: &str) -> Result<Self, BadCommand> {
        #[derive(Deserialize)]
        struct Envelope {
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            data: Value,
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|e| BadCommand(e.to_string()))?;
        match envelope.kind.as_str() {
            "ris_subscribe" => Filter::from_json(envelope.data)
                .map(Box::new)
                .map(Command::Subscribe),
            "ris_unsubscribe" => Ok(Command::Unsubscribe),
            "ping" => Ok(Command::Ping),
            "request_rrc_list" => Ok(Command::RrcList),
            kind => Err(BadCommand(format!("unknown message type '{kind}'"))),
        }
    }
}

impl Filter {
    fn from_json(data: Value) -> Result<Self, BadCommand> {
        let data = if data.is_null() {
            Value::Object(Default::default())
        } else {
            data
        };
        let raw: RawFilter = serde_json::from_value(data).map_err(|e| BadCommand(e.to_string()))?;
        let peer = raw
            .peer
            .map(|peer| peer.parse().map_err(|_| BadCommand(format!("bad peer '{peer}'"))));
        let (more, less) = (
            raw.more_specific.unwrap_or(true),
            raw.less_specific.unwrap_or(false),
        );
        let prefixes = raw.prefix.map(|prefix| Prefixes::new(prefix, more, less));
        Ok(Filter {
            host: raw
                .host
                .map(|host| host.strip_suffix(".ripe.net").unwrap_or(&host).to_owned()),
            kind: raw.kind,
            require: raw.require,
            peer: peer.transpose()?,
            path: raw.path.map(|path| PathPattern::new(&path)).transpose()?,
            prefixes: prefixes.transpose()?,
            include_raw: raw.socket_options.include_raw,
            acknowledge: raw.socket_options.acknowledge,
        })
    }

    pub fn matches(&self, record: &Record) -> bool {
        let host = record.host.strip_suffix(".ripe.net").unwrap_or(&record.host);
        self.host.as_deref().is_none_or(|wanted| wanted == host)
            && self.peer.is_none_or(|wanted| wanted == record.peer)
            && match &record.body {
                Body::State(_) => self.matches_state(),
                Body::Update(update) => self.matches_update(update),
            }
    }

    /// A session state has neither prefixes nor a path, so a filter on them keeps it out.
    fn matches_state(&self) -> bool {
        self.kind
            .as_deref()
            .is_none_or(|kind| matches!(kind, "STATE" | "RIS_PEER_STATE"))
            && self.require.as_deref().is_none_or(|key| key == "state")
            && self.path.is_none()
            && self.prefixes.is_none()
    }

    fn matches_update(&self, update: &Update) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "UPDATE")
            && self.require.as_deref().is_none_or(|key| has(update, key))
            && self
                .path
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&update.path))
            && self
                .prefixes
                .as_ref()
                .is_none_or(|prefixes| prefixes.matches(update))
    }
}

fn has(update: &Update, key: &str) -> bool {
    match key {
        "announcements" => !update.announced.is_empty() || update.end_of_rib.is_some(),
        "withdrawals" => !update.withdrawn.is_empty(),
        "path" => !update.path.is_empty(),
        "origin" => update.origin.is_some(),
        _ => false,
    }
}

impl PathPattern {
    fn new(value: &Value) -> Result<Self, BadCommand> {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let inner = text.trim();
        let (from_start, inner) = inner
            .strip_prefix('^')
            .map_or((false, inner), |rest| (true, rest));
        let (to_end, inner) = inner
            .strip_suffix('$')
            .map_or((false, inner), |rest| (true, rest));
        let asns: Result<Vec<u32>, _> = inner.split(',').map(|asn| asn.trim().parse()).collect();
        match asns {
            Ok(asns) => Ok(PathPattern {
                asns,
                from_start,
                to_end,
            }),
            Err(_) => Err(BadCommand(format!("bad path '{text}'"))),
        }
    }

    fn matches(&self, path: &[Segment]) -> bool {
        let flat: Vec<u32> = path
            .iter()
            .flat_map(|segment| match segment {
                Segment::Sequence(asns) | Segment::Set(asns) => asns.iter().copied(),
            })
            .collect();
        match (self.from_start, self.to_end) {
            (true, true) => flat == self.asns,
            (true, false) => flat.starts_with(&self.asns),
            (false, true) => flat.ends_with(&self.asns),
            (false, false) => flat.windows(self.asns.len()).any(|window| window == self.asns),
        }
    }
}

impl Prefixes {
    fn new(prefixes: OneOrMany, more_specific: bool, less_specific: bool) -> Result<Self, BadCommand> {
        let texts = match prefixes {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        let parse = |text: &String| {
            text.parse::<IpNet>()
                .map(|net| net.trunc())
                .map_err(|_| BadCommand(format!("bad prefix '{text}'")))
        };
        let set = texts.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Prefixes {
            set,
            more_specific,
            less_specific,
        })
    }

    fn matches(&self, update: &Update) -> bool {
        let announced = update.announced.iter().flat_map(|group| &group.prefixes);
        announced
            .chain(&update.withdrawn)
            .any(|prefix| self.matches_prefix(prefix.trunc()))
    }

    fn matches_prefix(&self, prefix: IpNet) -> bool {
        if self.set.contains(&prefix) {
            return true;
        }
        let covered =
            || std::iter::successors(prefix.supernet(), IpNet::supernet).any(|net| self.set.contains(&net));
        let covers = || self.set.iter().any(|wanted| prefix.contains(wanted));
        self.more_specific && covered() || self.less_specific && covers()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Announced;
    use super::*;
    use netfault_model::Time;

    fn record(prefixes: &[&str], withdrawn: &[&str], path: &[u32]) -> Record {
        let parse = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<IpNet>>()
        };
        let mut update = Update {
            withdrawn: parse(withdrawn),
            ..Update::default()
        };
        if !prefixes.is_empty() {
            let next_hop = "192.0.2.1".parse().unwrap();
            update.announced.push(Announced {
                next_hop,
                link_local: None,
                prefixes: parse(prefixes),
            });
            update.path = vec![Segment::Sequence(path.to_vec())];
        }
        Record {
            at: Time::from_secs(0),
            host: "rrc01.ripe.net".into(),
            peer: "192.0.2.1".parse().unwrap(),
            peer_asn: 64500,
            body: Body::Update(update),
        }
    }

    fn passes(data: &str, record: &Record) -> bool {
        let text = format!(r#"{{"type":"ris_subscribe","data":{data}}}"#);
        match Command::parse(&text) {
            Ok(Command::Subscribe(filter)) => filter.matches(record),
            other => panic!("{text} gave {other:?}"),
        }
    }

    #[test]
    fn filters_as_the_manual_says() {
        let announce = record(&["10.1.0.0/16"], &[], &[64500, 64501, 64502]);
        let withdraw = record(&[], &["10.1.0.0/16"], &[]);
        let table = [
            (r#"{}"#, true, true),
            (r#"{"host":"rrc01"}"#, true, true),
            (r#"{"host":"rrc01.ripe.net"}"#, true, true),
            (r#"{"host":"rrc02"}"#, false, false),
            (r#"{"type":"STATE"}"#, false, false),
            (r#"{"type":"UPDATE"}"#, true, true),
            (r#"{"require":"announcements"}"#, true, false),
            (r#"{"require":"withdrawals"}"#, false, true),
            (r#"{"peer":"192.0.2.1"}"#, true, true),
            (r#"{"peer":"192.0.2.2"}"#, false, false),
            // A path filter cannot see withdrawals: their path is empty.
            (r#"{"path":64501}"#, true, false),
            (r#"{"path":"64500,64501"}"#, true, false),
            (r#"{"path":"^64501"}"#, false, false),
            (r#"{"path":"64502$"}"#, true, false),
            (r#"{"prefix":"10.1.0.0/16"}"#, true, true),
            (r#"{"prefix":["192.0.2.0/24","10.0.0.0/8"]}"#, true, true),
            (r#"{"prefix":"10.0.0.0/8","moreSpecific":false}"#, false, false),
            (r#"{"prefix":"10.1.2.0/24"}"#, false, false),
            (r#"{"prefix":"10.1.2.0/24","lessSpecific":true}"#, true, true),
        ];
        for (data, announced, withdrawn) in table {
            assert_eq!(passes(data, &announce), announced, "{data} announcement");
            assert_eq!(passes(data, &withdraw), withdrawn, "{data} withdrawal");
        }
    }

    #[test]
    fn a_state_passes_only_filters_that_can_mean_it() {
        let state = Record {
            body: Body::State("down"),
            ..record(&[], &[], &[])
        };
        let table = [
            (r#"{}"#, true),
            (r#"{"type":"RIS_PEER_STATE"}"#, true),
            (r#"{"type":"STATE"}"#, true),
        ];
        for (data, wanted) in table {
            assert_eq!(passes(data, &state), wanted, "{data}");
        }
        assert!(!passes(r#"{"prefix":"0.0.0.0/0"}"#, &state));
        assert!(!passes(r#"{"type":"UPDATE"}"#, &state));
    }

    #[test]
    fn what_is_not_understood_says_so() {
        for text in [
            "{",
            r#"{"type":"ris_dance"}"#,
            r#"{"type":"ris_subscribe","data":{"prefix":"10.0.0.0/33"}}"#,
            r#"{"type":"ris_subscribe","data":{"peer":"x"}}"#,
            r#"{"type":"ris_subscribe","data":{"path":"a"}}"#,
            r#"{"type":"ris_subscribe","data":[1]}"#,
        ] {
            assert!(Command::parse(text).is_err(), "{text}");
        }
    }
}
