//! One question over a connection of its own: TCP (RFC 7766), TLS (RFC 7858) or HTTPS (RFC 8484).
//!
//! Everything is bounded: the whole by the question's timeout, a message by 65,535 bytes, messages that are no answer by a number.
//! How far it came is written down on the way, because that is what tells a server that is not there from one that speaks
//! another protocol, hangs up, or sends half an answer.
//!
//! The framing is ours and not hickory's: of a broken, strange or refused exchange it keeps a text, and of an answer only what its
//! strict decoder lets through; here every byte goes the way of a datagram.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::https;
use super::tls::TlsRoots;
use crate::dns::outcome::Failure;
use crate::dns::resolver::Via;
use crate::dns::udp::matching::{Match, match_answer};
use crate::dns::udp::{Ignored, failure};
use crate::dns::wire::{Answer, Query0x20};

/// Messages that are no answer, on one connection. A server that sends more will not come to it.
const MAX_STRAY: u32 = 16;
/// Allocated before any of a message has come.
const FIRST_READ: usize = 4096;

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dns) struct Broken {
    pub failure: Failure,
    /// What happened, where the failure alone does not say it.
    pub detail: Option<String>,
}

impl Broken {
    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Broken {
            failure: Failure::ConnRefused,
            detail: Some(detail.into()),
        }
    }

    pub(super) fn garbled(detail: impl Into<String>) -> Self {
        Broken {
            failure: Failure::Garbled,
            detail: Some(detail.into()),
        }
    }

    fn of(error: &io::Error, server: SocketAddr) -> Self {
        Broken {
            failure: failure(error, server),
            detail: None,
        }
    }
}

/// A message that was matched with its question.
#[derive(Clone, Debug)]
pub(in crate::dns) struct Whole {
    pub answer: Answer,
    /// The same, as it came.
    pub bytes: Vec<u8>,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Connecting,
    /// Connected; TLS is not yet.
    Handshake,
    /// The question is out.
    Asked,
    /// `have` of `of` bytes of a message have come.
    Reading { have: usize, of: Option<usize> },
}

impl Phase {
    /// Nothing more came in time.
    fn timed_out(self) -> Broken {
        let detail = match self {
            Phase::Connecting => None,
            Phase::Handshake => Some("connected, but there is no TLS handshake".to_owned()),
            Phase::Asked => Some("connected, but there is no answer".to_owned()),
            Phase::Reading { .. } => Some(self.so_far()),
        };
        Broken {
            failure: Failure::Timeout,
            detail,
        }
    }

    /// The connection ended. Of half an answer it can be said that it is none; else nobody has said anything.
    pub(super) fn cut(self, error: &str) -> Broken {
        match self {
            Phase::Connecting | Phase::Asked => {
                Broken::refused(format!("the connection ended without an answer ({error})"))
            }
            Phase::Handshake => Broken::refused(format!("TLS: {error}")),
            Phase::Reading { .. } => Broken::garbled(format!("{}, then the connection ended", self.so_far())),
        }
    }

    fn so_far(self) -> String {
        match self {
            Phase::Reading { have, of: Some(of) } => format!("only {have} of {of} bytes of an answer came"),
            Phase::Reading { have, of: None } => format!("only {have} bytes of an answer came"),
            _ => "no byte of an answer came".to_owned(),
        }
    }
}

/// What is kept of an exchange while it goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::dns) struct Talk {
    pub ignored: Ignored,
    pub(super) phase: Phase,
}

/// Where a question goes, and whom TLS believes there.
#[derive(Clone, Copy, Debug)]
pub(in crate::dns) struct Way<'a> {
    pub server: SocketAddr,
    /// UDP means TCP here: the answer did not fit a datagram.
    pub via: &'a Via,
    pub roots: &'a TlsRoots,
}

