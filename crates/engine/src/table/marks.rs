//! Since when peer ASes hold, or lack, one prefix; kept only for what changed lately.
//!
//! An AS without a mark holds the prefix for longer than the hour that a baseline asks for (or has nothing to
//! do with it). So a quiet prefix costs its row of bits and nothing else.

use netfault_model::Time;
use smallvec::SmallVec;

use super::bits::{self, Slot};

/// Exact marks per prefix before they are put together; a table transfer from 300 peers would cost 5 KB a prefix.
const EXACT: usize = 48;
/// Then holds that began within an eighth of an hour become one group, which matures with its youngest member.
const GROUP: i64 = 450_000_000;

/// An AS holds the prefix since `since`, which is not an hour yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Held {
    since: Time,
    voter: Slot,
}

/// Many ASes that began to hold the prefix within a minute.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Group {
    first: Time,
    since: Time,
    voters: Box<[u64]>,
}

/// ASes that hold a prefix but not for an hour yet.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Young {
    /// By time.
    exact: SmallVec<[Held; 1]>,
    #[allow(clippy::box_collection)] // nearly always absent, and then eight bytes instead of 24
    groups: Option<Box<Vec<Group>>>,
}

impl Young {
    /// `width`: words of a row.
    pub fn add(&mut self, voter: Slot, since: Time, width: usize) {
        if self.exact.len() == EXACT {
            for held in std::mem::take(&mut self.exact) {
                self.group(held, width);
            }
        }
        let place = self.exact.partition_point(|held| held.since <= since);
        self.exact.insert(place, Held { since, voter });
    }

    fn group(&mut self, held: Held, width: usize) {
        let groups = self.groups.get_or_insert_default();
        let near = groups
            .iter_mut()
            .find(|group| group.voters.len() == width && (held.since.since(group.first).abs() <= GROUP));
        match near {
            Some(group) => {
                group.since = group.since.max(held.since);
                bits::set(&mut group.voters, held.voter);
            }
            None => {
                let mut voters = vec![0; width].into_boxed_slice();
                bits::set(&mut voters, held.voter);
                groups.push(Group {
                    first: held.since,
                    since: held.since,
                    voters,
                });
            }
        }
    }

    /// Forgets an AS; returns since when it held the prefix, if it was young.
    pub fn remove(&mut self, voter: Slot) -> Option<Time> {
        if let Some(place) = self.exact.iter().position(|held| held.voter == voter) {
            return Some(self.exact.remove(place).since);
        }
        let groups = self.groups.as_mut()?;
        groups
            .iter_mut()
            .find_map(|group| bits::clear(&mut group.voters, voter).then_some(group.since))
    }

    pub fn contains(&self, voter: Slot) -> bool {
        self.exact.iter().any(|held| held.voter == voter)
            || self.groups().iter().any(|group| bits::get(&group.voters, voter))
    }

    /// Takes out the ASes that have held the prefix since `until` or longer.
    pub fn mature(&mut self, until: Time, mut each: impl FnMut(Slot)) {
        let grown = self.exact.partition_point(|held| held.since <= until);
        self.exact.drain(..grown).for_each(|held| each(held.voter));
        let Some(groups) = &mut self.groups else { return };
        groups.retain(|group| {
            let young = group.since > until;
            if !young {
                bits::slots(&group.voters).for_each(&mut each);
            }
            young
        });
        if groups.is_empty() {
            self.groups = None;
        }
    }

    /// The oldest hold: the next to mature.
    pub fn oldest(&self) -> Option<Time> {
        let grouped = self.groups().iter().map(|group| group.since).min();
        self.exact
            .first()
            .map(|held| held.since)
            .into_iter()
            .chain(grouped)
            .min()
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.groups.is_none()
    }

    fn groups(&self) -> &[Group] {
        self.groups.as_ref().map_or(&[], |groups| groups.as_slice())
    }
}

/// An AS that lost the prefix, or got it back less than an hour ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    pub voter: Slot,
    /// When it lost it last.
    pub at: Time,
    /// End of its last unbroken hour; `Time::MIN` if it never had one.
    pub matured: Time,
    /// It withdrew a route that had not been seen before.
    pub unseen: bool,
    /// It withdrew nothing: the route was missing when its session had resynchronised.
    pub inferred: bool,
}

impl Loss {
    /// From when on its time in the baseline runs out.
    pub fn counts_from(&self) -> Time {
        match self.matured {
            Time::MIN => self.at,
            matured => matured,
        }
    }
}

/// What is known of a prefix beyond its bits. Most prefixes have none of it.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Marks {
    pub young: Young,
    pub losses: SmallVec<[Loss; 1]>,
    pub episode: Option<Box<crate::prefix::Episode>>,
    /// The earliest deadline that waits for this prefix.
    pub due: Option<Time>,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.losses.is_empty() && self.episode.is_none()
    }

    pub fn loss(&self, voter: Slot) -> Option<&Loss> {
        self.losses.iter().find(|loss| loss.voter == voter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_marks_become_groups_and_mature_with_the_youngest() {
        let mut young = Young::default();
        for voter in 0..60u16 {
            young.add(voter, Time::from_secs(i64::from(voter)), 1);
        }
        assert_eq!((young.remove(3).is_some(), young.remove(3)), (true, None));
        assert!(young.contains(59) && !young.contains(3));
        let mut grown = Vec::new();
        while let Some(oldest) = young.oldest() {
            young.mature(oldest, |voter| grown.push((oldest.secs(), voter)));
        }
        assert!(young.is_empty());
        assert_eq!(grown.len(), 59);
        assert!(
            grown
                .iter()
                .all(|&(at, voter)| at >= i64::from(voter) && at <= i64::from(voter) + 450)
        );
    }
}
