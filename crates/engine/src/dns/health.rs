//! Counts over the servers of one name, and the level that they mean. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netfault_model::{Finding, Time};
use serde::{Deserialize, Serialize};

use super::server::{Report, Says, Server};
use super::settings::DnsSettings;
use super::view::Sight;

/// Servers of one role.
pub(super) type Servers = BTreeMap<SocketAddr, Server>;

/// The authorities as one vantage sees them: how many count, are not down, are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Authorities {
    /// Healthy for an hour in the last 24 h, or healthy now; before any history, all.
    pub eligible: u32,
    pub not_down: u32,
    pub up: u32,
    /// Of those that are not down: they failed in the last round, and may be down in the next.
    pub wavering: u32,
    /// Of those that are down: they answer, but not for this zone.
    pub not_serving: u32,
    /// Of those that are up: they deny the record, or give one that the user does not expect, for two rounds.
    pub denying: u32,
    pub wrong: u32,
    /// The first failing answer of those that fail now.
    pub failing_at: Option<Time>,
}

/// The earlier of two moments, if there is any.
pub(super) fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}

impl Authorities {
    pub fn add_down(&mut self, server: &Server) {
        self.eligible += 1;
        self.not_serving += u32::from(server.last == Report::NotServing);
        self.failing_at = earlier(self.failing_at, server.failing_at);
    }

    pub fn add(&mut self, server: &Server, settings: &DnsSettings) {
        self.eligible += 1;
        self.not_down += 1;
        self.failing_at = earlier(self.failing_at, server.failing_at);
        self.wavering += u32::from(server.bad_rounds > 0);
        if server.is_up(settings) {
            self.up += 1;
            let says = server.says.filter(|_| server.says_rounds >= settings.rounds());
            self.denying += u32::from(says == Some(Says::Missing));
            self.wrong += u32::from(says == Some(Says::Wrong));
        }
    }

    /// H↓: decides falls. 1 where there are no authorities to count.
    pub fn h_down(self) -> f64 {
        share(self.not_down, self.eligible)
    }

    /// H↑: decides rises.
    pub fn h_up(self) -> f64 {
        share(self.up, self.eligible)
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        1.0
    } else {
        f64::from(part) / f64::from(whole)
    }
}

/// The upper median: of two, the healthier one.
pub(super) fn upper_median(mut views: Vec<Authorities>, h: fn(Authorities) -> f64) -> Option<Authorities> {
    let key = |view: &Authorities| (view.not_down, view.up, view.eligible);
    views.sort_by(|a, b| h(*a).total_cmp(&h(*b)).then_with(|| key(a).cmp(&key(b))));
    views.get(views.len() / 2).copied()
}

/// The resolvers of all vantages: how many vote, how many are good, and what the others say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolvers {
    pub voting: u32,
    pub good: u32,
    /// Good in their last two rounds.
    pub up: u32,
    /// Failed in their last two rounds.
    pub bad: u32,
    /// Of those that are bad: their canaries are fine.
    pub vouched: u32,
    pub bogus: u32,
    pub missing: u32,
    pub wrong: u32,
    /// Of those that are good: they answer from beyond the TTL, for they reach no authority.
    pub stale: u32,
    /// The first failing answer of those that fail now.
    pub failing_at: Option<Time>,
}

impl Resolvers {
    /// `confirmed`: its canaries were fine since it began to fail; `None` where it has none.
    pub fn add(&mut self, server: &Server, confirmed: Option<bool>, sight: Sight) {
        self.voting += 1;
        let no_address_ever = server.last == Report::Missing { nxdomain: false } && !sight.had_record;
        if no_address_ever || server.last == Report::Good {
            self.good += 1;
            self.up += u32::from(no_address_ever || server.is_up(sight.settings));
            self.stale += u32::from(server.stale_rounds >= sight.settings.rounds());
            return;
        }
        self.failing_at = earlier(self.failing_at, server.failing_at);
        if server.is_down(0, sight.settings) && confirmed != Some(false) {
            self.bad += 1;
            self.vouched += u32::from(confirmed == Some(true));
            self.bogus += u32::from(server.last == Report::Bogus);
            self.missing += u32::from(matches!(server.last, Report::Missing { .. }));
            self.wrong += u32::from(server.last == Report::Wrong);
        }
    }

