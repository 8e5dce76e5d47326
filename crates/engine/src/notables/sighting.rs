//! Origin changes, the engine's side: what the routes say to [`super::origin`], and what is told of it.

use netfault_model::{Announcement, Asn, Baseline, Id, Notable, NotableKind, Output, Prefix, Subject, Time};

use super::asn::accountable;
use super::origin::{Suspect, Times, Told};
use crate::Engine;
use crate::settings::secs;
use crate::table::bits::{self, Slot};
use crate::table::{Interest, Row};
use crate::watchlist::shorten;

/// What the table said of a route before it came.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    /// Majority origin of the row.
    pub majority: Option<Asn>,
    /// The session had a route already.
    pub had: bool,
    /// The route is one of a table dump: it had been there before.
    pub dumped: bool,
}

/// Shorter covers than these say little about who owns a part of them (DESIGN section 5 leaves them out of aggregates).
fn shortest_cover(prefix: Prefix) -> u8 {
    match prefix.family() {
        netfault_model::Family::V4 => 8,
        netfault_model::Family::V6 => 16,
    }
}

impl Engine {
    /// The session announces the row with an origin that is not the majority's, or the row is followed.
    pub(crate) fn origin_seen(
        &mut self,
        row: Row,
        slot: Slot,
        route: &Announcement,
        before: Before,
        since: Time,
    ) {
        let changes = &mut self.notables.changes;
        let first = changes.hear(row, since);
        let origin = accountable(route);
        let proves = match before.had {
            // What it had may have been another suspect; one that is followed has its sessions listed.
            true => !changes
                .suspects(row)
                .iter()
                .any(|suspect| suspect.routes.iter().any(|&(session, _)| session == slot)),
            false => changes.is_whole(slot),
        };
        let suspected = changes.follows(row) && changes.route(row, slot, origin, proves);
        let Some(origin) = origin else {
            if route.origin.is_some() {
                changes.pin(row, before.majority); // the majority may become one that nobody answers for
            }
            return;
        };
        if suspected {
            self.acquit_by_path(row, origin, route);
            return;
        }
        if self.notables.changes.is_known(row, before.majority, origin) {
            return;
        }
        match self.suspicion(row, origin, route, before, first) {
            None => {
                let majority = before
                    .majority
                    .or_else(|| route.origin.filter(|&raw| raw == origin));
                self.notables.changes.learn(row, majority, origin);
            }
            Some((old, covered_by)) => {
                let suspect = Suspect {
                    origin,
                    old,
                    covered_by,
                    first_at: self.now,
                    routes: vec![(slot, proves)],
                    ripe_at: Time::MAX,
                    told: None,
                };
                self.notables.changes.suspect(row, before.majority, suspect);
            }
        }
    }

    /// Whom an origin that is not known takes the prefix from, and the cover. `None` if there is no cause to suspect it.
    fn suspicion(
        &self,
        row: Row,
        origin: Asn,
        route: &Announcement,
        before: Before,
        first: bool,
    ) -> Option<(Vec<Asn>, Option<Prefix>)> {
        let changes = &self.notables.changes;
        let young = !changes.is_old(row, self.now, secs(self.settings.held_for_s));
        // A prefix that is suspect as such: what else turns up in its first hour is no better.
        let carved = changes
            .suspects(row)
            .iter()
            .any(|suspect| suspect.covered_by.is_some());
        if first && before.dumped || young && !first && !carved {
            return None;
        }
        let through = |owners: &[Asn]| {
            route
                .path
                .iter()
                .any(|asn| *asn != origin && owners.contains(asn))
        };
        let (owners, cover) = self.covers(row);
        if owners.contains(&origin) || through(&owners) {
            return None;
        }
        if young {
            let cover = cover?;
            return Some((self.origins_of(cover), Some(self.table.entry(cover).prefix)));
        }
        let old = changes.known(row, before.majority);
        (!old.is_empty() && !through(&old)).then_some((old, None))
    }

