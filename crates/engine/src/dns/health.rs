//! Counts over the servers of one name, and the level that they mean. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netfault_model::{Finding, Time};

use super::server::{Report, Server};
use super::settings::DnsSettings;

/// Servers of one role.
pub(super) type Servers = BTreeMap<SocketAddr, Server>;

/// The authorities: how many count, are not down, are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Authorities {
    pub eligible: u32,
    pub not_down: u32,
    pub up: u32,
    /// Of those that are down: they answer, but not for this zone.
    pub not_serving: u32,
    pub silent: u32,
}

impl Authorities {
    /// Denominator: servers that were healthy for an hour in the last 24 h; before any history, all.
    pub fn count(servers: &Servers, now: Time, settings: &DnsSettings) -> Self {
        let any_history = servers.values().any(|server| server.has_history(now, settings));
        let mut counts = Authorities::default();
        for server in servers.values() {
            if any_history && !server.has_history(now, settings) {
                continue;
            }
            counts.eligible += 1;
            counts.up += u32::from(server.is_up(settings));
            if server.is_down(settings) {
                counts.not_serving += u32::from(server.last == Report::NotServing);
                counts.silent += u32::from(server.last == Report::Silent);
            } else {
                counts.not_down += 1;
            }
        }
        counts
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

/// The resolvers: how many vote, how many are good, and what all of them say if none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolvers {
    pub voting: u32,
    pub good: u32,
    /// Good in their last two rounds.
    pub up: u32,
    pub bad: u32,
    pub bogus: u32,
    pub missing: u32,
    pub silent: u32,
}

impl Resolvers {
    /// `quiet`: SERVFAIL is the resolver's failure cache now, and does not vote.
    /// `had_record`: the name has had an address before, so NODATA means that it is gone.
    pub fn count(servers: &Servers, quiet: bool, had_record: bool, settings: &DnsSettings) -> Self {
        let mut counts = Resolvers::default();
        for server in servers.values() {
            if quiet && server.last == (Report::Fault { servfail: true }) {
                continue;
            }
            counts.voting += 1;
            let no_address_ever = server.last == Report::Missing { nxdomain: false } && !had_record;
            if no_address_ever || server.last == Report::Good {
                counts.good += 1;
                counts.up += u32::from(no_address_ever || server.is_up(settings));
            } else if server.is_down(settings) {
                counts.bad += 1;
                counts.bogus += u32::from(server.last == Report::Bogus);
                counts.missing += u32::from(matches!(server.last, Report::Missing { .. }));
                counts.silent += u32::from(server.last == Report::Silent);
            }
        }
        counts
    }

    /// At least half of those that vote give an answer. One resolver's fault does not keep a name from being Ok.
    pub fn agree(self) -> bool {
        self.good * 2 >= self.voting
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
    /// Nothing can be said yet.
    Undecided,
}

pub(super) fn level(authorities: Authorities, resolvers: Resolvers, settings: &DnsSettings) -> Level {
    if authorities.eligible == 0 {
        return by_resolvers_alone(resolvers);
    }
    if authorities.not_down == 0 {
        let broken = authorities.not_serving * 2 > authorities.eligible;
        return Level::Out(if broken {
            Finding::DelegationBroken
        } else {
            Finding::AuthorityUnreachable
        });
    }
    let fault = resolvers.fault();
    if let Some(finding @ (Finding::DnssecBogus | Finding::RecordMissing)) = fault {
        return Level::Out(finding);
    }
    if authorities.h_down() < settings.degraded_below {
        return Level::Degraded(Finding::AuthorityPartial);
    }
    if let Some(finding) = fault {
        return Level::Degraded(finding);
    }
    if authorities.not_down < authorities.eligible {
        return Level::Partial(Finding::AuthorityPartial);
    }
    Level::Fine
}

/// No authority is known. One resolver alone cannot convict a name; two that both fail to reach its servers can.
fn by_resolvers_alone(resolvers: Resolvers) -> Level {
    match resolvers.fault() {
        None => Level::Fine,
        Some(finding @ (Finding::DnssecBogus | Finding::RecordMissing)) => Level::Out(finding),
        Some(_) if resolvers.silent == resolvers.voting => Level::Blind,
        Some(_) if resolvers.voting >= 2 => Level::Out(Finding::AuthorityUnreachable),
        Some(finding) => Level::Degraded(finding),
    }
}
