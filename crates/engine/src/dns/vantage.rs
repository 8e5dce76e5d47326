//! What a vantage sees of the network: its control authorities, the canaries of its resolvers, and who was heard.
//!
//! Silence has two ends. A server counts as silent only if this vantage is known to have seen the network since the
//! silence began: a control authority of the same family answered, or, where none is asked, anybody else did.
//!
//! A vantage may fall silent itself: an agent whose uplink is cut cannot report that either. Then it is offline too, until it
//! reports that somebody has answered it since. What it asked before, and only reports now, is no news any more: after a cut, the
//! last answers of before and all failures of the cut arrive together.

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use netfault_model::{Outcome, Probe, Time};
use serde::{Deserialize, Serialize};

use super::settings::DnsSettings;
use run::Run;

/// Control names of one resolver, or control authorities of one vantage. The schedule asks 2 names of a resolver and
/// a handful of authorities; more than this is not kept.
const MAX_CONTROLS: usize = 64;

/// IPv4 is 0, IPv6 is 1.
pub(super) fn family(server: &SocketAddr) -> usize {
    usize::from(server.is_ipv6())
}

/// Two names whose servers of one family are asked from here are enough to compare.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Family {
    first: Option<Arc<str>>,
    several: bool,
    /// When anybody answered.
    heard: Option<Time>,
}

/// What a statement about the vantage itself has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Offline {
        since: Time,
    },
    /// Offline because it has reported nothing since then.
    Silent {
        since: Time,
    },
    Online {
        since: Time,
    },
    /// Offline for so long that it is not counted any more.
    Forgotten {
        since: Time,
        asked: Time,
    },
    Faulty {
        resolver: SocketAddr,
        since: Time,
        of: Arc<str>,
    },
    Mended {
        resolver: SocketAddr,
        since: Time,
    },
}

/// A resolver that fails alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fault {
    since: Time,
    /// The names that it fails for; the empty name stands for its canaries.
    of: BTreeSet<Arc<str>>,
}

/// It reports nothing, or has heard nobody since it did not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Silence {
    /// What it reported last.
    since: Time,
    /// When that was too long ago.
    told: Time,
}

/// One host that asks questions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Vantage {
    /// When it last reported anything that was not quarantined as too late.
    asked: Time,
    authorities: BTreeMap<SocketAddr, Run>,
    canaries: BTreeMap<SocketAddr, BTreeMap<String, Run>>,
    families: [Family; 2],
    offline_since: Option<Time>,
    silent: Option<Silence>,
    faults: BTreeMap<SocketAddr, Fault>,
}

impl Vantage {
    pub fn new(now: Time) -> Self {
        Vantage {
            asked: now,
            authorities: BTreeMap::new(),
            canaries: BTreeMap::new(),
            families: Default::default(),
            offline_since: None,
            silent: None,
            faults: BTreeMap::new(),
        }
    }

    /// It has reported something, whatever it is.
    pub fn reports(&mut self, now: Time) {
        self.asked = now;
    }

    /// Notes that an answer came, or did not, for the servers of `name`.
    pub fn note(&mut self, now: Time, name: &Arc<str>, probe: &Probe) {
        let family = &mut self.families[family(&probe.server)];
        match &family.first {
            None => family.first = Some(name.clone()),
            Some(first) => family.several |= first != name,
        }
        if !matches!(probe.outcome, Outcome::Timeout | Outcome::NetUnreachable) {
            family.heard = family.heard.max(Some(now));
        }
    }

    /// Takes the answer to a control question. `now` is engine time.
    pub fn control(&mut self, now: Time, probe: &Probe, settings: &DnsSettings) {
        let is_authority = probe.role.is_authority();
        let denied = matches!(probe.outcome, Outcome::Nodata | Outcome::Nxdomain);
        let is_good = probe.outcome == Outcome::Ok || is_authority && denied && probe.authoritative;
        if is_authority {
            self.authorities.retain(|_, run| run.is_fresh(now, settings));
            if self.authorities.len() < MAX_CONTROLS || self.authorities.contains_key(&probe.server) {
                let run = self.authorities.entry(probe.server);
                run.or_insert_with(|| Run::new(now)).take(now, is_good);
            }
            return;
        }
        self.canaries.retain(|_, runs| {
            runs.retain(|_, run| run.is_fresh(now, settings));
            !runs.is_empty()
        });
        let runs = self.canaries.entry(probe.server).or_default();
        if runs.len() < MAX_CONTROLS || runs.contains_key(&probe.name) {
            let run = runs.entry(probe.name.clone());
            run.or_insert_with(|| Run::new(now)).take(now, is_good);
        }
    }

    fn controls(&self, of: usize, now: Time, settings: &DnsSettings) -> impl Iterator<Item = &Run> + Clone {
        let settings = settings.clone();
        self.authorities
            .iter()
            .filter(move |(server, run)| family(server) == of && run.is_fresh(now, &settings))
            .map(|(_, run)| run)
    }

