//! One HTTP request at a time: redirects followed, every wait and every size bounded.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION,
    RANGE, USER_AGENT,
};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::limits::Limits;
use super::url;

/// Why an answer did not come whole.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{url} cannot be reached: {cause}")]
    Network { url: Uri, cause: String },
    #[error("{url} sent nothing for {wait:?}")]
    Stalled { url: Uri, wait: Duration },
    #[error("{url} was not here after {limit:?}")]
    TooSlow { url: Uri, limit: Duration },
    #[error("{url} answered {status}")]
    Status { url: Uri, status: StatusCode },
    #[error("{url} ended after {got} of {expected} bytes")]
    Truncated { url: Uri, got: u64, expected: u64 },
    #[error("{url} is larger than {limit} bytes")]
    TooLarge { url: Uri, limit: u64 },
    #[error("{url} moved more than {limit} times")]
    TooManyRedirects { url: Uri, limit: usize },
    #[error("{url} moved to what is no http or https URL")]
    BadRedirect { url: Uri },
    #[error("{path} cannot be written")]
    Disk { path: String, source: std::io::Error },
}

impl HttpError {
    /// Whether the same request may succeed a little later.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            HttpError::Network { .. } | HttpError::Stalled { .. } | HttpError::Truncated { .. } => true,
            HttpError::Status { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
            HttpError::TooSlow { .. }
            | HttpError::TooLarge { .. }
            | HttpError::TooManyRedirects { .. }
            | HttpError::BadRedirect { .. }
            | HttpError::Disk { .. } => false,
        }
    }

    /// The server says that there is no such thing.
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            HttpError::Status {
                status: StatusCode::NOT_FOUND | StatusCode::GONE,
                ..
            }
        )
    }
}

/// What has come of a file so far, for the next try to go on from.
#[derive(Debug, Default)]
pub struct Partial {
    bytes: u64,
    /// A strong entity tag or a date (RFC 9110 §13.1.5). Without one the file may have changed in between.
    validator: Option<HeaderValue>,
}

/// A client with limits.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    limits: Limits,
}