    /// A part of a watched prefix: whoever announces it, it may be a hijack. (A prefix that is watched for its origin is
    /// not in the user's list, so the watchlist cannot know.)
    pub(crate) fn is_part_of_watched(&self, prefix: Prefix) -> bool {
        let mut lengths = self.notables.watched_lengths[prefix.family() as usize];
        while lengths != 0 {
            let length = lengths.trailing_zeros() as u8;
            lengths &= lengths - 1;
            if length >= prefix.len() {
                return false;
            }
            let cover = self.table.find(shorten(prefix, length));
            if cover.is_some_and(|cover| self.table.entry(cover).interest == Interest::Watched) {
                return true;
            }
        }
        false
    }

    /// Every known origin of the routes that cover the row and that we have known for an hour, and the nearest of them.
    fn covers(&self, row: Row) -> (Vec<Asn>, Option<Row>) {
        let prefix = self.table.entry(row).prefix;
        let (mut owners, mut nearest) = (Vec::new(), None);
        let hour = secs(self.settings.held_for_s);
        let mut shorter = prefix.parent();
        while let Some(candidate) = shorter.filter(|candidate| candidate.len() >= shortest_cover(prefix)) {
            if let Some(cover) = self.table.find(candidate)
                && bits::count(self.table.has(cover)) > 0
            {
                // An origin that is itself a suspect is no owner.
                let of_cover = self.origins_of(cover);
                if nearest.is_none()
                    && !of_cover.is_empty()
                    && self.notables.changes.is_old(cover, self.now, hour)
                {
                    nearest = Some(cover);
                }
                owners.extend(of_cover);
            }
            shorter = candidate.parent();
        }
        (owners, nearest)
    }

    fn origins_of(&self, row: Row) -> Vec<Asn> {
        self.notables.changes.known(row, self.table.entry(row).origin())
    }

    /// A path to the suspect through an owner: the owner's customer, with its consent.
    fn acquit_by_path(&mut self, row: Row, origin: Asn, route: &Announcement) {
        let suspects = self.notables.changes.suspects(row);
        let Some(suspect) = suspects.iter().find(|suspect| suspect.origin == origin) else {
            return;
        };
        let through = route
            .path
            .iter()
            .any(|asn| *asn != origin && suspect.old.contains(asn));
        if !through || suspect.told.is_some() {
            return;
        }
        let times = self.origin_times();
        let mut suspects = self.notables.changes.take(row);
        suspects.retain(|suspect| suspect.origin != origin);
        self.notables.changes.learn(row, None, origin);
        self.notables.changes.give_back(row, suspects, &times, self.now);
    }

    fn origin_times(&self) -> Times {
        Times {
            hold: secs(self.settings.origin_hold_s),
            over_after: secs(self.settings.origin_over_s),
            known_after: secs(self.settings.origin_known_s),
            old_after: secs(self.settings.origin_unproven_s),
        }
    }

    /// At the end of an instant: judges the suspects that something happened to.
    pub(crate) fn judge_origins(&mut self) {
        let mut rows = std::mem::take(&mut self.notables.changes.changed);
        while let Some(&(due, row)) = self.notables.changes.due.first() {
            if due > self.now {
                break;
            }
            self.notables.changes.due.pop_first();
            rows.push(row);
        }
        rows.sort_unstable();
        rows.dedup();
        let times = self.origin_times();
        for &row in &rows {
            let suspects = self.notables.changes.take(row);
            if suspects.is_empty() {
                continue;
            }
            let left = suspects
                .into_iter()
                .filter_map(|suspect| self.judge_suspect(row, suspect, &times))
                .collect();
            self.notables.changes.give_back(row, left, &times, self.now);
        }
        rows.clear();
        self.notables.changes.changed = rows;
    }

    /// Peer ASes that see the suspect, and that prove it to be new.
    fn witnesses(&self, suspect: &Suspect) -> (u32, u32) {
        let voters = |proven: bool| {
            let mut voters: Vec<Slot> = suspect
                .routes
                .iter()
                .filter(|(_, proves)| *proves || !proven)
                .map(|&(slot, _)| self.peers.session(slot).voter)
                .collect();
            voters.sort_unstable();
            voters.dedup();
            voters.len() as u32
        };
        (voters(false), voters(true))
    }

