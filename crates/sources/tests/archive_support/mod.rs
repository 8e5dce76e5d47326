//! An archive on loopback: a web server in the shape of RIS, RouteViews and the BGPKIT broker, with faults on
//! request, and MRT bytes to serve.
//!
//! The tests of the program use this file too.

#![allow(dead_code)] // each test binary uses its own part

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What a path answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200, or 206 for a range, with an entity tag.
    Body(Vec<u8>),
    Status(u16),
    Moved(u16, String),
    /// The head promises all of it, and the connection ends after so many bytes.
    Cut(Vec<u8>, usize),
    /// The head and some bytes, then nothing for ever.
    Stall(Vec<u8>, usize),
    /// A byte at a time, for ever.
    Drip,
    /// The whole of it, after a wait that lets others begin.
    Late(Vec<u8>),
}

/// A file as a broker names it.
#[derive(Clone, Debug)]
pub struct Item {
    pub starts: i64,
    pub ends: i64,
    pub collector: String,
    pub kind: &'static str,
    pub url: String,
}

#[derive(Default)]
struct State {
    /// The last answer of a path stays.
    answers: HashMap<String, VecDeque<Answer>>,
    broker: Option<(Vec<Item>, usize)>,
    log: Vec<String>,
}

/// Serves until it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
    pub most_at_once: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Server {
    pub fn start() -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        runtime.spawn(accept(listener, Arc::clone(&state), Arc::clone(&most_at_once)));
        Server {
            addr,
            state,
            most_at_once,
            _runtime: runtime,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Answers `path` with these in turn, then with the last one for ever.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state()
            .answers
            .insert(path.to_owned(), answers.into_iter().collect());
    }

    pub fn file(&self, path: &str, bytes: &[u8]) {
        self.answer(path, [Answer::Body(bytes.to_vec())]);
    }

    /// Answers `/broker/search`, with at most so many items on a page.
    pub fn broker(&self, items: Vec<Item>, page_size: usize) {
        self.state().broker = Some((items, page_size));
    }

    /// `METHOD path?query [range]` of every request so far.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Requests whose line contains `part`.
    pub fn asked(&self, part: &str) -> usize {
        self.state().log.iter().filter(|line| line.contains(part)).count()
    }

    /// The page of a folder, made of the names.
    pub fn index(&self, folder: &str, names: &[&str]) {
        let links: String = names
            .iter()
            .map(|name| format!("<a href=\"{name}\">{name}</a>\n"))
            .collect();
        let page =
            format!("<html><a href=\"?C=M;O=A\">Last modified</a>\n<a href=\"/\">Parent</a>\n{links}</html>");
        self.file(folder, page.as_bytes());
    }
}

