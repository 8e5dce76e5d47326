//! One HTTP/1.1 request over a connection of its own, phase by phase, each with its own deadline.
//!
//! The address is what the system's resolver (`getaddrinfo`) names first, as an application on this host would take it: it has
//! sorted them by what can be reached from here (RFC 6724). One address is asked, and said which; netfault's own
//! questions to name servers are a matter of [`crate::dns`]. Redirects are not followed: a 3xx is an answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use netfault_model::HttpPhase;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::target::Target;

/// `getaddrinfo` cannot be cancelled: it may take half a minute in a thread of its own, long after nobody waits for it.
const MAX_LOOKUPS: usize = 64;
/// Of the head of an answer. hyper takes no less than 8 kB.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 256;

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    /// From the request to the last byte that is read.
    pub answer: Duration,
}

impl Default for Limits {
    /// 5 s is what DNS gives a resolver (DESIGN section 6); a page may take twice that (a guess).
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits {
            resolve: seconds(5),
            connect: seconds(5),
            tls: seconds(5),
            answer: seconds(10),
        }
    }
}

/// Who asks: what all requests share.
#[derive(Clone, Debug)]
pub struct Asker {
    limits: Limits,
    tls: Arc<ClientConfig>,
    lookups: Arc<Semaphore>,
}

/// How a request went.
#[derive(Debug)]
pub(super) struct Exchange {
    pub reached: HttpPhase,
    pub addr: Option<IpAddr>,
    pub took: Duration,
    /// What went wrong: the end of a sentence that begins with the URL.
    pub error: Option<String>,
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    /// As much as was asked for.
    pub body: Vec<u8>,
    /// There is more than that.
    pub is_cut: bool,
}

impl Asker {
    /// `tls`: whom web servers are believed to be by.
    pub fn new(tls: Arc<ClientConfig>, limits: Limits) -> Self {
        Asker {
            limits,
            tls,
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// GETs `target` and reads at most `most` bytes of the body.
    pub(super) async fn ask(
        &self,
        target: &Target,
        more: Option<(HeaderName, HeaderValue)>,
        most: usize,
    ) -> Exchange {
        let begun = Instant::now();
        let mut exchange = Exchange {
            reached: HttpPhase::Nothing,
            addr: None,
            took: Duration::ZERO,
            error: None,
            status: None,
            headers: HeaderMap::new(),
            body: Vec::new(),
            is_cut: false,
        };
        exchange.error = self.go(&mut exchange, target, more, most).await.err();
        exchange.took = begun.elapsed();
        exchange
    }

    async fn go(
        &self,
        exchange: &mut Exchange,
        target: &Target,
        more: Option<(HeaderName, HeaderValue)>,
        most: usize,
    ) -> Result<(), String> {
        let addr = self.look_up(&target.host, target.port).await?;
        exchange.addr = Some(addr.ip().to_canonical());
        exchange.reached = HttpPhase::Resolved;
        let limit = self.limits.connect;
        let tcp = match timeout(limit, TcpStream::connect(addr)).await {
            Ok(connected) => connected.map_err(|error| format!("cannot be connected to: {error}"))?,
            Err(_) => return Err(format!("cannot be connected to within {}", shown(limit))),
        };
        exchange.reached = HttpPhase::Connected;
        let _ = tcp.set_nodelay(true); // only costs time where it cannot be set
        let request = request(target, more)?;
        let limit = self.limits.answer;
        let answered = if target.is_tls {
            let tls = self.secure(&target.host, tcp).await?;
            exchange.reached = HttpPhase::Secured;
            timeout(limit, exchange.converse(tls, request, most)).await
        } else {
            timeout(limit, exchange.converse(tcp, request, most)).await
        };
        answered.unwrap_or_else(|_| Err(format!("does not answer within {}", shown(limit))))
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<SocketAddr, String> {
        if let Ok(addr) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(addr, port));
        }
        let Ok(permit) = self.lookups.clone().try_acquire_owned() else {
            return Err("is not looked up: the system's resolver is busy".to_owned());
        };
        let host = host.to_owned();
        // Not ours any more once it takes too long; the permit is, until it ends.
        let lookup = tokio::spawn(async move {
            let found = tokio::net::lookup_host((host, port)).await;
            drop(permit);
            found.map(|mut addresses| addresses.next())
        });
        let limit = self.limits.resolve;
        match timeout(limit, lookup).await {
            Ok(Ok(Ok(Some(addr)))) => Ok(addr),
            Ok(Ok(Ok(None))) => Err("has no address".to_owned()),
            Ok(Ok(Err(error))) => Err(format!("has no address: {error}")),
            Ok(Err(_)) => Err("is not looked up: the lookup was cut off".to_owned()), // the runtime is stopping
            Err(_) => Err(format!("is not looked up within {}", shown(limit))),
        }
    }

    async fn secure(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "has a host that no certificate can be for".to_owned())?;
        let limit = self.limits.tls;
        let connector = TlsConnector::from(self.tls.clone());
        match timeout(limit, connector.connect(name, tcp)).await {
            Ok(secured) => secured.map_err(|error| format!("fails the TLS handshake: {error}")),
            Err(_) => Err(format!("does not end the TLS handshake within {}", shown(limit))),
        }
    }
}

impl Exchange {
    async fn converse<S>(
        &mut self,
        stream: S,
        request: Request<Empty<Bytes>>,
        most: usize,
    ) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| no_answer(&error))?;
        let answer = std::pin::pin!(async {
            let response = sender.send_request(request).await;
            let (head, body) = response.map_err(|error| no_answer(&error))?.into_parts();
            self.status = Some(head.status);
            self.headers = head.headers;
            self.read(body, most).await
        });
        // Nothing moves unless the connection is driven; when it has ended, what it brought is still there to be read.
        match select(answer, std::pin::pin!(connection)).await {
            Either::Left((answered, _)) => answered,
            Either::Right((_, answer)) => answer.await,
        }
    }

    async fn read(&mut self, mut body: Incoming, most: usize) -> Result<(), String> {
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| format!("breaks off after {} bytes: {}", self.body.len(), causes(&error)))?;
            let Ok(piece) = frame.into_data() else { continue };
            let room = most - self.body.len();
            self.body.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                self.is_cut = true;
                break;
            }
        }
        self.reached = HttpPhase::Done;
        Ok(())
    }
}

fn request(
    target: &Target,
    more: Option<(HeaderName, HeaderValue)>,
) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, concat!("netfault/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close");
    if let Some((name, value)) = more {
        request = request.header(name, value);
    }
    let request = request.body(Empty::new());
    request.map_err(|error| format!("cannot be asked for: {error}"))
}

fn no_answer(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        "closes the connection without an answer".to_owned()
    } else if error.is_parse() || error.is_parse_too_large() {
        format!("answers what is no HTTP: {}", causes(error))
    } else {
        format!("does not answer: {}", causes(error))
    }
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

fn shown(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{} s", limit.as_secs()),
        _ => format!("{} ms", limit.as_millis()),
    }
}
