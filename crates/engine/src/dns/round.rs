//! One round: the answers of all servers of one role, kept until the last of them is in.
//!
//! The scheduler asks all servers of a name close together. A round opens with its first answer and
//! closes when every question that is usually asked has one, or at its deadline; only then it is
//! counted. So the order of answers within a round cannot change anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netfault_model::{Probe, Role, Time};

use super::server::{Answer, Report, Server, report};
use super::settings::DnsSettings;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Round {
    pub opened: Time,
    pub due: Time,
    /// The earliest failing answer, by its own time.
    pub first_failure: Option<Time>,
    answers: BTreeMap<SocketAddr, BTreeMap<String, Answer>>,
    /// A question was answered for the first time: who else will answer is not known yet.
    grew: bool,
}

impl Round {
    pub fn open(now: Time, settings: &DnsSettings) -> Self {
        Round {
            opened: now,
            due: now + settings.round_grace(),
            first_failure: None,
            answers: BTreeMap::new(),
            grew: false,
        }
    }

    /// True if this question was answered in this round already: the next round has begun.
    pub fn has(&self, probe: &Probe) -> bool {
        self.answers
            .get(&probe.server)
            .is_some_and(|answers| answers.contains_key(&probe.qtype))
    }

    pub fn take(&mut self, probe: &Probe, is_new: bool) {
        self.grew |= is_new;
        let answer = Answer::from(probe);
        let alone = BTreeMap::from([(probe.qtype.clone(), answer)]);
        if failed(report(probe.role, &alone)) {
            self.first_failure = Some(self.first_failure.map_or(probe.at, |at| at.min(probe.at)));
        }
        self.answers
            .entry(probe.server)
            .or_default()
            .insert(probe.qtype.clone(), answer);
    }

    /// True if every question that is usually asked has its answer.
    pub fn is_complete(&self, servers: &BTreeMap<SocketAddr, Server>) -> bool {
        !self.grew
            && servers.iter().all(|(addr, server)| {
                let answers = self.answers.get(addr);
                answers.is_some_and(|answers| {
                    server
                        .questions
                        .keys()
                        .all(|question| answers.contains_key(question))
                })
            })
    }

    /// Books the round with its servers, and drops those that nobody asks any more.
    pub fn close(&self, role: Role, servers: &mut BTreeMap<SocketAddr, Server>, settings: &DnsSettings) {
        servers.retain(|_, server| self.opened <= server.asked + settings.forget());
        for (addr, answers) in &self.answers {
            if let Some(server) = servers.get_mut(addr) {
                server.book(self.opened, report(role, answers), settings);
            }
        }
    }

    /// True if nobody at all was heard in this round.
    pub fn is_silent(&self, role: Role) -> bool {
        self.answers
            .values()
            .all(|answers| report(role, answers) == Report::Silent)
    }
}

/// A single answer of NODATA is no failure: most names have no AAAA.
fn failed(report: Report) -> bool {
    !matches!(report, Report::Good | Report::Missing { nxdomain: false })
}
