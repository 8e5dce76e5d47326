//! Feed health: peers and collectors that fall silent, and what they are worth when they come back.
//!
//! Silence is not a reset: the peer announces nothing again afterwards, so its old table stands. A collector's
//! own silences are not its peers'.

use std::collections::BTreeSet;

use netfault_model::{Collector, Feed, FeedState, Output, Time};

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
        for slot in muted {
            if matches!(self.peers.session(slot).status, Status::Suspect) {
                match stale {
                    true => self.start_sync_quietly(slot),
                    false => self.peers.set_status(slot, Status::Up),
                }
            }
            self.arm_session(slot);
        }
        self.sessions_changed = true;
        let due = self.now.plus_micros(secs(self.settings.collector_silent_s));
        self.alarms.0.insert((due, Alarm::Collector(collector)));
        let seconds = hole / 1_000_000;
        let kept = if stale {
            "its routes are unknown until they are heard again"
        } else {
            "its routes stand"
        };
        self.feed(
            collector,
            None,
            FeedState::Up,
            format!("back after {seconds} s of silence; {kept}"),
        );
    }

    fn start_sync_quietly(&mut self, slot: Slot) {
        let status = Status::Syncing {
            refreshed: Default::default(),
            ends: SyncEnd::Never,
        };
        self.peers.set_status(slot, status);
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
        match session.status {
            Status::Suspect => self.set_status(slot, Status::Up, "heard again"),
            // It talks, so it is up; nobody said so.
            Status::Down => self.start_sync(slot, SyncEnd::Table, "heard again"),
            Status::Up | Status::Syncing { .. } => {}
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
        if let Status::Syncing {
            ends: SyncEnd::Table, ..
        } = session.status
        {
            return session
                .heard_at
                .max(session.status_at)
                .plus_micros(secs(self.settings.sync_quiet_s));
        }
        let collector = self.peers.collectors.get(&session.peer.collector);
        let silent = collector.map_or(0, |health| {
            let pause = self.now.since(health.last_at);
            health.silent_total + if pause > COLLECTOR_PAUSE { pause } else { 0 }
        });
        session.silence.due(
            session.heard_at,
            self.settings.peer_silent_s,
            self.settings.peer_silent_gaps,
            silent,
        )
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
            .filter(|&slot| matches!(self.peers.session(slot).status, Status::Up))
            .collect();
        for &slot in &muted {
            self.peers.set_status(slot, Status::Suspect);
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
        let due = self.session_due(slot);
        match self.peers.session(slot).status {
            Status::Suspect | Status::Down => {}
            _ if due > self.now => self.arm_session(slot),
            Status::Syncing {
                ends: SyncEnd::Table, ..
            } => {
                self.end_of_rib(slot, None);
                self.arm_session(slot);
            }
            Status::Syncing {
                ends: SyncEnd::Never, ..
            } => {}
            Status::Up => {
                let seconds = self.now.since(self.peers.session(slot).heard_at) / 1_000_000;
                self.set_status(slot, Status::Suspect, &format!("silent for {seconds} s"));
            }
        }
    }

    pub(crate) fn set_status(&mut self, slot: Slot, status: Status, reason: &str) {
        let before = self.peers.session(slot).feed_state();
        self.peers.set_status(slot, status);
        self.peers.session_mut(slot).status_at = self.now;
        self.sessions_changed = true;
        let session = self.peers.session(slot);
        if session.feed_state() != before {
            let (peer, state) = (session.peer, session.feed_state());
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
