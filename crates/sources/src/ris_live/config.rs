//! What the client subscribes to, and its limits.

use std::time::Duration;

use netfault_model::Prefix;
use serde_json::{Map, Value, json};

/// The public service. It asks every client to name itself.
pub const PUBLIC_URL: &str = "wss://ris-live.ripe.net/v1/ws/";

/// Where the RIS beacons and anchors live: 84.205.64.0/24 and up, 2001:7fb:fe00::/48 and up. They change
/// every two hours at every collector, so that a narrow subscription is never silent for long.
/// Source: RIPE NCC, "Current RIS routing beacons".
pub const BEACONS: [&str; 2] = ["84.205.64.0/19", "2001:7fb:fe00::/39"];

/// Prefixes in one `ris_subscribe` message. A guess: no limit is documented, and this keeps a message
/// below 50 kB.
const PREFIXES_PER_MESSAGE: usize = 1000;

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `ws://` or `wss://`, without the `client` parameter.
    pub url: String,
    /// Sent as `?client=`, so that the operator of the service can tell who we are.
    pub client_id: String,
    pub subscription: Subscription,
    /// Collectors (`rrc00`); empty means all.
    pub hosts: Vec<String>,
    /// Ask for the BGP message in hex as well. Doubles the traffic; only useful for the odd frame whose
    /// decoded fields are missing, and to learn the family of an End-of-RIB.
    pub include_raw: bool,
    pub lateness: Lateness,
    pub limits: Limits,
    pub backoff: Backoff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Every message of every collector.
    Everything,
    /// These prefixes, their more-specifics, the RIS beacons, and the state of all sessions. With
    /// `less_specific` also the routes that cover them.
    Prefixes {
        prefixes: Vec<Prefix>,
        less_specific: bool,
    },
}

/// What to do with a time stamp that is far from the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lateness {
    /// More than 300 s behind the clock is late, more than 60 s ahead is early (DESIGN section 3).
    #[default]
    Judge,
    /// Every stamp is taken as it is. For playing an old capture through the live pipeline: then time comes
    /// from the messages alone, and no other source (a clock that ticks today) may run beside it.
    Trust,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Frames between socket and decoder. At today's 4,000 messages per second this is 16 s.
    pub queue_frames: usize,
    /// Bytes between socket and decoder.
    pub queue_bytes: usize,
    /// A longer frame is dropped and counted. The longest BGP message (RFC 8654: 65,535 bytes) is about
    /// half of this in JSON with `raw`.
    pub frame_bytes: usize,
    /// A longer frame breaks the connection, because reading past it would need that much memory.
    pub frame_bytes_hard: usize,
    /// Inputs in one batch for the pipeline, at least one frame.
    pub batch: usize,
    /// Duplicates are recognised over at least this many messages.
    pub seen: usize,
    pub connect_timeout: Duration,
    pub ping_every: Duration,
    /// With the full feed: no message for so long is a fault (FIELD-FACTS: 10–30 s).
    pub silence: Duration,
    /// No frame at all, not even a `pong`, for so long means that the connection is dead.
    pub dead: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            queue_frames: 65_536,
            queue_bytes: 64 << 20,
            frame_bytes: 1 << 20,
            frame_bytes_hard: 16 << 20,
            batch: 1024,
            seen: 131_072,
            connect_timeout: Duration::from_secs(10),
            ping_every: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            dead: Duration::from_secs(30),
        }
    }
}

/// Waits between attempts to connect: random between zero and `first · 2ⁿ`, at most `max` ("full jitter",
/// so that the clients of a service that comes back do not all come at once).
#[derive(Clone, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The wait before attempt `attempt` (0 is the first one after a break). `random` is in 0..1.
    pub fn wait(&self, attempt: u32, random: f64) -> Duration {
        let ceiling = self
            .first
            .saturating_mul(2u32.saturating_pow(attempt.min(31)))
            .min(self.max);
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }
}

impl ClientConfig {
    pub fn new(url: &str, subscription: Subscription) -> Self {
        ClientConfig {
            url: url.to_owned(),
            client_id: concat!("netfault-", env!("CARGO_PKG_VERSION")).to_owned(),
            subscription,
            hosts: Vec::new(),
            include_raw: false,
            lateness: Lateness::Judge,
            limits: Limits::default(),
            backoff: Backoff::default(),
        }
    }

    /// The URL with the `client` parameter.
    pub fn full_url(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let id: String = self
            .client_id
            .chars()
            .map(|c| if url_safe(c) { c } else { '-' })
            .collect();
        format!("{}{separator}client={id}", self.url)
    }

