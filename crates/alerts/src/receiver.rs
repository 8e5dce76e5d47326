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
