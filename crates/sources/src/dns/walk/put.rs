//! One question of a walk to one address.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Role};
use tokio::time::Instant;

use super::shared::Shared;
use crate::dns::outcome::{Asked, Failure, classify, judge_matched};
use crate::dns::transport::{End, tcp, udp};
use crate::dns::wire::{self, Answer, Flags};

/// What came of it.
#[derive(Debug)]
pub(super) struct Heard {
    /// The whole answer, whatever it says; else why there is none.
    pub answer: Result<Answer, Outcome>,
    /// As a probe of an authority would call it.
    pub outcome: Outcome,
    pub latency: Duration,
    /// Packets and connections.
    pub packets: u32,
    pub mangles_case: bool,
}

/// What to ask, and for how long.
pub(super) struct Packet {
    pub server: SocketAddr,
    pub name: Name,
    pub qtype: RecordType,
    pub random_case: bool,
    /// A referral is to say whether there is a DS.
    pub dnssec_ok: bool,
    /// After silence.
    pub retries: u8,
    pub wait: Duration,
    pub deadline: Instant,
}

/// RD=0, EDNS 1232, TCP where truncated, plain letter case if the server changes it. Not after the deadline; beside others, not
/// faster than the server may be asked.
pub(super) async fn put(packet: Packet, shared: Option<&Shared>) -> Heard {
    let Packet {
        server,
        name,
        qtype,
        mut random_case,
        dnssec_ok,
        mut retries,
        wait,
        deadline,
    } = packet;
    let asked = Asked {
        name,
        qtype,
        role: Role::Authority,
        private_ok: true,
    };
    let mut heard = Heard {
        answer: Err(Outcome::Timeout),
        outcome: Outcome::Timeout,
        latency: Duration::ZERO,
        packets: 0,
        mangles_case: false,
    };
    loop {
        if let Some(shared) = shared
            && !shared.wait(server, deadline).await
        {
            return heard.failed(Outcome::Void); // not asked: nothing is known of it
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(wait);
        let flags = Flags {
            random_case,
            dnssec_ok,
            ..Flags::default()
        };
        let Ok(query) = wire::query(&asked.name, qtype, flags) else {
            return heard.failed(Outcome::Void);
        };
        if left.is_zero() {
            return heard;
        }
        heard.packets += 1;
        let exchange = udp(server, &query, left).await;
        heard.latency += exchange.latency;
        match exchange.end {
            End::Answer(answer) if answer.truncated => {
                heard.packets += 1;
                let start = Instant::now();
                let whole = tcp(server, &query, left).await;
                heard.latency += start.elapsed();
                return match whole {
                    Some(whole) if !whole.truncated => heard.answered(&asked, whole),
                    _ => heard.failed(Outcome::Truncated),
                };
            }
            End::Answer(answer) => return heard.answered(&asked, answer),
            End::CaseDiffers if random_case => {
                random_case = false;
                heard.mangles_case = true;
            }
            End::CaseDiffers => return heard.failed(Outcome::Malformed),
            End::Failed(Failure::Timeout) if exchange.ignored.from_server > 0 => {
                return heard.failed(Outcome::Malformed);
            }
            End::Failed(Failure::Timeout) if retries > 0 => retries -= 1,
            End::Failed(failure) => return heard.failed(classify(&asked, Err(failure)).0),
        }
    }
}

impl Heard {
    fn failed(mut self, outcome: Outcome) -> Heard {
        self.outcome = outcome;
        self.answer = Err(outcome);
        self
    }

    fn answered(mut self, asked: &Asked, answer: Answer) -> Heard {
        self.outcome = judge_matched(asked, &answer).0;
        self.answer = Ok(answer);
        self
    }

    /// The server is not there at all, as far as can be seen from here.
    pub fn is_gone(&self) -> bool {
        matches!(
            self.answer,
            Err(Outcome::Timeout | Outcome::NetUnreachable | Outcome::ConnRefused | Outcome::Void)
        )
    }
}
