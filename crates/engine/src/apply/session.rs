//! What is said of a whole session: a table dump, a reset, the end of its table, a hole in what was heard of it.

use netfault_model::{Family, Gap, GapSource, Input, Output, Peer, RibRoute, SessionState, Time};

use crate::Engine;
use crate::peers::{Status, SyncEnd};
use crate::settings::secs;
use crate::table::bits::{self, BitSet, Slot};

impl Engine {
    /// A route of a table dump: the peer held it at that moment, and since it was originated.
    pub(crate) fn seed(&mut self, route: &RibRoute) {
        if route.at > self.seeded_at {
            // The rows are looked at from the time of the dump on, so there has to be such an instant.
            self.seeded_at = route.at;
            self.order.hold(Input::Tick(route.at), route.at);
            self.origins.seeded();
        }
        let new_session = self.peers.count();
        let Some(slot) = self.session(&route.peer) else {
            return;
        };
        if self.peers.count() > new_session {
            self.session_seeded(slot, route.at);
        }
        self.notables.changes.session_is_whole(slot);
        self.paths.message();
        let Some(row) = self.row(&route.nlri, Some(&route.announcement)) else {
            return;
        };
        let lost_since = |marks: &crate::table::marks::Marks| {
            marks
                .loss(self.peers.session(slot).voter)
                .is_some_and(|loss| loss.at != Time::MAX && loss.at > route.at)
        };
        if self.table.entry(row).marks.as_deref().is_some_and(lost_since) {
            return;
        }
        let touched = self.touched.len();
        self.announce(
            slot,
            &route.nlri,
            &route.announcement,
            route.originated.min(route.at),
            route.at,
        );
        self.seeded.extend(self.touched.drain(touched..));
    }

    pub(super) fn apply_session(&mut self, at: Time, peer: &Peer, state: SessionState) {
        let Some(slot) = self.heard_of(peer, at) else {
            return;
        };
        let reason = match state {
            SessionState::Up => "session up",
            SessionState::Down => "session down",
        };
        self.peers.set_suspect(slot, false);
        match state {
            SessionState::Down => self.set_status(slot, Status::Down, reason),
            SessionState::Up => self.start_sync(slot, SyncEnd::Table, reason),
        }
    }

    /// Like [`Engine::heard`], but of a session: it says nothing of its routes.
    fn heard_of(&mut self, peer: &Peer, at: Time) -> Option<Slot> {
        let slot = self.session(peer)?;
        if at < self.peers.session(slot).last_at {
            self.stats.older += 1;
            return None;
        }
        self.peers.session_mut(slot).last_at = at;
        self.collector_heard(peer.collector);
        Some(slot)
    }

    pub(crate) fn start_sync(&mut self, slot: Slot, ends: SyncEnd, reason: &str) {
        let voter = self.peers.session(slot).voter;
        if self.peers.session(voter).routes == [0, 0] {
            self.set_status(slot, Status::Up, reason);
        } else {
            self.peers.session_mut(slot).grew = [None; 2];
            self.set_status(
                slot,
                Status::Syncing {
                    refreshed: BitSet::default(),
                    ends,
                },
                reason,
            );
        }
        self.arm_session(slot);
    }

    /// The peer has sent its table of one family: what it has not sent again is lost.
    pub(crate) fn end_of_rib(&mut self, slot: Slot, family: Family) {
        let Status::Syncing {
            refreshed,
            ends: SyncEnd::Table,
        } = &self.peers.session(slot).status
        else {
            return;
        };
        let refreshed = refreshed.clone();
        let mut kept = false;
        for row in self.table.rows() {
            if refreshed.contains(row) || !bits::get(self.table.has(row), slot) {
                continue;
            }
            if self.table.entry(row).prefix.family() != family {
                kept = true;
                continue;
            }
            self.table.lose_all(row, slot);
            self.lost_route(row, slot, true);
        }
        self.peers.session_mut(slot).grew[family as usize] = None;
        if !kept {
            self.notables.changes.session_is_whole(slot);
            self.set_status(slot, Status::Up, "table received");
        }
    }

    pub(super) fn apply_gap(&mut self, mut gap: Gap) {
        if is_of_routes(gap.source)
            && let (Some(from), Some(to)) = (gap.from, gap.to)
            && to.since(from) > secs(self.settings.stale_after_s)
        {
            let stale: Vec<Slot> = (0..self.peers.count() as Slot)
                .filter(|&slot| {
                    let peer = &self.peers.session(slot).peer;
                    gap.collector.is_none_or(|collector| collector == peer.collector)
                        && gap.peer.is_none_or(|lost| lost == *peer)
                })
                .collect();
            for slot in stale {
                self.notables.changes.session_is_torn(slot);
                if !matches!(self.peers.session(slot).status, Status::Down) {
                    self.start_sync(slot, SyncEnd::Never, "routes are stale after a hole in the feed");
                }
            }
        }
        gap.at = gap.at.max(self.now);
        self.pending.push(Output::Gap(gap));
    }
}

/// Whether routes may be missing that were announced or withdrawn in it.
fn is_of_routes(source: GapSource) -> bool {
    match source {
        GapSource::Mrt | GapSource::RisLive | GapSource::Bmp | GapSource::Journal => true,
        GapSource::Dns | GapSource::Store => false,
    }
}
