//! What a request asks for, from its URL, its headers and a form: everything but the data.

use base64::Engine as _;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap};

use super::codec::{Inflate, Pack};
use super::error::Exception;

/// Parameters that steer the interface and are no settings of the query.
const NOT_SETTINGS: [&str; 16] = [
    "buffer_size",
    "client_protocol_version",
    "close_session",
    "compress",
    "decompress",
    "default_format",
    "param_",
    "password",
    "quota_key",
    "role",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
];

/// A request, understood. Settings are checked by the engine, not here.
#[derive(Debug, Default, Clone)]
pub struct Ask {
    /// `query=` of the URL or the form; the body may continue it.
    pub query: String,
    pub database: Option<String>,
    pub default_format: Option<String>,
    pub query_id: Option<String>,
    /// Names and values, in order; names are plain words.
    pub settings: Vec<(String, String)>,
    /// `param_x=…` as (`x`, …), in ClickHouse's escaped form.
    pub params: Vec<(String, String)>,
    /// GET and HEAD may not change anything.
    pub read_only: bool,
    /// Answer only when the query is over.
    pub wait_end: bool,
    /// How the request's body is packed.
    pub inflate: Inflate,
    /// How the answer is to be packed.
    pub pack: Pack,
    user: Option<String>,
    password: Option<String>,
}

/// A name and password as the request gave them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    pub user: Option<String>,
    pub password: Option<String>,
}

impl Ask {
    /// Reads the URL's query string and the headers.
    pub fn read(query_string: &str, headers: &HeaderMap, read_only: bool) -> Result<Self, Exception> {
        let mut ask = Self {
            read_only,
            ..Self::default()
        };
        let (mut compress, mut decompress, mut http_compression) = (false, false, false);
        for (name, value) in form_urlencoded::parse(query_string.as_bytes()) {
            match &*name {
                "compress" => compress = is_on(&value),
                "decompress" => decompress = is_on(&value),
                "enable_http_compression" => http_compression = is_on(&value),
                _ => ask.parameter(&name, value.into_owned())?,
            }
        }
        ask.query_from_headers(headers);
        ask.inflate = Inflate::choose(decompress, header(headers, CONTENT_ENCODING.as_str()))?;
        ask.pack = Pack::choose(
            compress,
            http_compression,
            header(headers, ACCEPT_ENCODING.as_str()),
        );
        Ok(ask)
    }

    fn query_from_headers(&mut self, headers: &HeaderMap) {
        let take = |name| header(headers, name).map(str::to_owned);
        self.database = self.database.take().or_else(|| take("x-clickhouse-database"));
        self.default_format = take("x-clickhouse-format").or(self.default_format.take());
    }

    /// Takes in one parameter of the URL or a form.
    pub fn parameter(&mut self, name: &str, value: String) -> Result<(), Exception> {
        match name {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.default_format = Some(value).filter(|name| !name.is_empty()),
            "query_id" => self.query_id = Some(value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "wait_end_of_query" | "http_wait_end_of_query" => self.wait_end = is_on(&value),
            _ => return self.param_or_setting(name, value),
        }
        Ok(())
    }

    fn param_or_setting(&mut self, name: &str, value: String) -> Result<(), Exception> {
        if NOT_SETTINGS.contains(&name) || name.is_empty() {
            return Ok(());
        }
        let (list, word) = match name.strip_prefix("param_") {
            Some(word) => (&mut self.params, word),
            None => (&mut self.settings, name),
        };
        if !word
            .bytes()
            .all(|byte| byte == b'_' || byte == b'.' || byte.is_ascii_alphanumeric())
        {
            return Err(Exception::new(
                115,
                "UNKNOWN_SETTING",
                format!("Unknown setting '{name}'"),
            ));
        }
        list.push((word.to_owned(), value));
        Ok(())
    }

    /// Who asks: `Authorization: Basic`, else the X-ClickHouse headers, else the URL, as ClickHouse prefers them.
    pub fn credentials(&self, headers: &HeaderMap) -> Result<Credentials, Exception> {
        if let Some(value) = header(headers, AUTHORIZATION.as_str()) {
            return basic(value).ok_or_else(|| {
                Exception::new(
                    516,
                    "AUTHENTICATION_FAILED",
                    "Invalid authentication: only HTTP Basic is understood",
                )
            });
        }
        let take = |name| header(headers, name).map(str::to_owned);
        let (user, password) = (take("x-clickhouse-user"), take("x-clickhouse-key"));
        if user.is_some() || password.is_some() {
            return Ok(Credentials { user, password });
        }
        Ok(Credentials {
            user: self.user.clone(),
            password: self.password.clone(),
        })
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
}

fn is_on(value: &str) -> bool {
    !matches!(value, "0" | "" | "false")
}

fn basic(value: &str) -> Option<Credentials> {
    let (scheme, token) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD
        .decode(token.trim())
        .ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(Credentials {
        user: Some(user.to_owned()),
        password: Some(password.to_owned()),
    })
}

/// The fields of a `multipart/form-data` body, which clients use for `query` and `param_*`. External tables (fields
/// with a file name) are refused.
pub fn form_fields(content_type: &str, body: &[u8]) -> Result<Vec<(String, String)>, Exception> {
    let broken = || Exception::bad_arguments("The multipart/form-data body is not well formed");
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="));
    let boundary = boundary
        .map(|name| name.trim_matches('"'))
        .filter(|name| !name.is_empty())
        .ok_or_else(broken)?;
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = body
        .get(find(body, &delimiter).ok_or_else(broken)? + delimiter.len()..)
        .ok_or_else(broken)?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let end = find(rest, &delimiter).ok_or_else(broken)?;
        let part = rest[..end]
            .strip_prefix(b"\r\n")
            .and_then(|p| p.strip_suffix(b"\r\n"))
            .ok_or_else(broken)?;
        let head = find(part, b"\r\n\r\n").ok_or_else(broken)?;
        let (head, value) = (String::from_utf8_lossy(&part[..head]), &part[head + 4..]);
        if head.contains("filename=") {
            let message = "External tables in a form are not supported by the embedded engine";
            return Err(Exception::new(48, "NOT_IMPLEMENTED", message));
        }
        let name = head
            .split("name=\"")
            .nth(1)
            .and_then(|name| name.split('"').next())
            .ok_or_else(broken)?;
        fields.push((name.to_owned(), String::from_utf8_lossy(value).into_owned()));
        rest = &rest[end + delimiter.len()..];
    }
    Ok(fields)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query_string: &str) -> Ask {
        Ask::read(query_string, &HeaderMap::new(), false).unwrap()
    }