    /// Control authorities of this family are asked.
    pub fn has_controls(&self, family: usize, now: Time, settings: &DnsSettings) -> bool {
        self.controls(family, now, settings).next().is_some()
    }

    /// One control authority of this family has answered since, and not all have failed since then.
    pub fn sees_since(&self, family: usize, since: Time, now: Time, settings: &DnsSettings) -> bool {
        let mut controls = self.controls(family, now, settings);
        controls.clone().any(|run| run.was_good_since(since)) && controls.any(|run| run.bad_rounds == 0)
    }

    /// It has seen the network since in some family; true where no control authority has ever told.
    pub fn has_sight_since(&self, since: Time, now: Time, settings: &DnsSettings) -> bool {
        let day = now - settings.held_within();
        let ever = |of: &usize| {
            self.controls(*of, now, settings)
                .any(|run| run.was_good_since(day))
        };
        let mut seen = [0, 1].into_iter().filter(ever).peekable();
        seen.peek().is_none() || seen.any(|of| self.sees_since(of, since, now, settings))
    }

    /// All control authorities of this family have failed for two rounds.
    pub fn is_dark(&self, family: usize, now: Time, settings: &DnsSettings) -> bool {
        let mut controls = self.controls(family, now, settings).peekable();
        controls.peek().is_some() && controls.all(|run| run.bad_rounds >= settings.rounds())
    }

    /// When somebody was last heard in this family, and in any.
    pub fn heard_in(&self, family: usize) -> Option<Time> {
        self.families[family].heard
    }

    pub fn heard(&self) -> Option<Time> {
        self.families.iter().filter_map(|family| family.heard).max()
    }

    /// Servers of other names of this family are asked from here as well.
    pub fn compares(&self, family: usize) -> bool {
        self.families[family].several
    }

    /// Both canaries of this resolver have failed: its vote is void. One alone voids nothing.
    pub fn is_void(&self, resolver: &SocketAddr, now: Time, settings: &DnsSettings) -> bool {
        self.canaries_fail(resolver, 1, now, settings)
    }

    /// They have failed for two rounds: what it said before counts no more.
    pub fn has_no_vote(&self, resolver: &SocketAddr, now: Time, settings: &DnsSettings) -> bool {
        self.canaries_fail(resolver, settings.rounds(), now, settings)
    }

    fn canaries_fail(&self, resolver: &SocketAddr, rounds: u32, now: Time, settings: &DnsSettings) -> bool {
        let Some(runs) = self.canaries.get(resolver) else {
            return false;
        };
        let mut fresh = runs.values().filter(|run| run.is_fresh(now, settings));
        fresh.clone().count() >= 2 && fresh.all(|run| run.bad_rounds >= rounds)
    }

    /// A canary of this resolver was fine since; `None` where it has none.
    pub fn vouches_since(
        &self,
        resolver: &SocketAddr,
        since: Time,
        now: Time,
        settings: &DnsSettings,
    ) -> Option<bool> {
        let runs = self.canaries.get(resolver)?;
        let mut fresh = runs.values().filter(|run| run.is_fresh(now, settings)).peekable();
        fresh.peek()?;
        Some(fresh.any(|run| run.was_good_since(since)))
    }

    pub fn is_offline(&self) -> bool {
        self.offline_since.is_some()
    }

    /// By the controls: since when this vantage sees nothing. `None` where nobody is asked who could tell.
    ///
    /// Where control authorities have answered in the last day they decide; else the canaries, for there are
    /// networks that let nobody but the resolver ask.
    fn blind_since(&self, now: Time, settings: &DnsSettings) -> Option<Option<Time>> {
        let begun = |runs: &mut dyn Iterator<Item = &Run>| runs.filter_map(|run| run.bad_since).min();
        let has_seen = |family: &usize| {
            let mut controls = self.controls(*family, now, settings);
            controls.any(|run| run.was_good_since(now - settings.held_within()))
        };
        let asked = |family: &usize| self.has_controls(*family, now, settings);
        let seen: Vec<usize> = [0, 1].into_iter().filter(has_seen).collect();
        let canaries: Vec<&SocketAddr> = self
            .canaries
            .keys()
            .filter(|resolver| self.vouches_since(resolver, Time::MIN, now, settings).is_some())
            .collect();
        let dark = |families: &[usize]| {
            let all = families.iter().all(|of| self.is_dark(*of, now, settings));
            all.then(|| begun(&mut families.iter().flat_map(|of| self.controls(*of, now, settings))))
                .flatten()
        };
        if !seen.is_empty() {
            return Some(dark(&seen));
        }
        if !canaries.is_empty() {
            let fails =
                |resolver: &&&SocketAddr| self.canaries_fail(resolver, settings.rounds(), now, settings);
            let all = canaries.iter().filter(fails).count() == canaries.len();
            return Some(
                all.then(|| begun(&mut self.canaries.values().flat_map(BTreeMap::values)))
                    .flatten(),
            );
        }
        let asked: Vec<usize> = [0, 1].into_iter().filter(asked).collect();
        (!asked.is_empty()).then(|| dark(&asked))
    }

