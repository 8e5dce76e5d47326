//! `POST /api/v1/reports`, over real sockets: what is taken, and every way in which it is not.

use std::net::SocketAddr;
use std::sync::Arc;

use netfault_api::{Callers, Delivery, Doors, Limits, Reports, Server, Token};
use netfault_model::{Hint, HintKind, Input, Time};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const AGENT: &str = "fedcba9876543210fedcba9876543210";
const PATH: &str = "/api/v1/reports";
const ONE: &str = r#"{"service":"Shop","interval_s":900,"count":37}"#;

struct Door {
    addr: SocketAddr,
    hints: mpsc::Receiver<Vec<Hint>>,
    /// Dropped: the server ends.
    _stop: watch::Sender<bool>,
    _queues: (mpsc::Receiver<Vec<Input>>, mpsc::Receiver<Delivery>),
}

/// Status, headers in lower case, and the body.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn error(&self) -> &str {
        self.body["error"].as_str().expect("a sentence")
    }
}

impl Door {
    /// With room for so many bodies.
    async fn open(room: usize) -> Door {
        let (inputs, taken) = mpsc::channel(1);
        let (deliveries, delivered) = mpsc::channel(1);
        let callers = Callers::new([("ams1", Token::new(AGENT))], [("helpdesk", Token::new(TOKEN))]);
        let clock = Arc::new(|| Time::from_secs(1_774_785_600));
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let doors = Doors { inputs, deliveries };
        let server = Server::bind(local, None, callers, doors, clock, Limits::default());
        let server = server.await.unwrap();
        let (sender, hints) = mpsc::channel(room);
        server.take_reports(Reports {
            services: ["Shop".to_owned()].into(),
            hints: sender,
        });
        let addr = server.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(server.run(stopping));
        Door {
            addr,
            hints,
            _stop: stop,
            _queues: (taken, delivered),
        }
    }

    async fn post(&self, authorization: &str, body: &str) -> Answer {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\n{authorization}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body.as_bytes()].concat()).await
    }

    async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        Answer {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn reports_are_taken_and_named_after_their_client() {
    let mut door = Door::open(4).await;
    let answer = door.post(&bearer(TOKEN), &format!("{ONE}\n{ONE}\n")).await;
    assert_eq!((answer.status, &answer.body["taken"]), (202, &Value::from(2)));
    let hints = door.hints.recv().await.unwrap();
    assert_eq!(hints.len(), 2);
    assert_eq!(
        (hints[0].service.as_str(), hints[0].source.as_str()),
        ("Shop", "helpdesk")
    );
    assert_eq!(hints[0].at, Time::from_secs(1_774_785_600));
    let HintKind::Reports { count, .. } = hints[0].what else {
        panic!("{hints:?}")
    };
    assert_eq!(count, 37.0);
}

#[tokio::test]
async fn who_has_no_token_of_a_client_is_refused() {
    let mut door = Door::open(4).await;
    for authorization in [
        "",
        "authorization: Basic eDp5\r\n",
        &bearer("wrong"),
        &bearer(AGENT),
        &bearer(""),
    ] {
        let answer = door.post(authorization, ONE).await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
        assert!(!answer.error().is_empty());
    }
    assert!(door.hints.try_recv().is_err(), "nothing came through");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_of_it_is_taken() {
    let mut door = Door::open(4).await;
    let bad = door
        .post(&bearer(TOKEN), &format!("{ONE}\n{{\"service\": "))
        .await;
    assert_eq!(bad.status, 400);
    assert!(bad.error().starts_with("the body is no JSON"), "{}", bad.error());
    let other = ONE.replace("Shop", "Chop");
    let unknown = door.post(&bearer(TOKEN), &format!("[{ONE}, {other}]")).await;
    assert_eq!(unknown.status, 422);
    let sentence = "item 2: the service 'Chop' is not in the configuration, which has Shop";
    assert_eq!(unknown.error(), sentence);
    let many = door.post(&bearer(TOKEN), &ONE.repeat(5_001)).await;
    assert_eq!(many.status, 413);
    // Refused by its length, before any of it has come.
    let long = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\n{}content-length: 1048577\r\nconnection: close\r\n\r\n",
        bearer(TOKEN)
    );
    assert_eq!(door.send(long.as_bytes()).await.status, 413);
    let get = format!("GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(door.send(get.as_bytes()).await.status, 405);
    assert!(door.hints.try_recv().is_err(), "nothing came through");
}

#[tokio::test]
async fn a_full_queue_and_a_stopping_collector_are_told_to_come_again() {
    let mut door = Door::open(1).await;
    assert_eq!(door.post(&bearer(TOKEN), ONE).await.status, 202);
    let busy = door.post(&bearer(TOKEN), ONE).await;
    assert_eq!(busy.status, 503);
    assert!(busy.head.contains("retry-after: 2"), "{}", busy.head);
    door.hints.close();
    let stopping = door.post(&bearer(TOKEN), ONE).await;
    assert_eq!(
        (stopping.status, stopping.error()),
        (503, "the collector is stopping")
    );
}
