//! What is delivered: one notice per incident, first open, then resolved.

use std::fmt;

use netfault_model::{Incident, Subject, Time};
use serde::{Deserialize, Serialize};

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
    /// That of the incident (16 hex digits), with `-2`, `-3` … where it opened again; the same for the open and the
    /// resolve, and the same again in a replay.
    pub id: String,
    pub state: NoticeState,
    /// 1 (note) to 5 (a country or a watched name is out).
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
    /// The version of the incident that decided, with at most 100 of its parts. Absent for a test.
    #[serde(default)]
    pub incident: Option<Box<Incident>>,
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
    fn a_moment_is_read_to_the_second() {
        assert_eq!(
            second(Time::from_micros(1_203_818_622_900_000)),
            "2008-02-24 02:03:42Z"
        );
    }
}
