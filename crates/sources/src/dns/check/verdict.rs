//! From what every server said to one word. Pure.
//!
//! | authorities | resolvers | verdict, finding |
//! |---|---|---|
//! | all silent | all silent | unknown, vantage offline |
//! | some bogus (own validation) | any | out if no other is healthy, else degraded; dnssec bogus |
//! | some not as expected | any | out if no other is healthy, else degraded; answer changed |
//! | none healthy, given by the user | any | out, authority unreachable or delegation broken |
//! | none healthy, found by ourselves | all good | degraded: caches answer, or we may not ask out (port 53 closed) |
//! | none healthy, found by ourselves | otherwise | out |
//! | healthy, and all deny the record | any | out, record missing |
//! | some healthy | any | degraded, authority partial |
//! | all healthy | all bogus, all missing, all not as expected | out |
//! | all healthy | some fail | degraded, resolver fault |
//! | all healthy | all good, or none asked | ok |
//! | any, and the walk finds no way to the name | all good / else | degraded / out, delegation broken, authority unreachable or record missing |
//! | none known | all good / all SERVFAIL, bogus or missing / some good / else | ok / out / degraded / unknown |

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use netfault_model::{Finding, Outcome, Role};

use super::Verdict;
use super::asked::Asked;
use crate::dns::bogon::is_bogon;
use crate::dns::probe::Reply;
use crate::dns::walk::{End, Walk};

/// What one server said, over all its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    /// It gives the name an address; of an authority: it speaks for the zone.
    Good,
    /// The name, or both addresses, do not exist.
    Missing,
    Bogus,
    /// It breaks what its owner expects.
    Wrong,
    Servfail,
    /// It answers, but not for this zone.
    NotServing,
    Silent,
    Fault,
}

/// A private address is no bogon where an authority of the name gives the same one.
pub(super) fn vouch(servers: &mut [Asked]) {
    let vouched: BTreeSet<String> = servers
        .iter()
        .filter(|server| server.role == Role::Authority)
        .flat_map(|server| &server.replies)
        .filter(|(_, reply)| reply.outcome == Outcome::Ok && reply.details.authoritative)
        .flat_map(|(_, reply)| reply.details.answers.iter().cloned())
        .collect();
    let is_fine = |answer: &String| match answer.parse::<IpAddr>() {
        Ok(addr) => !is_bogon(addr) || vouched.contains(answer),
        Err(_) => true,
    };
    for (_, reply) in servers.iter_mut().flat_map(|server| &mut server.replies) {
        if reply.outcome == Outcome::Bogon && reply.details.answers.iter().all(is_fine) {
            reply.outcome = Outcome::Ok;
        }
    }
}

/// `walk`: how the authorities were found; `None` if they were given.
pub(super) fn judge(servers: &[Asked], walk: Option<&Walk>) -> (Verdict, Finding) {
    let voices = |role| -> Vec<Voice> {
        servers
            .iter()
            .filter(|server| server.role == role)
            .map(voice)
            .collect()
    };
    let missing = servers
        .iter()
        .filter(|server| server.role == Role::Authority)
        .filter(|s| denies(s))
        .count();
    let (authorities, resolvers) = (voices(Role::Authority), voices(Role::Resolver));
    let said = decide(&authorities, missing, &resolvers, walk.is_none());
    match walk {
        Some(walk) => with_walk(said, &resolvers, walk.verdict, &walk.end),
        None => said,
    }
}

/// A name to which there is no way is out, whatever the servers on the way there say: of an alias they know only that it is one.
/// Where all resolvers are good all the same, their caches still hide it, or they know another root.
fn with_walk(
    said: (Verdict, Finding),
    resolvers: &[Voice],
    walked: Verdict,
    end: &End,
) -> (Verdict, Finding) {
    if walked != Verdict::Out || said.0 == Verdict::Out {
        return said;
    }
    let finding = match end {
        End::Nxdomain { .. } => Finding::RecordMissing,
        End::NoServer { .. } => Finding::AuthorityUnreachable,
        _ => Finding::DelegationBroken,
    };
    let masked = !resolvers.is_empty() && resolvers.iter().all(|voice| *voice == Voice::Good);
    (if masked { Verdict::Degraded } else { Verdict::Out }, finding)
}

