//! One name, once, now: `netfault dns check`.
//!
//! Every server is asked what users ask (A, AAAA); an authority also for the SOA of its zone. A server that
//! is silent or refuses the connection is not asked twice. All servers are asked at the same time. What the name should answer, and
//! whether to validate, is the caller's wish; so is a look at the resolvers with the eyes of an [`application`].
//!
//! * [`asked`] one server and all its questions; [`verdict`] from what all said to one word; [`origins`] where answers are routed to
//! * [`report`] the shape of it in JSON

mod application;
mod asked;
mod origins;
mod report;
mod verdict;

pub use report::{CheckProbe, CheckReport, CheckRole, ExtendedError, Verdict};

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::Name;
use netfault_model::{Asn, Route};

use super::expect::Expectation;
use super::probe::{AUTHORITY_TIMEOUT, RESOLVER_TIMEOUT};
use super::resolv_conf;
use super::resolver::Resolver;
use super::transport::tls::TlsRoots;
use super::validate::Validation;
use super::walk::{self, Hints, Limits, Walk};
use super::wire::{BadName, parse_name, plain_name};
use asked::{Asked, Wishes, ask_authority, ask_resolver};

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Empty: those of `/etc/resolv.conf`, unless `authorities` or `hints` are given: they know nothing of another root.
    pub resolvers: Vec<Resolver>,
    /// Empty: found by a walk from the root.
    pub authorities: Vec<SocketAddr>,
    /// Where that walk begins; `None`: at the root of the Internet.
    pub hints: Option<Hints>,
    pub limits: Limits,
    pub authority_timeout: Duration,
    pub resolver_timeout: Duration,
    /// The name is meant to have private addresses.
    pub private_ok: bool,
    /// What its addresses should be.
    pub expect: Option<Arc<Expectation>>,
    /// Validate every answer ourselves. Authorities only if they are found by a walk, which knows the servers above them.
    pub validate: Option<Validation>,
    /// Whom TLS believes; `None`: the public authorities.
    pub tls: Option<Arc<TlsRoots>>,
    /// Ask each resolver once more through a stub resolver like that of an application. Changes no verdict.
    pub as_application: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions {
            resolvers: Vec::new(),
            authorities: Vec::new(),
            authority_timeout: AUTHORITY_TIMEOUT,
            resolver_timeout: RESOLVER_TIMEOUT,
            hints: None,
            limits: Limits::default(),
            private_ok: false,
            expect: None,
            validate: None,
            tls: None,
            as_application: false,
        }
    }
}

/// The longest matching prefix of an address, where the caller knows one.
pub type Routed<'a> = &'a dyn Fn(IpAddr) -> Option<Route>;

/// What every server said, before it is judged.
pub struct Checked {
    name: Name,
    zone: Option<Name>,
    walk: Option<Walk>,
    servers: Vec<Asked>,
    as_application: Vec<CheckProbe>,
}

/// Asks every server of `name` and says how it is.
pub async fn check(name: &str, options: &CheckOptions) -> Result<CheckReport, BadName> {
    let checked = ask_all(name, options).await?;
    Ok(checked.report(&BTreeSet::new(), &|_| None))
}

/// Asks every server of `name`.
pub async fn ask_all(name: &str, options: &CheckOptions) -> Result<Checked, BadName> {
    let name = parse_name(name)?;
    let is_elsewhere = !options.authorities.is_empty() || options.hints.is_some();
    let resolvers = match &options.resolvers {
        given if given.is_empty() && !is_elsewhere => resolv_conf::of_this_host()
            .into_iter()
            .map(Resolver::udp)
            .collect(),
        given => given.clone(),
    };
    let walk = walk_to(&name, options).await;
    let found = walk.as_ref().and_then(Walk::authorities);
    let zone = found.as_ref().map(|found| found.zone.clone());
    let mut authorities: BTreeSet<SocketAddr> = options.authorities.iter().copied().collect();
    authorities.extend(found.map(|found| found.servers).unwrap_or_default());
    let chain = walk.as_ref().map(zones_of).unwrap_or_default();
    let wishes = Wishes::new(options, chain);
    let (authorities, asked, as_application) = tokio::join!(
        join_all(
            authorities
                .iter()
                .map(|server| ask_authority(*server, &name, zone.clone(), &wishes))
        ),
        join_all(
            resolvers
                .iter()
                .map(|server| ask_resolver(server, &name, &wishes))
        ),
        as_application(&resolvers, &name, options),
    );
    let mut servers: Vec<Asked> = authorities.into_iter().chain(asked).collect();
    verdict::vouch(&mut servers);
    Ok(Checked {
        name,
        zone,
        walk,
        servers,
        as_application,
    })
}

impl Checked {
    /// Of the servers, and of the name: those for which routes are of use.
    pub fn addrs(&self) -> BTreeSet<IpAddr> {
        let replies = self.servers.iter().flat_map(|server| &server.replies);
        let mut addrs = BTreeSet::new();
        for (question, reply) in replies {
            addrs.insert(question.server.ip());
            addrs.extend(
                reply
                    .details
                    .answers
                    .iter()
                    .filter_map(|answer| answer.parse::<IpAddr>().ok()),
            );
        }
        addrs
    }

    /// `origins`: the ASes that the addresses of the name are expected to be originated by; none: any.
    pub fn report(mut self, origins: &BTreeSet<Asn>, routed: Routed) -> CheckReport {
        origins::expect(&mut self.servers, origins, routed);
        let (verdict, finding) = verdict::judge(&self.servers, self.walk.as_ref());
        let zone = self.zone.or_else(|| self.servers.iter().find_map(Asked::zone));
        let mut probes: Vec<CheckProbe> = self.servers.into_iter().flat_map(Asked::into_probes).collect();
        let mut application = self.as_application;
        for probe in probes.iter_mut().chain(&mut application) {
            let route = routed(probe.server.ip());
            probe.prefix = route.map(|route| route.prefix);
            probe.origin = route.and_then(|route| route.origin);
        }
        CheckReport {
            name: plain_name(&self.name),
            verdict,
            finding,
            zone: zone.as_ref().map(plain_name),
            walk: self.walk.as_ref().map(|walk| walk.end.clone()),
            findings: self.walk.map(|walk| walk.findings).unwrap_or_default(),
            probes,
            application,
        }
    }
}

/// The zones on the way, and the servers of each that spoke for it.
fn zones_of(walk: &Walk) -> Vec<(Name, Vec<SocketAddr>)> {
    let healthy = |zone: &walk::record::Zone| -> Vec<SocketAddr> {
        let servers = zone.servers.iter().filter(|server| server.is_healthy());
        servers.map(|server| server.server).collect()
    };
    let zones = walk.zones.iter();
    zones
        .filter_map(|zone| Some((parse_name(&zone.zone).ok()?, healthy(zone))))
        .collect()
}

/// Only if no authorities are given.
async fn walk_to(name: &Name, options: &CheckOptions) -> Option<Walk> {
    if !options.authorities.is_empty() {
        return None;
    }
    let built_in;
    let hints = match &options.hints {
        Some(hints) => hints,
        None => {
            built_in = Hints::built_in();
            &built_in
        }
    };
    Some(walk::run(name, hints, &options.limits).await)
}

async fn as_application(resolvers: &[Resolver], name: &Name, options: &CheckOptions) -> Vec<CheckProbe> {
    if !options.as_application {
        return Vec::new();
    }
    let looking = resolvers
        .iter()
        .map(|resolver| application::look_up(resolver, name, options.resolver_timeout));
    join_all(looking).await.concat()
}
