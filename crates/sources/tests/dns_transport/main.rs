//! TCP, TLS and HTTPS: real resolvers (Unbound, BIND), and servers that break off, lie and dawdle.

mod breaking;
#[path = "../dns_lab/mod.rs"]
mod dns_lab;
mod real;
mod tls_server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_lab::certs::{Certs, NAME};
use dns_lab::resolver;
use hickory_proto::rr::RecordType;
use netfault_sources::dns::probe::Question;
use netfault_sources::dns::resolver::Via;
use netfault_sources::dns::transport::tls::TlsRoots;

fn tls() -> Via {
    Via::Tls { name: NAME.into() }
}

fn https(path: &str) -> Via {
    Via::Https {
        name: NAME.into(),
        path: path.into(),
    }
}

/// `www.example.com A`, by way of `via`.
fn ask_by(server: SocketAddr, via: Via, roots: Option<Arc<TlsRoots>>) -> Question {
    Question {
        via,
        tls: roots,
        ..resolver(server, "www.example.com", RecordType::A)
    }
}

/// The same with little patience, for servers that keep silent.
fn briefly(question: Question) -> Question {
    Question {
        timeout: Duration::from_millis(700),
        ..question
    }
}
