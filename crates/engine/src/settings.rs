//! Every number of DESIGN section 5 that decides something, with its default.

use serde::{Deserialize, Serialize};

use crate::notables::beacons::BeaconSettings;

/// Thresholds and holds of route detection. Shares run from 0 to 1; `_s` fields are seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Inputs wait this long (milliseconds of their own time) for others that belong before them. 500:
    /// collectors of one feed are within half a second of each other.
    pub window_ms: u64,

    /// A peer AS enters the baseline of a prefix once it has held it for this long without a break. 1 h.
    pub held_for_s: u64,
    /// … and leaves it when the last such hour ended this long ago. 24 h.
    pub held_within_s: u64,
    /// Fewest peer ASes in a baseline for a verdict. 10; a lab has fewer.
    pub min_peers: u32,
    /// Least share of a baseline that must be known (not silent, not resynchronising). 0.60.
    pub min_known: f64,
    /// Fewest peer ASes for a baseline that is inferred from their withdrawals. 20. A held one of this size replaces it …
    pub inferred_min_peers: u32,
    /// … and the least share of all full-feed peer ASes of that family. 0.60. … and so does one of `min_peers` that
    /// covers this share of it.
    pub inferred_min_share: f64,

    /// Unknown becomes Normal from this visibility on. 0.80.
    pub normal_at: f64,
    /// Normal becomes Degrading below this visibility … 0.80.
    pub degrading_below: f64,
    /// … or when this many peer ASes lose it within `burst_within_s` and still lack it … 5.
    pub burst_peers: u32,
    /// … and at least this share of the baseline. 0.05.
    pub burst_share: f64,
    pub burst_within_s: u64,
    pub degrading_hold_s: u64,
    /// Degrading becomes Normal again from this visibility on, without a burst. 0.90 for 60 s.
    pub clear_at: f64,
    pub clear_hold_s: u64,
    /// Partial at or below this visibility. 0.50 for 120 s.
    pub partial_at: f64,
    pub partial_hold_s: u64,
    /// Out at or below this visibility. 0.20 for 30 s.
    pub out_at: f64,
    pub out_hold_s: u64,
    /// Recovering from this visibility on. 0.65 for 30 s.
    pub recovering_at: f64,
    pub recovering_hold_s: u64,
    /// Recovering becomes Normal from this visibility on. 0.90 for 300 s.
    pub recovered_at: f64,
    pub recovered_hold_s: u64,
    /// A loss that lasts this long is accepted. 7 days.
    pub gone_after_s: u64,
    /// Peer ASes that must still have a less-specific route for it to count as cover. 3.
    pub cover_peers: u32,

    /// A peer is suspect when silent for longer than this … 180 s.
    pub peer_silent_s: u64,
    /// … and than this many of its own median gaps. 8.
    pub peer_silent_gaps: u64,
    /// A collector is suspect when silent for longer than this. 180 s for archives, which have holes of two
    /// minutes while a RIB is written; 30 s suits a live full feed.
    pub collector_silent_s: u64,
    /// A peer that resynchronises has sent its table when it has been quiet for this long. 120 s.
    pub sync_quiet_s: u64,
    /// After a hole longer than this a collector's routes are unknown until they are heard again. 600 s.
    pub stale_after_s: u64,

    /// From this many collectors on … 7: with fewer, a cap of 15 % could not be kept.
    pub cap_from_collectors: u32,
    /// … none has more than this share of all votes of its family. 0.15.
    pub collector_cap: f64,
    /// A peer AS gives a full feed from this share of the median of the largest tenth of tables on … 0.75.
    pub full_feed_at: f64,
    /// … until its table is below this share. 0.70.
    pub full_feed_below: f64,
    /// Once this share of a baseline has lost a prefix … 0.80.
    pub zombie_lost: f64,
    /// … a peer AS that still has it, and has said nothing of it for this long, has no vote on it. 90 min.
    pub zombie_after_s: u64,

    /// A new origin, or a new more-specific of another origin, is told once this many peer ASes see it … 3.
    pub origin_peers: u32,
    /// … and, where they do not prove that it is new, `min_peers` of them, and this long after. 5 s: paths that
    /// explain it come in that time.
    pub origin_hold_s: u64,
    /// What no peer AS proves to be new for this long is old, and we had not heard of it. 300 s: routes spread within a few.
    pub origin_unproven_s: u64,
    /// It is over when fewer see it for this long. 1800 s: what returns before is the same change.
    pub origin_over_s: u64,
    /// After this long a new origin is one of the prefix's own. 24 h.
    pub origin_known_s: u64,
    /// Flapping: this many entries into Partial or Out … 3.
    pub flap_entries: u32,
    /// … within this time. 1800 s.
    pub flap_within_s: u64,
    /// Leak: more than this many prefixes gain one AS triplet that nobody has seen … 100.
    pub leak_prefixes: u32,
    /// … within this time of its first sighting. 300 s.
    pub leak_within_s: u64,
    /// Rules that compare with the past (leak, churn) need this much of it, and are off before. 7 days.
    pub history_s: u64,
    /// Churn: more updates in an hour than this many times the median. 20.
    pub churn_times: u32,
    /// Routing beacons besides those that are built in, and what is done about their alerts.
    pub beacons: BeaconSettings,

    /// An origin is Degrading when this share of its stable prefixes fell … 0.01.
    pub origin_share: f64,
    /// … but at least so many, which also are the least for Out: one prefix is not told twice. 3.
    pub origin_min_prefixes: u32,
    /// … within this time. 120 s.
    pub origin_within_s: u64,
    /// It is Out once this share of its prefixes and of its space is down … 0.80.
    pub origin_out: f64,
    /// … and Recovering below this share of either. 0.50: well away from Out, or it would flap on the edge.
    pub origin_recovering: f64,
    /// A country is Degrading when this share of its space fell … 0.20.
    pub country_space: f64,
    /// … or this share of its origins went Out … 0.05.
    pub country_origins: f64,
    /// … but at least so many … 3.
    pub country_min_origins: u32,
    /// … within this time. 600 s.
    pub country_within_s: u64,
    /// It is Out once this share of its space is down … 0.80.
    pub country_out: f64,
    /// … and Recovering below this share. 0.50.
    pub country_recovering: f64,
    /// An origin that announces less than this share of its 7-day median is noted. 0.99.
    pub space_note: f64,
    /// A loss joins an incident of its origin if it starts within this time of the incident's last one … 300 s.
    pub incident_join_s: u64,
    /// … and of its first one. 1800 s: without it a busy origin would have one endless incident.
    pub incident_span_s: u64,
    /// What falls again within this time of being Normal re-opens its incident. 1800 s.
    pub incident_reopen_s: u64,
    /// Parts that come and go are told at most this often. 60 s.
    pub incident_update_s: u64,
    /// An incident that nobody watches is shown from this many prefixes on. 10.
    pub incident_shown_prefixes: u32,
    /// A watched prefix that is Degrading opens an incident below this visibility … 0.70.
    pub watched_below: f64,
    /// … once that has lasted for so long. 30 s.
    pub watched_hold_s: u64,

    /// A DNS outage is predicted when the prefixes of half of a name's servers are at or below this visibility … 0.50.
    pub predict_at: f64,
    /// … for so long. 30 s.
    pub predict_hold_s: u64,
    /// The first routing evidence of a DNS failure may come so long before it … 900 s.
    pub dns_after_s: u64,
    /// … and so long after it. 120 s: peers withdraw at their own pace.
    pub dns_before_s: u64,
    /// Losses of different origins behind one transit AS belong together within this time. 300 s.
    pub transit_within_s: u64,
    /// … once so many origins have lost prefixes. 3.
    pub transit_origins: u32,
    /// Users have had trouble for so long without a fault in routes or names: it is not the network. 180 s: both would
    /// have shown by then.
    pub hint_hold_s: u64,
    /// Reports are trouble above this many times what is usual … 5.
    pub hint_times: f64,
    /// … and by at least so many. 20.
    pub hint_least: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            window_ms: 500,
            held_for_s: 3600,
            held_within_s: 86_400,
            min_peers: 10,
            min_known: 0.60,
            inferred_min_peers: 20,
            inferred_min_share: 0.60,
            normal_at: 0.80,
            degrading_below: 0.80,
            burst_peers: 5,
            burst_share: 0.05,
            burst_within_s: 60,
            degrading_hold_s: 10,
            clear_at: 0.90,
            clear_hold_s: 60,
            partial_at: 0.50,
            partial_hold_s: 120,
            out_at: 0.20,
            out_hold_s: 30,
            recovering_at: 0.65,
            recovering_hold_s: 30,
            recovered_at: 0.90,
            recovered_hold_s: 300,
            gone_after_s: 7 * 86_400,
            cover_peers: 3,
            peer_silent_s: 180,
            peer_silent_gaps: 8,
            collector_silent_s: 180,
            sync_quiet_s: 120,
            stale_after_s: 600,
            cap_from_collectors: 7,
            collector_cap: 0.15,
            full_feed_at: 0.75,
            full_feed_below: 0.70,
            zombie_lost: 0.80,
            zombie_after_s: 5400,
            origin_peers: 3,
            origin_hold_s: 5,
            origin_unproven_s: 300,
            origin_over_s: 1800,
            origin_known_s: 86_400,
            flap_entries: 3,
            flap_within_s: 1800,
            leak_prefixes: 100,
            leak_within_s: 300,
            history_s: 7 * 86_400,
            churn_times: 20,
            beacons: BeaconSettings::default(),
            origin_share: 0.01,
            origin_min_prefixes: 3,
            origin_within_s: 120,
            origin_out: 0.80,
            origin_recovering: 0.50,
            country_space: 0.20,
            country_origins: 0.05,
            country_min_origins: 3,
            country_within_s: 600,
            country_out: 0.80,
            country_recovering: 0.50,
            space_note: 0.99,
            incident_join_s: 300,
            incident_span_s: 1800,
            incident_reopen_s: 1800,
            incident_update_s: 60,
            incident_shown_prefixes: 10,
            watched_below: 0.70,
            watched_hold_s: 30,
            predict_at: 0.50,
            predict_hold_s: 30,
            dns_after_s: 900,
            dns_before_s: 120,
            transit_within_s: 300,
            transit_origins: 3,
            hint_hold_s: 180,
            hint_times: 5.0,
            hint_least: 20.0,
        }
    }
}

