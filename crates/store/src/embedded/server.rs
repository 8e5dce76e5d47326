//! ClickHouse's HTTP interface in front of the engine.
//!
//! ```text
//! accept loop ── one task a connection (hyper) ── handle ──┬─ pump: body ─► [8] ─► job (blocking thread)
//!                                                          └─ answer ◄── head, [4] ◄──┘
//! ```
//! The accept loop owns the connections; a connection owns its request; a request owns its job through a [`Leash`]:
//! dropping it (hyper does when the client hangs up) flags the job and kills its query in the engine.
//! Everything is bounded: connections, running jobs, waiting jobs, pieces under way.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::response::Builder;
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::answer::{Answer, Head, QUEUE};
use super::codec::BodyReader;
use super::engine::Engine;
use super::error::Exception;
use super::reply::{Leash, ReplyBody};
use super::request::{Ask, Credentials};
use super::run::Job;

/// Pieces of a request's body under way; hyper's are at most 400 KB each.
const BODY_QUEUE: usize = 8;

/// How much of a body is read and thrown away after its query failed, so that the client can read the error.
const MAX_DRAIN: usize = 1 << 30;

/// How many queries may run and wait. Guesses for a machine of a few cores; an insert occupies a place for as long
/// as its client sends.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub running: usize,
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            running: 32,
            waiting: 128,
        }
    }
}

/// What every request needs.
pub struct Server {
    engine: Arc<Engine>,
    user: String,
    /// Digests compare in constant time as far as the password is concerned.
    password: [u8; 32],
    places: Semaphore,
    pending: AtomicUsize,
    limits: Limits,
}

type Reply = Response<ReplyBody>;

impl Server {
    #[must_use]
    pub fn new(engine: Arc<Engine>, user: String, password: &str, limits: Limits) -> Self {
        let (places, pending) = (Semaphore::new(limits.running), AtomicUsize::new(0));
        Self {
            engine,
            user,
            password: Sha256::digest(password).into(),
            places,
            pending,
            limits,
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Infallible> {
        let path = request.uri().path();
        let reply = match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/ping" | "/replicas_status") => {
                self.plain(StatusCode::OK, "Ok.\n")
            }
            (&Method::GET | &Method::HEAD, "/") if request.uri().query().is_none_or(str::is_empty) => {
                self.plain(StatusCode::OK, "Ok.\n")
            }
            (&Method::GET | &Method::HEAD | &Method::POST, "/" | "/query") => {
                let post = request.method() == Method::POST;
                match self.query(request, !post).await {
                    Ok(reply) => reply,
                    Err(exception) => self.error(&exception),
                }
            }
            (&Method::GET | &Method::HEAD | &Method::POST, _) => {
                let text = format!(
                    "There is no handle {path}\n\nUse / or /ping for health checks, and POST / for queries.\n"
                );
                self.plain(StatusCode::NOT_FOUND, text)
            }
            _ => self.plain(
                StatusCode::NOT_IMPLEMENTED,
                "Only GET, HEAD and POST are understood.\n",
            ),
        };
        Ok(reply)
    }

    /// Waits until no query runs. None can start afterwards.
    pub async fn idle(&self) {
        let all = u32::try_from(self.limits.running).unwrap_or(u32::MAX);
        if let Ok(places) = self.places.acquire_many(all).await {
            places.forget();
        }
    }

    fn head(&self, status: StatusCode) -> Builder {
        let host = HeaderValue::from_str(&self.engine.host).unwrap_or(HeaderValue::from_static("netfault"));
        let zone = HeaderValue::from_str(&self.engine.timezone).unwrap_or(HeaderValue::from_static("UTC"));
        Response::builder()
            .status(status)
            .header("X-ClickHouse-Server-Display-Name", host)
            .header("X-ClickHouse-Timezone", zone)
    }

    fn plain(&self, status: StatusCode, text: impl Into<Bytes>) -> Reply {
        let head = self
            .head(status)
            .header(CONTENT_TYPE, "text/plain; charset=UTF-8");
        build(head, ReplyBody::full(text.into()))
    }

    fn error(&self, exception: &Exception) -> Reply {
        let body = exception.body(&self.engine.version);
        let mut head = self
            .head(exception.status())
            .header(CONTENT_TYPE, "text/plain; charset=UTF-8")
            .header("X-ClickHouse-Exception-Code", exception.code);
        if exception.code == 194 {
            head = head.header("WWW-Authenticate", "Basic realm=\"ClickHouse server HTTP API\"");
        }
        build(head, ReplyBody::full(body.into()))
    }

    fn authenticate(&self, who: Credentials) -> Result<(), Exception> {
        let user = who
            .user
            .filter(|user| !user.is_empty())
            .unwrap_or_else(|| "default".to_owned());
        let Some(password) = who.password else {
            let message = format!("{user}: Authentication failed: a password is required");
            return Err(Exception::new(194, "REQUIRED_PASSWORD", message));
        };
        let given: [u8; 32] = Sha256::digest(password).into();
        let different = given
            .iter()
            .zip(&self.password)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        // `default` is what clients send when told nothing.
        if different != 0 || (user != self.user && user != "default") {
            let message = format!(
                "{user}: Authentication failed: password is incorrect, or there is no user with such name"
            );
            return Err(Exception::new(516, "AUTHENTICATION_FAILED", message));
        }
        Ok(())
    }

