//! A webhook on loopback that follows a script, then accepts everything.

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

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    received: Vec<Received>,
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
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(addr).unwrap();
        let listener = socket.listen(64).unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into(),
            received: Vec::new(),
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
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let body = serde_json::from_slice(&body).map_err(std::io::Error::other)?;
    let answer = {
        let mut script = lock(script);
        let answer = script.answers.pop_front().unwrap_or(Answer::Status(204));
        let accepted = matches!(answer, Answer::Status(200..=299));
        script.received.push(Received {
            at: Instant::now(),
            headers,
            body,
            accepted,
        });
        answer
    };
    let text = Full::new(Bytes::from_static(b"as scripted\n"));
    let builder = Response::builder();
    let response = match answer {
        Answer::Status(204) => builder.status(204).body(Full::default()),
        Answer::Status(status) => builder.status(status).body(text),
        Answer::RetryAfter(status, after) => builder.status(status).header("retry-after", after).body(text),
        Answer::Hang => match std::future::pending::<Infallible>().await {},
        Answer::Cut => return Err(std::io::Error::other("cut")),
    };
    response.map_err(std::io::Error::other)
}
