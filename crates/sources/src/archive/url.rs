//! Addresses as they come from outside. Only `http` and `https`, never with a user in them.

use hyper::Uri;

/// Longer ones have no business in an archive.
const MAX_LEN: usize = 2048;

pub(super) fn parse(text: &str) -> Option<Uri> {
    if text.len() > MAX_LEN {
        return None;
    }
    let uri: Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri
        .authority()
        .filter(|authority| !authority.as_str().contains('@'));
    (is_web && host.is_some_and(|authority| !authority.host().is_empty())).then_some(uri)
}

/// `path` below `base`, whatever slash there is between them.
pub(super) fn below(base: &Uri, path: &str) -> Option<Uri> {
    parse(&format!("{}/{path}", base.to_string().trim_end_matches('/')))
}

/// A reference as it stands in a `Location` (RFC 3986 §4.2, without dot segments: servers write none there).
pub(super) fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    let host = base.authority()?;
    if reference.contains("://") {
        return parse(reference);
    }
    if reference.starts_with("//") {
        return parse(&format!("{scheme}:{reference}"));
    }
    if reference.starts_with('/') {
        return parse(&format!("{scheme}://{host}{reference}"));
    }
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    parse(&format!("{scheme}://{host}{folder}/{reference}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base = parse("http://a:81/x/y.gz").unwrap();
        for (reference, resolved) in [
            ("https://b/z", "https://b/z"),
            ("//b/z", "http://b/z"),
            ("/z?q", "http://a:81/z?q"),
            ("z", "http://a:81/x/z"),
        ] {
            assert_eq!(resolve(&base, reference), parse(resolved), "{reference}");
        }
        assert_eq!(resolve(&base, "ftp://b/z"), None);
        assert_eq!(resolve(&base, "http://u@b/z"), None);
        assert_eq!(parse(&format!("http://a/{}", "x".repeat(3000))), None);
    }
}
