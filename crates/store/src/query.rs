//! The questions that people ask, with their answers as typed rows. Values are always bound as
//! parameters, never pasted into SQL.
//!
//! * here: withdrawals and failures, in episodes
//! * [`incidents`] what belonged together; [`explain`] why it was decided; [`notes`] what people say about it
//! * [`delegations`] whom names depend on; [`health`] how their servers did
//! * [`hints`] what is usual at this time of day; [`feeds`] what kept us from seeing

pub mod delegations;
pub mod explain;
pub mod feeds;
pub mod health;
pub mod hints;
pub mod incidents;
pub mod notes;

use std::fmt::Write as _;
use std::net::IpAddr;

use netfault_model::{Asn, Baseline, Cover, Family, Finding, Prefix, State, Subject, Time};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::StoreError;

pub use delegations::{DelegationFilter, delegations, routes_of};
pub use explain::{Named, Step, incident_transitions, named, steps, transition};
pub use feeds::{FeedTrouble, feed_troubles};
pub use health::{FailingServer, Health, HealthFilter, dns_health, failing_servers};
pub use incidents::{IncidentFilter, incident_versions, incidents};
pub use notes::{AckPoll, Note, NoteKind, add_note, notes};

/// Which withdrawals: everything that is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithdrawalFilter {
    /// This prefix and, with `covered`, its more-specifics.
    pub prefix: Option<Prefix>,
    pub covered: bool,
    pub origin: Option<Asn>,
    /// Losses that lasted into or began in `since..until`.
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// At most so many rows, the latest; 0 is no limit.
    pub limit: u64,
}

/// One row of the view `prefix_withdrawals`: one loss of a prefix, from its first withdrawal to its return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Withdrawal {
    pub prefix: Prefix,
    pub origin: Option<Asn>,
    pub first_evidence_at: Time,
    pub degrading_at: Option<Time>,
    pub out_at: Time,
    /// Routes were back at most peer ASes (Recovering).
    pub recovering_at: Option<Time>,
    /// Normal again.
    pub recovered_at: Option<Time>,
    /// From Out to the return of the routes, in seconds; `None` while it lasts.
    pub duration_s: Option<f64>,
    pub state: State,
    /// How often it went Out within this loss.
    pub outs: u64,
    /// The lowest visibility that decided a transition.
    pub visibility: Option<f64>,
    pub peers_seen: Option<u32>,
    pub peers_lost: Option<u32>,
    pub peers_unknown: Option<u32>,
    pub peers_eligible: Option<u32>,
    pub baseline: Option<Baseline>,
    pub cover: Option<Cover>,
    pub watched: bool,
    /// A routing beacon.
    pub beacon: bool,
}

/// Which DNS failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsFailureFilter {
    pub name: Option<String>,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub limit: u64,
}

/// One row of the view `dns_failures`: one failure of a name, until it was ok again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DnsFailure {
    pub name: String,
    pub first_evidence_at: Time,
    pub failed_at: Time,
    pub out_at: Option<Time>,
    pub recovering_at: Option<Time>,
    pub recovered_at: Option<Time>,
    /// From the first failing state to ok, in seconds; `None` while it lasts.
    pub duration_s: Option<f64>,
    /// The worst state, and the finding given with it.
    pub worst: State,
    pub state: State,
    pub finding: Option<Finding>,
    pub servers_ok: Option<u32>,
    pub servers_eligible: Option<u32>,
    pub resolvers_ok: Option<u32>,
    pub resolvers_eligible: Option<u32>,
}

/// Losses of prefixes, oldest first.
pub async fn withdrawals(client: &Client, filter: &WithdrawalFilter) -> Result<Vec<Withdrawal>, StoreError> {
    let mut ask = Ask::new("prefix_withdrawals");
    if let Some(prefix) = filter.prefix {
        if filter.covered {
            let (first, last) = range(prefix);
            ask.and("prefix_addr BETWEEN toIPv6({first:String}) AND toIPv6({last:String})")
                .and("prefix_len >= {len:UInt8} AND (position(prefix, ':') = 0) = {v4:Bool}")
                .bind("first", first)
                .bind("last", last)
                .bind("len", prefix.len().to_string())
                .bind("v4", (prefix.family() == Family::V4).to_string());
        } else {
            ask.and("prefix = {prefix:String}")
                .bind("prefix", prefix.to_string());
        }
    }
    if let Some(origin) = filter.origin {
        ask.and("origin = {origin:UInt32}")
            .bind("origin", origin.0.to_string());
    }
    ask.span(filter.since, filter.until);
    ask.rows(client, "out_at", "prefix", filter.limit).await
}

