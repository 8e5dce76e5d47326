//! One question on the wire: a UDP exchange on a socket of its own, or a TCP one.
//!
//! The socket is connected, so the kernel drops datagrams of other addresses and reports ICMP errors.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::outcome::{Asked, Failure, repeats_question};
use super::wire::{self, Answer, Query0x20};

/// More than a server may send us (1232), so that one that sends more is heard all the same.
const UDP_BUFFER: usize = 4096;

/// How a UDP exchange ended.
pub(super) enum Udp {
    Answer(Answer),
    /// Right in all but the letter case of the name.
    CaseDiffers,
    Failed(Failure),
}

/// Datagrams and messages that were not the answer: counted, ignored, and no end of the wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignored {
    pub mismatched: u32,
    /// RCODE of the last one, if it had a header.
    pub rcode: Option<u16>,
}

pub(super) async fn udp(
    server: SocketAddr,
    query: &Query0x20,
    asked: &Asked,
    wait: Duration,
    ignored: &mut Ignored,
) -> Udp {
    let deadline = Instant::now() + wait;
    let exchange = async {
        let socket = open(server).await?;
        socket.send(&query.bytes).await?;
        let mut buffer = vec![0u8; UDP_BUFFER];
        loop {
            let len = socket.recv(&mut buffer).await?;
            match matches(query, asked, &buffer[..len]) {
                Match::Exact(answer) => return Ok(Udp::Answer(answer)),
                Match::CaseDiffers(_) => return Ok(Udp::CaseDiffers),
                Match::No { rcode } => ignored.count(rcode),
            }
        }
    };
    match timeout_at(deadline, exchange).await {
        Ok(Ok(end)) => end,
        Ok(Err(error)) => Udp::Failed(failure(&error, server)),
        Err(_) => Udp::Failed(Failure::Timeout),
    }
}

async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    report_icmp(&socket, server);
    socket.connect(server).await?;
    Ok(socket)
}

/// Without this Linux keeps "host unreachable" and "network unreachable" to itself, and they look like timeouts.
#[cfg(target_os = "linux")]
fn report_icmp(socket: &UdpSocket, server: SocketAddr) {
    use nix::sys::socket::{setsockopt, sockopt};
    let set = match server {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "IP_RECVERR refused: unreachable servers will look silent");
    }
}

#[cfg(not(target_os = "linux"))]
fn report_icmp(_: &UdpSocket, _: SocketAddr) {}

/// A whole answer over TCP (RFC 7766), or why there is none.
pub(super) async fn tcp(
    server: SocketAddr,
    query: &Query0x20,
    asked: &Asked,
    wait: Duration,
    ignored: &mut Ignored,
) -> Result<Answer, Failure> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let len = u16::try_from(query.bytes.len()).map_err(io::Error::other)?;
        let mut framed = len.to_be_bytes().to_vec();
        framed.extend_from_slice(&query.bytes);
        stream.write_all(&framed).await?;
        loop {
            // At most 65,535 bytes, and only as many as come are written to.
            let len = stream.read_u16().await?;
            let mut message = Vec::new();
            (&mut stream).take(len.into()).read_to_end(&mut message).await?;
            if message.len() < usize::from(len) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match matches(query, asked, &message) {
                Match::Exact(answer) | Match::CaseDiffers(answer) => return Ok(answer),
                Match::No { rcode } => ignored.count(rcode),
            }
        }
    };
    match timeout(wait, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure(&error, server)),
        Err(_) => Err(Failure::Timeout),
    }
}

enum Match {
    Exact(Answer),
    CaseDiffers(Answer),
    No { rcode: Option<u16> },
}

/// Is this the answer to that question? By id, question and letter case; the address is the socket's business.
fn matches(query: &Query0x20, asked: &Asked, bytes: &[u8]) -> Match {
    if wire::id_of(bytes) != Some(query.id) {
        return Match::No { rcode: None };
    }
    let answer = match wire::decode(bytes) {
        Ok(answer) => answer,
        Err(bad) => return Match::No { rcode: bad.rcode },
    };
    if !answer.is_response || answer.opcode != 0 || !repeats_question(asked, &answer) {
        return Match::No {
            rcode: Some(answer.rcode),
        };
    }
    match &answer.question {
        Some(question) if !question.name().eq_case(&query.name) => Match::CaseDiffers(answer),
        _ => Match::Exact(answer),
    }
}

impl Ignored {
    fn count(&mut self, rcode: Option<u16>) {
        self.mismatched = self.mismatched.saturating_add(1);
        self.rcode = rcode.or(self.rcode);
    }
}

fn failure(error: &io::Error, server: SocketAddr) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset | Kind::ConnectionAborted => Failure::ConnRefused,
        // No address of this family here, or a packet filter of our own, is no way to the server either.
        Kind::NetworkUnreachable
        | Kind::HostUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied => Failure::NetUnreachable,
        Kind::UnexpectedEof | Kind::BrokenPipe => Failure::ConnRefused,
        Kind::TimedOut => Failure::Timeout,
        _ => {
            tracing::warn!(%server, %error, "cannot ask: the fault is on this host");
            Failure::Local
        }
    }
}
