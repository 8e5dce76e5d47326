//! Whom names depend on, and which names depend on a prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netfault_model::{Address, Asn, Delegation, DelegationFinding, NameServer, Outcome, Prefix, Route, Time};
use serde::Deserialize;

use super::explain::word;
use super::{at_or_after, before};
use crate::client::Client;
use crate::error::StoreError;

/// Which delegations: everything that is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelegationFilter {
    pub name: Option<String>,
    /// Delegations with an address in it.
    pub prefix: Option<Prefix>,
    /// Every walk since then. Without it: of each name and vantage the newest one.
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
    /// At most so many, the latest; 0 is no limit.
    pub limit: u64,
}

/// By name, then time. A walk that did not come to the zone counts as the newest only if none ever did.
pub async fn delegations(client: &Client, filter: &DelegationFilter) -> Result<Vec<Delegation>, StoreError> {
    let mut conditions = String::from("1");
    let mut values = Vec::new();
    if let Some(name) = &filter.name {
        conditions.push_str(" AND name = {name:String}");
        values.push(("name", name.trim_end_matches('.').to_ascii_lowercase()));
    }
    for (time, condition) in [
        (filter.since, at_or_after("at", "since")),
        (filter.until, before("at", "until")),
    ] {
        if let Some(time) = time {
            let key = if condition.contains("since") {
                "since"
            } else {
                "until"
            };
            conditions.push_str(&format!(" AND {condition}"));
            values.push((key, time.micros().to_string()));
        }
    }
    let newest = match filter.since {
        Some(_) => "",
        None => "ORDER BY name, vantage, complete DESC, at DESC, frozen DESC LIMIT 1 BY name, vantage",
    };
    let mut sql = format!("SELECT * FROM (SELECT * FROM delegations FINAL WHERE {conditions} {newest})");
    if let Some(prefix) = filter.prefix {
        sql.push_str(
            " WHERE arrayExists(addr -> isIPAddressInRange(addr, {prefix:String}), \
             arrayConcat(servers.addr, addresses.addr))",
        );
        values.push(("prefix", prefix.to_string()));
    }
    if filter.limit > 0 {
        sql = format!(
            "SELECT * FROM ({sql} ORDER BY at DESC, name, vantage LIMIT {})",
            filter.limit
        );
    }
    sql.push_str(" ORDER BY name, at, vantage, frozen");
    let mut query = client.query(&sql);
    for (name, value) in &values {
        query = query.param(name, value);
    }
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter().map(Row::delegation).collect()
}

/// Prefix and origin of each of these addresses, as the newest walk of a watched name to it found them; those without a route are
/// left out, and so are those that no name depends on.
pub async fn routes_of(
    client: &Client,
    addrs: &BTreeSet<IpAddr>,
) -> Result<BTreeMap<IpAddr, Route>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        addr: IpAddr,
        newest_prefix: String,
        newest_origin: u32,
    }
    let texts: Vec<String> = addrs.iter().map(IpAddr::to_string).collect();
    // An origin that is not known is NULL, which argMax would pass over.
    let query = client
        .query(
            "SELECT addr, argMax(prefix, at) AS newest_prefix, argMax(ifNull(origin, 0), at) AS newest_origin \
             FROM name_dependencies WHERE has({addrs:Array(String)}, addr) GROUP BY addr ORDER BY addr",
        )
        .param("addrs", &texts);
    let rows: Vec<Row> = client.fetch(query).await?;
    let routes = rows.into_iter().filter_map(|row| {
        let route = route(&row.newest_prefix, row.newest_origin).transpose()?;
        Some(route.map(|route| (row.addr, route)))
    });
    routes.collect()
}

