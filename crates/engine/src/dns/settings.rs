//! The numbers behind the states of a name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Times in whole seconds. Every default is DESIGN section 6 where it gives one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsSettings {
    /// How many rounds in a row a server must fail (or answer) to count as down (or up). Default 2: one
    /// lost packet is nothing, and two rounds of 30 s are the promised 70 s.
    pub rounds: u32,
    /// How long a round stays open for servers that have not answered yet. Default 12: a resolver may
    /// take 5 s for each of A and AAAA.
    pub round_grace_s: u64,
    /// Share of servers below which a name is Degraded and not only Partial. Default 0.75.
    pub degraded_below: f64,
    /// Share of servers from which on a name is Recovering. Default 0.5.
    pub recovering_from: f64,
    /// Share of servers from which on a name may be Ok. Default 0.9.
    pub ok_from: f64,
    /// How long a rise must hold. Default 300: servers that come back wobble (2021-10-04, 21:11).
    pub ok_hold_s: u64,
    /// A server counts in the denominator once it was healthy for this long. Default 3600.
    pub held_for_s: u64,
    /// For how long it then stays in the denominator. Default 86400: an outage does not shrink it.
    pub held_within_s: u64,
    /// A server that was not asked for this long belongs to the name no more. Default 120: four rounds.
    pub forget_s: u64,
    /// A name nobody asks about for this long is Unknown. Default 180: six rounds.
    pub stale_s: u64,
    /// SERVFAIL this soon after a recovery, and failed validation that began before it, is the resolver's failure cache
    /// (RFC 9520), not news. Default 300.
    pub servfail_quiet_s: u64,
    /// How long the last word of a vantage that went silent still counts against a rise. Default 3600: a recovery
    /// that only the vantages see that are left is believed after that. Against a fall it counts `held_within_s`.
    pub vantage_word_s: u64,
    /// Entries into an outage within `flap_within_s` that make a name flapping. Default 3.
    pub flap_entries: u32,
    /// Default 1800.
    pub flap_within_s: u64,
}

impl Default for DnsSettings {
    fn default() -> Self {
        DnsSettings {
            rounds: 2,
            round_grace_s: 12,
            degraded_below: 0.75,
            recovering_from: 0.5,
            ok_from: 0.9,
            ok_hold_s: 300,
            held_for_s: 3600,
            held_within_s: 86_400,
            forget_s: 120,
            stale_s: 180,
            servfail_quiet_s: 300,
            vantage_word_s: 3600,
            flap_entries: 3,
            flap_within_s: 1800,
        }
    }
}

impl DnsSettings {
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.max(1)
    }

    pub(super) fn round_grace(&self) -> Duration {
        Duration::from_secs(self.round_grace_s)
    }

    pub(super) fn ok_hold(&self) -> Duration {
        Duration::from_secs(self.ok_hold_s)
    }

    pub(super) fn held_for(&self) -> Duration {
        Duration::from_secs(self.held_for_s)
    }

    pub(super) fn held_within(&self) -> Duration {
        Duration::from_secs(self.held_within_s)
    }

    pub(super) fn forget(&self) -> Duration {
        Duration::from_secs(self.forget_s)
    }

    pub(super) fn stale(&self) -> Duration {
        Duration::from_secs(self.stale_s)
    }

    pub(super) fn vantage_word(&self) -> Duration {
        Duration::from_secs(self.vantage_word_s)
    }

    pub(super) fn servfail_quiet(&self) -> Duration {
        Duration::from_secs(self.servfail_quiet_s)
    }
}
