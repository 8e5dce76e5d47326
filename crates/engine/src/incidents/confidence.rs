//! How sure an incident is: pure functions of the numbers that its transitions carry (DESIGN section 7).
//!
//! q · (1 − Π(1 − cᵢ)), less the doubts; q is the known share of the baseline.
//!
//! | term | value |
//! |---|---|
//! | BGP | 0.9 · (1 − V↓) · min(1, peer ASes of the baseline / 30) · min(1, collectors / 5, but at least 0.6) |
//! | authorities of a name | 0.8 · (1 − H) · min(1, vantages / 3, but at least 0.6) |
//! | no resolver answers | 0.3 |
//! | prefixes of the other address family fell too | 0.2 |
//! | less, if a less-specific route of the same or another origin is still there | 0.2 |
//! | less, if one of several collectors has more than half of the lost weight | 0.2 |
//! | at most, with a baseline that was inferred | 0.5; 0.8 with 30 peer ASes and 3 prefixes of one origin |
//!
//! Of several prefixes the one that is surest counts: they are not independent of each other.

use netfault_model::{Baseline, Cover, NameEvidence, Transition};
use serde::{Deserialize, Serialize};

const MANY_PEERS: u32 = 30;
const MANY_PREFIXES: u32 = 3;

/// What one loss adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// cᵢ.
    pub c: f64,
    /// A second signal of the same subject (resolvers of a name).
    pub c2: f64,
    pub q: f64,
    /// What is taken off.
    pub doubt: f64,
    /// Peer ASes of the baseline.
    pub peers: u32,
}

impl Term {
    pub fn score(&self) -> f64 {
        self.q * (1.0 - (1.0 - self.c) * (1.0 - self.c2)) - self.doubt
    }
}

pub fn bgp(visibility: f64, peers: u32, collectors: u32) -> f64 {
    let peers = (f64::from(peers) / f64::from(MANY_PEERS)).min(1.0);
    let collectors = (f64::from(collectors) / 5.0).clamp(0.6, 1.0);
    0.9 * (1.0 - visibility) * peers * collectors
}

pub fn authority(healthy: f64, vantages: u32) -> f64 {
    0.8 * (1.0 - healthy) * (f64::from(vantages) / 3.0).clamp(0.6, 1.0)
}

/// Of a prefix.
pub fn of_prefix(transition: &Transition) -> Term {
    let peers = transition.peers_eligible.unwrap_or(0);
    let unknown = f64::from(transition.peers_unknown.unwrap_or(0)) / f64::from(peers.max(1));
    let (known, collectors, one_collector) = match transition.evidence.as_deref() {
        Some(it) => (it.known, it.collectors, it.one_collector),
        None => (1.0 - unknown, 1, 0.0),
    };
    let covered = matches!(transition.cover, Some(Cover::SameOrigin | Cover::OtherOrigin));
    let lopsided = collectors > 1 && one_collector > 0.5;
    Term {
        c: bgp(transition.visibility.unwrap_or(1.0), peers, collectors),
        c2: 0.0,
        q: known,
        doubt: 0.2 * (f64::from(u8::from(covered)) + f64::from(u8::from(lopsided))),
        peers,
    }
}

/// Of a name.
pub fn of_name(transition: &Transition) -> Term {
    let share = |ok: Option<u32>, all: Option<u32>| match (ok, all) {
        (Some(ok), Some(all)) if all > 0 => f64::from(ok) / f64::from(all),
        _ => 1.0,
    };
    let healthy = share(transition.servers_ok, transition.servers_eligible);
    let sighted = |dns: &NameEvidence| dns.vantages.iter().filter(|it| it.sighted).count().max(1) as u32;
    let vantages = transition.dns.as_deref().map_or(1, sighted);
    let resolvers = share(transition.resolvers_ok, transition.resolvers_eligible);
    Term {
        c: authority(healthy, vantages),
        c2: if resolvers == 0.0 { 0.3 } else { 0.0 },
        q: 1.0,
        doubt: 0.0,
        peers: 0,
    }
}

/// Of an incident, two decimals.
pub fn combine(best: Term, both_families: bool, baseline: Baseline, prefixes_of_one_origin: u32) -> f64 {
    let second = if both_families { 0.2 } else { 0.0 };
    let any = 1.0 - (1.0 - best.c) * (1.0 - best.c2) * (1.0 - second);
    let most = match baseline {
        Baseline::Held => 1.0,
        Baseline::Inferred if best.peers >= MANY_PEERS && prefixes_of_one_origin >= MANY_PREFIXES => 0.8,
        Baseline::Inferred => 0.5,
    };
    let sure = (best.q * any - best.doubt).clamp(0.0, most);
    (sure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bgp_term() {
        for (visibility, peers, collectors, expected) in [
            (0.0, 30, 5, 0.9),
            (0.0, 300, 20, 0.9),
            (0.0, 15, 5, 0.45),
            (0.0, 30, 1, 0.54),
            (0.0, 30, 4, 0.72),
            (0.5, 30, 5, 0.45),
            (1.0, 30, 5, 0.0),
        ] {
            assert!((bgp(visibility, peers, collectors) - expected).abs() < 1e-9);
        }
        assert!((authority(0.0, 1) - 0.48).abs() < 1e-9);
        assert!((authority(0.5, 3) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn signals_add_up_and_doubts_are_taken_off() {
        use Baseline::{Held, Inferred};
        let term = |c, c2, q, doubt, peers| Term {
            c,
            c2,
            q,
            doubt,
            peers,
        };
        for (best, both, baseline, prefixes, expected) in [
            (term(0.9, 0.0, 1.0, 0.0, 40), false, Held, 1, 0.9),
            (term(0.9, 0.0, 1.0, 0.0, 40), true, Held, 2, 0.92),
            (term(0.9, 0.0, 0.6, 0.0, 40), false, Held, 1, 0.54),
            (term(0.9, 0.0, 1.0, 0.2, 40), false, Held, 1, 0.7),
            (term(0.1, 0.0, 1.0, 0.4, 40), false, Held, 1, 0.0),
            (term(0.8, 0.3, 1.0, 0.0, 0), false, Held, 0, 0.86),
            (term(0.9, 0.0, 1.0, 0.0, 40), false, Inferred, 2, 0.5),
            (term(0.9, 0.0, 1.0, 0.0, 40), false, Inferred, 3, 0.8),
            (term(0.9, 0.0, 1.0, 0.0, 29), false, Inferred, 3, 0.5),
        ] {
            assert_eq!(combine(best, both, baseline, prefixes), expected, "{best:?}");
        }
    }
}
