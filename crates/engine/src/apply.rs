//! Brings one input into the peers and the table. Nothing is decided here; rows that changed are touched.
//!
//! Single routes are here, what is said of a whole session in [`session`].

mod session;

use netfault_model::{Announcement, Family, Input, Nlri, Output, Peer, State, Time, Update};

use crate::Engine;
use crate::notables::sighting::Before;
use crate::settings::secs;
use crate::table::bits::{self, Slot};
use crate::table::marks::Loss;
use crate::table::{Interest, Row, counts};

impl Engine {
    pub(crate) fn apply(&mut self, input: Input) {
        match input {
            Input::Update(update) => self.apply_update(&update),
            Input::Rib(route) => self.seed(&route),
            Input::Peer(state) => self.apply_session(state.at, &state.peer, state.state),
            Input::EndOfRib { at, peer, family } => {
                if let Some(slot) = self.heard(&peer, at) {
                    self.end_of_rib(slot, family);
                }
            }
            Input::Gap(gap) => self.apply_gap(*gap),
            Input::Probe(mut probe) => {
                self.judge_origin_of_answers(&mut probe);
                self.names.probe(self.now, &probe, &mut self.named);
                self.pending
                    .extend(self.named.drain(..).map(|it| Output::Transition(Box::new(it))));
            }
            Input::Delegation(delegation) => self.take_delegation(*delegation),
            Input::Hint(hint) => self.hints.take(&self.settings, *hint, self.now),
            Input::Tick(_) => {}
        }
    }

    fn apply_update(&mut self, update: &Update) {
        let Some(slot) = self.heard(&update.peer, update.at) else {
            return;
        };
        self.paths.message();
        for nlri in update.withdrawn() {
            self.withdraw(slot, nlri);
        }
        let Some(announcement) = &update.announcement else {
            return;
        };
        for nlri in update.announced() {
            self.announce(slot, nlri, announcement, self.now, self.now);
        }
    }

    /// The session has said something at `at`. `None` if that is older than what it said before.
    fn heard(&mut self, peer: &Peer, at: Time) -> Option<Slot> {
        let slot = self.session(peer)?;
        if at < self.peers.session(slot).last_at {
            self.stats.older += 1;
            return None;
        }
        // A late repetition of its last message says nothing of how it is now, nor of routes that a reset has made unknown.
        let session = self.peers.session(slot);
        let news = at == self.now || at > session.last_at;
        if !news && at < session.status_at {
            self.stats.older += 1;
            return None;
        }
        if news {
            self.collector_heard(peer.collector);
            self.session_heard(slot, at);
        }
        Some(slot)
    }

    fn session(&mut self, peer: &Peer) -> Option<Slot> {
        let Some((slot, new)) = self.peers.slot(peer, self.now) else {
            self.stats.sessions_refused += 1;
            return None;
        };
        if new {
            self.table.widen(self.peers.count());
            self.paths.session_added(slot, &self.peers);
        }
        Some(slot)
    }

    fn row(&mut self, nlri: &Nlri, announcement: Option<&Announcement>) -> Option<Row> {
        if !counts(nlri) {
            self.stats.default_routes += 1;
            return None;
        }
        if let Some(row) = self.table.find(nlri.prefix) {
            return Some(row);
        }
        let asked_for = self
            .watchlist
            .interest(nlri.prefix, announcement.and_then(|a| a.origin));
        let interest = match asked_for {
            Some(interest) => interest,
            None if announcement.is_some() && self.is_part_of_watched(nlri.prefix) => Interest::Evidence,
            None => return None,
        };
        let interest = match self.graph.is_carrier(nlri.prefix) {
            true => Interest::Watched,
            false => interest,
        };
        let row = self.table.add(nlri.prefix, interest)?;
        if interest == Interest::Watched {
            self.notables.note_watched(nlri.prefix);
            self.active.insert(row);
        }
        Some(row)
    }

    /// `at`, the session has had a route since `since`.
    fn announce(&mut self, slot: Slot, nlri: &Nlri, announcement: &Announcement, since: Time, at: Time) {
        let Some(row) = self.row(nlri, Some(announcement)) else {
            return;
        };
        self.refresh(slot, row);
        let majority = self.table.entry(row).origin();
        if self.table.entry(row).listening {
            self.spoke(row, slot);
        }
        let gained = self.table.gain(row, slot, nlri.path_id);
        if self.table.note_origin(row, slot, announcement.origin) {
            self.origin_changed(row);
        }
        if majority.is_none() || announcement.origin != majority || self.notables.changes.follows(row) {
            let before = Before {
                majority,
                had: !gained,
                dumped: since != at,
            };
            self.origin_seen(row, slot, announcement, before, since);
        }
        let watched = self.table.entry(row).interest == Interest::Watched;
        if let Some((changed, new)) = self.paths.announced(row, slot, watched, &announcement.path) {
            self.path_changed(changed, new);
        }
        if since == at {
            self.notables.churn.count(row);
        }
        if !gained {
            return;
        }
        let family = nlri.prefix.family();
        self.joins(slot, family);
        if !self.peers.alone_on(slot, self.table.has(row)) {
            return;
        }
        let voter = self.peers.session(slot).voter;
        self.count_route(voter, family, 1);
        if self.table.entry(row).interest != Interest::Evidence {
            self.voter_gains(row, voter, since, at);
        }
    }

