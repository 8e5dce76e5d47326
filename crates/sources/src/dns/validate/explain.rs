//! Which link of a chain of trust fails: from the messages that a validator fetched to one sentence. Pure.
//!
//! The links, from the top: a key of the zone is in the trust anchors, or in the DS of its parent; that key signed the zone's keys;
//! these signed the DS of the next zone, and at the end the answer. The first that does not hold is said.

use std::collections::BTreeSet;

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::dnssec::{TrustAnchors, Verifier};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use netfault_model::Time;

use super::fetch::Seen;
use crate::dns::wire::plain_name;

/// Keys and signatures that are tried at one link: a hostile zone must not keep us busy (KeyTrap, CVE-2023-50387).
const MAX_TRIED: usize = 8;

/// Why the chain ends before the name, although nothing is wrong.
pub(super) fn insecure(seen: &Seen, name: &Name) -> String {
    let has_ds = |zone: &&Name| {
        seen.message(zone, RecordType::DS)
            .is_some_and(|message| !all_ds(message).is_empty())
    };
    let names = seen.names(RecordType::DS);
    let unsigned = names
        .iter()
        .filter(|zone| zone.zone_of(name))
        .find(|zone| !has_ds(zone));
    match unsigned {
        Some(zone) => format!("{} is not signed (no DS)", shown(zone)),
        None => "the zone is signed in a way that nobody here can check".to_owned(),
    }
}

/// Which link fails. `now` in Unix seconds.
pub(super) fn bogus(seen: &Seen, anchors: &TrustAnchors, asked: (&Name, RecordType), now: i64) -> String {
    let (name, qtype) = asked;
    let Some(answer) = seen.message(name, qtype) else {
        return "the answer with signatures differs from the one without".to_owned();
    };
    for zone in zones(seen) {
        if let Err(why) = keys_hold(seen, anchors, zone, now) {
            return why;
        }
        for child in seen
            .names(RecordType::DS)
            .into_iter()
            .filter(|child| is_next(seen, zone, child))
        {
            if let Err(why) = ds_holds(seen, zone, child, now) {
                return why;
            }
        }
    }
    if let Err(why) = answer_holds(seen, answer, now) {
        return why;
    }
    let what = shown(name);
    match answer.answers.is_empty() {
        true => format!("it is not proven that {what} has no {qtype} (NSEC, NSEC3)"),
        false => format!("the chain of trust to {what} does not hold"),
    }
}

/// Zones whose keys were fetched, from the root down.
fn zones(seen: &Seen) -> Vec<&Name> {
    seen.names(RecordType::DNSKEY)
}

/// `zone` is the deepest one with keys above `child`.
fn is_next(seen: &Seen, zone: &Name, child: &Name) -> bool {
    let parent = zones(seen)
        .into_iter()
        .rfind(|zone| *zone != child && zone.zone_of(child));
    parent == Some(zone)
}

/// A key of the zone is trusted, and signed all its keys.
fn keys_hold(seen: &Seen, anchors: &TrustAnchors, zone: &Name, now: i64) -> Result<(), String> {
    let what = shown(zone);
    let Some(message) = seen.message(zone, RecordType::DNSKEY) else {
        return Ok(());
    };
    let keys = keys(message, zone);
    let owner = zone.clone().into();
    let anchored: Vec<&DNSKEY> = keys
        .iter()
        .copied()
        .filter(|key| anchors.contains_with_name(key.public_key(), &owner))
        .collect();
    let trusted = match (anchored.is_empty(), zone.is_root()) {
        (false, _) => anchored,
        (true, true) if keys.is_empty() => return Err("the root has no DNSKEY".to_owned()),
        (true, true) => {
            return Err(format!(
                "no key of the root ({}) is in the trust anchors",
                tags(&keys)
            ));
        }
        (true, false) => match seen.message(zone, RecordType::DS) {
            Some(parent) => covered(zone, &keys, &all_ds(parent))?,
            None => return Ok(()),
        },
    };
    if trusted.is_empty() {
        return Ok(()); // without a DS nothing has to hold
    }
    let set = rrset(&message.answers, zone, RecordType::DNSKEY);
    signed(&set, &message.answers, &trusted, now).map_err(|why| format!("the keys of {what}: {why}"))
}

