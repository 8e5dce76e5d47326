//! ntfy, published as JSON: priority, tags, click.
//!
//! Limits as documented: a message of 4096 bytes (a longer one would become an attachment), a title of some 250
//! characters as phones show them.

use std::time::Duration;

use hyper::Uri;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::{self, Call, Headers, Poster};
use crate::message::Message;
use crate::notice::{About, NoticeState, clip, clip_bytes};

#[derive(Clone, Debug, PartialEq)]
pub struct Ntfy {
    url: Uri,
    topic: String,
    headers: Headers,
    timeout: Duration,
}

const MESSAGE: usize = 4_096;
const TITLE: usize = 250;

impl Ntfy {
    /// `url`: the server.
    pub fn new(url: &str, topic: &str, headers: Headers, timeout: Duration) -> Result<Self, String> {
        let fits = (1..=64).contains(&topic.len());
        if !fits
            || !topic
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(format!(
                "'{topic}' is not a topic: 1 to 64 letters, digits, '-' or '_'"
            ));
        }
        Ok(Ntfy {
            url: http::below(&http::url(url)?, "/")?,
            topic: topic.to_owned(),
            headers,
            timeout,
        })
    }

    pub(super) async fn deliver(&self, http: &Poster, message: &Message) -> Result<(), Failure> {
        let body = self.body(message);
        let call = Call::json(&self.url, &body, self.timeout).with(&self.headers)?;
        http.send(call).await.map(drop)
    }

    fn body(&self, message: &Message) -> Value {
        let notice = &message.notice;
        let (icon, priority) = match notice.state {
            NoticeState::Resolved => ("white_check_mark", 3),
            NoticeState::Acknowledged => ("eyes", 2),
            // 5 rings through "do not disturb": kept for what wakes people.
            _ => match notice.severity {
                5.. => ("rotating_light", 5),
                4 => ("rotating_light", 4),
                3 => ("warning", 4),
                2 => ("warning", 3),
                _ => ("information_source", 2),
            },
        };
        let mut tags = vec![icon.to_owned(), format!("severity-{}", notice.severity)];
        tags.extend(notice.cause().map(str::to_owned));
        if notice.about == About::Ourselves {
            tags.push("netfault".to_owned());
        }
        // An empty message would be shown as "triggered".
        let text = match message.body.is_empty() {
            true => message.title.as_str(),
            false => message.body.as_str(),
        };
        let mut body = json!({
            "topic": self.topic,
            "title": clip(&message.headline(), TITLE),
            "message": clip_bytes(text, MESSAGE),
            "priority": priority,
            "tags": tags,
        });
        if let Some(link) = &message.link {
            body["click"] = link.as_str().into();
        }
        body
    }
}