    /// `None` when it is a suspect no more.
    fn judge_suspect(&mut self, row: Row, mut suspect: Suspect, times: &Times) -> Option<Suspect> {
        let (seen, proven) = self.witnesses(&suspect);
        let (now, needed) = (self.now, self.settings.origin_peers.max(1));
        if seen == 0 && suspect.told.is_none() {
            return None;
        }
        if now.since(suspect.first_at) >= times.known_after {
            self.notables.changes.learn(row, None, suspect.origin);
            if let Some(told) = suspect.told {
                self.tell_origin(row, &suspect, told, seen, Some("taken as its own by now"));
            }
            return None;
        }
        if let Some(told) = &mut suspect.told {
            match seen >= needed {
                true => told.faded_at = Time::MAX,
                false => told.faded_at = told.faded_at.min(now),
            }
            let told = *told;
            if told.faded_at != Time::MAX && now.since(told.faded_at) >= times.over_after {
                self.tell_origin(row, &suspect, told, seen, Some("over"));
                return None;
            }
            return Some(suspect);
        }
        if proven == 0 && now.since(suspect.first_at) >= times.old_after {
            // Peers that have had it all along are heard on it one after the other.
            self.notables.changes.learn(row, None, suspect.origin);
            return None;
        }
        if seen < needed {
            suspect.ripe_at = Time::MAX;
            return Some(suspect);
        }
        suspect.ripe_at = suspect.ripe_at.min(now);
        let waited = now.since(suspect.ripe_at) >= times.hold;
        let enough = seen >= needed.max(self.settings.min_peers);
        let inferred = waited && enough && (suspect.covered_by.is_some() || proven > 0);
        if proven >= needed || inferred {
            let told = Told {
                id: self.origin_id(row, &suspect),
                proven: proven >= needed,
                faded_at: Time::MAX,
            };
            self.tell_origin(row, &suspect, told, seen, None);
            suspect.told = Some(told);
        }
        Some(suspect)
    }

    fn origin_id(&self, row: Row, suspect: &Suspect) -> Id {
        let prefix = self.table.entry(row).prefix.to_string();
        let (origin, first) = (
            suspect.origin.0.to_string(),
            suspect.first_at.micros().to_string(),
        );
        Id::of(&[
            "notable",
            NotableKind::OriginChange.name(),
            "prefix",
            &prefix,
            &origin,
            &first,
        ])
    }

    fn tell_origin(&mut self, row: Row, suspect: &Suspect, told: Told, seen: u32, over: Option<&str>) {
        let entry = self.table.entry(row);
        let prefix = entry.prefix;
        let listed = |asn: Asn| self.watchlist.is_watched(prefix, Some(asn));
        let watched = entry.interest == Interest::Watched
            || listed(suspect.origin)
            || suspect.old.iter().any(|&asn| listed(asn));
        let olds = suspect
            .old
            .iter()
            .map(Asn::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let from = match suspect.covered_by {
            Some(cover) => format!("a new part of {cover} of {olds}"),
            None => format!("of {olds} so far"),
        };
        let said = match over {
            None => format!("possible hijack; seen by {seen} peer ASes"),
            Some("over") => format!("over; seen by {seen} peer ASes"),
            Some(text) => text.to_owned(),
        };
        self.pending.push(Output::Notable(Box::new(Notable {
            id: told.id,
            subject: Some(Subject::Prefix {
                prefix,
                origin: match suspect.covered_by {
                    None => suspect.old.first().copied(),
                    Some(_) => Some(suspect.origin),
                },
            }),
            first_evidence_at: suspect.first_at,
            over: over.is_some(),
            baseline: Some(if told.proven {
                Baseline::Held
            } else {
                Baseline::Inferred
            }),
            old_origins: suspect.old.clone(),
            new_origins: vec![suspect.origin],
            covered_by: suspect.covered_by,
            peers: Some(seen),
            watched,
            summary: format!("{prefix} ({from}) is announced by {}: {said}", suspect.origin),
            ..Notable::blank(NotableKind::OriginChange, self.now)
        })));
    }
}
