//! One name, once, now: `netfault dns check`.
//!
//! Every server is asked what users ask (A, AAAA); an authority also for the SOA of its zone. A server that
//! is silent or refuses the connection is not asked twice. All servers are asked at the same time. What the name should answer, and
//! whether to validate, is the caller's wish; so is a look at the resolvers with the eyes of an [`application`].

mod application;
mod report;
mod verdict;

pub use report::{CheckProbe, CheckReport, CheckRole, ExtendedError, Verdict};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};

use super::expect::Expectation;
use super::probe::{AUTHORITY_TIMEOUT, Question, RESOLVER_TIMEOUT, Reply, ask};
use super::resolv_conf;
use super::resolver::{Resolver, Via};
use super::transport::tls::TlsRoots;
use super::validate::Validation;
use super::walk::{self, Hints, Limits, Walk};
use super::wire::{BadName, parse_name, plain_name, rcode_name};

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

/// Asks every server of `name` and says how it is.
pub async fn check(name: &str, options: &CheckOptions) -> Result<CheckReport, BadName> {
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
    let (verdict, finding) = verdict::judge(&servers, walk.as_ref());
    let zone = zone.or_else(|| servers.iter().find_map(Asked::zone));
    let judged = servers.into_iter().flat_map(Asked::into_probes);
    Ok(CheckReport {
        name: plain_name(&name),
        verdict,
        finding,
        zone: zone.as_ref().map(plain_name),
        walk: walk.as_ref().map(|walk| walk.end.clone()),
        findings: walk.map(|walk| walk.findings).unwrap_or_default(),
        probes: judged.chain(as_application).collect(),
    })
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

/// What every question of a check carries along.
struct Wishes<'a> {
    options: &'a CheckOptions,
    of_resolvers: Option<Arc<Validation>>,
    of_authorities: Option<Arc<Validation>>,
}

impl<'a> Wishes<'a> {
    fn new(options: &'a CheckOptions, chain: Vec<(Name, Vec<SocketAddr>)>) -> Self {
        let validation = options.validate.as_ref();
        Wishes {
            options,
            of_resolvers: validation.cloned().map(Arc::new),
            of_authorities: validation.map(|validation| Arc::new(validation.along(chain))),
        }
    }

    fn add_to(&self, question: Question) -> Question {
        let (timeout, validate) = match question.role.is_authority() {
            true => (self.options.authority_timeout, &self.of_authorities),
            false => (self.options.resolver_timeout, &self.of_resolvers),
        };
        Question {
            timeout,
            private_ok: self.options.private_ok,
            expect: self.options.expect.clone(),
            validate: validate.clone(),
            tls: self.options.tls.clone(),
            ..question
        }
    }
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

/// One server and all that it was asked.
struct Asked {
    role: Role,
    replies: Vec<(Question, Reply)>,
}

impl Asked {
    /// Asks A and AAAA, unless the server is not there at all.
    async fn addresses(base: Question) -> Asked {
        let mut replies = Vec::new();
        for qtype in [RecordType::A, RecordType::AAAA] {
            let question = Question {
                qtype,
                ..base.clone()
            };
            let reply = ask(&question).await;
            let gone = is_gone(reply.outcome);
            replies.push((question, reply));
            if gone {
                break;
            }
        }
        Asked {
            role: base.role,
            replies,
        }
    }

    fn is_gone(&self) -> bool {
        self.replies.iter().any(|(_, reply)| is_gone(reply.outcome))
    }

    /// The zone that a negative answer named.
    fn zone(&self) -> Option<Name> {
        if self.role != Role::Authority {
            return None;
        }
        self.replies.iter().find_map(|(question, reply)| {
            let is_soa = question.qtype == RecordType::SOA && reply.outcome == Outcome::Ok;
            if is_soa {
                Some(question.name.clone())
            } else {
                reply.details.zone.clone()
            }
        })
    }

    fn into_probes(self) -> impl Iterator<Item = CheckProbe> {
        self.replies.into_iter().map(|(question, reply)| CheckProbe {
            role: question.role.into(),
            server: question.server,
            via: (question.via != Via::Udp).then(|| Resolver {
                addr: question.server,
                via: question.via.clone(),
            }),
            outcome: reply.outcome,
            rcode: reply.details.rcode.map(|rcode| rcode_name(rcode).into_owned()),
            latency_ms: milliseconds(reply.latency),
            ttl: reply.details.ttl,
            ede: reply.details.ede.map(|(code, text)| ExtendedError { code, text }),
            qname: plain_name(&question.name),
            qtype: question.qtype.to_string(),
            authoritative: reply.details.authoritative,
            nsid: reply.details.nsid,
            answers: reply.details.answers,
            transport: reply.transport,
            packets_sent: reply.packets_sent,
            detail: reply.details.detail,
            dnssec: reply.validated.map(|validated| validated.security),
            prefix: None,
            origin: None,
        })
    }
}

/// Exact to a microsecond.
fn milliseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

fn is_gone(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Timeout | Outcome::NetUnreachable | Outcome::ConnRefused | Outcome::Void
    )
}

async fn ask_authority(server: SocketAddr, name: &Name, zone: Option<Name>, wishes: &Wishes<'_>) -> Asked {
    let base = wishes.add_to(Question::to_authority(server, name.clone(), RecordType::A));
    let mut asked = Asked::addresses(base.clone()).await;
    if asked.is_gone() {
        return asked;
    }
    let apex = zone.or_else(|| asked.zone()).unwrap_or_else(|| name.clone());
    // What is expected of the name are addresses, and they are validated already.
    let mut question = Question {
        name: apex,
        qtype: RecordType::SOA,
        expect: None,
        validate: None,
        ..base
    };
    let mut reply = ask(&question).await;
    // Without an apex the name itself was asked; where that is not the apex, the denial names it.
    if let (Outcome::Nodata, Some(apex)) = (reply.outcome, reply.details.zone.clone()) {
        question.name = apex;
        reply = ask(&question).await;
    }
    asked.replies.push((question, reply));
    asked
}

async fn ask_resolver(resolver: &Resolver, name: &Name, wishes: &Wishes<'_>) -> Asked {
    let question = Question::to_resolver(resolver.clone(), name.clone(), RecordType::A);
    Asked::addresses(wishes.add_to(question)).await
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
