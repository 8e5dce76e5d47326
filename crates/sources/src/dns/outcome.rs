//! What came back, or did not, and what it means. A pure function over bytes; nothing panics on any of them.

use std::net::IpAddr;

use hickory_proto::rr::{Name, RData, Record, RecordType};
use netfault_model::{Outcome, Role};

use super::bogon::is_bogon;
use super::wire::{self, Answer};

/// What was asked, for judging what came back. Letter case is the prober's business, not this one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub name: Name,
    pub qtype: RecordType,
    pub role: Role,
    /// The name is meant to have private addresses: they are no bogons.
    pub private_ok: bool,
}

/// Nothing came back, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Timeout,
    /// ICMP unreachable, or no route from here.
    NetUnreachable,
    /// ICMP port unreachable, TCP reset, no TLS session: there is nobody to put a question to.
    ConnRefused,
    /// This host could not ask at all (no sockets left, say).
    Local,
    /// Something came, and it is no answer: half a message, an HTTP error.
    Garbled,
}

/// What is kept of an answer besides its outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// RCODE with its extension (RFC 6891 §6.1.3).
    pub rcode: Option<u16>,
    pub authoritative: bool,
    /// First Extended DNS Error (RFC 8914).
    pub ede: Option<(u16, String)>,
    pub nsid: Option<String>,
    /// Lowest TTL of the answer section, in seconds.
    pub ttl: Option<u32>,
    /// Answer set in presentation form, sorted.
    pub answers: Vec<String>,
    /// Owner of the SOA in the authority section: the zone that the name is in (RFC 2308 §3).
    pub zone: Option<Name>,
    /// What of the answer broke an assertion, or what validation found, in words.
    pub detail: Option<String>,
}

/// Sorts one answer, or the lack of one, into the closed set of outcomes.
pub fn classify(asked: &Asked, received: Result<&[u8], Failure>) -> (Outcome, Details) {
    let bytes = match received {
        Ok(bytes) => bytes,
        Err(failure) => return (of_failure(failure), Details::default()),
    };
    match wire::decode(bytes) {
        Ok(answer) => judge(asked, &answer),
        Err(bad) => (
            Outcome::Malformed,
            Details {
                rcode: bad.rcode,
                ..Details::default()
            },
        ),
    }
}

fn of_failure(failure: Failure) -> Outcome {
    match failure {
        Failure::Timeout => Outcome::Timeout,
        Failure::NetUnreachable => Outcome::NetUnreachable,
        Failure::ConnRefused => Outcome::ConnRefused,
        Failure::Local => Outcome::Void,
        Failure::Garbled => Outcome::Malformed,
    }
}

/// The same for a message that is decoded already, whatever it is.
pub fn judge(asked: &Asked, answer: &Answer) -> (Outcome, Details) {
    let (outcome, details) = judge_matched(asked, answer);
    if !answer.is_response || answer.opcode != 0 || !repeats_question(asked, answer) {
        return (Outcome::Malformed, details);
    }
    (outcome, details)
}

/// The same for an answer that was matched with its question.
pub(super) fn judge_matched(asked: &Asked, answer: &Answer) -> (Outcome, Details) {
    let details = Details {
        rcode: Some(answer.rcode),
        authoritative: answer.authoritative,
        ede: answer.ede.clone(),
        nsid: answer.nsid.clone(),
        ttl: answer.answers.iter().map(|record| record.ttl).min(),
        answers: presentation(&answer.answers, asked.qtype),
        zone: answer.zone.clone(),
        detail: None,
    };
    (outcome(asked, answer), details)
}

fn outcome(asked: &Asked, answer: &Answer) -> Outcome {
    if answer.truncated {
        return Outcome::Truncated;
    }
    match answer.rcode {
        0 => no_error(asked, answer),
        // A name error without authority is hearsay: the server does not serve the zone.
        3 if asked.role.is_authority() && !answer.authoritative => Outcome::Lame,
        // NOTAUTH: the server says itself that it has no authority for the zone (RFC 2136 §2.2).
        9 if asked.role.is_authority() => Outcome::Lame,
        rcode => of_rcode(rcode),
    }
}

/// Of a resolver's answer whose RCODE is not 0.
pub(super) fn of_rcode(rcode: u16) -> Outcome {
    match rcode {
        1 => Outcome::Formerr,
        3 => Outcome::Nxdomain,
        // 16 is BADVERS: EDNS version 0 is not implemented (RFC 6891 §6.1.3).
        4 | 16 => Outcome::Notimp,
        5 | 9 => Outcome::Refused,
        // 2, or an RCODE that no server should give to a plain query: it failed. The number is kept.
        _ => Outcome::Servfail,
    }
}

fn repeats_question(asked: &Asked, answer: &Answer) -> bool {
    match &answer.question {
        Some(question) => {
            question.query_type() == asked.qtype
                && u16::from(question.query_class()) == 1
                && question.name().eq_ignore_root(&asked.name)
        }
        None => wire::stands_without_question(answer),
    }
}

fn no_error(asked: &Asked, answer: &Answer) -> Outcome {
    if asked.role.is_authority() && !answer.authoritative {
        // A referral (down to a child zone or up to the root), or an answer out of a cache.
        return Outcome::Lame;
    }
    let end = end_of_aliases(&asked.name, &answer.answers);
    let found = answer
        .answers
        .iter()
        .any(|record| record.record_type() == asked.qtype && record.name.eq_ignore_root(end));
    if !found {
        // An authority does not follow an alias out of its zone: the alias itself is the answer.
        let answered = asked.role.is_authority() && !end.eq_ignore_root(&asked.name);
        return if answered { Outcome::Ok } else { Outcome::Nodata };
    }
    if !asked.role.is_authority() && !asked.private_ok && addresses(&answer.answers).any(is_bogon) {
        return Outcome::Bogon;
    }
    Outcome::Ok
}

/// Follows CNAME records within the answer section, in whatever order they stand.
fn end_of_aliases<'a>(start: &'a Name, answers: &'a [Record]) -> &'a Name {
    let mut at = start;
    // Each alias is used at most once, so a loop ends.
    for _ in 0..answers.len().min(32) {
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name.eq_ignore_root(at) => Some(&target.0),
            _ => None,
        });
        match next {
            Some(target) => at = target,
            None => break,
        }
    }
    at
}

fn addresses(records: &[Record]) -> impl Iterator<Item = IpAddr> + '_ {
    records.iter().filter_map(|record| record.data.ip_addr())
}

/// The answer set: data in presentation form, sorted.
pub(super) fn presentation(records: &[Record], asked: RecordType) -> Vec<String> {
    let mut answers: Vec<String> = records
        .iter()
        .map(|record| wire::presentation(record, asked))
        .collect();
    answers.sort();
    answers.dedup();
    answers
}