/// Keys that are in the DS of the parent. Empty if there is no DS.
fn covered<'a>(zone: &Name, keys: &[&'a DNSKEY], ds: &[&DS]) -> Result<Vec<&'a DNSKEY>, String> {
    let what = shown(zone);
    if ds.is_empty() {
        return Ok(Vec::new());
    }
    let ds_tags: BTreeSet<u16> = ds.iter().map(|ds| ds.key_tag()).collect();
    let ds_tags: Vec<String> = ds_tags.iter().map(u16::to_string).collect();
    if keys.is_empty() {
        return Err(format!("{what} has a DS ({}) but no DNSKEY", ds_tags.join(", ")));
    }
    let matches = |key: &DNSKEY| {
        ds.iter()
            .take(MAX_TRIED)
            .any(|ds| ds.covers(zone, key).unwrap_or(false))
    };
    let found: Vec<&DNSKEY> = keys.iter().copied().filter(|key| matches(key)).collect();
    match found.is_empty() {
        true => Err(format!(
            "no key of {what} ({}) is in the DS of its parent ({})",
            tags(keys),
            ds_tags.join(", ")
        )),
        false => Ok(found),
    }
}

/// The parent's keys signed the DS of the child, if it has one.
fn ds_holds(seen: &Seen, zone: &Name, child: &Name, now: i64) -> Result<(), String> {
    let (Some(parent), Some(message)) = (
        seen.message(zone, RecordType::DNSKEY),
        seen.message(child, RecordType::DS),
    ) else {
        return Ok(());
    };
    let set = rrset(&message.answers, child, RecordType::DS);
    if set.is_empty() {
        return Ok(());
    }
    signed(&set, &message.answers, &keys(parent, zone), now)
        .map_err(|why| format!("the DS of {}: {why}", shown(child)))
}

/// Every set of records of the answer (of a denial: of what proves it) is signed by the keys of the zone that its signature names.
fn answer_holds(seen: &Seen, answer: &Message, now: i64) -> Result<(), String> {
    let section = match answer.answers.is_empty() {
        true => &answer.authorities,
        false => &answer.answers,
    };
    let sets: BTreeSet<(Name, RecordType)> = section
        .iter()
        .filter(|record| record.record_type() != RecordType::RRSIG)
        .map(|record| (record.name.to_lowercase(), record.record_type()))
        .collect();
    for (owner, rtype) in &sets {
        let set = rrset(section, owner, *rtype);
        let what = format!("{rtype} of {}", shown(owner));
        let signer = signatures(section, owner, *rtype)
            .first()
            .map(|rrsig| rrsig.input().signer_name.clone());
        let Some(signer) = signer else {
            return Err(unsigned(seen, owner, &what));
        };
        let Some(message) = seen.message(&signer, RecordType::DNSKEY) else {
            continue;
        };
        signed(&set, section, &keys(message, &signer), now).map_err(|why| format!("{what}: {why}"))?;
    }
    Ok(())
}

/// A record without a signature, below the deepest DS.
fn unsigned(seen: &Seen, owner: &Name, what: &str) -> String {
    let ds = |zone: &Name| {
        seen.message(zone, RecordType::DS)
            .map(all_ds)
            .filter(|ds| !ds.is_empty())
    };
    let above = seen
        .names(RecordType::DS)
        .into_iter()
        .filter(|zone| zone.zone_of(owner));
    match above.filter_map(|zone| Some((zone, ds(zone)?))).next_back() {
        Some((zone, ds)) => {
            let tags: Vec<String> = ds.iter().map(|ds| ds.key_tag().to_string()).collect();
            format!(
                "{} has a DS ({}), but {what} is not signed",
                shown(zone),
                tags.join(", ")
            )
        }
        None => format!("{what} is not signed, although the zone is"),
    }
}