impl Settings {
    /// The first thing that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.check_shares()?;
        self.check_distances()?;
        if self.min_peers == 0 || self.inferred_min_peers == 0 {
            return Err("detect.min_peers and detect.inferred_min_peers must be at least 1".into());
        }
        if f64::from(self.cap_from_collectors) * self.collector_cap < 1.0 {
            return Err(format!(
                "detect.collector_cap ({}) cannot be kept with {} collectors: raise it or detect.cap_from_collectors",
                self.collector_cap, self.cap_from_collectors
            ));
        }
        Ok(())
    }

    fn check_shares(&self) -> Result<(), String> {
        let shares = [
            ("min_known", self.min_known),
            ("inferred_min_share", self.inferred_min_share),
            ("normal_at", self.normal_at),
            ("degrading_below", self.degrading_below),
            ("burst_share", self.burst_share),
            ("clear_at", self.clear_at),
            ("partial_at", self.partial_at),
            ("out_at", self.out_at),
            ("recovering_at", self.recovering_at),
            ("recovered_at", self.recovered_at),
            ("collector_cap", self.collector_cap),
            ("full_feed_at", self.full_feed_at),
            ("full_feed_below", self.full_feed_below),
            ("zombie_lost", self.zombie_lost),
            ("origin_share", self.origin_share),
            ("origin_out", self.origin_out),
            ("origin_recovering", self.origin_recovering),
            ("country_space", self.country_space),
            ("country_origins", self.country_origins),
            ("country_out", self.country_out),
            ("country_recovering", self.country_recovering),
            ("space_note", self.space_note),
            ("watched_below", self.watched_below),
            ("predict_at", self.predict_at),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("detect.{name} is {share}, but a share runs from 0 to 1"));
            }
        }
        Ok(())
    }

    /// Entry and leave thresholds keep their distance, or a prefix on the edge would flap for ever.
    fn check_distances(&self) -> Result<(), String> {
        let ordered = [
            ("out_at", self.out_at, "partial_at", self.partial_at),
            ("partial_at", self.partial_at, "recovering_at", self.recovering_at),
            ("degrading_below", self.degrading_below, "clear_at", self.clear_at),
            (
                "recovering_at",
                self.recovering_at,
                "recovered_at",
                self.recovered_at,
            ),
            (
                "full_feed_below",
                self.full_feed_below,
                "full_feed_at",
                self.full_feed_at,
            ),
            (
                "origin_recovering",
                self.origin_recovering,
                "origin_out",
                self.origin_out,
            ),
            (
                "country_recovering",
                self.country_recovering,
                "country_out",
                self.country_out,
            ),
        ];
        for (low, low_value, high, high_value) in ordered {
            if low_value >= high_value {
                return Err(format!(
                    "detect.{low} ({low_value}) must be below detect.{high} ({high_value})"
                ));
            }
        }
        Ok(())
    }
}

/// Seconds of a setting as microseconds of engine time.
pub(crate) const fn secs(seconds: u64) -> i64 {
    let seconds = if seconds > 1 << 40 { 1 << 40 } else { seconds };
    seconds as i64 * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn thresholds_keep_their_distance() {
        let touching = Settings {
            partial_at: 0.7,
            ..Settings::default()
        };
        assert!(touching.check().unwrap_err().contains("recovering_at"));
        let beyond = Settings {
            out_at: 1.5,
            ..Settings::default()
        };
        assert!(beyond.check().unwrap_err().contains("out_at"));
    }
}
