//! Feed health: peers and collectors that fall silent, and what they are worth when they come back.
//!
//! Silence is not a reset: the peer announces nothing again afterwards, so its old table stands. A collector's
//! own silences are not its peers'.

mod forget;

use std::collections::BTreeSet;

use netfault_model::{Collector, Family, Feed, FeedState, Output, Time};

use crate::Engine;
use crate::peers::{Status, SyncEnd};
use crate::settings::secs;
use crate::table::bits::Slot;

/// A collector that is quiet for longer than this is silent itself: a full feed brings several messages a
/// second, and the shortest hole in the archives (a RIB being written) is some minutes.
const COLLECTOR_PAUSE: i64 = 10_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Alarm {
    Collector(Collector),
    /// Silence of a session, or the quiet that ends its resynchronisation.
    Session(Slot),
    /// A session of which nothing has been heard for a day.
    Forget(Slot),
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Alarms(BTreeSet<(Time, Alarm)>);

impl Alarms {
    pub fn next(&self) -> Option<Time> {
        self.0.first().map(|&(due, _)| due)
    }
}

impl Engine {
    /// The collector has delivered something, now.
    pub(crate) fn collector_heard(&mut self, collector: Collector) {
        let now = self.now;
        let Some(health) = self.peers.collectors.get_mut(&collector) else {
            return;
        };
        let hole = now.since(health.last_at);
        let first = health.sessions.len() == 1 && hole == 0;
        if hole == 0 && !first {
            return;
        }
        if hole > COLLECTOR_PAUSE {
            health.silent_total += hole;
        }
        health.last_at = now;
        if first {
            let due = now.plus_micros(secs(self.settings.collector_silent_s));
            self.alarms.0.insert((due, Alarm::Collector(collector)));
        }
        if std::mem::take(&mut health.silent) {
            let muted = std::mem::take(&mut health.muted);
            self.collector_returns(collector, muted, hole);
        }
    }

    fn collector_returns(&mut self, collector: Collector, muted: Vec<Slot>, hole: i64) {
        let stale = hole > secs(self.settings.stale_after_s);
        if stale {
            self.forget_sessions(collector);
        }
        for slot in muted {
            if !matches!(self.peers.session(slot).status, Status::Down) {
                self.peers.set_suspect(slot, false);
                self.arm_session(slot);
            }
        }
        self.sessions_changed = true;
        let due = self.now.plus_micros(secs(self.settings.collector_silent_s));
        self.alarms.0.insert((due, Alarm::Collector(collector)));
        let seconds = hole / 1_000_000;
        let kept = if stale {
            "its routes are unknown until they are heard again"
        } else {
            "its routes are stale, but stand"
        };
        self.feed(
            collector,
            None,
            FeedState::Up,
            format!("back after {seconds} s of silence; {kept}"),
        );
    }

    /// Whatever state its sessions were in, nothing that they had is known any more.
    fn forget_sessions(&mut self, collector: Collector) {
        let health = self.peers.collectors.get(&collector);
        let sessions = health.map_or(Vec::new(), |health| health.sessions.clone());
        for slot in sessions {
            if !matches!(self.peers.session(slot).status, Status::Down) {
                let status = Status::Syncing {
                    refreshed: Default::default(),
                    ends: SyncEnd::Never,
                };
                self.peers.set_status(slot, status);
                let silent = self.collector_silence(collector);
                let session = self.peers.session_mut(slot);
                (session.status_at, session.status_silent) = (self.now, silent);
            }
        }
    }

    /// The session has said something of its routes.
    pub(crate) fn session_heard(&mut self, slot: Slot, at: Time) {
        let now = self.now;
        let collector = self.peers.session(slot).peer.collector;
        let collector_silent = self
            .peers
            .collectors
            .get(&collector)
            .map_or(0, |health| health.silent_total);
        let session = self.peers.session_mut(slot);
        // What is said twice at one moment is said once, or a repeated message would change the median.
        if session.heard_at != Time::MIN && session.heard_at != now {
            let own = now.since(session.heard_at) - (collector_silent - session.silence.collector_silent);
            session.silence.gaps.add(own);
        }
        session.last_at = at;
        session.heard_at = now;
        session.silence.collector_silent = collector_silent;
        let (suspect, down) = (session.suspect, matches!(session.status, Status::Down));
        if suspect {
            self.set_suspect(slot, false, "heard again");
        }
        if down {
            // It talks, so it is up; nobody said so. After mere silence, however long, it sends no table again.
            let ends = if suspect { SyncEnd::Never } else { SyncEnd::Table };
            self.start_sync(slot, ends, "heard again");
        }
        self.arm_session(slot);
    }

    /// A table dump proves that the session was up then.
    pub(crate) fn session_seeded(&mut self, slot: Slot, at: Time) {
        self.peers.session_mut(slot).heard_at = at;
        let collector = self.peers.session(slot).peer.collector;
        if let Some(health) = self.peers.collectors.get_mut(&collector)
            && health.sessions.len() == 1
        {
            health.last_at = at;
            let due = at.plus_micros(secs(self.settings.collector_silent_s));
            self.alarms.0.insert((due, Alarm::Collector(collector)));
        }
        self.arm_session(slot);
    }

    pub(crate) fn arm_session(&mut self, slot: Slot) {
        if self.peers.session(slot).silence.armed {
            return;
        }
        let due = self.session_due(slot);
        self.peers.session_mut(slot).silence.armed = true;
        self.alarms.0.insert((due, Alarm::Session(slot)));
    }

    /// When this session has been silent, or quiet, for too long, as far as is known now.
    fn session_due(&self, slot: Slot) -> Time {
        let session = self.peers.session(slot);
        let silent = self.collector_silence(session.peer.collector);
        if let Some(due) = Family::ALL
            .iter()
            .filter_map(|&family| self.table_due(slot, family))
            .min()
        {
            return due;
        }
        if session.spoke_or_changed_at() > session.heard_at {
            let limit = secs(self.settings.peer_silent_s) + silent - session.status_silent;
            return session.status_at.plus_micros(limit);
        }
        session.silence.due(
            session.heard_at,
            self.settings.peer_silent_s,
            self.settings.peer_silent_gaps,
            silent,
        )
    }

    /// When the table of a family that is being sent counts as complete.
    fn table_due(&self, slot: Slot, family: Family) -> Option<Time> {
        let session = self.peers.session(slot);
        let (grew_at, grew_silent) = session.grew[family as usize].filter(|_| session.sends_table(family))?;
        // Quiet is to send nothing new: a full feed says something of routes that it has sent all the time. A
        // collector that says nothing either proves no quiet: its feed may be cut. A family of which nothing came again
        // has no end: perhaps it is not exchanged any more, and its routes stay unknown.
        let silent = self.collector_silence(session.peer.collector) - grew_silent;
        Some(grew_at.plus_micros(secs(self.settings.sync_quiet_s) + silent))
    }

    /// Sum of the silences of a collector until now, microseconds.
    fn collector_silence(&self, collector: Collector) -> i64 {
        self.peers.collectors.get(&collector).map_or(0, |health| {
            let pause = self.now.since(health.last_at);
            health.silent_total + if pause > COLLECTOR_PAUSE { pause } else { 0 }
        })
    }

    pub(crate) fn fire_alarms(&mut self) {
        while let Some(&(due, alarm)) = self.alarms.0.first() {
            if due > self.now {
                return;
            }
            self.alarms.0.pop_first();
            match alarm {
                Alarm::Collector(collector) => self.collector_due(collector),
                Alarm::Session(slot) => self.session_alarm(slot),
                Alarm::Forget(slot) => self.forget_alarm(slot),
            }
        }
    }

    fn collector_due(&mut self, collector: Collector) {
        let limit = secs(self.settings.collector_silent_s);
        let Some(health) = self.peers.collectors.get_mut(&collector) else {
            return;
        };
        let due = health.last_at.plus_micros(limit);
        if due > self.now {
            self.alarms.0.insert((due, Alarm::Collector(collector)));
            return;
        }
        health.silent = true;
        let sessions = health.sessions.clone();
        let muted: Vec<Slot> = sessions
            .into_iter()
            .filter(|&slot| {
                let session = self.peers.session(slot);
                !session.suspect && !matches!(session.status, Status::Down)
            })
            .collect();
        for &slot in &muted {
            self.peers.set_suspect(slot, true);
            self.arm_forget(slot);
        }
        if let Some(health) = self.peers.collectors.get_mut(&collector) {
            health.muted = muted;
        }
        self.sessions_changed = true;
        let reason = format!("silent for {} s", limit / 1_000_000);
        self.feed(collector, None, FeedState::Suspect, reason);
    }

    fn session_alarm(&mut self, slot: Slot) {
        self.peers.session_mut(slot).silence.armed = false;
        let session = self.peers.session(slot);
        if session.suspect || matches!(session.status, Status::Down) {
            return;
        }
        if self.session_due(slot) > self.now {
            self.arm_session(slot);
        } else if Family::ALL.iter().any(|&family| session.sends_table(family)) {
            for family in Family::ALL {
                if self.table_due(slot, family).is_some_and(|due| due <= self.now) {
                    self.end_of_rib(slot, family);
                }
            }
            self.arm_session(slot);
        } else {
            let last = session.spoke_or_changed_at();
            let seconds = self.now.since(last) / 1_000_000;
            self.set_suspect(slot, true, &format!("silent for {seconds} s"));
        }
    }

    fn set_suspect(&mut self, slot: Slot, suspect: bool, reason: &str) {
        let before = self.peers.session(slot).feed_state();
        self.peers.set_suspect(slot, suspect);
        self.session_told(slot, before, reason);
    }

    pub(crate) fn set_status(&mut self, slot: Slot, status: Status, reason: &str) {
        let before = self.peers.session(slot).feed_state();
        self.peers.set_status(slot, status);
        let silent = self.collector_silence(self.peers.session(slot).peer.collector);
        let session = self.peers.session_mut(slot);
        session.status_at = self.now;
        session.status_silent = silent;
        self.session_told(slot, before, reason);
    }

    fn session_told(&mut self, slot: Slot, before: FeedState, reason: &str) {
        self.sessions_changed = true;
        let session = self.peers.session(slot);
        if session.feed_state() != before {
            let (peer, state) = (session.peer, session.feed_state());
            let off = |state| matches!(state, FeedState::Suspect | FeedState::Down);
            if off(state) && !off(before) {
                self.arm_forget(slot);
            }
            self.feed(peer.collector, Some(peer), state, reason.to_owned());
        }
    }

    fn feed(
        &mut self,
        collector: Collector,
        peer: Option<netfault_model::Peer>,
        state: FeedState,
        reason: String,
    ) {
        self.pending.push(Output::Feed(Feed {
            at: self.now,
            collector,
            peer,
            state,
            reason,
        }));
    }
}
