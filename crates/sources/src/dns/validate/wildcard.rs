//! An answer made from a wildcard, and the proof that nothing closer exists (RFC 4035 §5.3.4).
//!
//! hickory 0.26 wants more than that: an NSEC that covers the wildcard itself. The usual proof is the NSEC *of* the wildcard, which
//! covers what was asked and not its own name, so sound answers would be called bogus.

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, RRSIG};
use hickory_proto::op::DnsResponse;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// True if every record of the answer is secure, one of them comes from a wildcard, and a secure NSEC proves that there is nothing closer.
pub(super) fn holds(response: &DnsResponse) -> bool {
    let of_data = |record: &&Record| record.record_type() != RecordType::RRSIG;
    let all_secure = response
        .answers
        .iter()
        .filter(of_data)
        .all(|record| record.proof == Proof::Secure);
    let closer: Vec<Name> = response.answers.iter().filter_map(next_closer).collect();
    let nsecs: Vec<(&Name, &NSEC)> = response.authorities.iter().filter_map(secure_nsec).collect();
    let denied = |name: &Name| nsecs.iter().any(|(owner, nsec)| covers(owner, nsec, name));
    all_secure && !closer.is_empty() && closer.iter().all(denied)
}

/// Of a signature of an expanded wildcard: the name one label longer than what was expanded (RFC 5155 §1.3).
fn next_closer(record: &Record) -> Option<Name> {
    let rrsig: &RRSIG = match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if record.proof == Proof::Secure => rrsig,
        _ => return None,
    };
    let labels = rrsig.input().num_labels;
    (labels < record.name.num_labels()).then(|| record.name.trim_to(usize::from(labels) + 1))
}

fn secure_nsec(record: &Record) -> Option<(&Name, &NSEC)> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) if record.proof == Proof::Secure => Some((&record.name, nsec)),
        _ => None,
    }
}

/// Neither the name nor anything below it exists: it stands between owner and next, in canonical order (RFC 4034 §6.1), and next is
/// not below it. What is below a delegation the zone does not know (RFC 6840 §4.1).
fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let types = nsec.type_set();
    let is_cut = types.contains(RecordType::NS) && !types.contains(RecordType::SOA)
        || types.contains(RecordType::DNAME);
    if is_cut && owner.zone_of(name) {
        return false;
    }
    let is_last = next <= owner && next.zone_of(name);
    owner < name && (name < next || is_last) && !name.zone_of(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::wire::parse_name;

    #[test]
    fn what_an_nsec_covers() {
        use RecordType::{A, NS, SOA};
        let name = |text: &str| parse_name(text).unwrap();
        for (owner, next, types, asked, expected) in [
            ("*.wild.test", "www.test", [A, A], "any.wild.test", true),
            ("*.wild.test", "z.wild.test", [A, A], "any.wild.test", true),
            ("*.wild.test", "b.wild.test", [A, A], "c.wild.test", false),
            // It exists, or something below it does.
            ("*.wild.test", "any.wild.test", [A, A], "any.wild.test", false),
            (
                "*.wild.test",
                "below.any.wild.test",
                [A, A],
                "any.wild.test",
                false,
            ),
            // The last one of the zone.
            ("www.test", "test", [A, A], "zzz.test", true),
            ("www.test", "test", [A, A], "zzz.other", false),
            ("www.test", "test", [A, A], "aaa.test", false),
            // A delegation knows nothing of what is below it; the apex does.
            ("sub.test", "www.test", [NS, NS], "a.sub.test", false),
            ("test", "www.test", [NS, SOA], "a.test", true),
        ] {
            let nsec = NSEC::new(name(next), types);
            assert_eq!(
                covers(&name(owner), &nsec, &name(asked)),
                expected,
                "{owner} {next} {asked}"
            );
        }
    }
}
