//! One server at a time: all that it is asked, and what it said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};

use super::{CheckOptions, CheckProbe, ExtendedError};
use crate::dns::probe::{Question, Reply, ask};
use crate::dns::resolver::{Resolver, Via};
use crate::dns::validate::Validation;
use crate::dns::wire::{plain_name, rcode_name};

/// What every question of a check carries along.
pub(super) struct Wishes<'a> {
    options: &'a CheckOptions,
    of_resolvers: Option<Arc<Validation>>,
    of_authorities: Option<Arc<Validation>>,
}

impl<'a> Wishes<'a> {
    pub fn new(options: &'a CheckOptions, chain: Vec<(Name, Vec<SocketAddr>)>) -> Self {
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

/// One server and all that it was asked.
pub(super) struct Asked {
    pub role: Role,
    pub replies: Vec<(Question, Reply)>,
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
    pub fn zone(&self) -> Option<Name> {
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

    pub fn into_probes(self) -> impl Iterator<Item = CheckProbe> {
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
pub(super) fn milliseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

fn is_gone(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Timeout | Outcome::NetUnreachable | Outcome::ConnRefused | Outcome::Void
    )
}

pub(super) async fn ask_authority(
    server: SocketAddr,
    name: &Name,
    zone: Option<Name>,
    wishes: &Wishes<'_>,
) -> Asked {
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

pub(super) async fn ask_resolver(resolver: &Resolver, name: &Name, wishes: &Wishes<'_>) -> Asked {
    let question = Question::to_resolver(resolver.clone(), name.clone(), RecordType::A);
    Asked::addresses(wishes.add_to(question)).await
}
