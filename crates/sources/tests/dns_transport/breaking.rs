//! Servers that break off, lie about lengths, dawdle, send too much, or answer in another protocol. Whatever they do, the probe ends in
//! time, with an outcome, and says what happened.

use bytes::Bytes;
use netfault_model::Outcome;
use netfault_sources::dns::probe::{Reply, ask};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::tls_server::{encrypted, plain};
use super::*;
use crate::dns_lab::{a_record, has, response};

async fn query<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let len = stream.read_u16().await.unwrap();
    let mut message = vec![0; len.into()];
    stream.read_exact(&mut message).await.unwrap();
    message
}

/// An answer with 192.0.2.1, its length before it.
fn framed(query: &[u8]) -> Vec<u8> {
    let message = response(query, 0, 0, &[&a_record([192, 0, 2, 1], 60)], &[]);
    with_length(message.len(), message)
}

fn with_length(len: usize, message: Vec<u8>) -> Vec<u8> {
    [(len as u16).to_be_bytes().to_vec(), message].concat()
}

/// What a server does with a question over a stream.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers,
    HangsUp,
    KeepsSilent,
    StopsInTheMiddle,
    BreaksOffInTheMiddle,
    SaysItIsLonger,
    SaysItIsShorter,
    SendsNothingWithLength,
    AnswersSomethingElse,
    SendsRubbishForEver,
    SendsThreeBytesAndWaits,
    /// 65,535 bytes, which is as long as a message can be.
    AnswersAtLength,
}

async fn does<S: AsyncRead + AsyncWrite + Unpin>(what: Does, mut stream: S) {
    let query = query(&mut stream).await;
    let good = framed(&query);
    let half = good.len() / 2;
    let longer = with_length(good.len() + 100, good[2..].to_vec());
    let shorter = with_length(20, good[2..].to_vec());
    let mut other = good.clone();
    other[2] ^= 0xff;
    // More answers than the header says are passed over.
    let mut long = good[2..].to_vec();
    long.resize(65535, 0);
    let (sent, waits) = match what {
        Does::Answers => (good, false),
        Does::HangsUp => (vec![], false),
        Does::KeepsSilent => (vec![], true),
        Does::StopsInTheMiddle => (good[..half].to_vec(), true),
        Does::BreaksOffInTheMiddle => (good[..half].to_vec(), false),
        Does::SaysItIsLonger => (longer, false),
        Does::SaysItIsShorter => (shorter, false),
        Does::SendsNothingWithLength => (vec![0, 0], true),
        Does::AnswersSomethingElse => (other, true),
        Does::SendsRubbishForEver => ([vec![0, 20], vec![7; 20]].concat().repeat(1000), true),
        Does::SendsThreeBytesAndWaits => (good[..3].to_vec(), true),
        Does::AnswersAtLength => (with_length(65535, long), false),
    };
    let _ = stream.write_all(&sent).await;
    let _ = stream.flush().await;
    if waits {
        let _ = stream.read_u8().await; // until the prober goes
    }
    let _ = stream.shutdown().await;
}

fn expected(what: Does) -> (Outcome, &'static str) {
    match what {
        Does::Answers | Does::AnswersAtLength => (Outcome::Ok, ""),
        Does::HangsUp => (Outcome::ConnRefused, "the connection ended without an answer"),
        Does::KeepsSilent => (Outcome::Timeout, "connected, but there is no answer"),
        Does::StopsInTheMiddle => (Outcome::Timeout, "only 23 of 49 bytes of an answer came"),
        Does::BreaksOffInTheMiddle => (
            Outcome::Malformed,
            "only 23 of 49 bytes of an answer came, then the connection ended",
        ),
        Does::SaysItIsLonger => (
            Outcome::Malformed,
            "only 49 of 151 bytes of an answer came, then the connection ended",
        ),
        Does::SaysItIsShorter => (
            Outcome::Malformed,
            "bytes of an answer came, then the connection ended",
        ),
        Does::SendsNothingWithLength => (Outcome::Malformed, "connected, but there is no answer"),
        Does::AnswersSomethingElse => (Outcome::Malformed, "connected, but there is no answer"),
        Does::SendsRubbishForEver => (Outcome::Malformed, "16 messages, and none is the answer"),
        Does::SendsThreeBytesAndWaits => (Outcome::Timeout, "only 1 of 49 bytes of an answer came"),
    }
}

