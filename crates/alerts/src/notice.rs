//! What is delivered: an incident, a group of them, or something about ourselves, in its newest state.

use std::fmt;

use netfault_model::{Finding, Incident, Subject, Time};
use serde::{Deserialize, Serialize};

/// What became of the alert. `Acknowledged` is said to receivers that know acknowledgements; it is no state of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    Open,
    /// Still open, and something that matters changed.
    Update,
    /// Somebody looks after it.
    Acknowledged,
    /// It is said again, because it is still open.
    Repeat,
    Resolved,
}

impl NoticeState {
    pub const ALL: [NoticeState; 5] = [
        NoticeState::Open,
        NoticeState::Update,
        NoticeState::Acknowledged,
        NoticeState::Repeat,
        NoticeState::Resolved,
    ];

    pub fn name(self) -> &'static str {
        match self {
            NoticeState::Open => "open",
            NoticeState::Update => "update",
            NoticeState::Acknowledged => "acknowledged",
            NoticeState::Repeat => "repeat",
            NoticeState::Resolved => "resolved",
        }
    }

    /// The word that people read first.
    pub fn word(self) -> &'static str {
        match self {
            NoticeState::Open => "ALERT",
            NoticeState::Update => "UPDATE",
            NoticeState::Acknowledged => "ACKNOWLEDGED",
            NoticeState::Repeat => "STILL OPEN",
            NoticeState::Resolved => "RESOLVED",
        }
    }
}

/// Whom a notice is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// What is watched.
    #[default]
    Target,
    /// netfault itself: a lost feed, a store that is down, an outbox that overflows.
    #[serde(rename = "self")]
    Ourselves,
}

impl About {
    pub fn name(self) -> &'static str {
        match self {
            About::Target => "target",
            About::Ourselves => "self",
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
    /// Grows with each state of one id.
    #[serde(default)]
    pub version: u32,
    /// 1 (note) to 5 (a country or a watched name is out).
    pub severity: u8,
    /// The severity with which it opened: part of its identity where a receiver cannot change labels. 0: as `severity`.
    #[serde(default)]
    pub opened_severity: u8,
    #[serde(default)]
    pub about: About,
    /// `None`: netfault itself, or a group.
    pub subject: Option<Subject>,
    /// The services of the configuration that it touches.
    #[serde(default)]
    pub services: Vec<String>,
    /// Why names in it fail.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// One sentence, for the subject line and the small screen.
    pub title: String,
    /// What else is known, in sentences; may be empty.
    pub text: String,
    /// First evidence of the outage.
    pub started_at: Time,
    /// When the alert opened. 1970 in what an older netfault wrote.
    #[serde(default = "epoch")]
    pub opened_at: Time,
    /// When this state was decided.
    pub at: Time,
    /// The version of the incident that decided, with at most 100 of its parts. Absent for a test.
    #[serde(default)]
    pub incident: Option<Box<Incident>>,
    /// It stands for several alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Of what kind of trouble of ours it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Several alerts that are told as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Of the route and the values that they have in common. Empty: what a rate cap held back.
    pub key: String,
    /// In the order in which they came; at most [`Group::MAX`], in a message [`Group::SENT`].
    pub members: Vec<Member>,
    /// How many there have been, also those that are no longer listed.
    pub size: u32,
}

impl Group {
    /// Bounds what one group takes; what does not fit is counted, and over with the rest.
    pub const MAX: usize = 2_000;
    /// As many travel with a message.
    pub const SENT: usize = 100;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub id: String,
    pub over: bool,
    pub severity: u8,
    pub title: String,
    pub started_at: Time,
}

fn epoch() -> Time {
    Time::from_secs(0)
}

impl Notice {
    /// Nothing is known of it yet: to be filled in (`..Notice::blank(id, at)`).
    pub fn blank(id: impl Into<String>, at: Time) -> Self {
        Notice {
            id: id.into(),
            state: NoticeState::Open,
            version: 1,
            severity: 1,
            opened_severity: 0,
            about: About::Target,
            subject: None,
            services: Vec::new(),
            findings: Vec::new(),
            title: String::new(),
            text: String::new(),
            started_at: at,
            opened_at: at,
            at,
            incident: None,
            group: None,
            trouble: None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.state == NoticeState::Resolved
    }

    /// The severity with which it opened.
    pub fn first_severity(&self) -> u8 {
        match self.opened_severity {
            0 => self.severity,
            first => first,
        }
    }

    /// The cause of the incident, by name.
    pub fn cause(&self) -> Option<&'static str> {
        self.incident.as_ref().map(|incident| incident.cause.name())
    }

    /// True if `self` says more than `other` of the same id.
    pub(crate) fn is_newer_than(&self, other: &Notice) -> bool {
        !other.is_over() && (self.is_over() || self.version > other.version)
    }
}

/// One line, as the stdout receiver prints it.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.state.word();
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

/// At most `max` characters; what is cut off is marked.
pub(crate) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => {
            let mut kept: String = text.chars().take(max.saturating_sub(1)).collect();
            kept.push('…');
            kept
        }
    }
}

/// At most `max` bytes, cut between characters.
pub(crate) fn clip_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mark = "…";
    let mut end = max.saturating_sub(mark.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}", &text[..end])
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

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clip("größer", 6), "größer");
        assert_eq!(clip("größer", 4), "grö…");
        for max in 3..9 {
            assert!(clip_bytes("größer", max).len() <= max, "{max}");
        }
        assert_eq!(clip_bytes("größer", 8), "größer");
    }

    /// What an older netfault left in its outbox is still read.
    #[test]
    fn a_notice_of_an_older_netfault_is_read() {
        let old = r#"{"id":"a","state":"open","severity":2,"subject":null,"title":"t","text":"","started_at":"2023-11-14T22:13:20.000000Z","at":"2023-11-14T22:13:20.000000Z","incident":null}"#;
        let read: Notice = serde_json::from_str(old).unwrap();
        assert_eq!(
            (read.version, read.about, read.first_severity()),
            (0, About::Target, 2)
        );
    }
}
