//! One HTTP POST of one notice, as a structured-mode CloudEvents 1.0 document.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};
use serde_json::json;
use sha2::Sha256;

use crate::failure::Failure;
use crate::http::{self, Call, Headers, Poster};
use crate::message::Message;
use crate::receivers::Secret;

#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// `http` or `https`.
    url: Uri,
    /// Signs each request, if present: `Netfault-Signature: v1=HEX`, HMAC-SHA256 over
    /// `timestamp + "." + body` with the `Netfault-Timestamp` header as timestamp.
    secret: Option<Secret>,
    /// For the whole exchange, from connecting to the last byte of the answer.
    timeout: Duration,
    headers: Headers,
}

const TIMESTAMP: HeaderName = HeaderName::from_static("netfault-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("netfault-signature");

impl Webhook {
    pub const TIMEOUT: Duration = http::TIMEOUT;

    /// Refuses what could never be sent, in one sentence that does not quote a secret.
    pub fn new<'a>(
        url: &str,
        secret: Option<Secret>,
        timeout: Duration,
        headers: impl IntoIterator<Item = (&'a str, Secret)>,
    ) -> Result<Self, String> {
        Ok(Webhook {
            url: http::url(url)?,
            secret,
            timeout,
            headers: http::headers(headers)?,
        })
    }

    pub(crate) async fn deliver(&self, http: &Poster, message: &Message) -> Result<(), Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        http.send(self.call(message, now)?).await.map(drop)
    }

    /// `now`: Unix seconds, for the signature only.
    fn call(&self, message: &Message, now: u64) -> Result<Call<'_>, Failure> {
        let body = Bytes::from(event(message).to_string());
        let mut headers = Vec::new();
        if let Some(secret) = &self.secret {
            let signature = format!("v1={}", sign(secret.reveal(), now, &body));
            let signature = signature
                .parse()
                .map_err(|error| Failure::Request(format!("the signature: {error}")))?;
            headers.push((TIMESTAMP, HeaderValue::from(now)));
            headers.push((SIGNATURE, signature));
        }
        let call = Call {
            method: Method::POST,
            url: &self.url,
            content_type: "application/cloudevents+json; charset=utf-8",
            body,
            headers,
            timeout: self.timeout,
        };
        call.with(&self.headers)
    }
}

/// The CloudEvents 1.0 document. (`source`, `id`) names one state of one alert: a receiver that has seen it
/// may ignore a repetition.
fn event(message: &Message) -> serde_json::Value {
    let notice = &message.notice;
    json!({
        "specversion": "1.0",
        "id": message.event_id(),
        "source": "urn:netfault",
        "type": format!("netfault.alert.{}", notice.state.name()),
        "subject": notice.id,
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": message.data(),
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
}
