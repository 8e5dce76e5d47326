//! The agent's end: sends one batch and believes only an answer that its collector has signed.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use netfault_model::Time;
use serde_json::Value;

use crate::sign::{self, Asked, Nonce, Stamp, Token};
use crate::{Clock, Position, Taken};

/// For the whole exchange. The collector itself waits 30 s for its journal.
const PATIENCE: Duration = Duration::from_secs(45);
const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than the collector's 30 s, so that no request meets a connection that is just being closed.
const KEEP: Duration = Duration::from_secs(20);
const MAX_ANSWER: usize = 64 << 10;
/// Nobody who is not ours shall put us to sleep for longer.
const MAX_WAIT: Duration = Duration::from_secs(300);
const PATH: &str = "/api/v1/probes";

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the collector cannot be reached: {0}")]
    Unreachable(String),
    #[error("the collector does not answer within {} s", PATIENCE.as_secs())]
    Timeout,
    /// Not believed, whatever it says: a proxy, an impostor, or a collector that has another token for us.
    #[error("the answer is not signed by the collector ({status}{}{said})", if said.is_empty() { "" } else { ": " })]
    Stranger { status: StatusCode, said: String },
    /// Our time stamp was too far off, or it took this request for a repetition. The next one is stamped better.
    #[error("the collector did not take the request for a fresh one: {said}")]
    Stale { said: String },
    #[error("the collector is busy: {said}")]
    Busy { said: String, after: Option<Duration> },
    /// It will never take this batch.
    #[error("the collector refuses the batch ({status}: {said})")]
    Refused { status: StatusCode, said: String },
    /// This batch is of an earlier run than the collector knows of us: send it under a higher epoch.
    #[error("a run with a later epoch ({0}) has reported under this name")]
    OlderEpoch(u64),
}

/// A connection to one collector, as one agent.
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Uri,
    name: String,
    token: Token,
    clock: Clock,
    skew: Option<Skew>,
}

/// The collector's clock against ours, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Added to our time gives the collector's.
    pub offset: i64,
    /// How far off that may be: half of the exchange.
    pub error: i64,
}

impl Skew {
    fn of(sent: Time, received: Time, answered: Time) -> Skew {
        let error = received.since(sent).max(0) / 2;
        Skew {
            offset: answered.since(sent.plus_micros(error)),
            error,
        }
    }

    /// What is certain of it.
    pub fn at_least(self) -> i64 {
        let certain = self.offset.saturating_abs().saturating_sub(self.error).max(0);
        certain * self.offset.signum()
    }
}

struct Heard {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    /// `base` is `https://HOST[:PORT]`, or `http://` on loopback.
    pub fn new(base: Uri, name: &str, token: Token, tls: rustls::ClientConfig, clock: Clock) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(1)
            .build(connector);
        Client {
            http,
            base,
            name: name.to_owned(),
            token,
            clock,
            skew: None,
        }
    }

    /// Of the last answer that was signed.
    pub fn skew(&self) -> Option<Skew> {
        self.skew
    }

    /// Sends one batch once. `Ok` means that the collector itself has said that it is safe.
    ///
    /// # Errors
    /// Everything else; the batch must be kept, but for [`Failure::Refused`].
    pub async fn send(&mut self, position: Position, batch: Bytes) -> Result<Taken, Failure> {
        let sent = (self.clock)();
        let stamp = Stamp {
            time: sent.plus_micros(self.skew.map_or(0, |skew| skew.offset)),
            nonce: Nonce::random(),
        };
        let request = self.request(position, batch, stamp)?;
        let heard = match tokio::time::timeout(PATIENCE, self.exchange(request)).await {
            Ok(heard) => heard?,
            Err(_) => return Err(Failure::Timeout),
        };
        let Some(answered) = self.signed_at(&heard, stamp.nonce) else {
            return Err(heard.stranger());
        };
        self.skew = Some(Skew::of(sent, (self.clock)(), answered));
        heard.meaning()
    }

    fn request(
        &self,
        position: Position,
        batch: Bytes,
        stamp: Stamp,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let Position { epoch, seq } = position;
        let target = format!("{PATH}?epoch={epoch}&seq={seq}");
        let asked = Asked {
            method: "POST",
            target: &target,
            caller: &self.name,
            stamp,
        };
        let unbuildable = |error: hyper::http::Error| Failure::Unreachable(error.to_string());
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = target.parse().ok();
        let uri = Uri::from_parts(parts).map_err(|error| Failure::Unreachable(error.to_string()))?;
        Request::post(uri)
            .header(USER_AGENT, concat!("netfault/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_ENCODING, "zstd")
            .header(sign::CALLER, &self.name)
            .header(sign::TIME, stamp.time.micros())
            .header(sign::NONCE, stamp.nonce.to_string())
            .header(sign::SIGNATURE, sign::request(&self.token, &asked, &batch))
            .body(Full::new(batch))
            .map_err(unbuildable)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Heard, Failure> {
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| Failure::Unreachable(causes(&error)))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Failure::Unreachable(causes(error.as_ref())))?;
        Ok(Heard {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// The collector's time, if the answer is its own and to this request.
    fn signed_at(&self, heard: &Heard, nonce: Nonce) -> Option<Time> {
        let time = Time::from_micros(heard.header(sign::TIME)?.parse().ok()?);
        let (status, stamp) = (heard.status.as_u16(), Stamp { time, nonce });
        let signature = heard.header(sign::SIGNATURE)?;
        sign::is_answer(&self.token, status, stamp, &heard.body, signature).then_some(time)
    }
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn said(&self) -> String {
        let said = self.json()["error"].as_str().map(str::to_owned);
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let line = said.lines().next().unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).take(200).collect()
    }

    fn after(&self) -> Option<Duration> {
        let seconds = self.header(RETRY_AFTER.as_str())?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX_WAIT))
    }

    fn stranger(&self) -> Failure {
        Failure::Stranger {
            status: self.status,
            said: self.said(),
        }
    }

    /// Of an answer that is signed.
    fn meaning(&self) -> Result<Taken, Failure> {
        let (status, said) = (self.status, self.said());
        match status {
            StatusCode::OK => match self.json()["taken"].as_str() {
                Some("known") => Ok(Taken::Known),
                Some("applied") => Ok(Taken::Applied),
                _ => Err(Failure::Busy { said, after: None }), // a later collector's word that is not ours to guess
            },
            StatusCode::CONFLICT => match self.json()["epoch"].as_u64() {
                Some(epoch) => Err(Failure::OlderEpoch(epoch)),
                None => Err(Failure::Busy { said, after: None }),
            },
            StatusCode::UNAUTHORIZED => Err(Failure::Stale { said }),
            StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE => Err(Failure::Refused { status, said }),
            _ => Err(Failure::Busy {
                said,
                after: self.after(),
            }),
        }
    }
}

/// hyper says "client error (Connect)" and keeps the reason in the chain.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_the_clocks_is_what_the_middle_of_the_exchange_says() {
        let at = Time::from_micros;
        let skew = Skew::of(at(1_000_000), at(3_000_000), at(12_000_000));
        assert_eq!((skew.offset, skew.error), (10_000_000, 1_000_000));
        assert_eq!(skew.at_least(), 9_000_000);
        let skew = Skew::of(at(1_000_000), at(9_000_000), at(2_000_000));
        assert_eq!((skew.offset, skew.at_least()), (-3_000_000, 0));
        let skew = Skew::of(at(10_000_000), at(10_000_000), at(0));
        assert_eq!(skew.at_least(), -10_000_000);
    }
}
