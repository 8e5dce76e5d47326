//! Where the addresses of an answer are routed to: "from this origin AS". Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netfault_model::{Asn, Outcome};

use super::Routed;
use super::asked::Asked;

/// Holds good answers against the origins that are expected; none of them: nothing is. An address without a known route is said,
/// and fails nothing: it may be routed as it should be.
pub(super) fn expect(servers: &mut [Asked], origins: &BTreeSet<Asn>, routed: Routed) {
    if origins.is_empty() {
        return;
    }
    let replies = servers.iter_mut().flat_map(|server| &mut server.replies);
    for (_, reply) in replies.filter(|(_, reply)| reply.outcome == Outcome::Ok) {
        match judge(&reply.details.answers, origins, routed) {
            Ok(None) => {}
            Ok(Some(unknown)) => {
                let said = format!("the origin AS of {unknown} is not known");
                reply.details.detail.get_or_insert(said);
            }
            Err(wrong) => {
                reply.outcome = Outcome::WrongAnswer;
                reply.details.detail = Some(wrong);
            }
        }
    }
}

/// The first address whose origin is not known, if there is one; in words, the first that is originated by another AS.
fn judge(answers: &[String], origins: &BTreeSet<Asn>, routed: Routed) -> Result<Option<IpAddr>, String> {
    let mut unknown = None;
    for addr in answers.iter().filter_map(|answer| answer.parse::<IpAddr>().ok()) {
        match routed(addr).and_then(|route| route.origin) {
            Some(origin) if origins.contains(&origin) => {}
            Some(origin) => {
                return Err(format!(
                    "{addr} is originated by {origin}, not by {}",
                    listed(origins)
                ));
            }
            None => unknown = unknown.or(Some(addr)),
        }
    }
    Ok(unknown)
}

fn listed(origins: &BTreeSet<Asn>) -> String {
    let texts: Vec<String> = origins.iter().map(Asn::to_string).collect();
    texts.join(" or ")
}

#[cfg(test)]
mod tests {
    use netfault_model::Route;

    use super::*;

    #[test]
    fn another_origin_is_wrong_and_an_unknown_one_is_said() {
        let routed = |addr: IpAddr| {
            let (prefix, origin) = match addr.to_string().as_str() {
                "192.0.2.1" => ("192.0.2.0/24", Some(Asn(64500))),
                "198.51.100.1" => ("198.51.100.0/24", Some(Asn(64501))),
                // The end of its path is a set of ASes.
                "203.0.113.1" => ("203.0.113.0/24", None),
                _ => return None,
            };
            let prefix = prefix.parse().expect("a prefix");
            Some(Route { prefix, origin })
        };
        let judge = |expected: &[u32], answers: &[&str]| {
            let origins = expected.iter().copied().map(Asn).collect();
            let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
            judge(&answers, &origins, &routed).map(|unknown| unknown.map(|addr| addr.to_string()))
        };
        let unknown = |addr: &str| Ok(Some(addr.to_owned()));
        assert_eq!(
            judge(&[64500], &["192.0.2.1", "CNAME www.example.com."]),
            Ok(None)
        );
        assert_eq!(judge(&[64500, 64501], &["192.0.2.1", "198.51.100.1"]), Ok(None));
        assert_eq!(
            judge(&[64500], &["203.0.113.1", "192.0.2.1"]),
            unknown("203.0.113.1")
        );
        assert_eq!(
            judge(&[64500], &["2001:db8::1", "192.0.2.1"]),
            unknown("2001:db8::1")
        );
        assert_eq!(
            judge(&[64500, 64502], &["203.0.113.1", "198.51.100.1"]),
            Err("198.51.100.1 is originated by AS64501, not by AS64500 or AS64502".to_owned())
        );
    }
}