/// A whole answer, or why there is none. Connecting is part of `wait`, and dropping it closes the connection.
pub(in crate::dns) async fn exchange(
    way: Way<'_>,
    query: &Query0x20,
    wait: Duration,
    talk: &mut Talk,
) -> Result<Whole, Broken> {
    match timeout(wait, talk_to(way, query, talk)).await {
        Ok(ended) => ended,
        Err(_) => Err(talk.phase.timed_out()),
    }
}

async fn talk_to(way: Way<'_>, query: &Query0x20, talk: &mut Talk) -> Result<Whole, Broken> {
    let Way { server, via, roots } = way;
    let tcp = connect(server)
        .await
        .map_err(|error| Broken::of(&error, server))?;
    match via {
        Via::Udp | Via::Tcp => framed(tcp, query, talk).await,
        Via::Tls { name } => {
            let connector = TlsConnector::from(roots.tls.clone());
            let tls = handshake(connector, name, tcp, talk).await?;
            framed(tls, query, talk).await
        }
        Via::Https { name, path } => {
            let connector = TlsConnector::from(roots.https.clone());
            let tls = handshake(connector, name, tcp, talk).await?;
            let message = https::post(tls, name, path, query, talk).await?;
            match match_answer(query, &message) {
                Match::Exact(answer) | Match::CaseDiffers(answer) => Ok(Whole {
                    answer,
                    bytes: message,
                }),
                Match::No { rcode } => {
                    talk.ignored.count(rcode);
                    Err(Broken::garbled(format!(
                        "{} bytes that are no answer to the question",
                        message.len()
                    )))
                }
            }
        }
    }
}

async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake(
    connector: TlsConnector,
    name: &str,
    tcp: TcpStream,
    talk: &mut Talk,
) -> Result<TlsStream<TcpStream>, Broken> {
    talk.phase = Phase::Handshake;
    let Ok(name) = ServerName::try_from(name.to_owned()) else {
        return Err(Broken::refused(format!(
            "TLS: '{name}' cannot be the name of a certificate"
        )));
    };
    // Refused by them or by us (a bad certificate, say): no connection over which anything could be asked.
    let tls = connector.connect(name, tcp).await;
    tls.map_err(|error| talk.phase.cut(&error.to_string()))
}

/// Messages with two bytes of length before each (RFC 1035 §4.2.2).
async fn framed<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    query: &Query0x20,
    talk: &mut Talk,
) -> Result<Whole, Broken> {
    let Ok(len) = u16::try_from(query.bytes.len()) else {
        return Err(Broken {
            failure: Failure::Local, // a question is never longer than 300 bytes
            detail: None,
        });
    };
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(&query.bytes);
    talk.phase = Phase::Asked;
    let sent = async {
        stream.write_all(&framed).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| talk.phase.cut(&error.to_string()))?;
    while talk.ignored.from_server < MAX_STRAY {
        let message = read_message(&mut stream, talk)
            .await
            .map_err(|error| talk.phase.cut(&error.to_string()))?;
        match match_answer(query, &message) {
            Match::Exact(answer) | Match::CaseDiffers(answer) => {
                return Ok(Whole {
                    answer,
                    bytes: message,
                });
            }
            Match::No { rcode } => talk.ignored.count(rcode),
        }
    }
    Err(Broken::garbled(format!(
        "{MAX_STRAY} messages, and none is the answer"
    )))
}

/// At most 65,535 bytes, and memory only for as many as come.
async fn read_message<S: AsyncRead + Unpin>(stream: &mut S, talk: &mut Talk) -> io::Result<Vec<u8>> {
    talk.phase = Phase::Asked;
    let len = usize::from(stream.read_u16().await?);
    let mut message = Vec::with_capacity(len.min(FIRST_READ));
    while message.len() < len {
        talk.phase = Phase::Reading {
            have: message.len(),
            of: Some(len),
        };
        let rest = (len - message.len()) as u64; // at most 65,535
        if (&mut *stream).take(rest).read_buf(&mut message).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(message)
}
