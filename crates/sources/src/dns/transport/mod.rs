//! One question on the wire: over the shared UDP sockets, or a connection of its own.
//!
//! * [`connection`] TCP, and TLS over it; how far it came
//! * [`https`] a question as an HTTP request
//! * [`tls`] whom TLS believes
//!
//! A connection is for one question: what a probe says of a server must not depend on what was asked before. Sessions of TLS are
//! resumed where the server lets us.

pub(super) mod connection;
mod https;
pub mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use super::outcome::Failure;
use super::resolver::Via;
pub(super) use super::udp::{End, Ignored};
use super::udp::{Exchange, UdpEngine};
use super::wire::{Answer, Query0x20};
use connection::{Talk, Way, exchange};
use tls::TlsRoots;

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

/// A whole answer over TCP, if there is one.
pub(super) async fn tcp(server: SocketAddr, query: &Query0x20, wait: Duration) -> Option<Answer> {
    let way = Way {
        server,
        via: &Via::Tcp,
        roots: TlsRoots::public(),
    };
    let whole = exchange(way, query, wait, &mut Talk::default()).await;
    whole.ok().map(|whole| whole.answer)
}
