//! A dull model of who sees what: sets of sets, and no cleverness. It knows of routes and holds, not of silence,
//! resets or states.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netfault_model::{Asn, Input, Prefix, Time};

/// From when to when an AS held a prefix without a break.
#[derive(Clone, Copy, Debug)]
struct Hold {
    from: Time,
    until: Option<Time>,
}

#[derive(Default)]
pub struct Dull {
    routes: BTreeMap<Prefix, BTreeMap<Asn, BTreeSet<IpAddr>>>,
    holds: BTreeMap<(Prefix, Asn), Vec<Hold>>,
}

impl Dull {
    /// What stands after all inputs up to and including `until`.
    pub fn at(inputs: &[Input], until: Time) -> Self {
        let mut dull = Dull::default();
        for input in inputs.iter().filter(|input| input.at() <= until) {
            let Input::Update(update) = input else { continue };
            for nlri in update.withdrawn() {
                dull.route(nlri.prefix, update.peer.asn, update.peer.addr, update.at, false);
            }
            for nlri in update.announced() {
                dull.route(nlri.prefix, update.peer.asn, update.peer.addr, update.at, true);
            }
        }
        dull
    }

    fn route(&mut self, prefix: Prefix, asn: Asn, session: IpAddr, at: Time, announced: bool) {
        let sessions = self.routes.entry(prefix).or_default().entry(asn).or_default();
        let had = !sessions.is_empty();
        match announced {
            true => sessions.insert(session),
            false => sessions.remove(&session),
        };
        let holds = self.holds.entry((prefix, asn)).or_default();
        match (had, !sessions.is_empty()) {
            (false, true) => holds.push(Hold {
                from: at,
                until: None,
            }),
            (true, false) => {
                if let Some(last) = holds.last_mut() {
                    last.until = Some(at);
                }
            }
            _ => {}
        }
    }

    pub fn having(&self, prefix: Prefix) -> BTreeSet<Asn> {
        let sessions = self.routes.get(&prefix).into_iter().flatten();
        sessions
            .filter(|(_, sessions)| !sessions.is_empty())
            .map(|(&asn, _)| asn)
            .collect()
    }

    /// The ASes that had held the prefix for an unbroken `seconds` at some time before `at`.
    pub fn baseline(&self, prefix: Prefix, at: Time, seconds: i64) -> BTreeSet<Asn> {
        let long = |hold: &Hold| hold.until.unwrap_or(at).min(at).since(hold.from) >= seconds * 1_000_000;
        let of_prefix = self.holds.iter().filter(|((other, _), _)| *other == prefix);
        of_prefix
            .filter(|(_, holds)| holds.iter().any(long))
            .map(|((_, asn), _)| *asn)
            .collect()
    }
}
