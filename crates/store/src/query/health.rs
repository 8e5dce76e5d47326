//! How name servers and resolvers did, from the rollup of their probes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netfault_model::Time;
use serde::{Deserialize, Serialize};

use super::{DnsFailure, at_or_after, before};
use crate::client::Client;
use crate::error::StoreError;

/// Which minutes: everything that is `None` does not narrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthFilter {
    pub name: Option<String>,
    /// Of one server or resolver.
    pub server: Option<IpAddr>,
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
    /// Seconds of one row; a multiple of 60.
    pub step_s: u32,
    /// At most so many rows, the latest; 0 is no limit.
    pub limit: u64,
}

/// How one server did for one name, from one vantage, in one step of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// When the step began.
    pub at: Time,
    pub name: String,
    pub role: String,
    pub server: IpAddr,
    pub port: u16,
    pub vantage: String,
    pub probes: u64,
    /// The server did its work: it answered, or it is an authority and said with authority that there is nothing.
    pub ok: u64,
    /// Neither ok, nor `nodata`, nor `void`.
    pub failed: u64,
    pub outcomes: BTreeMap<String, u64>,
    /// Of answers, in milliseconds; `None` where none came.
    pub latency_p50_ms: Option<f64>,
    pub latency_p95_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
}

/// In order of time, then name, role and server.
pub async fn dns_health(client: &Client, filter: &HealthFilter) -> Result<Vec<Health>, StoreError> {
    let mut conditions = String::from("1");
    let mut values = vec![("step", filter.step_s.max(60).to_string())];
    if let Some(name) = &filter.name {
        conditions.push_str(" AND name = {name:String}");
        values.push(("name", name.trim_end_matches('.').to_ascii_lowercase()));
    }
    if let Some(server) = filter.server {
        conditions.push_str(" AND server = {server:String}");
        values.push(("server", server.to_string()));
    }
    if let Some(since) = filter.since {
        conditions.push_str(&format!(
            " AND {}",
            at_or_after("minute", "since").replace("minute", "toDateTime64(minute, 6)")
        ));
        values.push(("since", since.micros().to_string()));
    }
    if let Some(until) = filter.until {
        conditions.push_str(&format!(
            " AND {}",
            before("minute", "until").replace("minute", "toDateTime64(minute, 6)")
        ));
        values.push(("until", until.micros().to_string()));
    }
    let mut sql = format!(
        "SELECT toStartOfInterval(minute, toIntervalSecond({{step:UInt32}})) AS at, name, role, server, port, vantage, \
         sum(length(latencies)) AS probes, sumIf(length(latencies), healthy) AS ok, \
         sumIf(length(latencies), NOT healthy AND outcome NOT IN ('nodata', 'void')) AS failed, \
         sumMap(map(toString(outcome), toUInt64(length(latencies)))) AS outcomes, {}, {}, {} \
         FROM dns_health_1m_data FINAL WHERE {conditions} GROUP BY at, name, role, server, port, vantage",
        quantile("0.5", "50"),
        quantile("0.95", "95"),
        quantile("0.99", "99"),
    );
    if filter.limit > 0 {
        let limit = filter.limit;
        sql = format!(
            "SELECT * FROM ({sql} ORDER BY at DESC, name, role, server, port, vantage LIMIT {limit})"
        );
    }
    sql.push_str(" ORDER BY at, name, role, server, port, vantage");
    let mut query = client.query(&sql);
    for (name, value) in &values {
        query = query.param(name, value);
    }
    client.fetch(query).await
}

/// Of answers only: a timeout has the latency that it was given.
fn quantile(level: &str, percent: &str) -> String {
    format!(
        "quantileExactArrayOrNullIf({level})(mapValues(latencies), \
         outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p{percent}_ms"
    )
}

/// One server that failed in a failure of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailingServer {
    pub role: String,
    pub server: IpAddr,
    pub port: u16,
    pub first_failure_at: Time,
    pub last_failure_at: Time,
    pub probes: u64,
    pub failed: u64,
    pub outcomes: BTreeMap<String, u64>,
    pub vantages: Vec<String>,
}

/// Who failed in it, first failure first.
pub async fn failing_servers(
    client: &Client,
    failure: &DnsFailure,
) -> Result<Vec<FailingServer>, StoreError> {
    let query = client
        .query(
            "SELECT role, server, port, first_failure_at, last_failure_at, probes, failed, outcomes, vantages \
             FROM dns_failing_servers WHERE name = {name:String} \
             AND failed_at = fromUnixTimestamp64Micro({failed:Int64}, 'UTC') \
             ORDER BY first_failure_at, role, server, port",
        )
        .param("name", &failure.name)
        .param("failed", failure.failed_at.micros().to_string());
    client.fetch(query).await
}
