//! What is answered: a status, one JSON document, a few headers.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

/// One answer. Errors are `{"error": "one sentence"}`.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Answer {
    pub fn json(status: StatusCode, body: &Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        Answer {
            status,
            headers: vec![(CONTENT_TYPE, json)],
            body: Bytes::from(format!("{body}\n")),
        }
    }

    pub fn ok(body: &Value) -> Self {
        Answer::json(StatusCode::OK, body)
    }

    /// `sentence` says what is wrong, for people.
    pub fn error(status: StatusCode, sentence: impl std::fmt::Display) -> Self {
        Answer::json(status, &json!({ "error": sentence.to_string() }))
    }

    pub fn bad_request(sentence: impl std::fmt::Display) -> Self {
        Answer::error(StatusCode::BAD_REQUEST, sentence)
    }

    /// Not now: the caller keeps what it has and comes again.
    pub fn busy(sentence: &str, seconds: u32) -> Self {
        Answer::error(StatusCode::SERVICE_UNAVAILABLE, sentence).after(seconds)
    }

    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    pub(crate) fn not_allowed(method: &'static str) -> Self {
        let mut answer = Answer::error(
            StatusCode::METHOD_NOT_ALLOWED,
            format_args!("this path takes {method} only"),
        );
        answer.headers.push((ALLOW, HeaderValue::from_static(method)));
        answer
    }
}
