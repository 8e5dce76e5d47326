//! Which country a prefix or an AS is registered in, as the files say that the user names.

use std::hash::BuildHasher;
use std::net::IpAddr;

use netfault_model::{Asn, Country, Prefix};

/// A range of addresses or AS numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range<T> {
    pub first: T,
    pub last: T,
    pub country: Country,
}

/// Sorted ranges that do not overlap. Empty: nobody asks for countries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Countries {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
    asns: Vec<Range<u32>>,
}

impl Countries {
    /// Where ranges overlap (a block that moved to another registry), the one that begins later counts, then the
    /// shorter one, then the country first in the alphabet.
    pub fn new(v4: Vec<Range<u32>>, v6: Vec<Range<u128>>, asns: Vec<Range<u32>>) -> Self {
        let before_v4 = |at: u32| at.wrapping_sub(1);
        Countries {
            v4: flatten(v4, before_v4, |at| at.checked_add(1)),
            v6: flatten(v6, |at| at.wrapping_sub(1), |at| at.checked_add(1)),
            asns: flatten(asns, before_v4, |at| at.checked_add(1)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.asns.is_empty()
    }

    /// The same for the same ranges; 0 if there are none.
    pub(crate) fn print(&self) -> u64 {
        if self.is_empty() {
            0
        } else {
            rustc_hash::FxBuildHasher.hash_one(self)
        }
    }

    /// How many ranges of IPv4, IPv6 and AS numbers there are.
    pub fn len(&self) -> (usize, usize, usize) {
        (self.v4.len(), self.v6.len(), self.asns.len())
    }

    /// The country of the first address of `prefix`.
    pub fn of_prefix(&self, prefix: Prefix) -> Option<Country> {
        match prefix.addr() {
            IpAddr::V4(addr) => find(&self.v4, u32::from(addr)),
            IpAddr::V6(addr) => find(&self.v6, u128::from(addr)),
        }
    }

    pub fn of_asn(&self, asn: Asn) -> Option<Country> {
        find(&self.asns, asn.0)
    }
}

fn find<T: Copy + Ord>(ranges: &[Range<T>], at: T) -> Option<Country> {
    let after = ranges.partition_point(|range| range.first <= at);
    let range = ranges[..after].last()?;
    (at <= range.last).then_some(range.country)
}

/// Cuts overlapping ranges into ones that do not overlap. `before` is only asked of what is not the lowest value.
fn flatten<T: Copy + Ord>(
    mut ranges: Vec<Range<T>>,
    before: impl Fn(T) -> T,
    after: impl Fn(T) -> Option<T>,
) -> Vec<Range<T>> {
    ranges.retain(|range| range.first <= range.last);
    ranges.sort_by(|a, b| {
        (a.first, std::cmp::Reverse(a.last), std::cmp::Reverse(a.country)).cmp(&(
            b.first,
            std::cmp::Reverse(b.last),
            std::cmp::Reverse(b.country),
        ))
    });
    let mut flat: Vec<Range<T>> = Vec::with_capacity(ranges.len());
    // Ranges that are open at the place reached, the one that counts on top; and that place.
    let mut open: Vec<Range<T>> = Vec::new();
    let mut place = None;
    for range in ranges {
        place = close(&mut open, &mut flat, place, Some(range.first), &before, &after);
        place = place.max(Some(range.first));
        open.push(range);
    }
    close(&mut open, &mut flat, place, None, &before, &after);
    flat
}

/// Writes down what counts from `place` up to `until`, which is not included (`None`: to the end). Returns the new place.
fn close<T: Copy + Ord>(
    open: &mut Vec<Range<T>>,
    flat: &mut Vec<Range<T>>,
    mut place: Option<T>,
    until: Option<T>,
    before: impl Fn(T) -> T,
    after: impl Fn(T) -> Option<T>,
) -> Option<T> {
    while let (Some(top), Some(first)) = (open.last().copied(), place) {
        let ends_before = until.is_none_or(|until| top.last < until);
        let last = match until {
            Some(until) if !ends_before => {
                if first < until {
                    flat.push(Range {
                        first,
                        last: before(until),
                        ..top
                    });
                }
                return Some(until);
            }
            _ => top.last,
        };
        open.pop();
        if first <= last {
            flat.push(Range { first, last, ..top });
            place = after(last);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(index: u8) -> Country {
        ["AA", "BB", "CC", "DD"][usize::from(index % 4)].parse().unwrap()
    }

    proptest! {
        /// Against a dull model: for each value, the range that begins last, then the shortest.
        #[test]
        fn the_most_specific_range_counts(ranges in prop::collection::vec((0u32..60, 0u32..30, any::<u8>()), 0..20)) {
            let ranges: Vec<Range<u32>> = ranges.into_iter()
                .map(|(first, more, cc)| Range { first, last: first + more, country: code(cc) })
                .collect();
            let countries = Countries::new(ranges.clone(), Vec::new(), ranges.clone());
            for at in 0..100u32 {
                let holding = ranges.iter().filter(|range| range.first <= at && at <= range.last);
                let expected = holding
                    .min_by_key(|range| (std::cmp::Reverse(range.first), range.last, range.country))
                    .map(|range| range.country);
                prop_assert_eq!(countries.of_asn(Asn(at)), expected);
            }
            prop_assert!(countries.v4.windows(2).all(|pair| pair[0].last < pair[1].first));
        }
    }

    #[test]
    fn the_ends_of_the_number_space_are_part_of_it() {
        let all = Range {
            first: 0,
            last: u128::MAX,
            country: code(0),
        };
        let top = Range {
            first: u128::MAX,
            last: u128::MAX,
            country: code(1),
        };
        let countries = Countries::new(Vec::new(), vec![all, top], Vec::new());
        let of = |text: &str| countries.of_prefix(text.parse().unwrap());
        assert_eq!(of("::/16"), Some(code(0)));
        assert_eq!(of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"), Some(code(1)));
        assert_eq!(countries.of_asn(Asn(1)), None);
    }
}
