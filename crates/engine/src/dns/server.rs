//! One server of one name: its run of good and bad rounds.

use std::collections::BTreeMap;

use netfault_model::{Outcome, Probe, Role, Time};

use super::settings::DnsSettings;

/// What a whole round said about one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) enum Report {
    /// An authority spoke for the zone, or a resolver gave a record.
    Good,
    /// A resolver says that there is no such name, or no address.
    Missing { nxdomain: bool },
    /// DNSSEC validation failed at this resolver.
    Bogus,
    /// Something came back, and it is no use. `servfail`: nothing but SERVFAIL.
    Fault { servfail: bool },
    /// An authority answers, but not for this zone (lame, or REFUSED).
    NotServing,
    /// Nothing came back.
    Silent,
}

/// One answer, as far as the report of a round needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Answer {
    pub outcome: Outcome,
    pub authoritative: bool,
}

impl From<&Probe> for Answer {
    fn from(probe: &Probe) -> Self {
        Answer {
            outcome: probe.outcome,
            authoritative: probe.authoritative,
        }
    }
}

/// The report of a round from its answers, one per question type; their order is nothing.
pub(super) fn report(role: Role, answers: &BTreeMap<String, Answer>) -> Report {
    let all = |wanted: fn(Outcome) -> bool| answers.values().all(|answer| wanted(answer.outcome));
    let any = |wanted: fn(Outcome) -> bool| answers.values().any(|answer| wanted(answer.outcome));
    if answers.values().any(|answer| is_good(role, *answer)) {
        return Report::Good;
    }
    if all(|outcome| matches!(outcome, Outcome::Timeout | Outcome::NetUnreachable)) {
        return Report::Silent;
    }
    if role == Role::Authority {
        let not_serving = any(|outcome| matches!(outcome, Outcome::Lame | Outcome::Refused));
        return if not_serving {
            Report::NotServing
        } else {
            Report::Fault { servfail: false }
        };
    }
    if any(|outcome| outcome == Outcome::Bogus) {
        return Report::Bogus;
    }
    if all(|outcome| matches!(outcome, Outcome::Nodata | Outcome::Nxdomain)) {
        return Report::Missing {
            nxdomain: any(|outcome| outcome == Outcome::Nxdomain),
        };
    }
    Report::Fault {
        servfail: all(|outcome| outcome == Outcome::Servfail),
    }
}

/// An authority is healthy when it speaks with authority, whatever it says about this record.
fn is_good(role: Role, answer: Answer) -> bool {
    match (role, answer.outcome) {
        (_, Outcome::Ok) => true,
        (Role::Authority, Outcome::Nodata | Outcome::Nxdomain) => answer.authoritative,
        _ => false,
    }
}

/// A server and what its last rounds said.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Server {
    /// Question types that it is asked, each with the time of the newest answer taken.
    pub questions: BTreeMap<String, Time>,
    pub last: Report,
    /// Rounds in a row that were not good, and that were.
    pub bad_rounds: u32,
    pub good_rounds: u32,
    /// When it last was asked.
    pub asked: Time,
    /// Start of the unbroken healthy span that it is in.
    healthy_since: Option<Time>,
    /// When it was last seen to be healthy for an hour on end.
    held: Option<Time>,
}

impl Server {
    pub fn new(now: Time) -> Self {
        Server {
            questions: BTreeMap::new(),
            last: Report::Silent,
            bad_rounds: 0,
            good_rounds: 0,
            asked: now,
            healthy_since: None,
            held: None,
        }
    }

    /// Books one round. `opened` stands for the whole round, so that the place of a server within it is nothing.
    pub fn book(&mut self, opened: Time, report: Report, settings: &DnsSettings) {
        self.last = report;
        if report == Report::Good {
            self.bad_rounds = 0;
            self.good_rounds = self.good_rounds.saturating_add(1);
            let since = *self.healthy_since.get_or_insert(opened);
            if opened >= since + settings.held_for() {
                self.held = Some(opened);
            }
        } else {
            self.good_rounds = 0;
            self.bad_rounds = self.bad_rounds.saturating_add(1);
            if self.is_down(settings) {
                self.healthy_since = None;
            }
        }
    }

    /// Forgets the runs of rounds, but not that it was healthy.
    pub fn start_anew(&mut self) {
        self.bad_rounds = 0;
        self.good_rounds = 0;
    }

    pub fn is_down(&self, settings: &DnsSettings) -> bool {
        self.bad_rounds >= settings.rounds()
    }

    pub fn is_up(&self, settings: &DnsSettings) -> bool {
        self.good_rounds >= settings.rounds()
    }

    /// Healthy for an hour in the last 24 h.
    pub fn has_history(&self, now: Time, settings: &DnsSettings) -> bool {
        self.held.is_some_and(|held| now <= held + settings.held_within())
    }
}