const ALL: [Does; 12] = [
    Does::Answers,
    Does::HangsUp,
    Does::KeepsSilent,
    Does::StopsInTheMiddle,
    Does::BreaksOffInTheMiddle,
    Does::SaysItIsLonger,
    Does::SaysItIsShorter,
    Does::SendsNothingWithLength,
    Does::AnswersSomethingElse,
    Does::SendsRubbishForEver,
    Does::SendsThreeBytesAndWaits,
    Does::AnswersAtLength,
];

fn check(what: &str, reply: &Reply, (outcome, detail): (Outcome, &str)) {
    let said = reply.details.detail.clone().unwrap_or_default();
    assert_eq!(reply.outcome, outcome, "{what}: {said}");
    assert!(said.contains(detail), "{what}: {said}");
    assert_eq!(said.is_empty(), detail.is_empty(), "{what}: {said}");
    assert!(reply.latency < Duration::from_secs(20), "{what}");
}

#[tokio::test]
async fn whatever_a_server_does_over_tcp_is_an_outcome() {
    for what in ALL {
        let server = plain(move |stream| does(what, stream)).await;
        let reply = ask(&briefly(ask_by(server.addr, Via::Tcp, None))).await;
        check(&format!("{what:?}"), &reply, expected(what));
    }
}

#[tokio::test]
async fn whatever_a_server_does_over_tls_is_an_outcome() {
    if !has(&["openssl"], "whatever_a_server_does_over_tls_is_an_outcome") {
        return;
    }
    let certs = Certs::make();
    for what in ALL {
        let server = encrypted(&certs, b"dot", move |stream| does(what, stream)).await;
        let question = ask_by(server.addr, tls(), certs.roots());
        let patience = Duration::from_secs(2); // a handshake on a busy machine
        let reply = ask(&Question {
            timeout: patience,
            ..question
        })
        .await;
        check(&format!("{what:?}"), &reply, expected(what));
    }
}

#[tokio::test]
async fn a_server_that_never_gets_to_tls_is_a_timeout() {
    let server = plain(|mut stream| async move {
        let mut buffer = [0; 1024];
        while stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
    })
    .await;
    for via in [tls(), https("/dns-query")] {
        let reply = ask(&briefly(ask_by(server.addr, via, None))).await;
        check(
            "silent",
            &reply,
            (Outcome::Timeout, "connected, but there is no TLS handshake"),
        );
    }
}