    /// The session has said something of this family.
    fn joins(&mut self, slot: Slot, family: Family) {
        if self.peers.joins(slot, family, &self.settings) {
            self.sessions_changed = true;
        }
    }

    fn voter_gains(&mut self, row: Row, voter: Slot, since: Time, at: Time) {
        let width = self.table.width();
        let grown = at.since(since) >= secs(self.settings.held_for_s);
        if grown && !self.frozen(row) && self.table.entry(row).marks.is_none() {
            // Nearly every route of a table dump: it needs no mark at all.
            self.table.enter_base(row, voter);
            self.touch(row);
            return;
        }
        let marks = self.table.entry_mut(row).marks_mut();
        marks.young.add(voter, since, width);
        if let Some(place) = marks.losses.iter().position(|loss| loss.voter == voter) {
            match marks.losses[place].matured {
                Time::MIN => drop(marks.losses.swap_remove(place)),
                _ => marks.losses[place].at = Time::MAX,
            }
        }
        self.touch(row);
    }

    fn withdraw(&mut self, slot: Slot, nlri: &Nlri) {
        let Some(row) = self.row(nlri, None) else { return };
        self.notables.churn.count(row);
        self.refresh(slot, row);
        if self.table.lose(row, slot, nlri.path_id) {
            self.lost_route(row, slot, false);
        } else if nlri.path_id == 0 {
            self.notables.changes.hear(row, self.now);
            self.lost_unseen(row, slot);
        }
    }

    /// A session's route is gone; if it was the last of its AS, so is the AS's. `inferred`: it was not withdrawn.
    pub(crate) fn lost_route(&mut self, row: Row, slot: Slot, inferred: bool) {
        self.table.forget_origin(row, slot);
        if self.notables.changes.follows(row) {
            self.notables.changes.route(row, slot, None, false);
        }
        self.paths.lost(row, slot);
        if self.table.entry(row).listening {
            self.spoke(row, slot);
        }
        if !self.peers.alone_on(slot, self.table.has(row)) {
            return;
        }
        let (now, voter) = (self.now, self.peers.session(slot).voter);
        self.count_route(voter, self.table.entry(row).prefix.family(), -1);
        if self.table.entry(row).interest == Interest::Evidence {
            return;
        }
        let held_for = secs(self.settings.held_for_s);
        let marks = self.table.entry_mut(row).marks_mut();
        // While a baseline is frozen, an AS stays young beyond its hour.
        let matured = match marks.young.remove(voter) {
            Some(since) if now.since(since) < held_for => Time::MIN,
            _ => now,
        };
        match marks.losses.iter_mut().find(|loss| loss.voter == voter) {
            Some(loss) => {
                loss.at = now;
                loss.inferred = inferred;
                loss.matured = loss.matured.max(matured);
            }
            None => marks.losses.push(Loss {
                voter,
                at: now,
                matured,
                unseen: false,
                inferred,
            }),
        }
        self.touch(row);
    }

    /// A withdrawal of a route that was never seen proves that the peer had it until now.
    fn lost_unseen(&mut self, row: Row, slot: Slot) {
        let voter = self.peers.session(slot).voter;
        let entry = self.table.entry(row);
        if entry.interest == Interest::Evidence
            || bits::get(self.table.base(row), voter)
            || self.peers.voter_has(voter, self.table.has(row))
        {
            return;
        }
        let now = self.now;
        let marks = self.table.entry_mut(row).marks_mut();
        if marks.loss(voter).is_none() {
            marks.losses.push(Loss {
                voter,
                at: now,
                matured: Time::MIN,
                unseen: true,
                inferred: false,
            });
            self.touch(row);
            self.joins(slot, self.table.entry(row).prefix.family());
        }
    }

    /// A session that resynchronises votes again with what it has said something of.
    fn refresh(&mut self, slot: Slot, row: Row) {
        if !self.peers.refresh(slot, row) {
            return;
        }
        let (now, family) = (self.now, self.table.entry(row).prefix.family());
        let session = self.peers.session_mut(slot);
        session.grew[family as usize] = Some((now, session.silence.collector_silent));
        if self.active.contains(&row) {
            self.touch(row);
        }
    }

    pub(crate) fn count_route(&mut self, voter: Slot, family: Family, change: i32) {
        let routes = &mut self.peers.session_mut(voter).routes[family as usize];
        *routes = routes.saturating_add_signed(change);
    }

    /// An origin that is watched makes its prefixes watched.
    fn origin_changed(&mut self, row: Row) {
        let entry = self.table.entry(row);
        self.origins.hear(row, entry.prefix, entry.origin());
        if entry.state == State::Normal {
            self.origins.join(row, entry.prefix, entry.origin(), self.now);
        }
        if entry.interest == Interest::Watched {
            return;
        }
        if self.watchlist.interest(entry.prefix, entry.origin()) != Some(Interest::Watched) {
            return;
        }
        self.watch_row(row);
    }
}