    /// The `ris_subscribe` messages, in the order in which they are sent.
    pub fn subscribe_messages(&self) -> Vec<String> {
        let hosts: Vec<Option<&str>> = match self.hosts.as_slice() {
            [] => vec![None],
            hosts => hosts.iter().map(|host| Some(host.as_str())).collect(),
        };
        hosts
            .into_iter()
            .flat_map(|host| self.filters(host))
            .map(subscribe_message)
            .collect()
    }

    fn filters(&self, host: Option<&str>) -> Vec<Map<String, Value>> {
        let mut base = Map::new();
        if let Some(host) = host {
            base.insert("host".to_owned(), json!(host));
        }
        base.insert(
            "socketOptions".to_owned(),
            json!({ "includeRaw": self.include_raw, "acknowledge": true }),
        );
        let with = |extra: &[(&str, Value)]| {
            let mut filter = base.clone();
            filter.extend(
                extra
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone())),
            );
            filter
        };
        let Subscription::Prefixes {
            prefixes,
            less_specific,
        } = &self.subscription
        else {
            return vec![base];
        };
        let mut all: Vec<String> = BEACONS.iter().map(|prefix| (*prefix).to_owned()).collect();
        all.extend(prefixes.iter().map(Prefix::to_string));
        let mut filters: Vec<_> = all
            .chunks(PREFIXES_PER_MESSAGE)
            .map(|chunk| {
                with(&[
                    ("prefix", json!(chunk)),
                    ("moreSpecific", json!(true)),
                    ("lessSpecific", json!(less_specific)),
                ])
            })
            .collect();
        // A session that goes down has no prefix, so a prefix filter never shows it. The service sends
        // `STATE` while its documents say `RIS_PEER_STATE`; which of them it filters by is not known.
        filters.push(with(&[("type", json!("STATE"))]));
        filters.push(with(&[("type", json!("RIS_PEER_STATE"))]));
        filters
    }
}

fn url_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

fn subscribe_message(filter: Map<String, Value>) -> String {
    json!({ "type": "ris_subscribe", "data": filter }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_list_is_asked_for_with_beacons_and_session_states() {
        let subscription = Subscription::Prefixes {
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            less_specific: false,
        };
        let mut config = ClientConfig::new("ws://localhost/", subscription);
        config.hosts = vec!["rrc00".to_owned(), "rrc01".to_owned()];
        let messages = config.subscribe_messages();
        assert_eq!(messages.len(), 6);
        let first: Value = serde_json::from_str(&messages[0]).unwrap();
        assert_eq!(
            first,
            json!({ "type": "ris_subscribe", "data": {
                "host": "rrc00",
                "prefix": ["84.205.64.0/19", "2001:7fb:fe00::/39", "192.0.2.0/24"],
                "moreSpecific": true, "lessSpecific": false,
                "socketOptions": { "includeRaw": false, "acknowledge": true } } })
        );
        assert!(messages[1].contains(r#""type":"STATE""#) && messages[2].contains("RIS_PEER_STATE"));
        assert!(messages[3].contains("rrc01"));
    }

    #[test]
    fn a_long_watch_list_goes_in_several_messages() {
        let prefixes = (0..2500u32)
            .map(|n| Prefix::v4((0x0a00_0000 + (n << 8)).into(), 24).unwrap())
            .collect();
        let config = ClientConfig::new(
            "ws://localhost/",
            Subscription::Prefixes {
                prefixes,
                less_specific: false,
            },
        );
        assert_eq!(config.subscribe_messages().len(), 3 + 2);
    }

    #[test]
    fn the_client_names_itself() {
        let mut config = ClientConfig::new("wss://ris-live.ripe.net/v1/ws/", Subscription::Everything);
        config.client_id = "noc example&x=1".to_owned();
        assert_eq!(
            config.full_url(),
            "wss://ris-live.ripe.net/v1/ws/?client=noc-example-x-1"
        );
    }

    #[test]
    fn waits_double_to_a_ceiling_and_are_spread_from_zero() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
        };
        let table = [
            (0, 1.0, 1.0),
            (3, 1.0, 8.0),
            (3, 0.25, 2.0),
            (6, 1.0, 60.0),
            (400, 0.5, 30.0),
            (2, 0.0, 0.0),
        ];
        for (attempt, random, seconds) in table {
            assert_eq!(
                backoff.wait(attempt, random),
                Duration::from_secs_f64(seconds),
                "{attempt} {random}"
            );
        }
    }
}
