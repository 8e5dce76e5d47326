//! The majority origin of a prefix, and the sessions that see another one.

use std::collections::BTreeMap;

use netfault_model::Asn;

use super::Entry;
use super::bits::{self, Slot};

/// The route of `slot` has `origin` now. True if the majority changed.
pub fn note(entry: &mut Entry, has: &[u64], slot: Slot, origin: Asn) -> bool {
    if entry.origin.0 == 0 {
        entry.origin = origin;
        return true;
    }
    if origin == entry.origin {
        if let Some(marks) = &mut entry.marks {
            marks.other_origins.retain(|&(other, _)| other != slot);
        }
        return false;
    }
    let majority = entry.origin;
    let others = &mut entry.marks_mut().other_origins;
    match others.iter_mut().find(|(other, _)| *other == slot) {
        Some(known) => known.1 = origin,
        None => others.push((slot, origin)),
    }
    let total = bits::count(has) as usize;
    if others.len() * 2 <= total {
        return false;
    }
    let elected = elect(others, majority, total);
    if elected == majority {
        return false;
    }
    let left: Vec<_> = bits::slots(has)
        .filter_map(|slot| {
            let origin = others
                .iter()
                .find(|(other, _)| *other == slot)
                .map_or(majority, |&(_, origin)| origin);
            (origin != elected).then_some((slot, origin))
        })
        .collect();
    *others = left;
    entry.origin = elected;
    true
}

/// The origin with the most sessions; the present one where it is a tie, then the lowest.
fn elect(others: &[(Slot, Asn)], majority: Asn, total: usize) -> Asn {
    let mut votes: BTreeMap<Asn, usize> = BTreeMap::new();
    for &(_, origin) in others {
        *votes.entry(origin).or_default() += 1;
    }
    let mut best = (majority, total.saturating_sub(others.len()));
    for (origin, count) in votes {
        if count > best.1 {
            best = (origin, count);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::super::{Interest, Table};
    use super::*;

    #[test]
    fn the_majority_wins_and_comes_back() {
        let mut table = Table::default();
        table.widen(5);
        let row = table
            .add("208.65.153.0/24".parse().unwrap(), Interest::Subject)
            .unwrap();
        for slot in 0..5 {
            table.gain(row, slot, 0);
            table.note_origin(row, slot, Some(Asn(36561)));
        }
        let mut changed = Vec::new();
        for slot in 0..5 {
            if table.note_origin(row, slot, Some(Asn(17557))) {
                changed.push(slot);
            }
        }
        assert_eq!(changed, [2]);
        assert_eq!(table.entry(row).origin(), Some(Asn(17557)));
        assert!(table.entry(row).marks.as_ref().unwrap().other_origins.is_empty());
        table.note_origin(row, 0, Some(Asn(36561)));
        assert_eq!(table.entry(row).origin(), Some(Asn(17557)));
        table.forget_origin(row, 0);
        assert!(table.entry(row).marks.as_ref().unwrap().other_origins.is_empty());
    }
}
