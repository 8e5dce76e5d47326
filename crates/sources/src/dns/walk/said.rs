//! What a server's answer means to a walk. Pure: a zone, a question and an answer in, one of a few meanings out.
//!
//! A server is believed in what is at or below the zone for which it was asked, and in nothing else: records of other names
//! are passed over, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

use super::record::{AliasKind, Lame};
use crate::dns::wire::{self, Answer};

/// Addresses of one name server that are looked at; nobody has more in good faith.
pub(super) const MAX_ADDRS: usize = 16;
/// Name servers of one zone that are looked at. The root has 13.
pub(super) const MAX_NS: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Referral(Referral),
    Alias {
        kind: AliasKind,
        to: Name,
        ttl: u32,
    },
    /// The records asked for.
    Found {
        records: Vec<Record>,
    },
    /// `apex`: owner of the SOA that came with it.
    Nodata {
        apex: Option<Name>,
    },
    Nxdomain {
        apex: Option<Name>,
    },
    Lame(Lame),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Referral {
    pub zone: Name,
    pub ns: BTreeSet<Name>,
    /// Name servers that were left out.
    pub left_out: u32,
    /// Of name servers that are in the zone of the server that says so; of others it knows nothing.
    pub glue: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// The DS that came with it; none, if their absence was proven; `None`: nothing was said of them (RFC 4035 §3.1.4).
    pub ds: Option<Vec<Record>>,
}

/// What a server of `zone` said when it was asked for `name` and `qtype`.
pub(super) fn read(zone: &Name, name: &Name, qtype: RecordType, answer: &Answer) -> Said {
    match answer.rcode {
        0 => {}
        3 if answer.authoritative => {
            return if name == zone {
                Said::Lame(Lame::NoSuchZone)
            } else {
                alias(zone, name, answer).unwrap_or(Said::Nxdomain {
                    apex: apex(zone, name, answer),
                })
            };
        }
        3 => return Said::Lame(Lame::NotAuthoritative),
        5 => return Said::Lame(Lame::Refused),
        9 => return Said::Lame(Lame::NotAuth),
        _ => return Said::Lame(Lame::Failed),
    }
    if let Some(said) = referral(zone, name, answer) {
        return said;
    }
    if !answer.authoritative {
        return Said::Lame(Lame::NotAuthoritative);
    }
    let records = of(&answer.answers, name, qtype);
    if !records.is_empty() {
        return Said::Found { records };
    }
    alias(zone, name, answer).unwrap_or(Said::Nodata {
        apex: apex(zone, name, answer),
    })
}

/// Records of one name and type. Names are compared without letter case.
fn of(records: &[Record], name: &Name, rtype: RecordType) -> Vec<Record> {
    let wanted = |record: &&Record| {
        record.record_type() == rtype && record.dns_class == DNSClass::IN && record.name == *name
    };
    records.iter().filter(wanted).cloned().collect()
}

/// No answer, and NS records of a zone that the name is in.
fn referral(zone: &Name, name: &Name, answer: &Answer) -> Option<Said> {
    let ns = |record: &&Record| record.record_type() == RecordType::NS && record.dns_class == DNSClass::IN;
    let has_soa = answer
        .authorities
        .iter()
        .any(|record| record.record_type() == RecordType::SOA);
    if !answer.answers.is_empty() || has_soa {
        return None;
    }
    let owner = answer.authorities.iter().find(ns)?.name.to_lowercase();
    if !zone.zone_of(&owner) {
        let upward = owner.zone_of(zone);
        return Some(Said::Lame(if upward {
            Lame::UpwardReferral
        } else {
            Lame::NotAuthoritative
        }));
    }
    if owner == *zone {
        // With authority it is an empty answer with the zone's own NS beside it; some servers do that.
        return (!answer.authoritative).then_some(Said::Lame(Lame::SelfReferral));
    }
    if !owner.zone_of(name) {
        return (!answer.authoritative).then_some(Said::Lame(Lame::NotAuthoritative));
    }
    let all: BTreeSet<Name> = answer
        .authorities
        .iter()
        .filter(ns)
        .filter(|record| record.name == owner)
        .filter_map(target)
        .collect();
    let left_out = u32::try_from(all.len().saturating_sub(MAX_NS)).unwrap_or(u32::MAX);
    let ns: BTreeSet<Name> = all.into_iter().take(MAX_NS).collect();
    let mut glue: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
    for (host, addr) in &answer.glue {
        let host = host.to_lowercase();
        if ns.contains(&host) && zone.zone_of(&host) {
            let addrs = glue.entry(host).or_default();
            if addrs.len() < MAX_ADDRS {
                addrs.insert(*addr);
            }
        }
    }
    Some(Said::Referral(Referral {
        ds: ds(&owner, &answer.authorities),
        zone: owner,
        ns,
        left_out,
        glue,
    }))
}

/// Signatures are not looked at here: [`super::findings`] compares key tags, and validation is another matter.
fn ds(owner: &Name, authorities: &[Record]) -> Option<Vec<Record>> {
    let ds = of(authorities, owner, RecordType::DS);
    let denies = |record: &Record| match record.record_type() {
        RecordType::NSEC => record.name == *owner,
        RecordType::NSEC3 => true,
        _ => false,
    };
    (!ds.is_empty() || authorities.iter().any(denies)).then_some(ds)
}