    async fn query(
        self: &Arc<Self>,
        request: Request<Incoming>,
        read_only: bool,
    ) -> Result<Reply, Exception> {
        let (parts, body) = request.into_parts();
        let ask = Ask::read(parts.uri.query().unwrap_or_default(), &parts.headers, read_only)?;
        self.authenticate(ask.credentials(&parts.headers)?)?;
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let form = content_type
            .filter(|value| value.starts_with("multipart/form-data"))
            .map(str::to_owned);

        let waiting = Waiting::enter(self)?;
        let permit = self
            .places
            .acquire()
            .await
            .map_err(|_| Exception::unexplained("The server is shutting down"))?;
        drop(waiting);
        permit.forget();
        let place = Place(Arc::clone(self));

        let (mark, tag) = (self.engine.next_mark(), format!("{:016x}", fastrand::u64(..)));
        let leash = Leash {
            engine: Arc::clone(&self.engine),
            mark: mark.clone(),
            state: Arc::default(),
        };
        let (to_job, from_pump) = mpsc::channel(BODY_QUEUE);
        tokio::spawn(pump(body, to_job));
        let packer = ask
            .pack
            .packer()
            .map_err(|error| Exception::unexplained(&error.to_string()))?;
        let (head_to, head) = oneshot::channel();
        let (rest_to, rest) = mpsc::channel(QUEUE);
        let (encoding, query_id) = (
            ask.pack.encoding(),
            ask.query_id.clone().unwrap_or_else(|| mark.replace(' ', "-")),
        );
        let answer = Answer::new(head_to, rest_to, packer, ask.wait_end);
        let (engine, body, flags) = (
            Arc::clone(&self.engine),
            BodyReader::new(from_pump),
            Arc::clone(&leash.state),
        );
        let job = Job {
            engine,
            ask,
            form,
            body,
            mark,
            tag: tag.clone(),
            cancelled: Arc::clone(&flags.cancelled),
        };
        tokio::task::spawn_blocking(move || {
            let _place = place;
            job.run(answer);
            flags.finished.store(true, Ordering::Relaxed);
        });
        let head = head
            .await
            .unwrap_or_else(|_| Err(Exception::unexplained("the query's thread died")))?;
        let mut builder = self.describe(&head).header("X-ClickHouse-Exception-Tag", tag);
        if let Ok(id) = HeaderValue::from_str(&query_id) {
            builder = builder.header("X-ClickHouse-Query-Id", id);
        }
        if let Some(encoding) = encoding {
            builder = builder.header("Content-Encoding", encoding);
        }
        let rest = (!head.complete).then_some((rest, leash));
        Ok(build(
            builder,
            ReplyBody {
                first: Some(head.first).filter(|first| !first.is_empty()),
                rest,
                failure: None,
            },
        ))
    }

    fn describe(&self, head: &Head) -> Builder {
        let stats = &head.stats;
        let summary = format!(
            "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
             \"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
            stats.read_rows,
            stats.read_bytes,
            stats.written_rows,
            stats.written_bytes,
            stats.result_rows.max(stats.written_rows),
            head.first.len(),
            head.elapsed.as_nanos(),
        );
        let builder = self.head(StatusCode::OK).header("X-ClickHouse-Summary", summary);
        match head.format.as_str() {
            "" => builder.header(CONTENT_TYPE, "text/plain; charset=UTF-8"),
            format => builder
                .header("X-ClickHouse-Format", format)
                .header(CONTENT_TYPE, content_type(format)),
        }
    }
}

fn build(builder: Builder, body: ReplyBody) -> Reply {
    // Every header value was checked or made here; should one be refused after all, say so.
    builder.body(body).unwrap_or_else(|error| {
        let mut reply = Response::new(ReplyBody::full(error.to_string().into()));
        *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        reply
    })
}

/// As the formats state it themselves in ClickHouse (`IOutputFormat::getContentType`).
fn content_type(format: &str) -> &'static str {
    match format {
        "JSONEachRow" | "JSONStringsEachRow" | "JSONCompactEachRow" => "application/x-ndjson; charset=UTF-8",
        _ if format.starts_with("JSON") => "application/json; charset=UTF-8",
        "CSVWithNames" | "CSVWithNamesAndTypes" => "text/csv; charset=UTF-8; header=present",
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        _ if format.starts_with("TabSeparated") || format.starts_with("TSV") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        "XML" => "application/xml; charset=UTF-8",
        "Native" | "Parquet" | "ORC" | "Avro" | "Arrow" | "ArrowStream" | "MsgPack" | "Protobuf" => {
            "application/octet-stream"
        }
        _ if format.starts_with("RowBinary") => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}

/// Moves a body to its job. When the job wants no more (it failed), the rest is thrown away, because a client that
/// is still sending would not read the error.
async fn pump(mut body: Incoming, to: mpsc::Sender<io::Result<Bytes>>) {
    let mut drained = 0;
    loop {
        let piece = match body.frame().await {
            None => return,
            Some(Ok(frame)) => frame.into_data().map_err(|_| None),
            Some(Err(error)) => Err(Some(error)),
        };
        match piece {
            Ok(data) => {
                let length = data.len();
                if to.is_closed() || to.send(Ok(data)).await.is_err() {
                    drained += length;
                }
                if drained > MAX_DRAIN {
                    return;
                }
            }
            Err(None) => {}
            Err(Some(error)) => {
                let gone = io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    format!("the client hung up: {error}"),
                );
                let _job_ended = to.send(Err(gone)).await;
                return;
            }
        }
    }
}

/// A request in the queue for a place.
struct Waiting<'s>(&'s Server);

impl<'s> Waiting<'s> {
    fn enter(server: &'s Server) -> Result<Self, Exception> {
        let waiting = Self(server);
        if server.pending.fetch_add(1, Ordering::Relaxed) >= server.limits.waiting
            && server.places.available_permits() == 0
        {
            let most = server.limits.running + server.limits.waiting;
            let message = format!("Too many simultaneous queries. Maximum: {most}");
            return Err(Exception::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of a running query, given back when its thread is done (not when its client is).
struct Place(Arc<Server>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}
