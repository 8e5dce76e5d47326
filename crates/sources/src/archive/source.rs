//! What the user typed: where an archive is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use super::url;

/// The public broker of BGPKIT: it knows RIS and RouteViews.
pub const PUBLIC_BROKER: &str = "https://api.bgpkit.com/v3/broker";

/// Where files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A BGPKIT broker (API version 3): it names the files, wherever they are.
    Broker(Uri),
    /// The root of a mirror in the layout of RIS or RouteViews; which of the two, the collector's name tells.
    Base(Uri),
    /// A folder with files as [`mrt::discover`](crate::mrt::discover) finds them.
    Folder(PathBuf),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{text}' is not an archive: {why}")]
pub struct BadSource {
    text: String,
    why: &'static str,
}

impl Source {
    /// The public broker.
    pub fn public() -> Source {
        Source::Broker(Uri::from_static(PUBLIC_BROKER))
    }

    /// An `http` or `https` URL of a broker.
    ///
    /// # Errors
    /// [`BadSource`].
    pub fn broker(text: &str) -> Result<Source, BadSource> {
        web(text).map(Source::Broker)
    }

    /// An `http` or `https` URL of the root of a mirror.
    ///
    /// # Errors
    /// [`BadSource`].
    pub fn base(text: &str) -> Result<Source, BadSource> {
        web(text).map(Source::Base)
    }
}

fn web(text: &str) -> Result<Uri, BadSource> {
    let uri = url::parse(text.trim_end_matches('/')).filter(|uri| uri.query().is_none());
    uri.ok_or_else(|| BadSource {
        text: text.to_owned(),
        why: "give an http:// or https:// URL without user and query",
    })
}

impl FromStr for Source {
    type Err = BadSource;

    /// `broker:URL`, a URL, or a folder.
    fn from_str(text: &str) -> Result<Self, BadSource> {
        if let Some(rest) = text.strip_prefix("broker:") {
            return Source::broker(rest);
        }
        if text.contains("://") {
            return Source::base(text);
        }
        if text.is_empty() {
            return Err(BadSource {
                text: text.to_owned(),
                why: "give a folder, a URL, or broker: and a URL",
            });
        }
        Ok(Source::Folder(PathBuf::from(text)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Broker(uri) => write!(f, "the broker {}", show(uri)),
            Source::Base(uri) => write!(f, "{}", show(uri)),
            Source::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

fn show(uri: &Uri) -> String {
    uri.to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_of_source() {
        let broker = "broker:https://api.bgpkit.com/v3/broker/".parse();
        assert_eq!(broker, Ok(Source::public()));
        assert!(matches!("http://127.0.0.1:8080".parse(), Ok(Source::Base(_))));
        assert_eq!("/srv/mrt".parse(), Ok(Source::Folder("/srv/mrt".into())));
        for text in [
            "",
            "ftp://host/",
            "broker:",
            "broker:/tmp",
            "http://u:p@host",
            "http://host/?a=b",
            "file:///etc",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
