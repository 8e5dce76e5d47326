//! PagerDuty Events API v2: trigger, acknowledge, resolve, with the id of the alert as `dedup_key`.
//!
//! Limits as documented: a summary of 1024 characters, a `dedup_key` of 255, an event of 512 KB.

use std::time::Duration;

use hyper::Uri;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::{self, Call, Poster};
use crate::message::Message;
use crate::notice::{About, NoticeState, clip};
use crate::receivers::{Secret, severity_word};

#[derive(Clone, Debug, PartialEq)]
pub struct PagerDuty {
    url: Uri,
    routing_key: Secret,
    timeout: Duration,
}

const SUMMARY: usize = 1_024;
const EVENT: usize = 512_000;

impl PagerDuty {
    pub const URL: &str = "https://events.pagerduty.com/v2/enqueue";

    pub fn new(url: &str, routing_key: Secret, timeout: Duration) -> Result<Self, String> {
        let fits = (1..=64).contains(&routing_key.reveal().len());
        if !fits
            || !routing_key
                .reveal()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err("this is not an integration key: it has 32 letters and digits".to_owned());
        }
        Ok(PagerDuty {
            url: http::url(url)?,
            routing_key,
            timeout,
        })
    }

    pub(super) async fn deliver(&self, http: &Poster, message: &Message) -> Result<(), Failure> {
        let event = self.event(message);
        http.send(Call::json(&self.url, &event, self.timeout))
            .await
            .map(drop)
    }

    fn event(&self, message: &Message) -> Value {
        let notice = &message.notice;
        let action = match notice.state {
            NoticeState::Open | NoticeState::Update | NoticeState::Repeat => "trigger",
            NoticeState::Acknowledged => "acknowledge",
            NoticeState::Resolved => "resolve",
        };
        let mut event = json!({
            "routing_key": self.routing_key.reveal(),
            "event_action": action,
            "dedup_key": clip(&notice.id, 255),
            "client": "netfault",
        });
        if action == "trigger" {
            event["payload"] = payload(message);
        }
        if let Some(link) = &message.link {
            event["client_url"] = link.as_str().into();
            event["links"] = json!([{"href": link, "text": "What netfault knows"}]);
        }
        if event.to_string().len() > EVENT {
            event["payload"]["custom_details"] = json!({"text": clip(&message.body, 10_000)});
        }
        event
    }
}

fn payload(message: &Message) -> Value {
    let notice = &message.notice;
    let class = match notice.about {
        About::Target => notice.cause(),
        About::Ourselves => notice.trouble.as_deref(),
    };
    json!({
        "summary": clip(&message.title, SUMMARY),
        "source": clip(&message.subject(), 255),
        "severity": severity_word(notice.severity),
        "timestamp": notice.started_at,
        "component": clip(&message.subject(), 255),
        "group": clip(&notice.services.join(", "), 255),
        "class": class.unwrap_or("netfault"),
        "custom_details": message.data(),
    })
}