fn target(record: &Record) -> Option<Name> {
    match &record.data {
        RData::NS(host) => Some(host.0.to_lowercase()),
        _ => None,
    }
}

/// The names in a set of NS records, and how many were left out.
pub(super) fn ns_names(records: &[Record]) -> (BTreeSet<Name>, u32) {
    let all: BTreeSet<Name> = records.iter().filter_map(target).collect();
    let left_out = u32::try_from(all.len().saturating_sub(MAX_NS)).unwrap_or(u32::MAX);
    (all.into_iter().take(MAX_NS).collect(), left_out)
}

/// A CNAME of the name; or a DNAME above it, from which the CNAME follows (RFC 6672 §2.2), whether it came with it or not.
fn alias(zone: &Name, name: &Name, answer: &Answer) -> Option<Said> {
    let dname = answer.answers.iter().find(|record| {
        record.record_type() == RecordType::DNAME
            && zone.zone_of(&record.name)
            && record.name.zone_of(name)
            && record.name != *name
    });
    let substituted = dname.and_then(|record| {
        let to = substitute(name, &record.name, &dname_target(record)?)?;
        Some((to, record.ttl))
    });
    if let Some((to, ttl)) = substituted {
        let kind = AliasKind::Dname;
        return Some(Said::Alias { kind, to, ttl });
    }
    let record = of(&answer.answers, name, RecordType::CNAME).into_iter().next()?;
    let RData::CNAME(target) = &record.data else {
        return None;
    };
    Some(Said::Alias {
        kind: AliasKind::Cname,
        to: target.0.to_lowercase(),
        ttl: record.ttl,
    })
}

fn dname_target(record: &Record) -> Option<Name> {
    let bytes = record.data.to_bytes().ok()?;
    let mut name = Name::from_bytes(&bytes).ok()?;
    name.set_fqdn(true);
    Some(name.to_lowercase())
}

/// `name` with its end `from` replaced by `to`; nothing if that is too long for a name.
fn substitute(name: &Name, from: &Name, to: &Name) -> Option<Name> {
    let keep = usize::from(name.num_labels()).checked_sub(from.num_labels().into())?;
    let mut result = Name::from_labels(name.iter().take(keep)).ok()?;
    result.set_fqdn(false);
    let mut result = result.append_name(to).ok()?;
    result.set_fqdn(true);
    Some(result.to_lowercase())
}

/// The zone that a denial names: at or below the one that was asked, and at or above the name.
fn apex(zone: &Name, name: &Name, answer: &Answer) -> Option<Name> {
    answer
        .authorities
        .iter()
        .find(|record| record.record_type() == RecordType::SOA)
        .map(|record| record.name.to_lowercase())
        .filter(|apex| zone.zone_of(apex) && apex.zone_of(name))
}

/// Addresses among records, at most [`MAX_ADDRS`].
pub(super) fn addresses(records: &[Record]) -> BTreeSet<IpAddr> {
    let addrs = records.iter().filter_map(|record| record.data.ip_addr());
    addrs.take(MAX_ADDRS).collect()
}

/// Record data in presentation form, sorted, and the lowest TTL.
pub(super) fn shown(records: &[Record], qtype: RecordType) -> (Vec<String>, Option<u32>) {
    let mut texts: Vec<String> = records
        .iter()
        .take(64)
        .map(|record| wire::presentation(record, qtype))
        .collect();
    texts.sort();
    texts.dedup();
    (texts, records.iter().map(|record| record.ttl).min())
}

#[cfg(test)]
mod tests {
    use hickory_proto::dnssec::rdata::{DNSSECRData, DS, NSEC};
    use hickory_proto::dnssec::{Algorithm, DigestType};

    use super::*;

    #[test]
    fn a_referral_tells_of_the_ds_or_that_there_is_none_or_nothing() {
        let name = |text: &str| Name::from_ascii(text).expect("a name");
        let record = |owner: &str, data| Record::from_rdata(name(owner), 60, RData::DNSSEC(data));
        let ds = |owner: &str| {
            let data = DS::new(1, Algorithm::ECDSAP256SHA256, DigestType::SHA256, vec![0; 32]);
            record(owner, DNSSECRData::DS(data))
        };
        let nsec = |owner: &str| {
            let data = NSEC::new(name("z.example."), [RecordType::NS]);
            record(owner, DNSSECRData::NSEC(data))
        };
        let said = |records: &[Record]| super::ds(&name("shop.example."), records).map(|ds| ds.len());
        assert_eq!(said(&[ds("Shop.example."), ds("shop.example.")]), Some(2));
        assert_eq!(said(&[nsec("shop.example.")]), Some(0));
        assert_eq!(
            said(&[]),
            None,
            "a parent that is not signed, or a server that knows no DNSSEC"
        );
        assert_eq!(said(&[ds("other.example."), nsec("other.example.")]), None);
    }
}
