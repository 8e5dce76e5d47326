//! One question to one address.
//!
//! [`ask`] is the only way by which netfault asks anything of a DNS server. Packets go over the shared sockets of the
//! engine of this process ([`super::udp`]).

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Probe, Role, Time, Transport};
use tokio::time::Instant;

use super::outcome::{Asked, Details, Failure, judge};
use super::transport::{End, Ignored, tcp, udp};
use super::wire::{self, Answer, Flags, Query0x20};

/// An authority answers from memory: 2 s, and once more. A resolver may have to ask others first: 5 s.
pub const AUTHORITY_TIMEOUT: Duration = Duration::from_secs(2);
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Packets of one probe over UDP, for whatever reason: the question, and one of retry, other letter case and CD=1.
/// More only where the caller wants more retries. TCP comes on top, once.
const UDP_PACKETS: u8 = 2;

/// One question to one address.
#[derive(Clone, Debug)]
pub struct Question {
    pub server: SocketAddr,
    pub role: Role,
    pub name: Name,
    pub qtype: RecordType,
    /// For one packet; a retry has as long again.
    pub timeout: Duration,
    /// How often to ask again after silence.
    pub retries: u8,
    /// This server is known not to keep letter case.
    pub plain_case: bool,
    /// The name is meant to have private addresses.
    pub private_ok: bool,
}

impl Question {
    /// RD=0, 2 s, one retry.
    pub fn to_authority(server: SocketAddr, name: Name, qtype: RecordType) -> Self {
        Question {
            server,
            role: Role::Authority,
            name,
            qtype,
            timeout: AUTHORITY_TIMEOUT,
            retries: 1,
            plain_case: false,
            private_ok: false,
        }
    }

    /// RD=1, 5 s, no retry; on SERVFAIL once more with CD=1.
    pub fn to_resolver(server: SocketAddr, name: Name, qtype: RecordType) -> Self {
        let role = Role::Resolver;
        Question {
            role,
            timeout: RESOLVER_TIMEOUT,
            retries: 0,
            ..Question::to_authority(server, name, qtype)
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            name: self.name.clone(),
            qtype: self.qtype,
            role: self.role,
            private_ok: self.private_ok,
        }
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Reply {
    pub outcome: Outcome,
    pub details: Details,
    /// From the packet that was answered to its answer, TCP where it came to that; without an answer, the whole wait.
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
        }
    }
}

/// Puts the question. Always ends: after at most twice the timeout over UDP and one timeout over TCP.
pub async fn ask(question: &Question) -> Reply {
    let start = Instant::now();
    let mut asking = Asking {
        question,
        asked: question.asked(),
        tally: Tally::default(),
    };
    let (mut outcome, details) = asking.exchange(false).await;
    let latency = asking.tally.latency.unwrap_or_else(|| start.elapsed());
    if outcome == Outcome::Servfail && question.role == Role::Resolver && asking.may_send() {
        // With CD=1 a validating resolver hands out what it could not validate (RFC 4035 §3.2.2).
        let (unvalidated, unvalidated_details) = asking.exchange(true).await;
        let has_data = match unvalidated {
            Outcome::Ok | Outcome::Nodata | Outcome::Nxdomain | Outcome::Bogon => true,
            // Cut short, and no TCP: there is something, all the same.
            Outcome::Truncated => unvalidated_details.rcode == Some(0),
            _ => false,
        };
        if has_data {
            outcome = Outcome::Bogus;
        }
    }
    let tally = asking.tally;
    // Forged answers do not brand a server: it must have answered when there was no case to mangle.
    let mangles_case = tally.mangles_case && details.rcode.is_some();
    Reply {
        outcome,
        details,
        latency,
        transport: tally.transport.unwrap_or(Transport::Udp),
        packets_sent: tally.udp + tally.tcp,
        retries: tally.retries,
        mismatched: tally.ignored.mismatched,
        mangles_case,
    }
}

#[derive(Default)]
struct Tally {
    udp: u8,
    tcp: u8,
    retries: u8,
    /// Of the first exchange, as the next: the second only tells why the first failed.
    transport: Option<Transport>,
    latency: Option<Duration>,
    ignored: Ignored,
    mangles_case: bool,
}

struct Asking<'a> {
    question: &'a Question,
    asked: Asked,
    tally: Tally,
}

impl Asking<'_> {
    /// One answer to one question, over UDP and, where that is cut, over TCP.
    async fn exchange(&mut self, no_validation: bool) -> (Outcome, Details) {
        let Question {
            server,
            role,
            timeout,
            ..
        } = *self.question;
        let mut flags = Flags {
            recurse: role == Role::Resolver,
            no_validation,
            random_case: !self.question.plain_case && !self.tally.mangles_case,
        };
        loop {
            let query = match wire::query(&self.question.name, self.question.qtype, flags) {
                Ok(query) => query,
                Err(error) => {
                    tracing::warn!(name = %self.question.name, %error, "cannot ask for this name");
                    return (Outcome::Void, Details::default());
                }
            };
            self.tally.udp += 1;
            let exchange = udp(server, &query, timeout).await;
            self.tally.ignored.add(exchange.ignored);
            match exchange.end {
                End::Answer(answer) if answer.truncated && self.tally.tcp == 0 => {
                    return Box::pin(self.whole(&query, answer, exchange.latency)).await;
                }
                End::Answer(answer) => {
                    self.answered(Transport::Udp, exchange.latency);
                    return judge(&self.asked, &answer);
                }
                End::CaseDiffers if flags.random_case && self.may_send() => {
                    // Forged, or a server that mangles case: it must say so again when there is none to mangle.
                    flags.random_case = false;
                    self.tally.mangles_case = true;
                }
                End::Failed(Failure::Timeout)
                    if self.tally.retries < self.question.retries && self.may_send() =>
                {
                    self.tally.retries += 1;
                }
                End::Failed(failure) => return self.failed(failure),
                End::CaseDiffers => return self.failed(Failure::Timeout),
            }
        }
    }

    /// The same over TCP, since it does not fit a datagram.
    async fn whole(&mut self, query: &Query0x20, cut: Answer, so_far: Duration) -> (Outcome, Details) {
        let start = Instant::now();
        let Question { server, timeout, .. } = *self.question;
        self.tally.tcp += 1;
        let whole = tcp(server, query, timeout, &mut self.tally.ignored).await;
        self.answered(Transport::Tcp, so_far + start.elapsed());
        judge(&self.asked, &whole.unwrap_or(cut))
    }

    fn answered(&mut self, transport: Transport, latency: Duration) {
        self.tally.transport.get_or_insert(transport);
        self.tally.latency.get_or_insert(latency);
    }

    fn may_send(&self) -> bool {
        self.tally.udp < UDP_PACKETS.max(self.question.retries.saturating_add(1))
    }

    /// Silence is malformed if the server said something, but never the answer.
    fn failed(&self, failure: Failure) -> (Outcome, Details) {
        let ignored = &self.tally.ignored;
        if failure == Failure::Timeout && ignored.from_server > 0 {
            return (
                Outcome::Malformed,
                Details {
                    rcode: ignored.rcode,
                    ..Details::default()
                },
            );
        }
        super::outcome::classify(&self.asked, Err(failure))
    }
}
