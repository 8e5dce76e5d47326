//! One DNS question to one address, and how it ended.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::input::Arrival;
use crate::time::Time;

/// How a question ended. Closed: a new way to fail is a new variant, never a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An answer with the record asked for.
    Ok,
    /// NOERROR without the record: the name exists, the type does not (RFC 2308 §2.2).
    Nodata,
    /// The name does not exist (RFC 2308 §2.1).
    Nxdomain,
    Servfail,
    Refused,
    Notimp,
    Formerr,
    /// Nothing came back in time.
    Timeout,
    /// The network said that the address cannot be reached (ICMP, or no route here).
    NetUnreachable,
    /// The host said that nothing listens (ICMP port unreachable, TCP reset).
    ConnRefused,
    /// Truncated over UDP, and TCP gave no whole answer either.
    Truncated,
    /// A server that should be authoritative answers without authority (RFC 8499: lame delegation).
    Lame,
    /// DNSSEC validation failed: SERVFAIL, but an answer with CD=1.
    Bogus,
    /// Bytes that are no DNS message, or no answer to this question.
    Malformed,
    /// A whole answer that breaks the user's assertion.
    WrongAnswer,
    /// An address that cannot be right on the public network (private, loopback, reserved).
    Bogon,
    /// Not counted: the view itself was broken (a canary failed).
    Void,
}

impl Outcome {
    pub const ALL: [Outcome; 17] = [
        Outcome::Ok,
        Outcome::Nodata,
        Outcome::Nxdomain,
        Outcome::Servfail,
        Outcome::Refused,
        Outcome::Notimp,
        Outcome::Formerr,
        Outcome::Timeout,
        Outcome::NetUnreachable,
        Outcome::ConnRefused,
        Outcome::Truncated,
        Outcome::Lame,
        Outcome::Bogus,
        Outcome::Malformed,
        Outcome::WrongAnswer,
        Outcome::Bogon,
        Outcome::Void,
    ];

    /// The name in JSON, ClickHouse and tables.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Nodata => "nodata",
            Outcome::Nxdomain => "nxdomain",
            Outcome::Servfail => "servfail",
            Outcome::Refused => "refused",
            Outcome::Notimp => "notimp",
            Outcome::Formerr => "formerr",
            Outcome::Timeout => "timeout",
            Outcome::NetUnreachable => "net_unreachable",
            Outcome::ConnRefused => "conn_refused",
            Outcome::Truncated => "truncated",
            Outcome::Lame => "lame",
            Outcome::Bogus => "bogus",
            Outcome::Malformed => "malformed",
            Outcome::WrongAnswer => "wrong_answer",
            Outcome::Bogon => "bogon",
            Outcome::Void => "void",
        }
    }
}

/// Whom the question was put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An authoritative server of the zone (RFC 8499).
    Authority,
    /// A recursive resolver that the user named.
    Resolver,
    /// An authoritative server of somebody else, asked only to learn whether this vantage sees the network. The
    /// `name` of such a probe is the control zone.
    ControlAuthority,
    /// A resolver that the user named, asked for a name of another operator: a canary. The `name` of such a probe is
    /// the control name. Two that fail void the resolver's vote.
    ControlResolver,
}

impl Role {
    /// The name in JSON, ClickHouse and tables.
    pub fn name(self) -> &'static str {
        match self {
            Role::Authority => "authority",
            Role::Resolver => "resolver",
            Role::ControlAuthority => "control_authority",
            Role::ControlResolver => "control_resolver",
        }
    }

    /// The server speaks for itself (RD=0), and does not ask others.
    pub fn is_authority(self) -> bool {
        matches!(self, Role::Authority | Role::ControlAuthority)
    }

    /// Says something about the vantage or the resolver, nothing about a watched name.
    pub fn is_control(self) -> bool {
        matches!(self, Role::ControlAuthority | Role::ControlResolver)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Https,
}

/// The record of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// When it ended.
    pub at: Time,
    /// Which probe host asked.
    pub vantage: String,
    /// The watched name that this is about, lower case, without the last dot.
    pub name: String,
    pub role: Role,
    pub server: SocketAddr,
    /// The question: what was asked for, and its type (`SOA`, `A`, `AAAA`).
    pub qname: String,
    pub qtype: String,
    pub outcome: Outcome,
    /// RCODE with its extension (RFC 6891 §6.1.3), if an answer came.
    pub rcode: Option<u16>,
    pub authoritative: bool,
    /// First Extended DNS Error (RFC 8914): code and text.
    pub ede: Option<(u16, String)>,
    /// Name server identifier (RFC 5001), as text.
    pub nsid: Option<String>,
    /// From the first packet to the end, in microseconds.
    pub latency_us: u32,
    /// Lowest TTL of the answer section, in seconds.
    pub ttl: Option<u32>,
    /// Answer set in presentation form, sorted.
    pub answers: Vec<String>,
    pub transport: Transport,
    /// Packets (UDP) or connections (TCP) that it took.
    pub packets_sent: u8,
    /// The receiver's verdict on `at`: an agent's clock may be wrong, and its spool may be hours old. Such a probe is stored
    /// and decides nothing.
    pub arrival: Arrival,
    /// What of the answer broke the user's assertion, or what validation found, in words.
    pub detail: Option<String>,
}
