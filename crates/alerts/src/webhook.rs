//! One HTTP POST of one notice, as a structured-mode CloudEvents 1.0 document.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use sha2::Sha256;

use crate::notice::Notice;
use crate::receiver::Webhook;
use crate::retry::{self, Verdict};

/// Why a notice was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot reach it: {0}")]
    Network(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("it answered {status}{}", if body.is_empty() { String::new() } else { format!(": {body}") })]
    Status {
        status: StatusCode,
        retry_after: Option<String>,
        body: String,
    },
    #[error("the request cannot be built: {0}")]
    Request(String),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] std::io::Error),
}

impl Failure {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Failure::Network(_) | Failure::Timeout(_) | Failure::Stdout(_) => {
                Verdict::RetryReceiver { after: None }
            }
            Failure::Status {
                status, retry_after, ..
            } => retry::judge(status.as_u16(), retry_after.as_deref()),
            Failure::Request(_) => Verdict::Refused,
        }
    }
}

/// How much of an error answer is read and said.
const MAX_ERROR_BODY: usize = 4096;

#[derive(Clone)]
pub(crate) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Poster {
    pub(crate) fn new() -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider());
        let connector = match connector {
            Ok(builder) => builder.https_or_http().enable_http1().build(),
            // ring supports the default protocol versions of rustls, which is all that is checked here.
            Err(error) => unreachable!("rustls refuses its own defaults: {error}"),
        };
        // A kept connection may have died since the last alert, weeks ago; a new one costs nothing here.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Poster { client }
    }

    /// Posts `notice` once. Accepted means a 2xx answer; redirects are not followed.
    pub(crate) async fn post(&self, to: &Webhook, notice: &Notice) -> Result<(), Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let request = request(to, notice, now)?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| Failure::Network(causes(&error)))?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let body = Limited::new(response.into_body(), MAX_ERROR_BODY).collect().await;
            let body = body.map(|body| first_line(&body.to_bytes())).unwrap_or_default();
            Err(Failure::Status {
                status,
                retry_after,
                body,
            })
        };
        match tokio::time::timeout(to.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout(to.timeout)),
        }
    }
}

/// `now`: Unix seconds, for the signature only.
fn request(to: &Webhook, notice: &Notice, now: u64) -> Result<Request<Full<Bytes>>, Failure> {
    let body = Bytes::from(event(notice).to_string());
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/cloudevents+json; charset=utf-8"),
    );
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("netfault/", env!("CARGO_PKG_VERSION"))),
    );
    if let Some(secret) = &to.secret {
        headers.insert("netfault-timestamp", HeaderValue::from(now));
        let signature = format!("v1={}", sign(secret.reveal(), now, &body));
        headers.insert("netfault-signature", signature.parse().map_err(bad_request)?);
    }
    for (name, value) in &to.headers {
        let mut value: HeaderValue = value.reveal().parse().map_err(bad_request)?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    let mut request = Request::post(to.url.clone())
        .body(Full::new(body))
        .map_err(bad_request)?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn bad_request(error: impl std::fmt::Display) -> Failure {
    Failure::Request(error.to_string())
}

/// The CloudEvents 1.0 document. (`source`, `id`) names one state of one alert: a receiver that has seen it
/// may ignore a repetition.
fn event(notice: &Notice) -> serde_json::Value {
    json!({
        "specversion": "1.0",
        "id": format!("{}-{}", notice.id, notice.state.name()),
        "source": "urn:netfault",
        "type": format!("netfault.alert.{}", notice.state.name()),
        "subject": notice.id,
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": notice,
    })
}

/// Hex of HMAC-SHA256 over `timestamp + "." + body`.
fn sign(secret: &str, timestamp: u64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("HMAC takes a key of any length (RFC 2104 section 2)")
    };
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// hyper says "client error (Connect)" and keeps the reason in the chain.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3 (test case 2) has no timestamp, so the value here comes from
    /// `printf '1700000000.{}' | openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn the_signature_is_what_openssl_says() {
        assert_eq!(
            sign("Jefe", 1_700_000_000, b"{}"),
            "d3793e2b4103edfbd98cc19591832f5fad701d413db9fcae0ae7dab8184ed207"
        );
    }

    #[test]
    fn an_error_page_is_said_in_one_line() {
        assert_eq!(first_line(b"\n  bad token \nmore"), "bad token");
        assert_eq!(first_line(&[b'x'; 5000]).len(), 200);
    }
}
