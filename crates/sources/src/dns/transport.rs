//! One question on the wire: over the shared UDP sockets, or a TCP connection of its own.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::outcome::Failure;
use super::udp::matching::{Match, match_answer};
pub(super) use super::udp::{End, Ignored};
use super::udp::{Exchange, UdpEngine, failure};
use super::wire::{Answer, Query0x20};

/// One packet and its answer, over the engine of this process.
pub(super) async fn udp(server: SocketAddr, query: &Query0x20, wait: Duration) -> Exchange {
    match UdpEngine::shared() {
        Ok(engine) => engine.exchange(server, query.clone(), wait).await,
        Err(error) => {
            tracing::warn!(%server, %error, "cannot ask: the DNS thread does not start");
            Exchange {
                end: End::Failed(Failure::Local),
                latency: Duration::ZERO,
                ignored: Ignored::default(),
            }
        }
    }
}

/// A whole answer over TCP (RFC 7766), or why there is none.
pub(super) async fn tcp(
    server: SocketAddr,
    query: &Query0x20,
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
            match match_answer(query, &message) {
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
