//! DNS over HTTPS (RFC 8484): the question is the body of a POST over HTTP/2, the answer that of its response.

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{self, ResponseFuture};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::connection::{Broken, Phase, Talk};
use crate::dns::wire::Query0x20;

const DNS_MESSAGE: &str = "application/dns-message";
/// A DNS message is never longer, whatever HTTP allows.
const MAX_MESSAGE: usize = u16::MAX as usize;
/// Of all header fields of a response together.
const MAX_HEADERS: u32 = 16 << 10;

/// The body of a good response.
pub(super) async fn post(
    tls: TlsStream<TcpStream>,
    name: &str,
    path: &str,
    query: &Query0x20,
    talk: &mut Talk,
) -> Result<Vec<u8>, Broken> {
    let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    if !is_h2 {
        return Err(Broken::refused("the server does not speak HTTP/2"));
    }
    let hand = client::Builder::new()
        .enable_push(false)
        .max_header_list_size(MAX_HEADERS)
        .handshake::<_, Bytes>(tls)
        .await;
    let (requests, connection) = hand.map_err(|error| broken(talk.phase, &error))?;
    talk.phase = Phase::Asked;
    let asking = async {
        let response = send(requests, name, path, query).await?;
        receive(response, talk).await
    };
    // The connection moves while its request waits. When it ends, what came before is still there to be read.
    let moving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        answer = asking => answer,
        () = moving => Err(Broken::refused("the connection ended")),
    }
}

async fn send(
    requests: client::SendRequest<Bytes>,
    name: &str,
    path: &str,
    query: &Query0x20,
) -> Result<ResponseFuture, Broken> {
    let host = match name.contains(':') {
        true => format!("[{name}]"), // an IPv6 address
        false => name.to_owned(),
    };
    let request = http::Request::post(format!("https://{host}{path}"))
        .version(http::Version::HTTP_2)
        .header(http::header::CONTENT_TYPE, DNS_MESSAGE)
        .header(http::header::ACCEPT, DNS_MESSAGE)
        .header(http::header::CONTENT_LENGTH, query.bytes.len())
        .body(())
        .map_err(|error| Broken::refused(format!("the URL is wrong: {error}")))?;
    let mut requests = requests
        .ready()
        .await
        .map_err(|error| broken(Phase::Asked, &error))?;
    let (response, mut body) = requests
        .send_request(request, false)
        .map_err(|error| broken(Phase::Asked, &error))?;
    body.send_data(Bytes::copy_from_slice(&query.bytes), true)
        .map_err(|error| broken(Phase::Asked, &error))?;
    Ok(response)
}

async fn receive(response: ResponseFuture, talk: &mut Talk) -> Result<Vec<u8>, Broken> {
    let (head, body) = response
        .await
        .map_err(|error| broken(Phase::Asked, &error))?
        .into_parts();
    // Only with a status of success is the body an answer to the question (RFC 8484 §4.2.1).
    if !head.status.is_success() {
        return Err(Broken::garbled(format!("HTTP {}", head.status)));
    }
    let kind = head.headers.get(http::header::CONTENT_TYPE);
    let is_dns = kind.is_none_or(|kind| kind.as_bytes().starts_with(DNS_MESSAGE.as_bytes()));
    if !is_dns {
        return Err(Broken::garbled(format!(
            "HTTP {}, but no {DNS_MESSAGE}",
            head.status
        )));
    }
    read_body(body, talk).await
}

async fn read_body(mut body: RecvStream, talk: &mut Talk) -> Result<Vec<u8>, Broken> {
    let mut message = Vec::new();
    talk.phase = Phase::Reading { have: 0, of: None };
    while let Some(part) = body.data().await {
        let part = part.map_err(|error| broken(talk.phase, &error))?;
        if message.len() + part.len() > MAX_MESSAGE {
            return Err(Broken::garbled(format!(
                "more than {MAX_MESSAGE} bytes are no DNS message"
            )));
        }
        message.extend_from_slice(&part);
        // Without it the server may send no more; a connection that has ended does not care.
        let _ = body.flow_control().release_capacity(part.len());
        talk.phase = Phase::Reading {
            have: message.len(),
            of: None,
        };
    }
    Ok(message)
}

fn broken(phase: Phase, error: &h2::Error) -> Broken {
    match phase {
        Phase::Reading { .. } => phase.cut(&error.to_string()),
        _ => Broken::refused(format!("HTTP/2: {error}")),
    }
}
