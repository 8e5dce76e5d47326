//! One alert at one receiver. Pure: the clock comes in.

use netfault_model::{Subject, Time};
use serde::{Deserialize, Serialize};

use crate::notice::{Group, Notice, NoticeState};
use crate::outbox::groups;
use crate::routing::Plan;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The newest state.
    pub notice: Notice,
    /// What the receiver took last; it is owed the resolve.
    pub told: Option<Told>,
    /// An attempt may have reached the receiver although its answer was lost.
    pub tried: bool,
    /// The file says that no attempt was made.
    pub held: bool,
    /// Who looks after it.
    pub acked: Option<String>,
    /// It is told as part of a summary only.
    pub summed: bool,
    /// Place in the queue while it waits.
    pub place: Option<u64>,
    /// How it is to be told; not kept on disk, since the configuration may change.
    pub plan: Option<Plan>,
    /// What it covers in the ledger's index of told subjects.
    pub covers: Vec<SubjectKey>,
}

/// What a receiver took last of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub version: u32,
    pub at: Time,
    #[serde(default)]
    pub acked: bool,
    /// How often it was said again.
    #[serde(default)]
    pub repeats: u32,
    /// Members of a group that were told.
    #[serde(default)]
    pub size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// What the receiver understands, and how it likes to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// It can change what it showed, so it is sent updates unless a route says otherwise.
    pub updates: bool,
    /// It knows acknowledgements.
    pub acks: bool,
    /// Shortest time between two states of a summary, microseconds.
    pub summary_every: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now(NoticeState),
    At(Time),
    /// Until something happens: a new version, an acknowledgement, the end of a silence.
    Held,
}

