//! The engine's side of the graph: the routes of addresses.

use std::net::IpAddr;

use netfault_model::{Arrival, Delegation, Outcome, Output, Prefix, Probe, Route};

use super::fate;
use crate::Engine;
use crate::table::{Interest, Row, bits};

impl Engine {
    /// A walk has come back. It replaces what is known, unless the name or its routes are failing.
    pub(crate) fn take_delegation(&mut self, mut delegation: Delegation) {
        let known = self.graph.names.get(delegation.name.as_str());
        let first = known.is_none_or(|node| node.delegation.is_none());
        let well = self.graph.is_well(&delegation.name);
        let node = self
            .graph
            .names
            .entry(delegation.name.as_str().into())
            .or_default();
        node.parent_ok = match (delegation.parent_ns.is_empty(), delegation.complete) {
            (false, _) => Some(true),
            (true, false) => Some(false),
            (true, true) => None, // it was not asked: the user named the servers, or parent and child share them
        };
        let replaces = well && delegation.complete;
        if !(first || replaces) {
            self.keep_delegation(&delegation);
            return;
        }
        if !delegation.complete && delegation.servers.is_empty() {
            return; // nothing is known, and nothing was found
        }
        delegation
            .servers
            .iter_mut()
            .for_each(|server| server.route = self.route_of(server.addr));
        delegation
            .addresses
            .iter_mut()
            .for_each(|address| address.route = self.route_of(address.addr));
        fate::add_shared(&mut delegation);
        let is_news = self.graph.names.get(delegation.name.as_str()).is_none_or(|node| {
            node.delegation
                .as_ref()
                .is_none_or(|known| !same(known, &delegation))
        });
        if is_news {
            self.pending
                .push(Output::Delegation(Box::new(delegation.clone())));
        }
        let freed = self.graph.adopt(delegation);
        freed.into_iter().for_each(|prefix| self.uncarry(prefix));
        let carriers: Vec<Prefix> = self.graph.carriers().collect();
        carriers.into_iter().for_each(|prefix| self.carry(prefix));
    }

    /// What is known stands still; that is said once.
    fn keep_delegation(&mut self, newer: &Delegation) {
        let Some(node) = self.graph.names.get_mut(newer.name.as_str()) else {
            return;
        };
        if !std::mem::replace(&mut node.told_frozen, true)
            && let Some(known) = &node.delegation
        {
            let mut known = known.clone();
            known.frozen = true;
            self.pending.push(Output::Delegation(Box::new(known)));
        }
    }

    /// The longest prefix in the table that holds this address and that enough peer ASes have.
    pub(crate) fn route_of(&self, addr: IpAddr) -> Option<Route> {
        let host = match addr {
            IpAddr::V4(addr) => Prefix::v4(addr, 32),
            IpAddr::V6(addr) => Prefix::v6(addr, 128),
        };
        let having = |row| bits::count(&self.peers.voters_having(self.table.has(row)));
        let row = self
            .table
            .cover(host?, |row| having(row) >= self.settings.cover_peers)?;
        let entry = self.table.entry(row);
        Some(Route {
            prefix: entry.prefix,
            origin: entry.origin(),
        })
    }

    /// The prefix carries a name: it is watched, as if it were listed.
    pub(crate) fn carry(&mut self, prefix: Prefix) {
        let Some(row) = self.table.find(prefix) else {
            return;
        };
        if self.table.entry(row).interest != Interest::Watched {
            self.watch_row(row);
        }
    }

    fn uncarry(&mut self, prefix: Prefix) {
        if let Some(row) = self.table.find(prefix) {
            self.watch_again(row);
        }
    }

    /// Watches a row that was not watched so far.
    pub(crate) fn watch_row(&mut self, row: Row) {
        let entry = self.table.entry(row);
        let before = entry.interest;
        self.notables.note_watched(entry.prefix);
        self.table.entry_mut(row).interest = Interest::Watched;
        self.active.insert(row);
        if before == Interest::Evidence {
            // Evidence has no marks: who has it now counts as having it since now.
            self.hold_from_now(row);
        }
        self.touch(row);
    }

    /// An answer whose addresses are announced by an origin that the user does not expect is a wrong answer.
    pub(crate) fn judge_origin_of_answers(&self, probe: &mut Probe) {
        let Some(expected) = self.watchlist.expected_origins(&probe.name) else {
            return;
        };
        if probe.outcome != Outcome::Ok || probe.arrival != Arrival::InTime {
            return;
        }
        let addresses = probe.answers.iter().filter_map(|answer| answer.parse().ok());
        let wrong = addresses
            .filter_map(|addr: IpAddr| self.route_of(addr))
            .find(|route| route.origin.is_some_and(|origin| !expected.contains(&origin)));
        if let Some(route) = wrong {
            probe.outcome = Outcome::WrongAnswer;
            probe.detail = route
                .origin
                .map(|origin| format!("{} is announced by {origin}", route.prefix));
        }
    }
}

/// Nothing but the time is different.
fn same(known: &Delegation, new: &Delegation) -> bool {
    let mut known = known.clone();
    known.at = new.at;
    known.frozen = new.frozen;
    known == *new
}