/// Some signature of the set holds; else what is wrong with the one that comes nearest to it.
fn signed(set: &[&Record], section: &[Record], keys: &[&DNSKEY], now: i64) -> Result<(), String> {
    let Some(first) = set.first() else {
        return Err("there is nothing to be signed".to_owned());
    };
    let all = signatures(section, &first.name, first.record_type());
    let mut nearest = (0, "there is no signature".to_owned());
    for rrsig in all.iter().take(MAX_TRIED) {
        match holds(set, rrsig, keys, now) {
            Ok(()) => return Ok(()),
            Err(wrong) if wrong.0 > nearest.0 => nearest = wrong,
            Err(_) => {}
        }
    }
    Err(nearest.1)
}

/// One signature: the further it came, the higher the number beside what is wrong.
fn holds(set: &[&Record], rrsig: &RRSIG, keys: &[&DNSKEY], now: i64) -> Result<(), (u8, String)> {
    let input = rrsig.input();
    let tag = input.key_tag;
    let candidates: Vec<&&DNSKEY> = keys
        .iter()
        .filter(|key| {
            key.calculate_key_tag().is_ok_and(|found| found == tag) && key.algorithm() == input.algorithm
        })
        .take(MAX_TRIED)
        .collect();
    if candidates.is_empty() {
        return Err((
            1,
            format!(
                "signed by key {tag}, which is not among those that count ({})",
                tags(keys)
            ),
        ));
    }
    let (from, until) = (
        near(input.sig_inception.get(), now),
        near(input.sig_expiration.get(), now),
    );
    if now > until {
        return Err((
            3,
            format!("the signature (key {tag}) expired at {}", moment(until)),
        ));
    }
    if now < from {
        return Err((
            3,
            format!("the signature (key {tag}) is not valid before {}", moment(from)),
        ));
    }
    let Some(first) = set.first() else {
        return Err((0, "there is nothing to be signed".to_owned()));
    };
    let verifies = |key: &DNSKEY| {
        let records = set.iter().copied();
        key.verify_rrsig(&first.name, first.dns_class, rrsig, records)
            .is_ok()
    };
    match candidates.into_iter().any(|key| verifies(key)) {
        true => Ok(()),
        false => Err((2, format!("the signature (key {tag}) is wrong"))),
    }
}

fn rrset<'a>(section: &'a [Record], owner: &Name, rtype: RecordType) -> Vec<&'a Record> {
    let is_of = |record: &&Record| record.name == *owner && record.record_type() == rtype;
    section.iter().filter(is_of).collect()
}

fn signatures<'a>(section: &'a [Record], owner: &Name, rtype: RecordType) -> Vec<&'a RRSIG> {
    section
        .iter()
        .filter(|record| record.name == *owner)
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if rrsig.input().type_covered == rtype => Some(rrsig),
            _ => None,
        })
        .collect()
}

fn keys<'a>(message: &'a Message, zone: &Name) -> Vec<&'a DNSKEY> {
    let of_zone = message.answers.iter().filter(|record| record.name == *zone);
    of_zone
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
            _ => None,
        })
        .collect()
}

fn all_ds(message: &Message) -> Vec<&DS> {
    message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds),
            _ => None,
        })
        .collect()
}

fn tags(keys: &[&DNSKEY]) -> String {
    let tags: BTreeSet<u16> = keys
        .iter()
        .filter_map(|key| key.calculate_key_tag().ok())
        .collect();
    let tags: Vec<String> = tags.iter().take(MAX_TRIED).map(u16::to_string).collect();
    match tags.is_empty() {
        true => "none".to_owned(),
        false => tags.join(", "),
    }
}

fn shown(name: &Name) -> String {
    match name.is_root() {
        true => "the root".to_owned(),
        false => plain_name(name),
    }
}

/// Times in signatures are 32 bits of a serial number (RFC 4034 §3.1.5): the one that is nearest is meant.
fn near(time: u32, now: i64) -> i64 {
    let away = time.wrapping_sub(now as u32) as i32; // both wrap on purpose
    now + i64::from(away)
}

fn moment(seconds: i64) -> String {
    let text = Time::from_secs(seconds).to_string();
    text.replace(".000000Z", "Z")
}
