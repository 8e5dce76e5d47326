//! A URL, taken apart into what each phase of a request needs.

use std::sync::Arc;

use hyper::Uri;

/// Longer is no URL that a person watches.
const MAX_URL: usize = 2048;

/// An `http` or `https` URL that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) url: Arc<str>,
    pub(super) is_tls: bool,
    /// A name or an address, the latter without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As it stands in `Host` (RFC 9112 §3.2).
    pub(super) authority: String,
    /// Origin form (RFC 9112 §3.2.1): path and query.
    pub(super) path: String,
}

/// Why a text is no [`Target`]: the end of a sentence that begins with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("is no URL: give one such as https://www.example.com/")]
    NoUrl,
    #[error("is neither http:// nor https://")]
    Scheme,
    #[error("carries a user name or password, which would be stored with every probe: leave it out")]
    UserInfo,
    #[error("is longer than {MAX_URL} characters")]
    TooLong,
}

impl Target {
    /// # Errors
    /// [`BadTarget`]
    pub fn parse(url: &str) -> Result<Target, BadTarget> {
        if url.len() > MAX_URL {
            return Err(BadTarget::TooLong);
        }
        let uri: Uri = url.parse().map_err(|_| BadTarget::NoUrl)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(BadTarget::Scheme),
            None => return Err(BadTarget::NoUrl),
        };
        let authority = uri.authority().ok_or(BadTarget::NoUrl)?;
        if authority.as_str().contains('@') {
            return Err(BadTarget::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // A port that is no number is none to hyper, and the whole text to us.
        let has_bad_port = authority.port().is_none() && authority.as_str() != authority.host();
        if host.is_empty() || has_bad_port || authority.port_u16() == Some(0) {
            return Err(BadTarget::NoUrl);
        }
        Ok(Target {
            url: url.into(),
            is_tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// As it was typed.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Where the summary of a public status page is. `url`: the page itself, or a JSON file of it.
pub fn summary_url(url: &str) -> String {
    let path_ends_in_json = url
        .split(['?', '#'])
        .next()
        .is_some_and(|path| path.ends_with(".json"));
    match path_ends_in_json {
        true => url.to_owned(),
        false => format!("{}/api/v2/summary.json", url.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_urls() {
        let parts = |url: &str| {
            let target = Target::parse(url).unwrap();
            (
                target.is_tls,
                target.host,
                target.port,
                target.authority,
                target.path,
            )
        };
        let expected = |tls, host: &str, port, authority: &str, path: &str| {
            (tls, host.to_owned(), port, authority.to_owned(), path.to_owned())
        };
        assert_eq!(
            parts("https://www.example.com"),
            expected(true, "www.example.com", 443, "www.example.com", "/")
        );
        assert_eq!(
            parts("http://192.0.2.1:8080/a?b=c#d"),
            expected(false, "192.0.2.1", 8080, "192.0.2.1:8080", "/a?b=c")
        );
        assert_eq!(
            parts("https://[2001:db8::1]:8443/x"),
            expected(true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/x")
        );
        for (url, why) in [
            ("", BadTarget::NoUrl),
            ("www.example.com", BadTarget::NoUrl),
            ("ftp://example.com/", BadTarget::Scheme),
            ("https://u:p@example.com/", BadTarget::UserInfo),
            ("https://example.com:99999/", BadTarget::NoUrl),
            ("https://example.com:0/", BadTarget::NoUrl),
            ("https://", BadTarget::NoUrl),
            ("https://exa mple.com/", BadTarget::NoUrl),
        ] {
            assert_eq!(Target::parse(url), Err(why), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL));
        assert_eq!(Target::parse(&long), Err(BadTarget::TooLong));
    }

    #[test]
    fn a_status_page_is_given_by_its_address_or_its_file() {
        for (given, url) in [
            (
                "https://status.example.com",
                "https://status.example.com/api/v2/summary.json",
            ),
            (
                "https://status.example.com/",
                "https://status.example.com/api/v2/summary.json",
            ),
            (
                "https://status.example.com/api/v2/status.json",
                "https://status.example.com/api/v2/status.json",
            ),
            ("https://x.example/s.json?k=1", "https://x.example/s.json?k=1"),
        ] {
            assert_eq!(summary_url(given), url);
        }
    }
}
