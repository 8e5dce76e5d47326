//! One probe, step by step: what to send next, given how the last packet ended. No sockets and no clock in here.
//!
//! A retry after silence, the same in plain letter case, TCP where the answer is cut, once more with CD=1 after SERVFAIL at a
//! resolver: each has its reason, and all of them together are at most two packets over UDP and one connection; or two connections,
//! where the question goes over TCP, TLS or HTTPS from the start.

use std::sync::Arc;
use std::time::Duration;

use netfault_model::{Outcome, Role, Transport};

use super::outcome::{Asked, Details, Failure, classify, judge_matched};
use super::probe::{Question, Reply};
use super::resolver::Via;
use super::transport::connection::Broken;
use super::udp::{End, Exchange, Ignored};
use super::wire::{self, Answer, Flags, Query0x20};

/// Packets of one probe over UDP (or connections, where it goes over those), for whatever reason. More only where the caller wants more retries.
const UDP_PACKETS: u8 = 2;

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Over UDP, to the question's server, for as long as the question says; then [`Asking::heard`].
    Send(Query0x20),
    /// Over a connection: the question's way, TCP if that is UDP; then [`Asking::heard_over_tcp`].
    Tcp(Query0x20),
    Done(Box<Reply>),
}

/// A probe that has begun.
#[derive(Debug)]
pub struct Asking {
    pub question: Arc<Question>,
    flags: Flags,
    /// Packets over UDP, and connections.
    udp: u8,
    tcp: u8,
    retries: u8,
    /// All time in which an answer was waited for.
    waited: Duration,
    ignored: Ignored,
    mangles_case: bool,
    /// The answer that was cut, and how long it took.
    cut: Option<Box<(Answer, Duration)>>,
    /// How the question without CD ended. What comes after only tells why.
    first: Option<Box<First>>,
}

#[derive(Clone, Debug)]
struct First {
    outcome: Outcome,
    details: Details,
    transport: Transport,
    latency: Duration,
}

impl Asking {
    pub fn begin(question: Arc<Question>) -> (Asking, Step) {
        let flags = Flags {
            recurse: !question.role.is_authority(),
            no_validation: false,
            dnssec_ok: false,
            // Nobody can guess anything of what is encrypted.
            random_case: !question.plain_case && matches!(question.via, Via::Udp | Via::Tcp),
        };
        let mut asking = Asking {
            question,
            flags,
            udp: 0,
            tcp: 0,
            retries: 0,
            waited: Duration::ZERO,
            ignored: Ignored::default(),
            mangles_case: false,
            cut: None,
            first: None,
        };
        let step = asking.send();
        (asking, step)
    }

    fn send(&mut self) -> Step {
        match wire::query(&self.question.name, self.question.qtype, self.flags) {
            Ok(query) if self.question.via == Via::Udp => {
                self.udp += 1;
                Step::Send(query)
            }
            Ok(mut query) => {
                self.tcp += 1;
                if matches!(self.question.via, Via::Https { .. }) {
                    query.set_id(0); // RFC 8484 §4.1
                }
                Step::Tcp(query)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot ask for this name");
                self.ended(Outcome::Void, Details::default(), self.transport(), None)
            }
        }
    }

    /// A packet has ended.
    pub fn heard(&mut self, query: Query0x20, exchange: Exchange) -> Step {
        self.ignored.add(exchange.ignored);
        self.waited += exchange.latency;
        match exchange.end {
            End::Answer(mut answer) => self.answer(&query, &mut answer, exchange.latency),
            // Forged, or a server that mangles case: it must say so again when there is none to mangle.
            End::CaseDiffers if self.flags.random_case && self.may_send() => {
                self.flags.random_case = false;
                self.mangles_case = true;
                self.send()
            }
            End::Failed(Failure::Timeout) if self.retries < self.question.retries && self.may_send() => {
                self.retries += 1;
                self.send()
            }
            End::Failed(failure) => self.failed(failure, None),
            End::CaseDiffers => self.failed(Failure::Timeout, None),
        }
    }

    /// A packet has been answered: [`Asking::heard`] for an answer that stays where it is, for the next one. What is in it may be taken.
    pub fn heard_answer(
        &mut self,
        query: &Query0x20,
        answer: &mut Answer,
        latency: Duration,
        ignored: Ignored,
    ) -> Step {
        self.ignored.add(ignored);
        self.waited += latency;
        self.answer(query, answer, latency)
    }

    fn answer(&mut self, query: &Query0x20, answer: &mut Answer, latency: Duration) -> Step {
        if answer.truncated && self.tcp == 0 {
            self.tcp += 1;
            self.cut = Some(Box::new((std::mem::take(answer), latency)));
            return Step::Tcp(query.clone());
        }
        self.answered(answer, Transport::Udp, latency)
    }

