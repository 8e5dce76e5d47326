//! One HTTP exchange, for every receiver that speaks it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::failure::Failure;
use crate::receivers::Secret;

/// How much of an answer is read.
const MAX_BODY: usize = 64 << 10;
/// Long enough for a slow receiver, short enough that a hanging one does not delay the next try much.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that are sent as they are; often a token.
pub type Headers = Vec<(HeaderName, Secret)>;

#[derive(Clone, Debug)]
pub(crate) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What is sent.
pub(crate) struct Call<'a> {
    pub method: Method,
    pub url: &'a Uri,
    pub content_type: &'static str,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub timeout: Duration,
}

impl<'a> Call<'a> {
    pub fn json(url: &'a Uri, body: &serde_json::Value, timeout: Duration) -> Self {
        Call {
            method: Method::POST,
            url,
            content_type: "application/json",
            body: Bytes::from(body.to_string()),
            headers: Vec::new(),
            timeout,
        }
    }

    /// Adds headers of the configuration, hidden from logs.
    pub fn with(mut self, headers: &Headers) -> Result<Self, Failure> {
        for (name, value) in headers {
            let mut value: HeaderValue = value
                .reveal()
                .parse()
                .map_err(|error| Failure::Request(format!("header {name}: {error}")))?;
            value.set_sensitive(true);
            self.headers.push((name.clone(), value));
        }
        Ok(self)
    }

    fn request(self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url.clone())
            .body(Full::new(self.body))
            .map_err(|error| Failure::Request(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("netfault/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        Ok(request)
    }
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

    /// One exchange. Accepted means a 2xx answer, whose body comes back; redirects are not followed.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Bytes, Failure> {
        let timeout = call.timeout;
        let request = call.request()?;
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout(timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failure> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| Failure::Network(causes(&error)))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        // The status is what counts: an answer that breaks off behind it, or is too long, is an answer.
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        Err(Failure::Status {
            status,
            retry_after,
            body: first_line(&body),
        })
    }
}

/// Refuses what could never be asked for, in one sentence that does not quote a secret.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text
        .trim()
        .parse()
        .map_err(|error| format!("this is not a URL: {error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err(
            "this is not a URL of a webhook: it begins with http:// or https:// and a host".to_owned(),
        );
    }
    Ok(url)
}

/// `base` with `path` behind its own path, and without its query.
pub(crate) fn below(base: &Uri, path: &str) -> Result<Uri, String> {
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let scheme = base.scheme_str().unwrap_or("http");
    let own = base.path().trim_end_matches('/');
    format!("{scheme}://{authority}{own}{path}")
        .parse()
        .map_err(|error| format!("this is not a URL: {error}"))
}

/// Checked headers.
pub fn headers<'a>(headers: impl IntoIterator<Item = (&'a str, Secret)>) -> Result<Headers, String> {
    let check = |(name, value): (&str, Secret)| {
        let known: HeaderName = name
            .parse()
            .map_err(|_| format!("'{name}' is not an HTTP header name"))?;
        if value.reveal().parse::<HeaderValue>().is_err() {
            return Err(format!(
                "the value of header '{name}' has characters that HTTP does not allow"
            ));
        }
        Ok((known, value))
    };
    headers.into_iter().map(check).collect()
}

/// hyper says "client error (Connect)" and keeps the reason in the chain.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
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

pub(crate) fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
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

    #[test]
    fn an_error_page_is_said_in_one_line() {
        assert_eq!(first_line(b"\n  bad token \nmore"), "bad token");
        assert_eq!(first_line(&[b'x'; 5000]).len(), 200);
    }

    #[test]
    fn a_path_is_put_below_a_url() {
        let at = |base: &str| below(&url(base).unwrap(), "/api/v2/alerts").unwrap().to_string();
        assert_eq!(at("http://am:9093"), "http://am:9093/api/v2/alerts");
        assert_eq!(at("https://am/prefix/?x=1"), "https://am/prefix/api/v2/alerts");
        assert!(url("am:9093").is_err() && url("ftp://am").is_err());
    }
}
