//! One question to one address.
//!
//! [`ask`] is the only way by which netfault asks anything of a DNS server. Packets go over the shared sockets of the
//! engine of this process ([`super::udp`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Arrival, Outcome, Probe, Role, Time, Transport};
use tokio::time::Instant;

use super::asking::{Asking, Step};
use super::expect::Expectation;
use super::outcome::Details;
use super::resolver::{Resolver, Via};
use super::transport::connection::{Talk, Way, exchange};
use super::transport::tls::TlsRoots;
use super::transport::udp;
use super::validate::{self, Validated, Validation};
use super::wire::{self, Query0x20};

/// An authority answers from memory: 2 s, and once more. A resolver may have to ask others first: 5 s.
pub const AUTHORITY_TIMEOUT: Duration = Duration::from_secs(2);
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);

/// One question to one address.
#[derive(Clone, Debug)]
pub struct Question {
    pub server: SocketAddr,
    /// How to get there. Authorities are asked over UDP.
    pub via: Via,
    pub role: Role,
    pub name: Name,
    pub qtype: RecordType,
    /// For one packet, or one connection with all that it takes; a retry has as long again.
    pub timeout: Duration,
    /// How often to ask again after silence.
    pub retries: u8,
    /// This server is known not to keep letter case.
    pub plain_case: bool,
    /// The name is meant to have private addresses.
    pub private_ok: bool,
    /// What the answer must be; where it is not, the outcome is `wrong_answer`.
    pub expect: Option<Arc<Expectation>>,
    /// Whether to validate the answer ourselves, and against what. It costs a connection for each zone on the way and more, which
    /// are not among `packets_sent`. An authority needs [`Validation::along`].
    pub validate: Option<Arc<Validation>>,
    /// Whom TLS believes. `None`: [`TlsRoots::public`].
    pub tls: Option<Arc<TlsRoots>>,
}

impl Question {
    /// RD=0, 2 s, one retry.
    pub fn to_authority(server: SocketAddr, name: Name, qtype: RecordType) -> Self {
        Question {
            server,
            via: Via::Udp,
            role: Role::Authority,
            name,
            qtype,
            timeout: AUTHORITY_TIMEOUT,
            retries: 1,
            plain_case: false,
            private_ok: false,
            expect: None,
            validate: None,
            tls: None,
        }
    }

    /// RD=1, 5 s, no retry; on SERVFAIL once more with CD=1. An address alone is asked over UDP.
    pub fn to_resolver(resolver: impl Into<Resolver>, name: Name, qtype: RecordType) -> Self {
        let Resolver { addr, via } = resolver.into();
        Question {
            via,
            role: Role::Resolver,
            timeout: RESOLVER_TIMEOUT,
            retries: 0,
            ..Question::to_authority(addr, name, qtype)
        }
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Reply {
    pub outcome: Outcome,
    pub details: Details,
    /// From the packet that was answered to its answer, TCP where it came to that; without an answer, the whole wait. Over TCP, TLS
    /// and HTTPS connecting is part of it, as it is for who uses them.
    pub latency: Duration,
    pub transport: Transport,
    /// Packets (UDP) or connections (TCP), the retry and CD=1 included.
    pub packets_sent: u8,
    /// How many of them were the same question again, after silence.
    pub retries: u8,
    /// Datagrams that were not the answer, forged ones too: counted and ignored.
    pub mismatched: u32,
    /// The server did not keep the letter case, and gave the same answer without it.
    pub mangles_case: bool,
    /// What our own validation found, if it was asked for and there was something to validate.
    pub validated: Option<Validated>,
}

impl Reply {
    /// The record of this probe. `at` is when it ended, `name` the watched name it is about.
    pub fn into_probe(self, question: &Question, at: Time, vantage: &str, name: &str) -> Probe {
        Probe {
            at,
            vantage: vantage.to_owned(),
            name: name.to_owned(),
            role: question.role,
            server: question.server,
            qname: wire::plain_name(&question.name),
            qtype: question.qtype.to_string(),
            outcome: self.outcome,
            rcode: self.details.rcode,
            authoritative: self.details.authoritative,
            ede: self.details.ede,
            nsid: self.details.nsid,
            latency_us: u32::try_from(self.latency.as_micros()).unwrap_or(u32::MAX),
            ttl: self.details.ttl,
            answers: self.details.answers,
            transport: self.transport,
            packets_sent: self.packets_sent,
            arrival: Arrival::InTime,
            detail: self.details.detail,
        }
    }
}

/// Puts the question, and validates the answer where that is wanted. Always ends: after at most twice the timeout, once more where TCP
/// follows on UDP, and six times more for validation.
pub async fn ask(question: &Question) -> Reply {
    let (asking, step) = Asking::begin(Arc::new(question.clone()));
    let reply = go_on(Box::new(asking), step).await;
    validate::judge(question, reply).await
}

/// The rest of a probe, over the engine of this process and, where needed, TCP.
async fn go_on(mut asking: Box<Asking>, mut step: Step) -> Reply {
    loop {
        let Question { server, timeout, .. } = *asking.question;
        step = match step {
            Step::Send(query) => {
                let exchange = udp(server, &query, timeout).await;
                asking.heard(query, exchange)
            }
            Step::Tcp(query) => Box::pin(over_tcp(&mut asking, &query)).await,
            Step::Done(reply) => return *reply,
        };
    }
}

async fn over_tcp(asking: &mut Asking, query: &Query0x20) -> Step {
    let start = Instant::now();
    let question = asking.question.clone();
    let way = Way {
        server: question.server,
        via: &question.via,
        roots: question.tls.as_deref().unwrap_or_else(|| TlsRoots::public()),
    };
    let mut talk = Talk::default();
    let whole = exchange(way, query, question.timeout, &mut talk).await;
    let whole = whole.map(|whole| whole.answer);
    asking.heard_over_tcp(whole, talk.ignored, start.elapsed())
}

/// How a probe that was given to [`UdpEngine::submit`](super::udp::UdpEngine::submit) came back.
#[derive(Debug)]
pub enum Ended {
    Done(Box<Reply>),
    /// The answer fits no datagram, or the question goes over a connection anyway, and the engine makes none:
    /// [`Unfinished::finish`] does.
    NeedsTcp(Unfinished),
}

/// A probe that has to go on over TCP.
#[derive(Debug)]
pub struct Unfinished {
    pub(super) asking: Box<Asking>,
    pub(super) query: Query0x20,
}

impl Unfinished {
    pub async fn finish(self) -> Reply {
        go_on(self.asking, Step::Tcp(self.query)).await
    }
}
