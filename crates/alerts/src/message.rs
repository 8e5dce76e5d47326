//! A notice on its way to one receiver: what is said, in the receiver's words.

use serde_json::Value;

use crate::notice::{Notice, NoticeState, clip};
use crate::template::Template;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// In the state that is said.
    pub notice: Notice,
    /// By the receiver's template; by default those of the notice.
    pub title: String,
    pub body: String,
    /// Which repetition it is.
    pub repeats: u32,
    /// What the receiver calls the alert.
    pub receipt: Option<String>,
    /// Where people read more.
    pub link: Option<String>,
}

/// Longer ones are cut: no receiver shows more of a title.
const MAX_TITLE: usize = 500;
/// Room for a hundred parts.
const MAX_BODY: usize = 20_000;

impl Message {
    pub fn new(notice: Notice, template: &Template) -> Self {
        let (title, body) = template.render(&notice);
        let one_line: String = title.split_whitespace().collect::<Vec<_>>().join(" ");
        Message {
            title: clip(&one_line, MAX_TITLE),
            body: clip(body.trim(), MAX_BODY),
            notice,
            repeats: 0,
            receipt: None,
            link: None,
        }
    }

    /// Names this state of this alert, the same in every attempt.
    pub fn event_id(&self) -> String {
        let (id, state) = (&self.notice.id, self.notice.state);
        match state {
            NoticeState::Open | NoticeState::Resolved | NoticeState::Acknowledged => {
                format!("{id}-{}", state.name())
            }
            NoticeState::Update => format!("{id}-update-{}", self.notice.version),
            NoticeState::Repeat => format!("{id}-repeat-{}", self.repeats + 1),
        }
    }

    /// The notice as JSON, with the words of the template.
    pub fn data(&self) -> Value {
        let mut data = serde_json::to_value(&self.notice).unwrap_or_default();
        if let Some(fields) = data.as_object_mut() {
            fields.insert("title".into(), self.title.clone().into());
            fields.insert("text".into(), self.body.clone().into());
        }
        data
    }

    /// What people read first: `RESOLVED: www.example.com is …`; the state alone where the title has it.
    pub fn headline(&self) -> String {
        match self.notice.state {
            NoticeState::Open => self.title.clone(),
            state => format!("{}: {}", state.word(), self.title),
        }
    }

    /// The subject, as people name it.
    pub fn subject(&self) -> String {
        match (&self.notice.subject, &self.notice.trouble) {
            (Some(subject), _) => crate::notices::who(subject),
            (None, Some(trouble)) => format!("netfault: {trouble}"),
            (None, None) => "netfault".to_owned(),
        }
    }

    /// `netfault explain ID`, where there is something to explain.
    pub fn incident(&self) -> Option<String> {
        let incident = self.notice.incident.as_ref()?;
        Some(incident.id.to_string())
    }
}
