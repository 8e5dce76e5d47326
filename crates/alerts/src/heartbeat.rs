//! Who watches the watcher: a sign of life to somebody outside, which stops when netfault is not well.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Uri};
use netfault_model::Time;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::health::Trouble;
use crate::http::{self, Call, Headers, Poster};
use crate::receivers::Alertmanager;

#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub name: String,
    pub every: Duration,
    pub to: Beat,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Beat {
    /// A dead man's switch: a URL that wants to be asked for again and again.
    Url(Url),
    /// An alert that always fires; Alertmanager sends it on, and ends it when it is not refreshed.
    Alertmanager(Alertmanager),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Url {
    url: Uri,
    post: bool,
    headers: Headers,
    timeout: Duration,
}

/// The alert in Alertmanager outlives so many missed beats.
const LASTS: u32 = 3;

impl Url {
    pub fn new(url: &str, post: bool, headers: Headers, timeout: Duration) -> Result<Self, String> {
        Ok(Url {
            url: http::url(url)?,
            post,
            headers,
            timeout,
        })
    }

    async fn beat(&self, http: &Poster, now: Time) -> Result<(), Failure> {
        let (method, body) = match self.post {
            true => (Method::POST, format!("netfault is well at {now}\n")),
            false => (Method::GET, String::new()),
        };
        let call = Call {
            method,
            url: &self.url,
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from(body),
            headers: Vec::new(),
            timeout: self.timeout,
        };
        http.send(call.with(&self.headers)?).await.map(drop)
    }
}

impl Heartbeat {
    /// One sign of life.
    pub async fn beat(&self, now: Time) -> Result<(), Failure> {
        self.beat_with(&Poster::new(), now).await
    }

    async fn beat_with(&self, http: &Poster, now: Time) -> Result<(), Failure> {
        match &self.to {
            Beat::Url(to) => to.beat(http, now).await,
            Beat::Alertmanager(to) => to.beat(http, self.every * LASTS).await,
        }
    }
}

/// All heartbeats, and when each is due.
pub(crate) struct Heart {
    beats: Vec<(Heartbeat, Instant)>,
    http: Poster,
    /// What stopped it, to be said once.
    stopped_by: Option<String>,
}

impl Heart {
    pub(crate) fn new(heartbeats: Vec<Heartbeat>, http: Poster) -> Self {
        let now = Instant::now();
        Heart {
            beats: heartbeats.into_iter().map(|beat| (beat, now)).collect(),
            http,
            stopped_by: None,
        }
    }

    /// Beats what is due, unless something is stale.
    pub(crate) fn step(&mut self, troubles: &[Trouble], wall: Time) {
        if self.beats.is_empty() {
            return;
        }
        let stale = troubles.iter().find(|trouble| trouble.stale);
        self.say(stale);
        if stale.is_some() {
            return;
        }
        let now = Instant::now();
        for (beat, due) in self.beats.iter_mut().filter(|(_, due)| *due <= now) {
            *due = now + beat.every;
            let (beat, http) = (beat.clone(), self.http.clone());
            // On its own, so that one that hangs delays no other; its timeout ends it.
            tokio::spawn(async move {
                if let Err(failure) = beat.beat_with(&http, wall).await {
                    tracing::warn!(heartbeat = beat.name, %failure, "nobody took the sign of life");
                }
            });
        }
    }

    fn say(&mut self, stale: Option<&Trouble>) {
        match (stale, &self.stopped_by) {
            (Some(trouble), None) => {
                tracing::warn!("no signs of life are sent: {}", trouble.title);
                self.stopped_by = Some(trouble.key.clone());
            }
            (None, Some(_)) => {
                tracing::info!("signs of life are sent");
                self.stopped_by = None;
            }
            _ => {}
        }
    }
}
