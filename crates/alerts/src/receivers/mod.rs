//! Who is told: the resolved receivers of the configuration. One file per kind, each with its payload (pure) and its
//! delivery.

mod alertmanager;
mod command;
mod email;
mod ntfy;
mod pagerduty;
mod slack;
mod stdout;
mod webhook;

use std::fmt;
use std::time::Duration;

pub use alertmanager::Alertmanager;
pub use command::Command;
pub use email::{Email, Smtp, Tls};
pub use ntfy::Ntfy;
pub use pagerduty::PagerDuty;
pub use slack::{Slack, Way};
pub use webhook::Webhook;

use crate::failure::Failure;
use crate::http::Poster;
use crate::message::Message;
use crate::outbox::Manner;
use crate::rate::Rate;
use crate::template::Template;

/// One receiver. The name is unique, and a file name too: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    pub name: String,
    pub to: To,
    /// At most so many messages; what it holds back is told as one number. Ends of alerts do not count.
    pub rate: Option<Rate>,
    pub template: Template,
    /// Where people read more; `{id}` stands for the id of the incident.
    pub link: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// One line per notice on standard output.
    Stdout,
    Webhook(Webhook),
    Slack(Slack),
    PagerDuty(PagerDuty),
    Alertmanager(Alertmanager),
    Email(Box<Email>),
    Ntfy(Ntfy),
    Command(Command),
}

impl To {
    /// The key of the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            To::Stdout => "stdout",
            To::Webhook(_) => "webhook",
            To::Slack(_) => "slack",
            To::PagerDuty(_) => "pagerduty",
            To::Alertmanager(_) => "alertmanager",
            To::Email(_) => "email",
            To::Ntfy(_) => "ntfy",
            To::Command(_) => "command",
        }
    }
}

impl Receiver {
    pub fn new(name: impl Into<String>, to: To) -> Self {
        Receiver {
            name: name.into(),
            to,
            rate: None,
            template: Template::default(),
            link: None,
        }
    }

    pub(crate) fn manner(&self) -> Manner {
        let changes = match &self.to {
            To::PagerDuty(_) | To::Alertmanager(_) => true,
            To::Slack(slack) => slack.threads(),
            To::Stdout | To::Webhook(_) | To::Email(_) | To::Ntfy(_) | To::Command(_) => false,
        };
        Manner {
            updates: changes,
            acks: matches!(self.to, To::PagerDuty(_)),
            summary_every: self
                .rate
                .map_or(60_000_000, |rate| netfault_model::time::micros(rate.per)),
        }
    }

    /// How often what it holds as open is sent again, so that it does not take it for over.
    pub(crate) fn refresh(&self) -> Option<Duration> {
        match &self.to {
            To::Alertmanager(to) => Some(to.refresh),
            _ => None,
        }
    }

    pub(crate) fn message(&self, notice: crate::Notice) -> Message {
        let mut message = Message::new(notice, &self.template);
        message.link = self.link_of(&message);
        message
    }

    fn link_of(&self, message: &Message) -> Option<String> {
        let link = self.link.as_ref()?;
        Some(link.replace("{id}", &message.incident()?))
    }

    /// One attempt. What the receiver calls the alert comes back, where it has a name of its own.
    pub(crate) async fn deliver(&self, http: &Poster, message: &Message) -> Result<Option<String>, Failure> {
        match &self.to {
            To::Stdout => stdout::print(message).await?,
            To::Webhook(to) => to.deliver(http, message).await?,
            To::Slack(to) => return to.deliver(http, message).await,
            To::PagerDuty(to) => to.deliver(http, message).await?,
            To::Alertmanager(to) => to.deliver(http, std::slice::from_ref(message)).await?,
            To::Email(to) => to.deliver(message).await?,
            To::Ntfy(to) => to.deliver(http, message).await?,
            To::Command(to) => to.deliver(message).await?,
        }
        Ok(None)
    }

    /// Sends again what it holds as open.
    pub(crate) async fn deliver_again(&self, http: &Poster, open: &[Message]) -> Result<(), Failure> {
        match &self.to {
            To::Alertmanager(to) => to.deliver(http, open).await,
            _ => Ok(()),
        }
    }
}

/// Our five severities in the four words that most services use.
pub(crate) fn severity_word(severity: u8) -> &'static str {
    match severity {
        5.. => "critical",
        4 => "error",
        2 | 3 => "warning",
        _ => "info",
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself. Named so that every use stands out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The name of a receiver becomes a file name and a metric label.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits {
        Ok(())
    } else {
        Err(format!(
            "'{name}' is not a receiver name: give 1 to 64 letters, digits, '-' or '_'"
        ))
    }
}