/// Failures of names, oldest first.
pub async fn dns_failures(client: &Client, filter: &DnsFailureFilter) -> Result<Vec<DnsFailure>, StoreError> {
    let mut ask = Ask::new("dns_failures");
    if let Some(name) = &filter.name {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        ask.and("name = {name:String}").bind("name", name);
    }
    ask.span(filter.since, filter.until);
    ask.rows(client, "failed_at", "name", filter.limit).await
}

/// A SELECT in the making.
struct Ask {
    view: &'static str,
    conditions: String,
    values: Vec<(&'static str, String)>,
}

impl Ask {
    fn new(view: &'static str) -> Self {
        Ask {
            view,
            conditions: String::from("1"),
            values: Vec::new(),
        }
    }

    fn and(&mut self, condition: &str) -> &mut Self {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self
    }

    fn bind(&mut self, name: &'static str, value: String) -> &mut Self {
        self.values.push((name, value));
        self
    }

    /// Episodes that overlap `since..until`: an outage that began before is still an answer.
    fn span(&mut self, since: Option<Time>, until: Option<Time>) {
        if let Some(since) = since {
            self.and(&format!(
                "(recovered_at IS NULL OR {})",
                at_or_after("recovered_at", "since")
            ))
            .bind("since", since.micros().to_string());
        }
        if let Some(until) = until {
            self.and(&before("first_evidence_at", "until"))
                .bind("until", until.micros().to_string());
        }
    }

    async fn rows<T: serde::de::DeserializeOwned>(
        &self,
        client: &Client,
        time: &str,
        subject: &str,
        limit: u64,
    ) -> Result<Vec<T>, StoreError> {
        let mut sql = format!("SELECT * FROM {} WHERE {}", self.view, self.conditions);
        if limit > 0 {
            // The latest ones, then turned round.
            let _ = write!(sql, " ORDER BY {time} DESC, {subject} DESC LIMIT {limit}");
            sql = format!("SELECT * FROM ({sql})");
        }
        let _ = write!(sql, " ORDER BY {time}, {subject}");
        let mut query = client.query(&sql);
        for (name, value) in &self.values {
            query = query.param(name, value);
        }
        client.fetch(query).await
    }
}

/// Conditions on a time column, with a bound value in microseconds.
fn at_or_after(column: &str, value: &str) -> String {
    format!("{column} >= fromUnixTimestamp64Micro({{{value}:Int64}}, 'UTC')")
}

fn before(column: &str, value: &str) -> String {
    format!("{column} < fromUnixTimestamp64Micro({{{value}:Int64}}, 'UTC')")
}

/// A subject from the columns that keep it.
fn subject(kind: &str, text: &str, origin: Option<u32>) -> Result<Subject, StoreError> {
    let unreadable = || StoreError::Unreadable(format!("a subject of type '{kind}' that reads '{text}'"));
    match kind {
        "prefix" => Ok(Subject::Prefix {
            prefix: text.parse().map_err(|_| unreadable())?,
            origin: origin.map(Asn),
        }),
        "name" => Ok(Subject::Name {
            name: text.to_owned(),
        }),
        "origin" => Ok(Subject::Origin {
            origin: text.parse().map_err(|_| unreadable())?,
        }),
        "country" => Ok(Subject::Country {
            country: text.parse().map_err(|_| unreadable())?,
        }),
        "service" => Ok(Subject::Service {
            service: text.to_owned(),
        }),
        _ => Err(unreadable()),
    }
}

/// First and last address of a prefix, as IPv6 text; IPv4 as IPv4-mapped (RFC 4291 §2.5.5.2).
fn range(prefix: Prefix) -> (String, String) {
    let net = prefix.net();
    let mapped = |addr: IpAddr| match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_string(),
        IpAddr::V6(v6) => v6.to_string(),
    };
    (mapped(net.network()), mapped(net.broadcast()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_addresses() {
        let v4 = range("129.134.0.0/17".parse().unwrap());
        assert_eq!(
            v4,
            (
                "::ffff:129.134.0.0".to_owned(),
                "::ffff:129.134.127.255".to_owned()
            )
        );
        let v6 = range("2001:db8::/32".parse().unwrap());
        assert_eq!(v6.1, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    }
}