    /// The connection has ended, with the whole answer or without.
    pub fn heard_over_tcp(
        &mut self,
        whole: Result<Answer, Broken>,
        ignored: Ignored,
        latency: Duration,
    ) -> Step {
        self.ignored.add(ignored);
        self.waited += latency;
        let (cut, so_far) = self.cut.take().map(|cut| *cut).unzip();
        let latency = so_far.unwrap_or_default() + latency;
        let transport = match self.transport() {
            Transport::Udp => Transport::Tcp,
            wanted => wanted,
        };
        match (whole, cut) {
            // The answer that was cut will do: TCP was not our wish.
            (Ok(mut answer), _) | (Err(_), Some(mut answer)) => {
                self.answered(&mut answer, transport, latency)
            }
            (Err(broken), None) => self.failed(broken.failure, broken.detail),
        }
    }

    fn answered(&mut self, answer: &mut Answer, transport: Transport, latency: Duration) -> Step {
        let (ede, nsid) = (answer.ede.take(), answer.nsid.take());
        let (outcome, mut details) = judge_matched(&self.asked(), answer);
        (details.ede, details.nsid) = (ede, nsid); // moved, not copied
        let (outcome, details) = self.expected(outcome, details);
        self.ended(outcome, details, transport, Some(latency))
    }

    /// A whole answer that is not what the name's owner expects is wrong.
    fn expected(&self, outcome: Outcome, mut details: Details) -> (Outcome, Details) {
        let Some(expect) = self.question.expect.as_ref().filter(|_| outcome == Outcome::Ok) else {
            return (outcome, details);
        };
        match expect.judge(self.question.qtype, &details.answers) {
            Ok(()) => (outcome, details),
            Err(why) => {
                details.detail = Some(why);
                (Outcome::WrongAnswer, details)
            }
        }
    }

    /// Silence is malformed if the server said something, but never the answer.
    fn failed(&mut self, failure: Failure, detail: Option<String>) -> Step {
        let spoke = self.ignored.from_server > 0;
        let failure = match failure {
            Failure::Timeout if spoke => Failure::Garbled,
            other => other,
        };
        let (outcome, mut details) = classify(&self.asked(), Err(failure));
        if outcome == Outcome::Malformed {
            details.rcode = self.ignored.rcode;
        }
        details.detail = detail;
        self.ended(outcome, details, self.transport(), None)
    }

    /// The question without CD, or the one with it, has its outcome.
    fn ended(
        &mut self,
        outcome: Outcome,
        details: Details,
        transport: Transport,
        latency: Option<Duration>,
    ) -> Step {
        if let Some(mut first) = self.first.take() {
            if has_data(outcome, &details) {
                first.outcome = Outcome::Bogus;
            }
            return self.done(*first);
        }
        let first = First {
            outcome,
            details,
            transport,
            latency: latency.unwrap_or(self.waited),
        };
        if outcome == Outcome::Servfail && self.question.role == Role::Resolver && self.may_send() {
            // With CD=1 a validating resolver hands out what it could not validate (RFC 4035 §3.2.2).
            self.first = Some(Box::new(first));
            self.flags.no_validation = true;
            return self.send();
        }
        self.done(first)
    }

    fn done(&self, first: First) -> Step {
        // Forged answers do not brand a server: it must have answered when there was no case to mangle.
        let mangles_case = self.mangles_case && first.details.rcode.is_some();
        Step::Done(Box::new(Reply {
            outcome: first.outcome,
            details: first.details,
            latency: first.latency,
            transport: first.transport,
            packets_sent: self.udp + self.tcp,
            retries: self.retries,
            mismatched: self.ignored.mismatched,
            mangles_case,
            validated: None,
        }))
    }

    fn may_send(&self) -> bool {
        let sent = match self.question.via {
            Via::Udp => self.udp,
            _ => self.tcp,
        };
        sent < UDP_PACKETS.max(self.question.retries.saturating_add(1))
    }

    fn transport(&self) -> Transport {
        self.question.via.transport()
    }

    fn asked(&self) -> Asked {
        Asked {
            name: self.question.name.clone(),
            qtype: self.question.qtype,
            role: self.question.role,
            private_ok: self.question.private_ok,
        }
    }
}

/// What came with CD=1 shows that the resolver could have answered, but for validation.
fn has_data(outcome: Outcome, details: &Details) -> bool {
    match outcome {
        Outcome::Ok | Outcome::Nodata | Outcome::Nxdomain | Outcome::Bogon | Outcome::WrongAnswer => true,
        // Cut short, and no TCP: there is something, all the same.
        Outcome::Truncated => details.rcode == Some(0),
        _ => false,
    }
}