    #[test]
    fn parameters_become_settings_unless_the_interface_knows_them() {
        let ask = read(
            "query=SELECT+1%3B&max_threads=2&buffer_size=9&param_x=a%09b&database=n&session_id=s&bad=%zz",
        );
        assert_eq!(
            (ask.query.as_str(), ask.database.as_deref()),
            ("SELECT 1;", Some("n"))
        );
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(ask.settings, [pair("max_threads", "2"), pair("bad", "%zz")]);
        assert_eq!(ask.params, [pair("x", "a\tb")]);
    }

    #[test]
    fn names_that_are_no_words_cannot_become_sql() {
        let error = Ask::read("a%3D1%2Creadonly=0", &HeaderMap::new(), false).unwrap_err();
        assert_eq!(error.code, 115);
    }

    #[test]
    fn basic_comes_before_headers_before_the_url() {
        let ask = read("user=u3&password=p3");
        let mut headers = HeaderMap::new();
        assert_eq!(ask.credentials(&headers).unwrap().user.as_deref(), Some("u3"));
        headers.insert("x-clickhouse-user", "u2".parse().unwrap());
        assert_eq!(
            ask.credentials(&headers).unwrap(),
            Credentials {
                user: Some("u2".into()),
                password: None
            }
        );
        headers.insert(AUTHORIZATION, "Basic dTE6cDE=".parse().unwrap());
        assert_eq!(ask.credentials(&headers).unwrap().password.as_deref(), Some("p1"));
        for bad in ["Basic", "Basic !!", "Basic dTE=", "Bearer x"] {
            headers.insert(AUTHORIZATION, bad.parse().unwrap());
            assert_eq!(ask.credentials(&headers).unwrap_err().code, 516, "{bad}");
        }
    }

    #[test]
    fn forms_give_their_fields_and_refuse_files() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--B\r\n\
            Content-Disposition: form-data; name=\"param_x\"\r\n\r\na\r\nb\r\n--B--\r\n";
        let fields = form_fields("multipart/form-data; boundary=\"B\"", body).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(fields, [pair("query", "SELECT 1"), pair("param_x", "a\r\nb")]);
        let file = b"--B\r\nContent-Disposition: form-data; name=\"t\"; filename=\"f\"\r\n\r\n1\r\n--B--\r\n";
        assert_eq!(
            form_fields("multipart/form-data; boundary=B", file)
                .unwrap_err()
                .code,
            48
        );
        assert_eq!(form_fields("multipart/form-data", body).unwrap_err().code, 36);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: String, body: Vec<u8>) {
            let _ = Ask::read(&text, &HeaderMap::new(), true);
            let _ = form_fields("multipart/form-data; boundary=B", &[b"--B\r\n", body.as_slice()].concat());
            let _ = basic(&text);
        }
    }
}
