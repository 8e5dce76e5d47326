//! A webhook that writes down what it takes, and loses some of its answers. Of the storm, and of `tests/examples/alert_bench`.

#![allow(dead_code)] // each of them uses a part of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use netfault_model::Time;
use netfault_sources::ris_live::system_clock;
use serde_json::Value;

/// The header that says which run of the service it is, set by the configuration.
pub const RUN: &str = "storm-run";

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Taken, but the connection ends without an answer.
    AnswerLost,
    /// 503: not taken.
    Away,
}

#[derive(Clone, Debug)]
pub struct Taken {
    pub run: usize,
    /// Names one state of one alert.
    pub event: String,
    pub alert: String,
    pub state: String,
    /// `target` or `self`.
    pub about: String,
    /// As JSON.
    pub subject: String,
    pub answered: bool,
    pub opened_at: Time,
    /// When this state was decided.
    pub decided_at: Time,
    /// When it was taken.
    pub at: Time,
}

/// What one receiver has seen.
#[derive(Clone, Default)]
pub struct Book {
    requests: usize,
    /// In order of arrival.
    pub taken: Vec<Taken>,
    /// When a sender had to see a failure, and paused.
    pub failed: Vec<Time>,
}

pub struct Receiver {
    pub url: String,
    book: Arc<Mutex<Book>>,
}

impl Receiver {
    /// The n-th request has the fate `fate(n)`.
    pub fn start(fate: fn(usize) -> Fate) -> Receiver {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), fate)
    }

    pub fn start_at(addr: SocketAddr, fate: fn(usize) -> Fate) -> Receiver {
        let listener = TcpListener::bind(addr).expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let book = Arc::new(Mutex::new(Book::default()));
        let kept = Arc::clone(&book);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, fate, &kept));
            }
        });
        Receiver { url, book }
    }

    /// How much it has taken.
    pub fn len(&self) -> usize {
        self.book.lock().expect("the lock").taken.len()
    }

    pub fn book(&self) -> Book {
        self.book.lock().expect("the lock").clone()
    }
}

impl Book {
    fn note(&mut self, run: usize, body: &Value, fate: fn(usize) -> Fate) -> Fate {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let time = |value: &Value| serde_json::from_value(value.clone()).expect("a time");
        let (data, at) = (&body["data"], system_clock()());
        self.requests += 1;
        let fate = fate(self.requests);
        if fate != Fate::Answered {
            self.failed.push(at);
        }
        if fate != Fate::Away {
            self.taken.push(Taken {
                run,
                event: text(&body["id"]),
                alert: text(&data["id"]),
                state: text(&data["state"]),
                about: text(&data["about"]),
                answered: fate == Fate::Answered,
                subject: data["subject"].to_string(),
                opened_at: time(&data["opened_at"]),
                decided_at: time(&data["at"]),
                at,
            });
        }
        fate
    }
}

/// One connection, until its sender or its fate ends it.
fn serve(stream: &TcpStream, fate: fn(usize) -> Fate, book: &Mutex<Book>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (run, body) = request(&mut reader)?;
        let fate = book.lock().ok()?.note(run, &body, fate);
        let answer: &[u8] = match fate {
            Fate::Answered => b"HTTP/1.1 204 No Content\r\n\r\n",
            Fate::AnswerLost => return None,
            Fate::Away => b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        };
        writer.write_all(answer).ok()?;
    }
}

/// A whole request: one that a kill has cut off is none.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(usize, Value)> {
    let (mut length, mut run) = (0, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().ok()?,
            Some((RUN, value)) => run = value.trim().parse().ok()?,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((run, serde_json::from_slice(&body).ok()?))
}
