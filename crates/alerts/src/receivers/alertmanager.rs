//! Prometheus Alertmanager, `POST /api/v2/alerts`.
//!
//! An alert is its labels, so they hold only what never changes; all else is an annotation. Alertmanager takes what it
//! does not hear of again for over: each open alert is sent again long before its `endsAt`. A resolve has `endsAt` now.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Uri;
use netfault_model::Time;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::{self, Call, Headers, Poster};
use crate::message::Message;
use crate::notice::{About, Notice, clip_bytes};
use crate::receivers::severity_word;

#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    url: Uri,
    /// Added to every alert.
    labels: BTreeMap<String, String>,
    headers: Headers,
    timeout: Duration,
    /// How often open alerts are sent again. They end by themselves after five times that.
    pub refresh: Duration,
}

/// Several missed refreshes do not end an alert.
const LASTS: u32 = 5;
/// Alertmanager has no limit of its own; a label is not the place for more.
const LABEL: usize = 1_024;
const ANNOTATION: usize = 8_192;

impl Alertmanager {
    pub const REFRESH: Duration = Duration::from_secs(60);

    pub fn new(
        url: &str,
        labels: BTreeMap<String, String>,
        headers: Headers,
        timeout: Duration,
        refresh: Duration,
    ) -> Result<Self, String> {
        if let Some(wrong) = labels.keys().find(|name| !is_label(name)) {
            return Err(format!(
                "'{wrong}' is not a label name: letters, digits and '_', a letter first"
            ));
        }
        if refresh < Duration::from_secs(1) {
            return Err("a refresh under a second would be nothing but refreshes".to_owned());
        }
        Ok(Alertmanager {
            url: http::below(&http::url(url)?, "/api/v2/alerts")?,
            labels,
            headers,
            timeout,
            refresh,
        })
    }

    pub(super) async fn deliver(&self, http: &Poster, messages: &[Message]) -> Result<(), Failure> {
        let now = now();
        let alerts: Vec<Value> = messages.iter().map(|message| self.alert(message, now)).collect();
        self.post(http, alerts.into()).await
    }

    async fn post(&self, http: &Poster, alerts: Value) -> Result<(), Failure> {
        let call = Call::json(&self.url, &alerts, self.timeout).with(&self.headers)?;
        http.send(call).await.map(drop)
    }

    /// The alert that always fires, while netfault is well.
    pub(crate) async fn beat(&self, http: &Poster, lasts: Duration) -> Result<(), Failure> {
        let mut labels = self.labels.clone();
        labels.insert("alertname".into(), "NetfaultHeartbeat".into());
        labels.insert("severity".into(), "none".into());
        let summary = "netfault is well. When this alert ends, it is not, and nobody is told of outages.";
        let alert = json!({
            "labels": labels,
            "annotations": {"summary": summary},
            "endsAt": now() + lasts,
        });
        self.post(http, json!([alert])).await
    }

    fn alert(&self, message: &Message, now: Time) -> Value {
        let notice = &message.notice;
        let ends = match notice.is_over() {
            true => now,
            false => now + self.refresh * LASTS,
        };
        let mut alert = json!({
            "labels": self.labels_of(notice),
            "annotations": annotations(message),
            "startsAt": notice.started_at.min(now),
            "endsAt": ends,
        });
        if let Some(link) = &message.link {
            alert["generatorURL"] = link.as_str().into();
        }
        alert
    }

    fn labels_of(&self, notice: &Notice) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        let name = match notice.about {
            About::Target => "NetfaultIncident",
            About::Ourselves => "NetfaultTrouble",
        };
        let mut put = |name: &str, value: &str| labels.insert(name.to_owned(), clip_bytes(value, LABEL));
        put("alertname", name);
        put("id", &notice.id);
        put("about", notice.about.name());
        put("severity", severity_word(notice.first_severity()));
        labels
    }
}

fn annotations(message: &Message) -> BTreeMap<&'static str, String> {
    let notice = &message.notice;
    let level = notice.incident.as_ref().map(|incident| incident.level.name());
    let confidence = notice
        .incident
        .as_ref()
        .map(|incident| incident.confidence.to_string());
    let all = [
        ("summary", message.title.clone()),
        ("description", message.body.clone()),
        ("subject", message.subject()),
        ("severity", notice.severity.to_string()),
        ("level", level.unwrap_or_default().to_owned()),
        ("cause", notice.cause().unwrap_or_default().to_owned()),
        ("confidence", confidence.unwrap_or_default()),
        ("services", notice.services.join(", ")),
        ("incident", message.incident().unwrap_or_default()),
    ];
    let kept = all.into_iter().filter(|(_, value)| !value.is_empty());
    kept.map(|(name, value)| (name, clip_bytes(&value, ANNOTATION)))
        .collect()
}

fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_secs(0) + since
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::template::Template;

    /// Whatever changes while an alert is open, its labels are the same: else Alertmanager sees two.
    #[test]
    fn the_labels_never_change() {
        let to = Alertmanager::new(
            "http://am:9093",
            BTreeMap::new(),
            Vec::new(),
            Duration::from_secs(1),
            Alertmanager::REFRESH,
        )
        .unwrap();
        let mut notice = samples::notices().remove(0);
        let now = Time::from_secs(1_700_000_000);
        let alert = |notice: &Notice| to.alert(&Message::new(notice.clone(), &Template::default()), now);
        let opened = alert(&notice);
        notice.severity = 5;
        notice.title = "It is worse now.".into();
        notice.services = vec!["more".into()];
        notice.subject = None;
        notice.state = crate::NoticeState::Resolved;
        let ended = alert(&notice);
        assert_eq!(opened["labels"], ended["labels"]);
        assert_eq!(opened["labels"]["severity"], "warning");
        assert_ne!(opened["annotations"], ended["annotations"]);
        assert_eq!(ended["endsAt"], serde_json::json!(now));
        assert_eq!(
            opened["endsAt"],
            serde_json::json!(now + Duration::from_secs(300))
        );
    }

    #[test]
    fn a_label_name_is_what_prometheus_takes() {
        assert!(is_label("team") && is_label("_x9"));
        assert!(!is_label("") && !is_label("9x") && !is_label("a-b"));
    }
}