/// With CD=1 the same resolver has an answer: the data is bogus, over TLS as over UDP.
#[tokio::test]
async fn servfail_is_asked_again_with_cd_over_tls() {
    if !has(&["openssl"], "servfail_is_asked_again_with_cd_over_tls") {
        return;
    }
    let certs = Certs::make();
    let server = encrypted(&certs, b"dot", |mut stream| async move {
        let query = query(&mut stream).await;
        let checking_disabled = query[3] & 0x10 > 0;
        let answer = match checking_disabled {
            true => framed(&query),
            false => {
                let failed = response(&query, 0, 2, &[], &[]);
                with_length(failed.len(), failed)
            }
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    })
    .await;
    let reply = ask(&ask_by(server.addr, tls(), certs.roots())).await;
    assert_eq!(
        (reply.outcome, reply.packets_sent),
        (Outcome::Bogus, 2),
        "{reply:?}"
    );
    assert_eq!(reply.details.rcode, Some(2));
}

/// What a server answers to a POST: status, content type, body, and whether it breaks the stream off in the middle of it.
#[derive(Clone, Copy)]
struct Http {
    status: u16,
    kind: &'static str,
    body: fn(&[u8]) -> Vec<u8>,
    reset: bool,
}

fn good_body(query: &[u8]) -> Vec<u8> {
    framed(query)[2..].to_vec()
}

async fn serve_http(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, http: Http) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            assert_eq!(
                (request.method(), request.uri().path()),
                (&http::Method::POST, "/dns-query")
            );
            assert_eq!(request.headers()["content-type"], "application/dns-message");
            let mut body = request.into_body();
            let mut query = Vec::new();
            while let Some(Ok(part)) = body.data().await {
                query.extend_from_slice(&part);
            }
            assert_eq!(query[..2], [0, 0], "the id of RFC 8484");
            let mut response = http::Response::new(());
            *response.status_mut() = http::StatusCode::from_u16(http.status).unwrap();
            response
                .headers_mut()
                .insert("content-type", http.kind.parse().unwrap());
            let mut out = respond.send_response(response, false).unwrap();
            let bytes = Bytes::from((http.body)(&query));
            out.reserve_capacity(bytes.len());
            if http.reset {
                let _ = out.send_data(bytes.slice(..9), false);
                // What was sent must get there before the end of it does.
                tokio::task::yield_now().await;
                out.send_reset(h2::Reason::INTERNAL_ERROR);
            } else {
                let _ = out.send_data(bytes, true);
            }
        });
    }
}

#[tokio::test]
async fn whatever_a_server_does_over_https_is_an_outcome() {
    if !has(&["openssl"], "whatever_a_server_does_over_https_is_an_outcome") {
        return;
    }
    let certs = Certs::make();
    let right = Http {
        status: 200,
        kind: "application/dns-message",
        body: good_body,
        reset: false,
    };
    let cases = [
        ("right", right, Outcome::Ok, ""),
        (
            "unavailable",
            Http { status: 503, ..right },
            Outcome::Malformed,
            "HTTP 503 Service Unavailable",
        ),
        (
            "sent elsewhere",
            Http { status: 302, ..right },
            Outcome::Malformed,
            "HTTP 302 Found",
        ),
        (
            "a web page",
            Http {
                kind: "text/html",
                ..right
            },
            Outcome::Malformed,
            "HTTP 200 OK, but no application/dns-message",
        ),
        (
            "nothing",
            Http {
                body: |_| vec![],
                ..right
            },
            Outcome::Malformed,
            "0 bytes that are no answer",
        ),
        (
            "rubbish",
            Http {
                body: |_| vec![9; 300],
                ..right
            },
            Outcome::Malformed,
            "300 bytes that are no answer",
        ),
        (
            "half",
            Http {
                body: |query| good_body(query)[..40].to_vec(),
                ..right
            },
            Outcome::Malformed,
            "40 bytes that are no answer",
        ),
        (
            "too much",
            Http {
                body: |_| vec![0; 70_000],
                ..right
            },
            Outcome::Malformed,
            "more than 65535 bytes",
        ),
        (
            "broken off",
            Http { reset: true, ..right },
            Outcome::Malformed,
            "then the connection ended",
        ),
    ];
    for (what, http, outcome, detail) in cases {
        let server = encrypted(&certs, b"h2", move |stream| serve_http(stream, http)).await;
        let reply = ask(&ask_by(server.addr, https("/dns-query"), certs.roots())).await;
        check(what, &reply, (outcome, detail));
    }
    // A server of HTTP/1.1 only.
    let old = encrypted(&certs, b"http/1.1", |_| async {}).await;
    let reply = ask(&ask_by(old.addr, https("/dns-query"), certs.roots())).await;
    assert_eq!(reply.outcome, Outcome::ConnRefused, "{reply:?}");
}
