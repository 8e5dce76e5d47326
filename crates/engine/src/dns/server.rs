//! One server of one name: its run of good and bad rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use netfault_model::{Outcome, Probe, Role, Time};

use super::settings::DnsSettings;

/// What a whole round said about one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) enum Report {
    /// An authority spoke for the zone, or a resolver gave a record.
    Good,
    /// A resolver says that there is no such name, or no address.
    Missing { nxdomain: bool },
    /// A whole answer, and not the one that the user expects, or one that cannot be right.
    Wrong,
    /// DNSSEC validation failed at this resolver.
    Bogus,
    /// Something came back, and it is no use. `servfail`: nothing but SERVFAIL.
    Fault { servfail: bool },
    /// An authority answers, but not for this zone (lame, or REFUSED).
    NotServing,
    /// Nothing came back.
    Silent,
}

/// What an authority says about the record itself, when it is asked for an address of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Says {
    Record,
    Missing,
    Wrong,
}

/// One answer, as far as the report of a round needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Answer {
    pub at: Time,
    pub outcome: Outcome,
    pub authoritative: bool,
    /// Past its TTL: Stale Answer, or Stale NXDOMAIN Answer (RFC 8914 §4.4, §4.20).
    pub stale: bool,
    /// An address of the name was asked for, not the SOA of its zone.
    pub of_record: bool,
}

impl From<&Probe> for Answer {
    fn from(probe: &Probe) -> Self {
        Answer {
            at: probe.at,
            outcome: probe.outcome,
            authoritative: probe.authoritative,
            stale: matches!(probe.ede, Some((3 | 19, _))),
            of_record: matches!(probe.qtype.as_str(), "A" | "AAAA") && probe.qname == probe.name,
        }
    }
}

/// The report of a round from its answers, one per question type; their order is nothing.
pub(super) fn report(role: Role, answers: &BTreeMap<String, Answer>) -> Report {
    let all = |wanted: fn(Outcome) -> bool| answers.values().all(|answer| wanted(answer.outcome));
    let any = |wanted: fn(Outcome) -> bool| answers.values().any(|answer| wanted(answer.outcome));
    if role == Role::Resolver && any(|outcome| matches!(outcome, Outcome::WrongAnswer | Outcome::Bogon)) {
        return Report::Wrong;
    }
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
        (Role::Authority, Outcome::Nodata | Outcome::Nxdomain | Outcome::WrongAnswer | Outcome::Bogon) => {
            answer.authoritative
        }
        _ => false,
    }
}

/// What an authority says about the record; `None` where it was not asked, or speaks without authority.
pub(super) fn says(answers: &BTreeMap<String, Answer>) -> Option<Says> {
    let mut said = answers
        .values()
        .filter(|answer| answer.of_record && answer.authoritative)
        .map(|answer| answer.outcome)
        .peekable();
    said.peek()?;
    let mut missing = true;
    for outcome in said {
        match outcome {
            Outcome::WrongAnswer | Outcome::Bogon => return Some(Says::Wrong),
            Outcome::Nodata | Outcome::Nxdomain => {}
            _ => missing = false,
        }
    }
    Some(if missing { Says::Missing } else { Says::Record })
}

/// A question that a server is asked every round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Question {
    /// Time of the newest answer taken.
    pub newest: Time,
    /// Of a resolver: the last fresh answer and its TTL, so the moment when its cache forgets it.
    pub until: Option<Time>,
}