#[derive(Deserialize)]
struct Row {
    name: String,
    at: Time,
    vantage: String,
    frozen: bool,
    complete: bool,
    end: String,
    zone: String,
    parent_ns: Vec<String>,
    child_ns: Vec<String>,
    ds: Vec<u16>,
    #[serde(rename = "servers.zone")]
    zones: Vec<String>,
    #[serde(rename = "servers.name")]
    names: Vec<String>,
    #[serde(rename = "servers.addr")]
    addrs: Vec<IpAddr>,
    #[serde(rename = "servers.in_parent")]
    in_parent: Vec<bool>,
    #[serde(rename = "servers.in_child")]
    in_child: Vec<bool>,
    #[serde(rename = "servers.glue")]
    glue: Vec<bool>,
    #[serde(rename = "servers.outcome")]
    outcomes: Vec<String>,
    #[serde(rename = "servers.prefix")]
    prefixes: Vec<String>,
    #[serde(rename = "servers.origin")]
    origins: Vec<u32>,
    aliases: Vec<String>,
    #[serde(rename = "addresses.addr")]
    own_addrs: Vec<IpAddr>,
    #[serde(rename = "addresses.prefix")]
    own_prefixes: Vec<String>,
    #[serde(rename = "addresses.origin")]
    own_origins: Vec<u32>,
    #[serde(rename = "findings.fault")]
    faults: Vec<bool>,
    #[serde(rename = "findings.kind")]
    kinds: Vec<String>,
    #[serde(rename = "findings.zone")]
    finding_zones: Vec<String>,
    #[serde(rename = "findings.text")]
    texts: Vec<String>,
}

impl Row {
    fn delegation(self) -> Result<Delegation, StoreError> {
        let (servers, addresses, findings) = (self.servers()?, self.addresses()?, self.findings());
        Ok(Delegation {
            at: self.at,
            vantage: self.vantage,
            name: self.name,
            complete: self.complete,
            end: self.end,
            zone: Some(self.zone).filter(|zone| !zone.is_empty()),
            parent_ns: self.parent_ns,
            child_ns: self.child_ns,
            ds: self.ds,
            servers,
            aliases: self.aliases,
            addresses,
            findings,
            frozen: self.frozen,
        })
    }

    /// The lists of a `Nested` column have the same length; ClickHouse sees to it.
    fn servers(&self) -> Result<Vec<NameServer>, StoreError> {
        let who = self.zones.iter().zip(&self.names).zip(&self.addrs);
        let told = self.in_parent.iter().zip(&self.in_child).zip(&self.glue);
        let found = self.outcomes.iter().zip(&self.prefixes).zip(&self.origins);
        who.zip(told)
            .zip(found)
            .map(|((((zone, name), addr), told), ((outcome, prefix), origin))| {
                let ((in_parent, in_child), glue) = told;
                Ok(NameServer {
                    zone: zone.clone(),
                    name: name.clone(),
                    addr: *addr,
                    in_parent: *in_parent,
                    in_child: *in_child,
                    glue: *glue,
                    outcome: word::<Outcome>(outcome)?,
                    route: route(prefix, *origin)?,
                })
            })
            .collect()
    }

    fn addresses(&self) -> Result<Vec<Address>, StoreError> {
        let routes = self.own_prefixes.iter().zip(&self.own_origins);
        let all = self.own_addrs.iter().zip(routes);
        all.map(|(addr, (prefix, origin))| {
            Ok(Address {
                addr: *addr,
                route: route(prefix, *origin)?,
            })
        })
        .collect()
    }

    fn findings(&self) -> Vec<DelegationFinding> {
        let what = self.faults.iter().zip(&self.kinds);
        let all = what.zip(self.finding_zones.iter().zip(&self.texts));
        all.map(|((fault, kind), (zone, text))| DelegationFinding {
            fault: *fault,
            kind: kind.clone(),
            zone: zone.clone(),
            text: text.clone(),
        })
        .collect()
    }
}

/// Empty: no route. Origin 0: none that is known.
fn route(prefix: &str, origin: u32) -> Result<Option<Route>, StoreError> {
    if prefix.is_empty() {
        return Ok(None);
    }
    let prefix = prefix
        .parse()
        .map_err(|_| StoreError::Unreadable(format!("'{prefix}' is not a prefix")))?;
    let origin = Some(Asn(origin)).filter(|origin| origin.0 > 0);
    Ok(Some(Route { prefix, origin }))
}
