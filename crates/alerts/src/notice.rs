//! What is delivered: one notice per outage, first open, then resolved.

use std::fmt;

use netfault_model::{Subject, Time, Transition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    Open,
    Resolved,
}

impl NoticeState {
    pub fn name(self) -> &'static str {
        match self {
            NoticeState::Open => "open",
            NoticeState::Resolved => "resolved",
        }
    }
}

/// One alert in one of its states. The data of the webhook's event; fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// 32 hex digits, the same for the open and the resolve, and the same again in a replay.
    pub id: String,
    pub state: NoticeState,
    /// 1 (note) to 5 (a watched name is out).
    pub severity: u8,
    /// `None`: netfault itself (a test, later its own health).
    pub subject: Option<Subject>,
    /// One sentence, for the subject line and the small screen.
    pub title: String,
    /// What else is known, in sentences; may be empty.
    pub text: String,
    /// First evidence of the outage.
    pub started_at: Time,
    /// When this state was decided.
    pub at: Time,
    /// The transition that decided.
    pub details: Option<Transition>,
}

/// The id of the alert about `subject` that began at `first_evidence_at`.
///
/// Derived, never random: the same outage has the same id live, in a replay and after a restart. The
/// origin of a prefix is no part of it, because it may be learnt only later.
pub fn id(kind: &str, subject: &Subject, first_evidence_at: Time) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    let (type_, what) = subject.key();
    hash.update(format!("{type_}\0{what}"));
    hash.update(first_evidence_at.micros().to_be_bytes());
    hash.finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One line, as the stdout receiver prints it.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.state {
            NoticeState::Open => "ALERT",
            NoticeState::Resolved => "RESOLVED",
        };
        write!(f, "{} {word} [{}] {}", second(self.at), self.severity, self.title)?;
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        write!(f, " (id {})", self.id)
    }
}

/// `2008-02-24 02:03:42Z`: to the second, as people read it.
pub(crate) fn second(at: Time) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock}Z"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_derived_from_the_outage_and_nothing_else() {
        let prefix = "192.0.2.0/24".parse().unwrap();
        let t = Time::from_secs(1_203_818_473);
        let known = Subject::Prefix {
            prefix,
            origin: Some(netfault_model::Asn(64500)),
        };
        let unknown = Subject::Prefix { prefix, origin: None };
        assert_eq!(id("outage", &known, t), id("outage", &unknown, t));
        assert_ne!(id("outage", &known, t), id("outage", &known, t.plus_micros(1)));
        assert_ne!(
            id("outage", &known, t),
            id(
                "outage",
                &Subject::Name {
                    name: "192.0.2.0/24".into()
                },
                t
            )
        );
        // Pinned: receivers keep these ids, so a change would orphan every alert that is open.
        assert_eq!(id("outage", &known, t), "ddba1cf485e934f6ef7d758a74dd4644");
    }

    #[test]
    fn a_moment_is_read_to_the_second() {
        assert_eq!(
            second(Time::from_micros(1_203_818_622_900_000)),
            "2008-02-24 02:03:42Z"
        );
    }
}