type Body = BoxBody<Bytes, io::Error>;

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, most: Arc<AtomicUsize>) {
    let now = Arc::new(AtomicUsize::new(0));
    while let Ok((socket, _)) = listener.accept().await {
        let (state, now, most) = (Arc::clone(&state), Arc::clone(&now), Arc::clone(&most));
        tokio::spawn(async move {
            let service =
                service_fn(|request| serve(request, Arc::clone(&state), Arc::clone(&now), Arc::clone(&most)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await; // cut on purpose, or by the client
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
) -> Result<Response<Body>, Infallible> {
    let range = request
        .headers()
        .get("range")
        .map(|value| value.to_str().unwrap().to_owned());
    let line = format!(
        "{} {} {}",
        request.method(),
        request.uri(),
        range.as_deref().unwrap_or("")
    );
    let path = request.uri().path().to_owned();
    let answer = {
        let mut state = state.lock().unwrap();
        state.log.push(line.trim_end().to_owned());
        match (&state.broker, path.as_str()) {
            (Some((items, page_size)), "/broker/search") => {
                Answer::Body(search(items, *page_size, request.uri().query().unwrap_or("")))
            }
            _ => match state.answers.get_mut(&path) {
                None => Answer::Status(404),
                Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
                Some(answers) => answers.front().unwrap().clone(),
            },
        }
    };
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    if let Answer::Late(_) = answer {
        // The test counts how many are asked for at once; they must be given the chance.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    now.fetch_sub(1, Ordering::SeqCst);
    Ok(respond(answer, range.as_deref()))
}

fn respond(answer: Answer, range: Option<&str>) -> Response<Body> {
    let head = |status: u16| Response::builder().status(status);
    match answer {
        Answer::Body(bytes) | Answer::Late(bytes) => {
            let from = range.and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse::<usize>()
                    .ok()
            });
            let response = match from {
                Some(from) if from < bytes.len() => {
                    let last = bytes.len() - 1;
                    let range = format!("bytes {from}-{last}/{}", bytes.len());
                    let left = bytes.len() - from;
                    head(206)
                        .header("content-range", range)
                        .header("content-length", left)
                        .body(whole(&bytes[from..]))
                }
                _ => head(200)
                    .header("etag", "\"v1\"")
                    .header("content-length", bytes.len())
                    .body(whole(&bytes)),
            };
            response.unwrap()
        }
        Answer::Status(status) => head(status).body(whole(b"no")).unwrap(),
        Answer::Moved(status, to) => head(status).header("location", to).body(whole(b"")).unwrap(),
        Answer::Cut(bytes, sent) => {
            let sent = Ok(Frame::data(Bytes::copy_from_slice(&bytes[..sent])));
            // hyper forgets what it has not yet written when the body breaks; so it breaks a little later.
            let broken = stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(io::Error::other("cut on purpose"))
            });
            let pieces = Box::pin(stream::iter([sent]).chain(broken)) as SyncStream;
            let body = BodyExt::boxed(StreamBody::new(pieces));
            let head = head(200)
                .header("etag", "\"v1\"")
                .header("content-length", bytes.len());
            head.body(body).unwrap()
        }
        Answer::Stall(bytes, sent) => {
            let first = stream::iter([Ok(Frame::data(Bytes::copy_from_slice(&bytes[..sent])))]);
            let body = BodyExt::boxed(StreamBody::new(first.chain(stream::pending())));
            head(200)
                .header("content-length", bytes.len())
                .body(body)
                .unwrap()
        }
        Answer::Drip => {
            let drops = stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok(Frame::data(Bytes::from_static(b"x"))), ()))
            });
            head(200)
                .body(BodyExt::boxed(StreamBody::new(Box::pin(drops) as SyncStream)))
                .unwrap()
        }
    }
}

type SyncStream =
    std::pin::Pin<Box<dyn stream::Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + Sync>>;

fn whole(bytes: &[u8]) -> Body {
    let piece = Ok(Frame::data(Bytes::copy_from_slice(bytes)));
    BodyExt::boxed(StreamBody::new(stream::iter([piece])))
}

fn search(items: &[Item], page_size: usize, query: &str) -> Vec<u8> {
    let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let number = |key: &str| query[key].parse::<i64>().unwrap();
    let page = number("page") as usize;
    let size = (number("page_size") as usize).min(page_size);
    let fits = |item: &&Item| {
        item.collector == query["collector_id"]
            && item.kind == query["data_type"]
            && item.starts < number("ts_end")
            && item.starts >= number("ts_start")
    };
    let found: Vec<String> = items
        .iter()
        .filter(fits)
        .skip((page - 1) * size)
        .take(size)
        .map(|item| {
            format!(
                r#"{{"ts_start":"{}","ts_end":"{}","collector_id":"{}","data_type":"{}","url":"{}","rough_size":1,"exact_size":0}}"#,
                naive(item.starts),
                naive(item.ends),
                item.collector,
                item.kind,
                item.url
            )
        })
        .collect();
    format!(
        r#"{{"count":{},"page":{page},"page_size":{size},"error":null,"data":[{}],"meta":null}}"#,
        found.len(),
        found.join(",")
    )
    .into_bytes()
}

