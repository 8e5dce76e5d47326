//! One question to one address.
//!
//! [`ask`] is the only way by which netfault asks anything of a DNS server. It has a socket of its own for
//! every question now; shared sockets will come in behind the same function.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Probe, Role, Time, Transport};
use tokio::time::Instant;

use super::outcome::{Asked, Details, Failure, judge};
use super::transport::{Ignored, Udp, tcp, udp};
use super::wire::{self, Flags};

/// An authority answers from memory: 2 s, and once more. A resolver may have to ask others first: 5 s.
pub const AUTHORITY_TIMEOUT: Duration = Duration::from_secs(2);
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// From the first packet to the end.
    pub latency: Duration,
    pub transport: Transport,
    /// Packets (UDP) or connections (TCP), the retry and CD=1 included.
    pub packets_sent: u8,
    /// Datagrams that were not the answer: counted and ignored.
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

/// Puts the question. Always ends: after at most twice the timeout over UDP, one timeout over TCP, and as
/// long again for CD=1.
pub async fn ask(question: &Question) -> Reply {
    let start = Instant::now();
    let mut asking = Asking {
        question,
        asked: question.asked(),
        tally: Tally::default(),
    };
    let (mut outcome, details) = asking.exchange(false).await;
    if outcome == Outcome::Servfail && question.role == Role::Resolver {
        // With CD=1 a validating resolver hands out what it could not validate (RFC 4035 §3.2.2).
        let (unvalidated, _) = asking.exchange(true).await;
        if matches!(
            unvalidated,
            Outcome::Ok | Outcome::Nodata | Outcome::Nxdomain | Outcome::Bogon
        ) {
            outcome = Outcome::Bogus;
        }
    }
    let tally = asking.tally;
    // Forged answers do not brand a server: it must have answered when there was no case to mangle.
    let mangles_case = tally.mangles_case && details.rcode.is_some();
    Reply {
        outcome,
        details,
        latency: start.elapsed(),
        transport: tally.transport.unwrap_or(Transport::Udp),
        packets_sent: tally.packets,
        mismatched: tally.ignored.mismatched,
        mangles_case,
    }
}

#[derive(Default)]
struct Tally {
    packets: u8,
    /// Of the first exchange: the second only tells why the first failed.
    transport: Option<Transport>,
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
        let mut retries = self.question.retries;
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
            self.tally.packets = self.tally.packets.saturating_add(1);
            match udp(server, &query, &self.asked, timeout, &mut self.tally.ignored).await {
                Udp::Answer(answer) if answer.truncated => {
                    let cut = judge(&self.asked, &answer);
                    self.tally.packets = self.tally.packets.saturating_add(1);
                    self.tally.transport.get_or_insert(Transport::Tcp);
                    let whole = tcp(server, &query, &self.asked, timeout, &mut self.tally.ignored).await;
                    return whole.map_or(cut, |answer| judge(&self.asked, &answer));
                }
                Udp::Answer(answer) => {
                    self.tally.transport.get_or_insert(Transport::Udp);
                    return judge(&self.asked, &answer);
                }
                Udp::CaseDiffers if flags.random_case => {
                    // Forged, or a server that mangles case: it must say so again when there is none to mangle.
                    flags.random_case = false;
                    self.tally.mangles_case = true;
                }
                Udp::Failed(Failure::Timeout) if retries > 0 => retries -= 1,
                Udp::Failed(failure) => return self.failed(failure),
                Udp::CaseDiffers => return self.failed(Failure::Timeout),
            }
        }
    }

    /// Silence is malformed if there was something, but never the answer.
    fn failed(&self, failure: Failure) -> (Outcome, Details) {
        let ignored = &self.tally.ignored;
        if failure == Failure::Timeout && ignored.mismatched > 0 {
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