/// A server and what its last rounds said.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Server {
    /// Question types that it is asked.
    pub questions: BTreeMap<String, Question>,
    pub last: Report,
    /// Rounds in a row in which it answered from beyond the TTL.
    pub stale_rounds: u32,
    /// Of an authority: what it says about the record, and for how many rounds.
    pub says: Option<Says>,
    pub says_rounds: u32,
    /// Rounds in a row that were not good, and that were.
    pub bad_rounds: u32,
    pub good_rounds: u32,
    /// Beginning of the first round of the bad run, and the first failing answer in it.
    pub bad_since: Option<Time>,
    pub failing_at: Option<Time>,
    /// Beginning of the round with which the bad run became an outage.
    pub down_since: Option<Time>,
    /// Beginning of the last round that was good.
    pub good_at: Option<Time>,
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
            stale_rounds: 0,
            says: None,
            says_rounds: 0,
            bad_rounds: 0,
            good_rounds: 0,
            bad_since: None,
            failing_at: None,
            down_since: None,
            good_at: None,
            asked: now,
            healthy_since: None,
            held: None,
        }
    }

    /// Notes an answer as it comes.
    pub fn note(&mut self, probe: &Probe, now: Time) -> bool {
        self.asked = now;
        let before = self.questions.get(&probe.qtype).copied();
        let is_fresh = probe.outcome == Outcome::Ok && !Answer::from(probe).stale;
        let ttl = probe.ttl.filter(|_| is_fresh && probe.role == Role::Resolver);
        let until = ttl.map(|ttl| probe.at + Duration::from_secs(ttl.into()));
        let question = Question {
            newest: probe.at,
            until: until.or(before.and_then(|before| before.until)),
        };
        self.questions.insert(probe.qtype.clone(), question);
        before.is_none()
    }

    /// Books one round. `opened` stands for the whole round, so that the place of a server within it is nothing.
    pub fn book(
        &mut self,
        opened: Time,
        role: Role,
        answers: &BTreeMap<String, Answer>,
        settings: &DnsSettings,
    ) {
        let report = report(role, answers);
        self.last = report;
        let stale = report == Report::Good && answers.values().any(|answer| answer.stale);
        self.stale_rounds = if stale {
            self.stale_rounds.saturating_add(1)
        } else {
            0
        };
        self.hear(if role == Role::Authority {
            says(answers)
        } else {
            None
        });
        if report == Report::Good {
            self.bad_rounds = 0;
            self.bad_since = None;
            self.failing_at = None;
            self.down_since = None;
            self.good_at = Some(opened);
            self.good_rounds = self.good_rounds.saturating_add(1);
            let since = *self.healthy_since.get_or_insert(opened);
            if opened >= since + settings.held_for() {
                self.held = Some(opened);
            }
        } else {
            self.good_rounds = 0;
            self.bad_rounds = self.bad_rounds.saturating_add(1);
            self.bad_since = self.bad_since.or(Some(opened));
            let first = answers.values().map(|answer| answer.at).min();
            self.failing_at = self.failing_at.or(first);
            if self.bad_rounds >= settings.rounds() {
                self.down_since = self.down_since.or(Some(opened));
                self.healthy_since = None;
            }
        }
    }

    fn hear(&mut self, says: Option<Says>) {
        let Some(says) = says else { return };
        self.says_rounds = if self.says == Some(says) {
            self.says_rounds.saturating_add(1)
        } else {
            1
        };
        self.says = Some(says);
    }

    /// Forgets the runs of rounds, but not that it was healthy.
    pub fn start_anew(&mut self) {
        self.bad_rounds = 0;
        self.good_rounds = 0;
        self.bad_since = None;
        self.failing_at = None;
        self.down_since = None;
    }

    /// Until when its cache hides a failure.
    pub fn until(&self) -> Option<Time> {
        self.questions
            .values()
            .filter_map(|question| question.until)
            .max()
    }

    /// `unproven`: the last so many rounds may have been our own silence.
    pub fn is_down(&self, unproven: u32, settings: &DnsSettings) -> bool {
        self.bad_rounds.saturating_sub(unproven) >= settings.rounds()
    }

    pub fn is_up(&self, settings: &DnsSettings) -> bool {
        self.good_rounds >= settings.rounds()
    }

    /// Healthy for an hour in the last 24 h.
    pub fn has_history(&self, now: Time, settings: &DnsSettings) -> bool {
        self.held.is_some_and(|held| now <= held + settings.held_within())
    }
}