/// `2021-10-04T15:30:00`.
pub fn naive(secs: i64) -> String {
    netfault_model::Time::from_secs(secs).to_string()[..19].to_owned()
}

// MRT (RFC 6396).

/// One session: address 192.0.2.`n`, AS 64500 + `n`.
pub fn peer_address(n: u8) -> [u8; 4] {
    [192, 0, 2, n]
}

fn record(out: &mut Vec<u8>, at: i64, kind: u16, subtype: u16, body: &[u8]) {
    out.extend((at as u32).to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(subtype.to_be_bytes());
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(body);
}

fn attributes(n: u8, origin: u32) -> Vec<u8> {
    let mut all = vec![0x40, 1, 1, 0, 0x40, 2, 10, 2, 2];
    all.extend((64_500 + u32::from(n)).to_be_bytes());
    all.extend(origin.to_be_bytes());
    all.extend([0x40, 3, 4]);
    all.extend(peer_address(n));
    all
}

/// `10.x.y.0/24`.
fn nlri(prefix: u16) -> [u8; 4] {
    let [x, y] = prefix.to_be_bytes();
    [24, 10, x, y]
}

/// An UPDATE of session `n` that announces `10.x.y.0/24` (or withdraws it), as BGP4MP_MESSAGE_AS4.
pub fn update(out: &mut Vec<u8>, at: i64, n: u8, prefix: u16, announced: bool) {
    let mut bgp = vec![0xff; 16];
    let mut rest = Vec::new();
    if announced {
        let attributes = attributes(n, 64_999);
        rest.extend([0, 0]);
        rest.extend((attributes.len() as u16).to_be_bytes());
        rest.extend(attributes);
        rest.extend(nlri(prefix));
    } else {
        rest.extend([0, 4]);
        rest.extend(nlri(prefix));
        rest.extend([0, 0]);
    }
    bgp.extend((19 + rest.len() as u16).to_be_bytes());
    bgp.push(2);
    bgp.extend(rest);
    let mut body = Vec::new();
    body.extend((64_500 + u32::from(n)).to_be_bytes());
    body.extend(64_496u32.to_be_bytes());
    body.extend([0, 0, 0, 1]);
    body.extend(peer_address(n));
    body.extend([192, 0, 2, 254]);
    body.extend(bgp);
    record(out, at, 16, 4, &body);
}

/// A table dump (TABLE_DUMP_V2) in which each of the sessions has each of the prefixes since `originated`.
pub fn rib(at: i64, sessions: &[u8], prefixes: &[u16], originated: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut index = vec![192, 0, 2, 254, 0, 0];
    index.extend((sessions.len() as u16).to_be_bytes());
    for &n in sessions {
        index.push(2);
        index.extend(peer_address(n));
        index.extend(peer_address(n));
        index.extend((64_500 + u32::from(n)).to_be_bytes());
    }
    record(&mut out, at, 13, 1, &index);
    for (sequence, &prefix) in prefixes.iter().enumerate() {
        let mut body = Vec::new();
        body.extend((sequence as u32).to_be_bytes());
        body.extend(nlri(prefix));
        body.extend((sessions.len() as u16).to_be_bytes());
        for (place, &n) in sessions.iter().enumerate() {
            let attributes = attributes(n, 64_999);
            body.extend((place as u16).to_be_bytes());
            body.extend((originated as u32).to_be_bytes());
            body.extend((attributes.len() as u16).to_be_bytes());
            body.extend(attributes);
        }
        record(&mut out, at, 13, 2, &body);
    }
    out
}

/// One announcement by session 1 every `step` seconds of `[from, to)`; the prefix is the minute.
pub fn updates(from: i64, to: i64, step: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = from;
    while at < to {
        update(&mut out, at, 1, (at / 60 % 60_000) as u16, true);
        at += step;
    }
    out
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
