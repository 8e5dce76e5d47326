//! Slack: an incoming webhook, or a bot that answers in the thread of its first message.
//!
//! Limits as Slack documents them for blocks: a header of 150 characters, a section of 3000, 10 fields of 2000, 50
//! blocks. A webhook does not say what it posted, so only a bot can reply in a thread.

use std::time::Duration;

use hyper::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::{self, Call, Poster};
use crate::message::Message;
use crate::notice::{NoticeState, clip, second};
use crate::receivers::{Secret, severity_word};

#[derive(Clone, Debug, PartialEq)]
pub struct Slack {
    way: Way,
    url: Uri,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// The URL is the secret.
    Webhook,
    /// `chat.postMessage` with a bot token.
    Bot { token: Secret, channel: String },
}

/// What the Web API answers, with status 200 also where it refuses.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

const HEADER: usize = 150;
const SECTION: usize = 3_000;
const FIELD: usize = 2_000;
const FALLBACK: usize = 4_000;

impl Slack {
    pub fn webhook(url: &str, timeout: Duration) -> Result<Self, String> {
        Ok(Slack {
            way: Way::Webhook,
            url: http::url(url)?,
            timeout,
        })
    }

    /// `api`: the root of the Web API, `https://slack.com/api`.
    pub fn bot(api: &str, token: Secret, channel: &str, timeout: Duration) -> Result<Self, String> {
        if channel.is_empty() {
            return Err("a bot needs a channel".to_owned());
        }
        Ok(Slack {
            way: Way::Bot {
                token,
                channel: channel.to_owned(),
            },
            url: http::below(&http::url(api)?, "/chat.postMessage")?,
            timeout,
        })
    }

    pub(super) fn threads(&self) -> bool {
        matches!(self.way, Way::Bot { .. })
    }

    pub(super) async fn deliver(&self, http: &Poster, message: &Message) -> Result<Option<String>, Failure> {
        let mut body = payload(message);
        let Way::Bot { token, channel } = &self.way else {
            http.send(Call::json(&self.url, &body, self.timeout)).await?;
            return Ok(None);
        };
        body["channel"] = channel.as_str().into();
        if let Some(thread) = message
            .receipt
            .as_deref()
            .filter(|_| message.notice.state != NoticeState::Open)
        {
            body["thread_ts"] = thread.into();
            // The end belongs into the channel as well.
            body["reply_broadcast"] = (message.notice.state == NoticeState::Resolved).into();
        }
        let mut call = Call::json(&self.url, &body, self.timeout);
        call.content_type = "application/json; charset=utf-8";
        let authorization = Secret::new(format!("Bearer {}", token.reveal()));
        let call = call.with(&vec![(hyper::header::AUTHORIZATION, authorization)])?;
        posted(&http.send(call).await?)
    }
}

fn posted(body: &[u8]) -> Result<Option<String>, Failure> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| Failure::Network(format!("no answer of Slack's API: {error}")))?;
    match (answer.ok, answer.error) {
        (true, _) => Ok(answer.ts),
        (false, Some(error))
            if matches!(error.as_str(), "ratelimited" | "internal_error" | "fatal_error") =>
        {
            Err(Failure::Network(error))
        }
        (false, error) => Err(Failure::Answer(error.unwrap_or_else(|| "not ok".to_owned()))),
    }
}

/// Slack's three control characters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Cut after escaping, and never inside of an escape.
fn mrkdwn(text: &str, max: usize) -> Value {
    let mut room = text.chars().count().min(max);
    let mut cut = escape(&clip(text, room));
    while cut.chars().count() > max {
        room = room * 9 / 10;
        cut = escape(&clip(text, room));
    }
    json!({"type": "mrkdwn", "text": cut})
}

fn payload(message: &Message) -> Value {
    let notice = &message.notice;
    let icon = match notice.state {
        NoticeState::Resolved => ":white_check_mark:",
        NoticeState::Acknowledged => ":eyes:",
        _ if notice.severity >= 4 => ":rotating_light:",
        _ => ":warning:",
    };
    let header = clip(&format!("{icon} {}", message.headline()), HEADER);
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": header, "emoji": true}})];
    let whole = match message.headline().chars().count() + 20 > HEADER {
        true => format!("{}\n{}", message.title, message.body),
        false => message.body.clone(),
    };
    if !whole.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": mrkdwn(&whole, SECTION)}));
    }
    let fields = [
        (
            "Severity",
            format!("{} ({})", notice.severity, severity_word(notice.severity)),
        ),
        ("Subject", message.subject()),
        ("Since", second(notice.started_at)),
        ("Cause", notice.cause().unwrap_or_default().replace('_', " ")),
        ("Services", notice.services.join(", ")),
    ];
    let fields: Vec<Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| mrkdwn(&format!("*{name}*\n{value}"), FIELD))
        .collect();
    blocks.push(json!({"type": "section", "fields": fields}));
    let link = message.link.as_ref().map(|link| format!(" <{link}|more>"));
    let footer = format!("netfault {}{}", escape(&notice.id), link.unwrap_or_default());
    blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": clip(&footer, FIELD)}]}));
    json!({"text": escape(&clip(&message.headline(), FALLBACK / 6)), "blocks": blocks})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_says_no_with_status_200() {
        assert_eq!(posted(br#"{"ok":true,"ts":"1.2"}"#).unwrap(), Some("1.2".into()));
        let refused = posted(br#"{"ok":false,"error":"channel_not_found"}"#).unwrap_err();
        assert_eq!(refused.to_string(), "it answered: channel_not_found");
        assert!(matches!(
            posted(br#"{"ok":false,"error":"ratelimited"}"#),
            Err(Failure::Network(_))
        ));
        assert!(posted(b"<html>").is_err());
    }

    #[test]
    fn a_text_full_of_control_characters_still_fits() {
        let text = "<&>".repeat(2_000);
        let shown = mrkdwn(&text, SECTION);
        let shown = shown["text"].as_str().unwrap();
        assert!(shown.chars().count() <= SECTION);
        assert!(!shown.contains("<") && !shown.ends_with("&am"), "{shown}");
    }
}
