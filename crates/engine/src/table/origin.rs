//! The majority origin of a prefix, and the sessions that see another one.

use std::collections::BTreeMap;

use netfault_model::Asn;
use rustc_hash::FxHashMap;

use super::bits::{self, Slot};
use super::{Entry, Row};

/// Routes whose origin is not the majority's.
type Others = FxHashMap<Row, Vec<(Slot, Asn)>>;

/// The route of `slot` has `origin` now. True if the majority changed.
pub fn note(entry: &mut Entry, others: &mut Others, row: Row, has: &[u64], slot: Slot, origin: Asn) -> bool {
    if entry.origin.0 == 0 {
        entry.origin = origin;
        return true;
    }
    if origin == entry.origin {
        forget(entry, others, row, slot);
        return false;
    }
    let majority = entry.origin;
    entry.mixed = true;
    let of_row = others.entry(row).or_default();
    match of_row.iter_mut().find(|(other, _)| *other == slot) {
        Some(known) => known.1 = origin,
        None => of_row.push((slot, origin)),
    }
    let total = bits::count(has) as usize;
    if of_row.len() * 2 <= total {
        return false;
    }
    let elected = elect(of_row, majority, total);
    if elected == majority {
        return false;
    }
    let left: Vec<_> = bits::slots(has)
        .filter_map(|slot| {
            let origin = of_row
                .iter()
                .find(|(other, _)| *other == slot)
                .map_or(majority, |&(_, origin)| origin);
            (origin != elected).then_some((slot, origin))
        })
        .collect();
    entry.mixed = !left.is_empty();
    match left.is_empty() {
        true => drop(others.remove(&row)),
        false => *of_row = left,
    }
    entry.origin = elected;
    true
}

/// The route of `slot` is gone, or has the majority's origin.
pub fn forget(entry: &mut Entry, others: &mut Others, row: Row, slot: Slot) {
    if !entry.mixed {
        return;
    }
    let Some(of_row) = others.get_mut(&row) else {
        return;
    };
    of_row.retain(|&(other, _)| other != slot);
    if of_row.is_empty() {
        others.remove(&row);
        entry.mixed = false;
    }
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
        assert!(!table.entry(row).mixed);
        table.note_origin(row, 0, Some(Asn(36561)));
        assert_eq!(table.entry(row).origin(), Some(Asn(17557)));
        table.forget_origin(row, 0);
        assert!(!table.entry(row).mixed);
    }
}
