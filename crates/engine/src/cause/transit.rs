//! R4: losses of several origins that had one transit AS in common.
//!
//! Routes of single-homed customers all pass through one AS; when that one fails, or its link, prefixes of many origins fall at
//! once. What a route's path was before it began to fall is asked for when it does ([`crate::paths::Paths::before`]): by the time it is
//! Out, path hunting has written over it.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, Cause, CauseRule, Facts, Id, Prefix, Subject, Time};
use serde::{Deserialize, Serialize};

use super::{Case, Verdict};
use crate::Settings;
use crate::settings::secs;

/// An AS, and the link into it if there is only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transit {
    pub asn: Asn,
    pub link: Option<(Asn, Asn)>,
    pub origins: u32,
}

/// Transit ASes and links.
pub type Common = (BTreeSet<Asn>, BTreeSet<(Asn, Asn)>);

/// A prefix that fell, and what all of its paths had in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fall {
    at: Time,
    origin: Asn,
    incident: Id,
    links: BTreeSet<(Asn, Asn)>,
}

/// Falls of the last minutes, by the transit ASes that their paths had in common.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Behind {
    falls: BTreeMap<Asn, BTreeMap<Prefix, Fall>>,
}

/// What several paths to one prefix have in common: transit ASes (neither the peer nor the origin), and links between two ASes of
/// which none is the origin. Empty with fewer than three paths: they prove nothing.
pub fn in_common<'a>(paths: impl Iterator<Item = &'a [Asn]>) -> Common {
    let mut common: Option<Common> = None;
    let mut count = 0;
    for path in paths {
        let Some((_, through)) = path.split_last() else {
            continue;
        };
        count += 1;
        let asns: BTreeSet<Asn> = through.iter().skip(1).copied().collect();
        let links: BTreeSet<(Asn, Asn)> = through.windows(2).map(|pair| (pair[0], pair[1])).collect();
        common = Some(match common {
            None => (asns, links),
            Some((known, between)) => (
                known.intersection(&asns).copied().collect(),
                between.intersection(&links).copied().collect(),
            ),
        });
    }
    common.filter(|_| count >= 3).unwrap_or_default()
}

impl Behind {
    /// A prefix fell. Returns incidents that now belong together, oldest fall first, and what they have in common.
    pub fn fell(
        &mut self,
        settings: &Settings,
        (prefix, origin, incident): (Prefix, Asn, Id),
        (asns, links): Common,
        at: Time,
    ) -> Option<(Transit, Vec<Id>)> {
        let oldest = at.plus_micros(-secs(settings.transit_within_s));
        let mut best: Option<(Transit, Vec<Id>)> = None;
        for asn in asns.into_iter().filter(|asn| *asn != origin) {
            let falls = self.falls.entry(asn).or_default();
            falls.retain(|_, fall| fall.at >= oldest);
            let fall = Fall {
                at,
                origin,
                incident,
                links: links.clone(),
            };
            falls.insert(prefix, fall);
            let origins: BTreeSet<Asn> = falls.values().map(|fall| fall.origin).collect();
            let count = origins.len() as u32;
            if count < settings.transit_origins || best.as_ref().is_some_and(|(it, _)| it.origins >= count) {
                continue;
            }
            let shared = falls.values().skip(1).fold(
                falls
                    .values()
                    .next()
                    .map(|fall| fall.links.clone())
                    .unwrap_or_default(),
                |shared, fall| shared.intersection(&fall.links).copied().collect(),
            );
            let link = shared.into_iter().find(|(_, to)| *to == asn);
            let mut ids: Vec<(Time, Id)> = falls.values().map(|fall| (fall.at, fall.incident)).collect();
            ids.sort_unstable();
            let transit = Transit {
                asn,
                link,
                origins: count,
            };
            best = Some((transit, ids.into_iter().map(|(_, id)| id).collect()));
        }
        self.falls.retain(|_, falls| !falls.is_empty());
        best
    }

    /// What was one incident is part of another.
    pub fn merged(&mut self, from: Id, into: Id) {
        for fall in self.falls.values_mut().flat_map(BTreeMap::values_mut) {
            if fall.incident == from {
                fall.incident = into;
            }
        }
    }
}

pub(super) fn judge(case: &Case) -> Option<Verdict> {
    let transit = case.transit?;
    Some(Verdict {
        rule: Some(CauseRule::R4),
        cause: Some(Cause::TransitFailed),
        subject: Some(Subject::Origin { origin: transit.asn }),
        facts: Some(Box::new(Facts {
            transit: Some(transit.asn),
            link: transit.link,
            origins: transit.origins,
            ..Facts::default()
        })),
        services: Vec::new(),
        floor: 3,
    })
}