    /// Of a resolver without a vote that spoke while the others failed already: losing it makes them no more
    /// unanimous than they were. SERVFAIL and silence may be those of a lost vantage, and count for nothing.
    pub fn add_last_word(&mut self, server: &Server, settings: &DnsSettings) {
        self.voting += 1;
        if !server.is_down(0, settings) {
            return;
        }
        match server.last {
            Report::Bogus => self.bogus += 1,
            Report::Missing { .. } => self.missing += 1,
            Report::Wrong => self.wrong += 1,
            _ => return,
        }
        self.bad += 1;
    }

    /// At least half of those that vote give an answer. One resolver's fault does not keep a name from being Ok.
    pub fn agree(self) -> bool {
        self.good * 2 >= self.voting
    }

    /// One alone may be wrong about a name, unless its canaries show that it is right about others.
    fn convict(self) -> bool {
        self.bad >= 2 || self.vouched > 0
    }

    /// What is wrong if every resolver has failed for two rounds.
    fn fault(self) -> Option<Finding> {
        if self.voting == 0 || self.bad < self.voting {
            return None;
        }
        Some(if self.bogus == self.voting {
            Finding::DnssecBogus
        } else if self.missing == self.voting {
            Finding::RecordMissing
        } else if self.wrong == self.voting {
            Finding::AnswerChanged
        } else {
            Finding::ResolverFault
        })
    }

    /// What is wrong if most have, and at least two: some do not validate, or still have it in their cache.
    fn trouble(self) -> Option<Finding> {
        if self.bad < 2 || self.bad * 2 <= self.voting {
            return None;
        }
        let most = |count: u32| count * 2 > self.bad;
        Some(if most(self.bogus) {
            Finding::DnssecBogus
        } else if most(self.missing) {
            Finding::RecordMissing
        } else if most(self.wrong) {
            Finding::AnswerChanged
        } else {
            Finding::ResolverFault
        })
    }
}

/// How bad the present counts are, by H↓ and the resolvers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Fine,
    Partial(Finding),
    Degraded(Finding),
    Out(Finding),
    /// Nothing can be said from here.
    Blind,
}

/// `authorities` is `None` where no vantage sees any.
pub(super) fn level(
    authorities: Option<Authorities>,
    resolvers: Resolvers,
    had_record: bool,
    settings: &DnsSettings,
) -> Level {
    let Some(authorities) = authorities.filter(|authorities| authorities.eligible > 0) else {
        return by_resolvers_alone(resolvers);
    };
    if authorities.not_down == 0 {
        let broken = authorities.not_serving * 2 > authorities.eligible;
        return Level::Out(if broken {
            Finding::DelegationBroken
        } else {
            Finding::AuthorityUnreachable
        });
    }
    // What every server says of the record needs no resolver to say it too.
    if had_record && authorities.denying == authorities.not_down {
        return Level::Out(Finding::RecordMissing);
    }
    if authorities.wrong == authorities.not_down {
        return Level::Out(Finding::AnswerChanged);
    }
    let fault = resolvers.fault().filter(|_| resolvers.convict());
    if let Some(finding @ (Finding::DnssecBogus | Finding::RecordMissing | Finding::AnswerChanged)) = fault {
        return Level::Out(finding);
    }
    if authorities.h_down() < settings.degraded_below {
        return Level::Degraded(Finding::AuthorityPartial);
    }
    // A resolver says SERVFAIL from its failure cache before a dead server is silent for long enough: a moment later it is
    // clear whose fault it is.
    let too_early = |finding: &Finding| {
        *finding == Finding::ResolverFault && authorities.wavering == authorities.not_down
    };
    if let Some(finding) = fault
        .or(resolvers.trouble())
        .filter(|finding| !too_early(finding))
    {
        return Level::Degraded(finding);
    }
    if authorities.not_down < authorities.eligible {
        return Level::Partial(Finding::AuthorityPartial);
    }
    Level::Fine
}

/// No authority is known. One resolver alone cannot convict a name; two that both fail to reach its servers can.
fn by_resolvers_alone(resolvers: Resolvers) -> Level {
    if resolvers.voting == 0 {
        return Level::Blind;
    }
    if resolvers.stale > 0 && resolvers.stale + resolvers.bad == resolvers.voting {
        return Level::Degraded(Finding::AuthorityUnreachable);
    }
    match resolvers.fault() {
        None => resolvers.trouble().map_or(Level::Fine, Level::Degraded),
        Some(finding) if !resolvers.convict() => Level::Degraded(finding),
        Some(Finding::ResolverFault) if resolvers.voting >= 2 => Level::Out(Finding::AuthorityUnreachable),
        Some(Finding::ResolverFault) => Level::Degraded(Finding::ResolverFault),
        Some(finding) => Level::Out(finding),
    }
}
