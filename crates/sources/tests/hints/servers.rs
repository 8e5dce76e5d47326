//! Servers that behave as a test says: a few bytes for each connection, over TCP or TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

/// What a server does once it has read the head of a request.
#[derive(Clone)]
pub enum Does {
    /// Sends these bytes and closes.
    Says(Vec<u8>),
    /// Sends these over and over until the other side has gone.
    SaysForever(Vec<u8>, Vec<u8>),
    Hangs,
}

pub fn says(text: &str) -> Does {
    Does::Says(text.as_bytes().to_vec())
}

/// Connections of a server, all and those that are open.
#[derive(Default)]
pub struct Seen {
    pub all: AtomicUsize,
    pub open: AtomicUsize,
    pub most: AtomicUsize,
}

pub struct Server {
    pub addr: SocketAddr,
    pub seen: Arc<Seen>,
}

impl Server {
    /// `does` is given the number of the connection and the head of its request.
    pub async fn start(
        addr: &str,
        tls: Option<TlsAcceptor>,
        does: impl Fn(usize, &str) -> Does + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, does) = (Arc::new(Seen::default()), Arc::new(does));
        let counts = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counts, does, tls) = (counts.clone(), does.clone(), tls.clone());
                let number = counts.all.fetch_add(1, Ordering::SeqCst);
                let open = counts.open.fetch_add(1, Ordering::SeqCst) + 1;
                counts.most.fetch_max(open, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(stream, tls, |head| does(number, head)).await;
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { addr, seen }
    }

    /// One that does the same for everybody, over plain TCP.
    pub async fn plain(does: Does) -> Server {
        Server::start("127.0.0.1:0", None, move |_, _| does.clone()).await
    }

    pub fn connections(&self) -> usize {
        self.seen.all.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, does: impl Fn(&str) -> Does) {
    match tls {
        None => answer(stream, does).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                answer(stream, does).await;
            }
        }
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: impl Fn(&str) -> Does) {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(&piece[..length]),
        }
    }
    match does(&String::from_utf8_lossy(&head)) {
        Does::Says(bytes) => {
            let _ = stream.write_all(&bytes).await; // the other side may have read enough
            let _ = stream.shutdown().await;
        }
        Does::SaysForever(first, then) => {
            let mut sent = stream.write_all(&first).await;
            while sent.is_ok() {
                sent = stream.write_all(&then).await;
            }
        }
        Does::Hangs => while matches!(stream.read(&mut piece).await, Ok(1..)) {},
    }
}

/// An authority of our own, a server with its certificate for 127.0.0.1, and a client that believes it.
pub fn own_authority() -> (TlsAcceptor, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::clone(authority.der())).unwrap();
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}
