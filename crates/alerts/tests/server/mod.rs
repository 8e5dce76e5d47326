//! An HTTP server on loopback that follows a script, then accepts everything that is as it must be.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{AbortHandle, JoinHandle};

#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes the connection.
    Cut,
}

#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: serde_json::Value,
    pub accepted: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What is wrong with a request, as its vendor would say; a server that checks refuses it with 400.
pub type Check = fn(&Received) -> Result<(), String>;

struct Script {
    answers: VecDeque<Answer>,
    received: Vec<Received>,
    check: Check,
    /// Status and body of an acceptance.
    accepts: (u16, &'static str),
    /// What the checks found.
    wrong: Vec<String>,
}

pub struct Server {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Server {
    pub async fn start(answers: Vec<Answer>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answers).await
    }

    pub async fn start_at(addr: SocketAddr, answers: Vec<Answer>) -> Self {
        Self::like(addr, answers, |_| Ok(()), (204, "")).await
    }

    /// Accepts what passes `check`, with `accepts`.
    pub async fn like(
        addr: SocketAddr,
        answers: Vec<Answer>,
        check: Check,
        accepts: (u16, &'static str),
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(addr).unwrap();
        let listener = socket.listen(64).unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into(),
            received: Vec::new(),
            check,
            accepts,
            wrong: Vec::new(),
        }));
        let connections = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&script), Arc::clone(&connections)));
        Server {
            addr,
            script,
            task,
            connections,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    pub fn root(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What the checks found in all requests.
    pub fn wrong(&self) -> Vec<String> {
        lock(&self.script).wrong.clone()
    }

    /// Closes the listener and every connection; the address is free again.
    pub async fn stop(self) -> SocketAddr {
        self.task.abort();
        let addr = self.addr;
        lock(&self.connections)
            .drain(..)
            .for_each(|connection| connection.abort());
        let _ = self.task.await;
        addr
    }

    pub fn accepted(&self) -> Vec<Received> {
        lock(&self.script)
            .received
            .iter()
            .filter(|request| request.accepted)
            .cloned()
            .collect()
    }

    pub fn accepted_len(&self) -> usize {
        let script = lock(&self.script);
        script.received.iter().filter(|request| request.accepted).count()
    }

    /// Waits until everything that was sent to it is worked through: what lies in a socket's buffer outlives its sender.
    pub async fn idle(&self) {
        let mut quiet = 0;
        while quiet < 5 {
            tokio::time::sleep(Duration::from_millis(4)).await;
            let connections = lock(&self.connections);
            match connections.iter().all(AbortHandle::is_finished) {
                true => quiet += 1,
                false => quiet = 0,
            }
        }
    }

    /// Waits until `n` requests have come in, for at most 20 s.
    pub async fn seen(&self, n: usize) {
        for _ in 0..2_000 {
            if lock(&self.script).received.len() >= n {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("fewer than {n} requests came in");
    }

    /// From request `a` to request `b`, counted from 0.
    pub fn between(&self, a: usize, b: usize) -> Duration {
        let script = lock(&self.script);
        script.received[b].at - script.received[a].at
    }
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>, connections: Arc<Mutex<Vec<AbortHandle>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(&script);
        let connection = tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &script));
            // An error is what Cut makes, and the client's own close.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        lock(&connections).push(connection.abort_handle());
    }
}

async fn answer(
    request: Request<Incoming>,
    script: &Mutex<Script>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let headers = request.headers().clone();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    // A heartbeat is no JSON.
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (answer, accepts) = {
        let mut script = lock(script);
        let mut received = Received {
            at: Instant::now(),
            method,
            path,
            headers,
            body,
            accepted: false,
        };
        let mut answer = script.answers.pop_front().unwrap_or(Answer::Status(200));
        if let Err(wrong) = (script.check)(&received) {
            script.wrong.push(wrong);
            answer = Answer::Status(400);
        }
        received.accepted = matches!(answer, Answer::Status(200..=299));
        script.received.push(received);
        (answer, script.accepts)
    };
    let text = Full::new(Bytes::from_static(b"as scripted\n"));
    let builder = Response::builder();
    let response = match answer {
        Answer::Status(200..=299) => builder
            .status(accepts.0)
            .body(Full::new(Bytes::from_static(accepts.1.as_bytes()))),
        Answer::Status(status) => builder.status(status).body(text),
        Answer::RetryAfter(status, after) => builder.status(status).header("retry-after", after).body(text),
        Answer::Hang => match std::future::pending::<Infallible>().await {},
        Answer::Cut => return Err(std::io::Error::other("cut")),
    };
    response.map_err(std::io::Error::other)
}
