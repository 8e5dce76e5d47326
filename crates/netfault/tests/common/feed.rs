//! A RIS Live server whose messages the test writes as it goes, for whoever has subscribed last.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use netfault_model::Time;
use netfault_sources::ris_live::server::record::{Announced, Body, Record, Segment, Update};
use netfault_sources::ris_live::server::render;
use netfault_sources::ris_live::system_clock;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

pub struct Feed {
    pub url: String,
    session: Arc<Mutex<Session>>,
}

#[derive(Default)]
struct Session {
    /// How many there have been.
    number: usize,
    socket: Option<WebSocket<TcpStream>>,
    sent: u16,
}

impl Feed {
    pub fn start() -> Feed {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("ws://{}/v1/ws/", listener.local_addr().expect("an address"));
        let session = Arc::new(Mutex::new(Session::default()));
        let kept = Arc::clone(&session);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who breaks off while it connects comes again.
                if let Some(socket) = subscribed(stream) {
                    let mut session = held(&kept);
                    session.number += 1;
                    session.socket = Some(socket);
                }
            }
        });
        Feed { url, session }
    }

    /// The number of the session that listens.
    pub fn session(&self) -> Option<usize> {
        let session = held(&self.session);
        session.socket.as_ref().map(|_| session.number)
    }

    /// Stamped with the moment of sending, which is returned. None: the session has ended. What a dying one was sent
    /// last may be lost all the same.
    pub fn send(&self, records: impl IntoIterator<Item = Record>) -> Option<Time> {
        let mut session = held(&self.session);
        let at = system_clock()();
        let sent = session.write(at, records);
        if sent.is_err() {
            session.socket = None;
        }
        sent.ok().map(|()| at)
    }
}

impl Session {
    fn write(&mut self, at: Time, records: impl IntoIterator<Item = Record>) -> tungstenite::Result<()> {
        let socket = self.socket.as_mut().ok_or(tungstenite::Error::ConnectionClosed)?;
        for record in records {
            self.sent = self.sent.wrapping_add(1);
            socket.write(Message::text(render::frame(&record, at, self.sent)))?;
        }
        socket.flush()
    }
}

fn held(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn subscribed(stream: TcpStream) -> Option<WebSocket<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    let mut socket = tungstenite::accept(stream).ok()?;
    let subscription = socket.read().ok()?;
    subscription
        .to_text()
        .is_ok_and(|text| text.contains("ris_subscribe"))
        .then_some(socket)
}

/// A peer of one of two collectors.
pub fn peer(n: u8) -> (Arc<str>, IpAddr, u32) {
    let host = if n.is_multiple_of(2) {
        "rrc00.ripe.net"
    } else {
        "rrc01.ripe.net"
    };
    let addr = Ipv4Addr::new(192, 0, 2, n);
    (host.into(), addr.into(), 3_000 + u32::from(n))
}

fn record(from: u8, update: Update) -> Record {
    let (host, peer, peer_asn) = peer(from);
    Record {
        at: Time::MIN,
        host,
        peer,
        peer_asn,
        body: Body::Update(update),
    }
}

/// Peer `from` has a route to `prefixes`; its path is itself, then `behind`.
pub fn announce(from: u8, behind: &[u32], prefixes: &[IpNet]) -> Record {
    let (_, next_hop, asn) = peer(from);
    record(
        from,
        Update {
            path: vec![Segment::Sequence([&[asn], behind].concat())],
            origin: Some("IGP"),
            announced: vec![Announced {
                next_hop,
                link_local: None,
                prefixes: prefixes.to_vec(),
            }],
            ..Update::default()
        },
    )
}

pub fn withdraw(from: u8, prefixes: &[IpNet]) -> Record {
    record(
        from,
        Update {
            withdrawn: prefixes.to_vec(),
            ..Update::default()
        },
    )
}
