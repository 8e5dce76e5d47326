//! A door with a pipeline behind it that does what the test says, and callers of all kinds.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netfault_api::batch::{self, Hole, Item};
use netfault_api::sign::{self, Asked, Nonce, Stamp};
use netfault_api::{Callers, Client, Clock, Delivery, Doors, Limits, Position, Server, Taken, Token};
use netfault_model::{Arrival, Input, Outcome, Probe, Role, Time, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

pub const TOKEN: &str = "the token of ams1, 0123456789";
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::from_micros(since.as_micros() as i64)
}

/// The wall clock, off by so much.
pub fn clock(offset: i64) -> Clock {
    Arc::new(move || now().plus_micros(offset))
}

/// A clock that the test moves.
pub fn moved(by: Arc<AtomicI64>) -> Clock {
    Arc::new(move || now().plus_micros(by.load(Ordering::Relaxed)))
}

pub fn limits() -> Limits {
    Limits {
        handshake: Duration::from_secs(1),
        header: Duration::from_secs(1),
        body: Duration::from_secs(1),
        ..Limits::default()
    }
}

/// A server, and the far ends of its doors.
pub struct Door {
    pub addr: SocketAddr,
    pub deliveries: mpsc::Receiver<Delivery>,
    pub inputs: mpsc::Receiver<Vec<Input>>,
    pub stop: watch::Sender<bool>,
}

impl Door {
    pub async fn open(limits: Limits) -> Door {
        Door::with(limits, None, clock(0)).await
    }

    pub async fn with(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>, clock: Clock) -> Door {
        let (input, inputs) = mpsc::channel(2);
        let (delivery, deliveries) = mpsc::channel(1);
        let doors = Doors {
            inputs: input,
            deliveries: delivery,
        };
        let agents = [
            ("ams1", Token::new(TOKEN)),
            ("fra1", Token::new("the token of fra1, 0123456789")),
        ];
        let callers = Callers::new(agents, []);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(any, tls, callers, doors, clock, limits)
            .await
            .unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(server.run(stopping));
        Door {
            addr,
            deliveries,
            inputs,
            stop,
        }
    }

    /// From now on every batch is taken once; what was taken.
    pub fn takes_all(self) -> (SocketAddr, watch::Sender<bool>, Arc<Mutex<Vec<Input>>>) {
        let Door {
            addr,
            mut deliveries,
            inputs,
            stop,
        } = self;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        tokio::spawn(async move {
            let _open = inputs;
            let mut last: BTreeMap<Arc<str>, Position> = BTreeMap::new();
            while let Some(delivery) = deliveries.recv().await {
                let known = last.get(&delivery.agent).copied();
                let answer = match known {
                    Some(last) if delivery.position.epoch < last.epoch => Taken::OlderEpoch(last.epoch),
                    Some(last) if delivery.position <= last => Taken::Known,
                    _ => {
                        last.insert(delivery.agent, delivery.position);
                        kept.lock().unwrap().extend(delivery.inputs);
                        Taken::Applied
                    }
                };
                let _ = delivery.taken.send(answer);
            }
        });
        (addr, stop, taken)
    }
}

pub fn client(addr: SocketAddr, token: &str, clock: Clock) -> Client {
    let url = format!("http://{addr}").parse().unwrap();
    let tls = netfault_api::tls::client(None).unwrap();
    Client::new(url, "ams1", Token::new(token), tls, clock)
}

pub fn at(seq: u64) -> Position {
    Position { epoch: 7, seq }
}

pub fn probe(vantage: &str) -> Probe {
    Probe {
        at: now(),
        vantage: vantage.into(),
        name: "www.example.com".into(),
        role: Role::Authority,
        server: SocketAddr::from(([192, 0, 2, 53], 53)),
        qname: "example.com".into(),
        qtype: "SOA".into(),
        outcome: Outcome::Ok,
        rcode: Some(0),
        authoritative: true,
        ede: None,
        nsid: None,
        latency_us: 1234,
        ttl: Some(300),
        answers: vec![],
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: Arrival::InTime,
        detail: None,
    }
}

pub fn probes(vantage: &str) -> Vec<u8> {
    batch::pack(&[Item::Probe(Box::new(probe(vantage)))]).unwrap()
}

pub fn gap(reason: &str) -> Item {
    Item::Gap(Hole {
        at: now(),
        from: None,
        to: None,
        reason: reason.into(),
        lost: None,
    })
}

/// A signed request as bytes.
pub struct Signed<'a> {
    pub caller: &'a str,
    pub token: &'a str,
    pub target: &'a str,
    pub time: Time,
    pub nonce: Nonce,
    pub kind: &'a str,
    pub body: &'a [u8],
}

impl<'a> Signed<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Signed {
            caller: "ams1",
            token: TOKEN,
            target: "/api/v1/probes?epoch=7&seq=1",
            time: now(),
            nonce: Nonce::random(),
            kind: "application/json",
            body,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let asked = Asked {
            method: "POST",
            target: self.target,
            caller: self.caller,
            stamp: Stamp {
                time: self.time,
                nonce: self.nonce,
            },
        };
        let signature = sign::request(&Token::new(self.token), &asked, self.body);
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: {}\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n\
             netfault-caller: {}\r\nnetfault-time: {}\r\nnetfault-nonce: {}\r\nnetfault-signature: {signature}\r\n\r\n",
            self.target,
            self.kind,
            self.body.len(),
            self.caller,
            self.time.micros(),
            self.nonce
        );
        [head.as_bytes(), self.body].concat()
    }
}

/// What came back: the status, the header lines in lower case, the body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn is_signed(&self) -> bool {
        self.head.contains("netfault-signature: v1=")
    }

    /// The sentence of an error.
    pub fn error(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        json["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends bytes on a connection of their own, and reads the first answer.
pub async fn send(addr: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    answer(&mut stream).await.expect("an answer")
}

pub async fn get(addr: SocketAddr, method: &str, path: &str) -> Answer {
    send(
        addr,
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").as_bytes(),
    )
    .await
}

/// `None` if the connection ends without one.
pub async fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
                if bytes.len() >= end + 4 + length {
                    return Some(Answer {
                        status: head.split(' ').nth(1)?.parse().ok()?,
                        body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned(),
                        head,
                    });
                }
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer in time")
}

/// A private authority, and a certificate of it for 127.0.0.1: `ca.pem`, `cert.pem`, `key.pem` in `dir`.
pub fn authority(dir: &Path) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), leaf.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}