    /// When it will have been silent for too long; once that has been said, when it is to be forgotten.
    pub fn next_deadline(&self, settings: &DnsSettings) -> Time {
        match self.silent {
            None => self.asked + settings.stale(),
            Some(_) => self.asked + settings.held_within().max(settings.stale()),
        }
    }

    pub fn is_silent(&self) -> bool {
        self.silent.is_some()
    }

    pub fn fall_silent(&mut self, told: Time) {
        let since = self.asked;
        self.silent = Some(Silence { since, told });
    }

    /// Asked before this vantage was found to be silent.
    pub fn is_old_news(&self, probe: &Probe) -> bool {
        self.silent.is_some_and(|silence| probe.at <= silence.told)
    }

    /// What is over when nobody counts it any more.
    pub fn forgotten(self) -> impl Iterator<Item = Change> {
        let asked = self.asked;
        let offline = self.offline_since.map(|since| Change::Forgotten { since, asked });
        let faults = self.faults.into_iter();
        let mended = faults.map(|(resolver, fault)| Change::Mended {
            resolver,
            since: fault.since,
        });
        offline.into_iter().chain(mended)
    }

    fn heard_anybody_after(&self, since: Time) -> bool {
        let canaries = self.canaries.values().flat_map(BTreeMap::values);
        let mut controls = self.authorities.values().chain(canaries);
        self.heard() > Some(since) || controls.any(|run| run.good > Some(since))
    }

    /// Goes offline or online as the controls say, or because it fell silent. `deaf`: where there are no controls, since when
    /// a name hears nobody.
    pub fn judge(&mut self, now: Time, deaf: Option<Time>, settings: &DnsSettings) -> Option<Change> {
        let blind = match self.blind_since(now, settings) {
            Some(blind) => blind,
            None => {
                let since = deaf.or(self.offline_since);
                since.filter(|since| self.heard().is_none_or(|heard| heard < *since))
            }
        };
        self.silent = self
            .silent
            .filter(|silence| !self.heard_anybody_after(silence.told));
        let silent = self.silent.map(|silence| silence.since);
        match (self.offline_since, silent.or(blind)) {
            (None, Some(since)) => {
                self.offline_since = Some(since);
                Some(match silent {
                    Some(_) => Change::Silent { since },
                    None => Change::Offline { since },
                })
            }
            (Some(since), None) => {
                self.offline_since = None;
                Some(Change::Online { since })
            }
            _ => None,
        }
    }

    /// The canaries of a resolver fail, while this vantage does see the network.
    pub fn judge_canaries(
        &mut self,
        now: Time,
        resolver: SocketAddr,
        settings: &DnsSettings,
    ) -> Option<Change> {
        let runs = self.canaries.get(&resolver)?;
        let since = runs.values().filter_map(|run| run.bad_since).min();
        let sees = |since: Time| {
            let others = self.canaries.iter().filter(|(other, _)| **other != resolver);
            let mut others = others.flat_map(|(_, runs)| runs.values());
            let mut controls = self.authorities.values();
            others.any(|run| run.was_good_since(since)) || controls.any(|run| run.was_good_since(since))
        };
        let fails = self.canaries_fail(&resolver, settings.rounds(), now, settings);
        match since.filter(|_| fails && !self.is_offline()) {
            Some(since) if sees(since) => self.fails(resolver, &Arc::from(""), since),
            Some(_) => None,
            None => self.works(resolver, ""),
        }
    }

    /// This resolver fails for `name`, where others do not.
    pub fn fails(&mut self, resolver: SocketAddr, name: &Arc<str>, since: Time) -> Option<Change> {
        let is_new = !self.faults.contains_key(&resolver);
        let of = BTreeSet::new();
        let fault = self.faults.entry(resolver).or_insert(Fault { since, of });
        fault.of.insert(name.clone());
        let of = name.clone();
        is_new.then_some(Change::Faulty { resolver, since, of })
    }

    /// It does not, or no more. The fault is over when it fails for nothing.
    pub fn works(&mut self, resolver: SocketAddr, name: &str) -> Option<Change> {
        let fault = self.faults.get_mut(&resolver)?;
        fault.of.remove(name);
        if !fault.of.is_empty() {
            return None;
        }
        let since = self.faults.remove(&resolver)?.since;
        Some(Change::Mended { resolver, since })
    }
}

/// All vantages, by name.
pub(super) type Vantages = BTreeMap<Arc<str>, Vantage>;