pub(crate) type SubjectKey = (&'static str, String);

impl Entry {
    pub fn new(notice: Notice, plan: Option<Plan>) -> Self {
        Entry {
            notice,
            told: None,
            tried: false,
            held: false,
            acked: None,
            summed: false,
            place: None,
            plan,
            covers: Vec::new(),
        }
    }

    /// What is to be said at `now`. `hidden`: a silence or window hides it; `covered`: another alert that the receiver
    /// holds as open says it already.
    pub fn due(&self, now: Time, manner: Manner, hidden: bool, covered: bool) -> Due {
        let notice = &self.notice;
        if notice.is_over() {
            return Due::Now(NoticeState::Resolved);
        }
        let Some(plan) = self.plan.as_ref().filter(|_| !self.summed) else {
            return Due::Held;
        };
        let Some(told) = &self.told else {
            let from = notice.opened_at + self.first_wait(plan);
            return match from > now {
                true => Due::At(from),
                false if hidden || covered => Due::Held,
                false => Due::Now(NoticeState::Open),
            };
        };
        if manner.acks && self.acked.is_some() && !told.acked {
            return Due::Now(NoticeState::Acknowledged);
        }
        if hidden {
            return Due::Held;
        }
        if groups::is_summary(notice) {
            return self.summary_due(told, now, manner);
        }
        let grew = notice.group.as_ref().is_some_and(|group| group.size > told.size);
        if notice.version > told.version && (grew || plan.updates.unwrap_or(manner.updates)) {
            return Due::Now(NoticeState::Update);
        }
        match plan.repeat.filter(|_| self.acked.is_none()) {
            None => Due::Held,
            Some(repeat) if told.at + repeat <= now => Due::Now(NoticeState::Repeat),
            Some(repeat) => Due::At(told.at + repeat),
        }
    }

    fn first_wait(&self, plan: &Plan) -> std::time::Duration {
        match groups::is_summary(&self.notice) {
            true => groups::SUMMARY_WAIT,
            false => plan.wait,
        }
    }

    fn summary_due(&self, told: &Told, now: Time, manner: Manner) -> Due {
        let next = Time::from_micros(told.at.micros().saturating_add(manner.summary_every));
        match self.notice.version > told.version {
            false => Due::Held,
            true if next <= now => Due::Now(NoticeState::Update),
            true => Due::At(next),
        }
    }

    /// The notice as it is said.
    pub fn said(&self, state: NoticeState) -> Notice {
        let mut notice = Notice {
            state,
            ..self.notice.clone()
        };
        if let Some(group) = &mut notice.group {
            group.members.truncate(Group::SENT);
        }
        if state == NoticeState::Acknowledged
            && let Some(by) = &self.acked
        {
            notice.text = format!("{by} looks after it. {}", notice.text);
        }
        notice
    }

    /// The subjects that need no alert of their own while this one is open: its parts in trouble, and the whole origin
    /// where the origin as such went.
    pub fn covered_subjects(&self) -> Vec<SubjectKey> {
        let Some(incident) = &self.notice.incident else {
            return Vec::new();
        };
        let mut keys: Vec<SubjectKey> = crate::matcher::affected(&self.notice)
            .into_iter()
            .filter(|subject| !matches!(subject, Subject::Origin { .. }))
            .map(Subject::key)
            .collect();
        if incident.cause.name() == "origin_withdrawn" {
            keys.push(incident.subject.key());
        }
        keys
    }

    /// Where an alert that says the same may be found.
    pub fn own_subjects(&self) -> Vec<SubjectKey> {
        let Some(subject) = &self.notice.subject else {
            return Vec::new();
        };
        let mut keys = vec![subject.key()];
        if let Subject::Prefix {
            origin: Some(origin), ..
        } = subject
        {
            keys.push(Subject::Origin { origin: *origin }.key());
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MANNER: Manner = Manner {
        updates: true,
        acks: true,
        summary_every: 60_000_000,
    };

    fn at(secs: i64) -> Time {
        Time::from_secs(secs)
    }

    fn entry(told: Option<u32>) -> Entry {
        let notice = Notice {
            version: 3,
            ..Notice::blank("a", at(100))
        };
        let plan = Plan {
            wait: Duration::from_secs(10),
            repeat: Some(Duration::from_secs(50)),
            ..Plan::PLAIN
        };
        let mut entry = Entry::new(notice, Some(plan));
        entry.told = told.map(|version| Told {
            version,
            at: at(120),
            acked: false,
            repeats: 0,
            size: 0,
            receipt: None,
        });
        entry
    }

    #[test]
    fn the_table_of_what_is_due() {
        use NoticeState::*;
        let due = |entry: &Entry, now, hidden, covered| entry.due(at(now), MANNER, hidden, covered);
        let fresh = entry(None);
        assert_eq!(due(&fresh, 105, false, false), Due::At(at(110)));
        assert_eq!(due(&fresh, 110, false, false), Due::Now(Open));
        assert_eq!(due(&fresh, 110, true, false), Due::Held, "silenced");
        assert_eq!(due(&fresh, 110, false, true), Due::Held, "said by another one");

        let told = entry(Some(3));
        assert_eq!(due(&told, 169, false, false), Due::At(at(170)));
        assert_eq!(due(&told, 170, false, false), Due::Now(Repeat));
        assert_eq!(due(&told, 170, true, false), Due::Held);
        let older = entry(Some(2));
        assert_eq!(due(&older, 130, false, false), Due::Now(Update));
        assert_eq!(due(&older, 130, true, false), Due::Held);
        let mut quiet = entry(Some(2));
        quiet.plan.as_mut().unwrap().updates = Some(false);
        assert_eq!(due(&quiet, 130, false, false), Due::At(at(170)));

        let mut acked = entry(Some(3));
        acked.acked = Some("ann".into());
        assert_eq!(due(&acked, 130, true, false), Due::Now(Acknowledged));
        acked.told.as_mut().unwrap().acked = true;
        assert_eq!(due(&acked, 500, false, false), Due::Held, "no repeats any more");

        let mut over = entry(Some(3));
        over.notice.state = Resolved;
        assert_eq!(
            due(&over, 130, true, true),
            Due::Now(Resolved),
            "an end is never held back"
        );
        let mut summed = entry(None);
        summed.summed = true;
        assert_eq!(due(&summed, 130, false, false), Due::Held);
        let unrouted = Entry::new(Notice::blank("a", at(0)), None);
        assert_eq!(due(&unrouted, 130, false, false), Due::Held);
    }
}
