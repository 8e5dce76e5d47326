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
use super::vantage::family;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Round {
    pub opened: Time,
    pub due: Time,
    answers: BTreeMap<SocketAddr, BTreeMap<String, Answer>>,
    /// A question was answered for the first time: who else will answer is not known yet.
    grew: bool,
}

impl Round {
    pub fn open(now: Time, settings: &DnsSettings) -> Self {
        Round {
            opened: now,
            due: now + settings.round_grace(),
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

    pub fn answers(&self) -> impl Iterator<Item = (&SocketAddr, &BTreeMap<String, Answer>)> {
        self.answers.iter()
    }

    /// Whether servers of this family were asked, and whether nobody at all of them was heard.
    pub fn silence(&self, of: usize) -> Option<bool> {
        let mut reports = self
            .answers
            .iter()
            .filter(|(server, _)| family(server) == of)
            .map(|(_, answers)| report(Role::Authority, answers))
            .peekable();
        reports.peek()?;
        Some(reports.all(|report| report == Report::Silent))
    }
}