/// An authority with authority, whatever it says of the record, is good.
fn voice(server: &Asked) -> Voice {
    let outcomes = || server.replies.iter().map(|(_, reply)| reply.outcome);
    let any = |wanted: Outcome| outcomes().any(|outcome| outcome == wanted);
    let speaks = |(_, reply): &(_, Reply)| match reply.outcome {
        Outcome::Ok => true,
        Outcome::Nodata | Outcome::Nxdomain => server.role == Role::Authority && reply.details.authoritative,
        _ => false,
    };
    // What was asked for by name, validation or an expectation, is not made good by the rest.
    if any(Outcome::Bogus) && server.role.is_authority() {
        Voice::Bogus
    } else if any(Outcome::WrongAnswer) {
        Voice::Wrong
    } else if server.replies.iter().any(speaks) {
        Voice::Good
    } else if outcomes().all(|outcome| matches!(outcome, Outcome::Timeout | Outcome::NetUnreachable)) {
        Voice::Silent
    } else if any(Outcome::Bogus) {
        Voice::Bogus
    } else if outcomes().all(|outcome| matches!(outcome, Outcome::Nodata | Outcome::Nxdomain)) {
        Voice::Missing
    } else if any(Outcome::Lame) || any(Outcome::Refused) {
        Voice::NotServing
    } else if any(Outcome::Servfail) {
        Voice::Servfail
    } else {
        Voice::Fault
    }
}

/// True if this authority says that the name has no address at all.
fn denies(server: &Asked) -> bool {
    let mut addresses = server
        .replies
        .iter()
        .filter(|(question, _)| question.qtype != RecordType::SOA)
        .peekable();
    addresses.peek().is_some()
        && addresses.all(|(_, reply)| {
            reply.details.authoritative && matches!(reply.outcome, Outcome::Nodata | Outcome::Nxdomain)
        })
}

fn decide(authorities: &[Voice], missing: usize, resolvers: &[Voice], given: bool) -> (Verdict, Finding) {
    let count = |voices: &[Voice], wanted: Voice| voices.iter().filter(|voice| **voice == wanted).count();
    let all = |voices: &[Voice], wanted: Voice| !voices.is_empty() && count(voices, wanted) == voices.len();
    if authorities.is_empty() {
        return by_resolvers_alone(resolvers);
    }
    let good = count(authorities, Voice::Good);
    let broken = |finding| {
        (
            if good == 0 {
                Verdict::Out
            } else {
                Verdict::Degraded
            },
            finding,
        )
    };
    if count(authorities, Voice::Bogus) > 0 {
        return broken(Finding::DnssecBogus);
    }
    if count(authorities, Voice::Wrong) > 0 {
        return broken(Finding::AnswerChanged);
    }
    if good == 0 {
        if all(authorities, Voice::Silent) && all(resolvers, Voice::Silent) {
            return (Verdict::Unknown, Finding::VantageOffline);
        }
        let not_serving = count(authorities, Voice::NotServing) * 2 > authorities.len();
        let finding = if not_serving {
            Finding::DelegationBroken
        } else {
            Finding::AuthorityUnreachable
        };
        let masked = !given && all(resolvers, Voice::Good);
        return (if masked { Verdict::Degraded } else { Verdict::Out }, finding);
    }
    if missing == good || all(resolvers, Voice::Missing) {
        return (Verdict::Out, Finding::RecordMissing);
    }
    if all(resolvers, Voice::Bogus) {
        return (Verdict::Out, Finding::DnssecBogus);
    }
    if all(resolvers, Voice::Wrong) {
        return (Verdict::Out, Finding::AnswerChanged);
    }
    if good < authorities.len() {
        return (Verdict::Degraded, Finding::AuthorityPartial);
    }
    if resolvers.iter().any(|voice| *voice != Voice::Good) {
        let any = |wanted| count(resolvers, wanted) > 0;
        let finding = match (any(Voice::Bogus), any(Voice::Wrong)) {
            (true, _) => Finding::DnssecBogus,
            (_, true) => Finding::AnswerChanged,
            _ => Finding::ResolverFault,
        };
        return (Verdict::Degraded, finding);
    }
    (Verdict::Ok, Finding::None)
}