impl Http {
    pub fn new(limits: Limits) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(limits.connect));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(tokio_rustls::rustls::crypto::ring::default_provider());
        let connector = match connector {
            Ok(builder) => builder.https_or_http().enable_http1().wrap_connector(tcp),
            // ring supports the default protocol versions of rustls, which is all that is checked here.
            Err(error) => unreachable!("rustls refuses its own defaults: {error}"),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_max_idle_per_host(limits.ahead.max(1))
            .build(connector);
        Http { client, limits }
    }

    /// The whole answer, in memory.
    ///
    /// # Errors
    /// [`HttpError`], after one try.
    pub async fn get(&self, url: &Uri) -> Result<Vec<u8>, HttpError> {
        let whole = async {
            let (url, response) = self.ask(url, &Partial::default()).await?;
            let mut body = response.into_body();
            let mut bytes = Vec::new();
            while let Some(piece) = self.piece(&url, &mut body).await? {
                if bytes.len() + piece.len() > self.limits.max_listing {
                    let limit = self.limits.max_listing as u64;
                    return Err(HttpError::TooLarge { url, limit });
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        self.in_time(url, whole).await
    }

    /// Writes a file to `path`, going on where an earlier try left off if the server lets us. `seen` is told of
    /// every piece.
    ///
    /// # Errors
    /// [`HttpError`], after one try. What has come stays in `path`.
    pub async fn download(
        &self,
        url: &Uri,
        path: &Path,
        partial: &mut Partial,
        seen: impl Fn(u64),
    ) -> Result<u64, HttpError> {
        self.in_time(url, self.download_once(url, path, partial, seen))
            .await
    }

    async fn download_once(
        &self,
        url: &Uri,
        path: &Path,
        partial: &mut Partial,
        seen: impl Fn(u64),
    ) -> Result<u64, HttpError> {
        let (url, response) = self.ask(url, partial).await?;
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
            && range_start(&response).is_some_and(|start| start == partial.bytes && start > 0);
        if response.status() == StatusCode::PARTIAL_CONTENT && !goes_on {
            *partial = Partial::default(); // the next try asks for the whole
            return Err(HttpError::Truncated {
                url,
                got: 0,
                expected: 0,
            });
        }
        if !goes_on {
            *partial = Partial {
                bytes: 0,
                validator: validator(&response),
            };
        }
        let expected = content_length(&response).map(|length| length.saturating_add(partial.bytes));
        let limit = self.limits.max_file;
        if expected.is_some_and(|bytes| bytes > limit) {
            return Err(HttpError::TooLarge { url, limit });
        }
        let mut file = open(path, partial.bytes)
            .await
            .map_err(|source| disk(path, source))?;
        let mut body = response.into_body();
        let ended = loop {
            match self.piece(&url, &mut body).await {
                Ok(Some(piece)) => {
                    file.write_all(&piece)
                        .await
                        .map_err(|source| disk(path, source))?;
                    partial.bytes += piece.len() as u64;
                    seen(piece.len() as u64);
                    if partial.bytes > limit {
                        return Err(HttpError::TooLarge { url, limit });
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Also after a failure: the next try goes on from what is really there.
        file.flush().await.map_err(|source| disk(path, source))?;
        let got = partial.bytes;
        match (ended, expected) {
            // hyper says that a body ended early in words of its own; ours have the numbers.
            (Ok(()) | Err(HttpError::Network { .. }), Some(expected)) if got != expected => {
                Err(HttpError::Truncated { url, got, expected })
            }
            (Ok(()), _) => Ok(got),
            (Err(error), _) => Err(error),
        }
    }

    async fn in_time<T>(
        &self,
        url: &Uri,
        work: impl Future<Output = Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        timeout(self.limits.overall, work).await.unwrap_or_else(|_| {
            Err(HttpError::TooSlow {
                url: url.clone(),
                limit: self.limits.overall,
            })
        })
    }

    /// Follows redirects to an answer of 200 or 206.
    async fn ask(&self, url: &Uri, partial: &Partial) -> Result<(Uri, Response<Incoming>), HttpError> {
        let mut at = url.clone();
        for _ in 0..=self.limits.redirects {
            let response = self.send(&at, partial).await?;
            match response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok((at, response)),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    let location = response
                        .headers()
                        .get(LOCATION)
                        .and_then(|value| value.to_str().ok());
                    let next = location.and_then(|location| url::resolve(&at, location));
                    at = next.ok_or(HttpError::BadRedirect { url: at })?;
                }
                status => return Err(HttpError::Status { url: at, status }),
            }
        }
        Err(HttpError::TooManyRedirects {
            url: url.clone(),
            limit: self.limits.redirects,
        })
    }

    async fn send(&self, url: &Uri, partial: &Partial) -> Result<Response<Incoming>, HttpError> {
        let network = |cause: String| HttpError::Network {
            url: url.clone(),
            cause,
        };
        // `identity`: a proxy that packs a .gz file once more would break its length.
        let mut request = Request::get(url)
            .header(USER_AGENT, concat!("netfault/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT_ENCODING, "identity");
        if let Some(validator) = partial.validator.as_ref().filter(|_| partial.bytes > 0) {
            request = request
                .header(RANGE, format!("bytes={}-", partial.bytes))
                .header(IF_RANGE, validator);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| network(error.to_string()))?;
        match timeout(
            self.limits.read.max(self.limits.connect),
            self.client.request(request),
        )
        .await
        {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(network(causes(&error))),
            Err(_) => Err(HttpError::Stalled {
                url: url.clone(),
                wait: self.limits.read.max(self.limits.connect),
            }),
        }
    }

    async fn piece(&self, url: &Uri, body: &mut Incoming) -> Result<Option<Bytes>, HttpError> {
        loop {
            let wait = self.limits.read;
            let Ok(frame) = timeout(wait, body.frame()).await else {
                return Err(HttpError::Stalled {
                    url: url.clone(),
                    wait,
                });
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(HttpError::Network {
                        url: url.clone(),
                        cause: causes(&error),
                    });
                }
            }
        }
    }
}

async fn open(path: &Path, from: u64) -> std::io::Result<tokio::fs::File> {
    let mut options = tokio::fs::OpenOptions::new();
    match from {
        0 => options.create(true).write(true).truncate(true),
        _ => options.append(true),
    };
    options.open(path).await
}

fn disk(path: &Path, source: std::io::Error) -> HttpError {
    HttpError::Disk {
        path: path.display().to_string(),
        source,
    }
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    response
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// `bytes 100-199/200` (RFC 9110 §14.4).
fn range_start(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn validator(response: &Response<Incoming>) -> Option<HeaderValue> {
    let headers = response.headers();
    let strong = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// hyper's own texts name the layer; the cause behind them is what a person can use.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
