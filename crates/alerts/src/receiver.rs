//! Who is told: the resolved receivers of the configuration.

use std::fmt;
use std::time::Duration;

/// One receiver. The name is unique, and a file name too: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    pub name: String,
    pub to: To,
}

#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// One line per notice on standard output.
    Stdout,
    Webhook(Webhook),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// `http` or `https`.
    pub url: hyper::Uri,
    /// Signs each request, if present: `Netfault-Signature: v1=HEX`, HMAC-SHA256 over
    /// `timestamp + "." + body` with the `Netfault-Timestamp` header as timestamp.
    pub secret: Option<Secret>,
    /// For the whole exchange, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Sent as they are; often a token.
    pub headers: Vec<(hyper::header::HeaderName, Secret)>,
}

impl Webhook {
    /// Long enough for a slow receiver, short enough that a hanging one does not delay the next try much.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// Refuses what could never be sent, in one sentence that does not quote a secret.
    pub fn new<'a>(
        url: &str,
        secret: Option<Secret>,
        timeout: Duration,
        headers: impl IntoIterator<Item = (&'a str, Secret)>,
    ) -> Result<Self, String> {
        let url: hyper::Uri = url
            .trim()
            .parse()
            .map_err(|error| format!("this is not a URL: {error}"))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
            return Err(
                "this is not a URL of a webhook: it begins with http:// or https:// and a host".to_owned(),
            );
        }
        let mut kept = Vec::new();
        for (name, value) in headers {
            let known: hyper::header::HeaderName = name
                .parse()
                .map_err(|_| format!("'{name}' is not an HTTP header name"))?;
            if value.reveal().parse::<hyper::header::HeaderValue>().is_err() {
                return Err(format!(
                    "the value of header '{name}' has characters that HTTP does not allow"
                ));
            }
            kept.push((known, value));
        }
        Ok(Webhook {
            url,
            secret,
            timeout,
            headers: kept,
        })
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself. Named so that every use stands out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The name of a receiver becomes a file name and a metric label.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits {
        Ok(())
    } else {
        Err(format!(
            "'{name}' is not a receiver name: give 1 to 64 letters, digits, '-' or '_'"
        ))
    }
}