fn by_resolvers_alone(resolvers: &[Voice]) -> (Verdict, Finding) {
    let all =
        |wanted: &[Voice]| !resolvers.is_empty() && resolvers.iter().all(|voice| wanted.contains(voice));
    if resolvers.is_empty() {
        (Verdict::Unknown, Finding::None)
    } else if all(&[Voice::Good]) {
        (Verdict::Ok, Finding::None)
    } else if all(&[Voice::Bogus]) {
        (Verdict::Out, Finding::DnssecBogus)
    } else if all(&[Voice::Wrong]) {
        (Verdict::Out, Finding::AnswerChanged)
    } else if resolvers.contains(&Voice::Wrong) {
        (Verdict::Degraded, Finding::AnswerChanged)
    } else if all(&[Voice::Missing]) {
        (Verdict::Out, Finding::RecordMissing)
    } else if all(&[Voice::Servfail, Voice::Bogus, Voice::Missing]) {
        (Verdict::Out, Finding::AuthorityUnreachable)
    } else if resolvers.contains(&Voice::Good) {
        (Verdict::Degraded, Finding::ResolverFault)
    } else if all(&[Voice::Silent]) {
        (Verdict::Unknown, Finding::VantageOffline)
    } else {
        (Verdict::Unknown, Finding::ResolverFault)
    }
}

#[cfg(test)]
mod tests {
    use super::Voice::*;
    use super::*;

    #[test]
    fn the_table() {
        use Finding as F;
        use Verdict as V;
        type Row<'a> = (&'a [Voice], usize, &'a [Voice], bool, (Verdict, Finding));
        let rows: &[Row] = &[
            (&[Good, Good], 0, &[Good], false, (V::Ok, F::None)),
            (&[Good], 0, &[], true, (V::Ok, F::None)),
            (&[Silent], 0, &[], true, (V::Out, F::AuthorityUnreachable)),
            (&[Silent], 0, &[Silent], true, (V::Unknown, F::VantageOffline)),
            (
                &[Silent, Silent],
                0,
                &[Servfail],
                true,
                (V::Out, F::AuthorityUnreachable),
            ),
            (
                &[Silent, Silent],
                0,
                &[Good],
                true,
                (V::Out, F::AuthorityUnreachable),
            ),
            (
                &[Silent, Silent],
                0,
                &[Good],
                false,
                (V::Degraded, F::AuthorityUnreachable),
            ),
            (
                &[NotServing, NotServing],
                0,
                &[Servfail],
                true,
                (V::Out, F::DelegationBroken),
            ),
            (
                &[Good, Silent],
                0,
                &[Good],
                true,
                (V::Degraded, F::AuthorityPartial),
            ),
            (&[Good, Good], 2, &[Good], true, (V::Out, F::RecordMissing)),
            (&[Good], 0, &[Missing], true, (V::Out, F::RecordMissing)),
            (&[Good], 0, &[Bogus], true, (V::Out, F::DnssecBogus)),
            (&[Good], 0, &[Bogus, Good], true, (V::Degraded, F::DnssecBogus)),
            (&[Good], 0, &[Servfail], true, (V::Degraded, F::ResolverFault)),
            (&[Good], 0, &[Silent, Good], true, (V::Degraded, F::ResolverFault)),
            (&[Bogus, Bogus], 0, &[Good], true, (V::Out, F::DnssecBogus)),
            (&[Bogus, Good], 0, &[Good], true, (V::Degraded, F::DnssecBogus)),
            (&[Wrong, Silent], 0, &[Good], true, (V::Out, F::AnswerChanged)),
            (&[Wrong, Good], 0, &[Good], true, (V::Degraded, F::AnswerChanged)),
            (&[Good], 0, &[Wrong, Wrong], true, (V::Out, F::AnswerChanged)),
            (&[Good], 0, &[Wrong, Good], true, (V::Degraded, F::AnswerChanged)),
            (&[], 0, &[Wrong], false, (V::Out, F::AnswerChanged)),
            (&[], 0, &[Wrong, Good], false, (V::Degraded, F::AnswerChanged)),
            (&[], 0, &[Good], false, (V::Ok, F::None)),
            (&[], 0, &[Servfail], false, (V::Out, F::AuthorityUnreachable)),
            (&[], 0, &[NotServing], false, (V::Unknown, F::ResolverFault)),
            (&[], 0, &[Silent, Silent], false, (V::Unknown, F::VantageOffline)),
            (&[], 0, &[], false, (V::Unknown, F::None)),
        ];
        for (authorities, missing, resolvers, given, expected) in rows {
            let verdict = decide(authorities, *missing, resolvers, *given);
            assert_eq!(
                verdict, *expected,
                "{authorities:?} {missing} {resolvers:?} {given}"
            );
        }
    }
}
