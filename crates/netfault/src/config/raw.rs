//! What the user typed. Every key is optional and unknown ones are refused; texts keep their place in the
//! file, and are given a meaning in `resolve`. `schemas/config.schema.json` describes the same keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use netfault_engine::Settings;
use netfault_engine::dns::DnsSettings;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_saphyr::{Location, Spanned};

use super::ConfigError;
use super::agent::RawAgent;
use super::alerts::RawAlerts;
use super::listen::{RawCaller, RawListen};

/// A scalar as it was typed (a number too), with its place.
pub(super) type Text = Spanned<String>;

/// A text of our own making, as `config print` needs it.
pub(super) fn text(value: impl Into<String>) -> Text {
    Spanned::new(value.into(), Location::UNKNOWN, Location::UNKNOWN)
}

pub(super) fn parse(yaml: &str, path: &Path) -> Result<RawConfig, ConfigError> {
    serde_saphyr::from_str(yaml).map_err(|error| ConfigError::from_yaml(path, &error))
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<RawWatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<RawSources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<RawDns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<Spanned<Settings>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<super::services::RawServices>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<super::services::RawHints>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Spanned<RawStore>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<RawJournal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<RawAlerts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Spanned<RawListen>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<RawCaller>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Spanned<RawAgent>>,
}

/// `all`, or a map. The derived form is that of the map; the implementations below add the word.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub(super) struct RawWatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Spanned<RawName>>>,
}

/// A name, or a map. The derived form is that of the map.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct RawName {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<Vec<Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolvers: Option<Vec<Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Spanned<RawExpect>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<super::Dnssec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ok: Option<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawExpect {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_bogon: Option<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ris_live: Option<RawRisLive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrt: Option<RawMrt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<RawArchive>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRisLive {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub everything: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness: Option<super::Lateness>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMrt {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawArchive {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collectors: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDns {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolvers: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_per_second: Option<Spanned<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver_per_second: Option<Spanned<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_hints: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<RawControls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<Spanned<DnsSettings>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawControls {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Text>>,
    /// Servers by zone; `.` is the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<BTreeMap<String, Vec<Text>>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawStore {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub libchdb: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<super::Updates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<RawSpool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<super::retention::RawRetention>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSpool {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawJournal {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Text>,
}

impl<'de> Deserialize<'de> for RawWatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;
        impl<'de> Visitor<'de> for WordOrMap {
            type Value = RawWatch;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("'all' or a map of what to watch")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<RawWatch, E> {
                match word {
                    "all" => Ok(RawWatch {
                        all: Some(true),
                        ..RawWatch::default()
                    }),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawWatch, A::Error> {
                RawWatch::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(WordOrMap)
    }
}

impl Serialize for RawWatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawWatch::serialize(self, serializer)
    }
}

impl RawName {
    /// A name and nothing else.
    pub fn bare(name: &str) -> Self {
        RawName {
            name: name.to_owned(),
            authorities: None,
            resolvers: None,
            expect: None,
            dnssec: None,
            private_ok: None,
        }
    }
}

impl<'de> Deserialize<'de> for RawName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;
        impl<'de> Visitor<'de> for WordOrMap {
            type Value = RawName;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a DNS name, or a map with 'name'")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<RawName, E> {
                Ok(RawName::bare(word))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawName, A::Error> {
                RawName::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(WordOrMap)
    }
}

impl Serialize for RawName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawName::serialize(self, serializer)
    }
}
