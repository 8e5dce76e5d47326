//! Unbound and BIND over every transport.

use hickory_proto::rr::RecordType;
use netfault_model::{Outcome, Transport};
use netfault_sources::dns::probe::{Ended, Question, ask};
use netfault_sources::dns::udp::{UdpEngine, UdpSettings};

use super::*;
use crate::dns_lab::*;

const DAEMONS: &[&str] = &["nsd", "unbound", "openssl"];

/// Ports of one Unbound: 53, TLS, HTTPS.
struct Ports {
    plain: SocketAddr,
    tls: SocketAddr,
    https: SocketAddr,
}

async fn encrypted_unbound(certs: &Certs, upstream: SocketAddr) -> (Daemon, Ports) {
    let ports = Ports {
        plain: free_port(),
        tls: free_port(),
        https: free_port(),
    };
    let lines = format!(
        "{OPEN}\n nsid: \"ascii_lab-r1\"\n tls-service-key: \"{}\"\n tls-service-pem: \"{}\"\n interface: 127.0.0.1@{}\n \
         interface: 127.0.0.1@{}\n tls-port: {}\n https-port: {}\n",
        certs.path("server.key").display(),
        certs.path("server.pem").display(),
        ports.tls.port(),
        ports.https.port(),
        ports.tls.port(),
        ports.https.port(),
    );
    let daemon = unbound(ports.plain, upstream, &lines).await;
    (daemon, ports)
}

#[tokio::test]
async fn unbound_answers_over_every_transport() {
    if !has(DAEMONS, "unbound_answers_over_every_transport") {
        return;
    }
    let certs = Certs::make();
    let server = nsd(free_port(), &zone("")).await;
    let (_unbound, ports) = encrypted_unbound(&certs, server.addr).await;
    let ways = [
        (ports.plain, Via::Udp, Transport::Udp),
        (ports.plain, Via::Tcp, Transport::Tcp),
        (ports.tls, tls(), Transport::Tls),
        (ports.https, https("/dns-query"), Transport::Https),
        // The certificate is for the address as well.
        (
            ports.tls,
            Via::Tls {
                name: "127.0.0.1".into(),
            },
            Transport::Tls,
        ),
    ];
    for (server, via, transport) in ways {
        let question = ask_by(server, via.clone(), certs.roots());
        let reply = ask(&question).await;
        assert_eq!(reply.outcome, Outcome::Ok, "{via:?} {reply:?}");
        assert_eq!(reply.transport, transport);
        assert_eq!(
            (reply.packets_sent, reply.retries, reply.mismatched),
            (1, 0, 0),
            "{via:?}"
        );
        assert_eq!(reply.details.answers, ["192.0.2.10", "192.0.2.9"], "{via:?}");
        assert_eq!(reply.details.nsid.as_deref(), Some("lab-r1"), "{via:?}");
        assert!(!reply.latency.is_zero());

        let gone = Question {
            name: name("gone.example.com"),
            ..question.clone()
        };
        let reply = ask(&gone).await;
        assert_eq!(
            (reply.outcome, reply.details.rcode),
            (Outcome::Nxdomain, Some(3)),
            "{via:?}"
        );
        assert_eq!(reply.details.zone, Some(name("example.com")), "{via:?}");

        // 200 addresses: whole wherever there is a connection.
        let many = Question {
            name: name("many.example.com"),
            ..question
        };
        let reply = ask(&many).await;
        assert_eq!(
            (reply.outcome, reply.details.answers.len()),
            (Outcome::Ok, 200),
            "{via:?}"
        );
        let packets = if via == Via::Udp { 2 } else { 1 };
        assert_eq!(reply.packets_sent, packets, "{via:?}");
    }
}

/// What TLS or HTTP has against an exchange is in the detail; the outcome says whether there was a connection at all.
#[tokio::test]
async fn what_is_wrong_with_a_connection_is_said() {
    if !has(DAEMONS, "what_is_wrong_with_a_connection_is_said") {
        return;
    }
    let certs = Certs::make();
    let server = nsd(free_port(), &zone("")).await;
    let (_unbound, ports) = encrypted_unbound(&certs, server.addr).await;
    let other = Via::Tls {
        name: "other.example.com".into(),
    };
    let no_roots = None;
    let cases = [
        (
            "unknown issuer",
            ports.tls,
            tls(),
            no_roots.clone(),
            Outcome::ConnRefused,
            "TLS: invalid peer certificate: UnknownIssuer",
        ),
        (
            "unknown issuer",
            ports.https,
            https("/dns-query"),
            no_roots,
            Outcome::ConnRefused,
            "UnknownIssuer",
        ),
        (
            "another name",
            ports.tls,
            other,
            certs.roots(),
            Outcome::ConnRefused,
            "not valid for name",
        ),
        // It takes what begins a handshake for the length of a message, and waits for the rest.
        (
            "no TLS there",
            ports.plain,
            tls(),
            certs.roots(),
            Outcome::Timeout,
            "connected, but there is no TLS handshake",
        ),
        (
            "another path",
            ports.https,
            https("/elsewhere"),
            certs.roots(),
            Outcome::Malformed,
            "HTTP 404 Not Found",
        ),
    ];
    for (what, server, via, roots, outcome, detail) in cases {
        let question = Question {
            timeout: Duration::from_secs(4), // a handshake on a busy machine
            ..ask_by(server, via, roots)
        };
        let reply = ask(&question).await;
        let said = reply.details.detail.clone().unwrap_or_default();
        assert_eq!(reply.outcome, outcome, "{what}: {said}");
        assert!(said.contains(detail), "{what}: {said}");
        assert_eq!((reply.packets_sent, reply.details.rcode), (1, None), "{what}");
    }
    let closed = ask(&ask_by(free_port(), tls(), certs.roots())).await;
    assert_eq!(
        (closed.outcome, closed.details.detail),
        (Outcome::ConnRefused, None)
    );
}

/// BIND as the authority, asked as a resolver would be: its TLS and HTTP are written by others than Unbound's.
#[tokio::test]
async fn bind_answers_over_tls_and_https() {
    if !has(&["named", "openssl"], "bind_answers_over_tls_and_https") {
        return;
    }
    let certs = Certs::make();
    let (plain, over_tls, over_https) = (free_port(), free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("zone"), format!("$TTL 60\n{}", zone(""))).unwrap();
    let path = dir.path().display();
    let config = format!(
        "tls lab {{ key-file \"{}\"; cert-file \"{}\"; }};\nhttp lab {{ endpoints {{ \"/dns-query\"; }}; }};\n\
         options {{ directory \"{path}\"; pid-file none; session-keyfile none; listen-on-v6 {{ none; }}; server-id \"lab-b1\";\n\
         listen-on port {} {{ 127.0.0.1; }};\nlisten-on port {} tls lab {{ 127.0.0.1; }};\n\
         listen-on port {} tls lab http lab {{ 127.0.0.1; }};\nrecursion no; dnssec-validation no; max-records-per-type 0; }};\ncontrols {{ }};\n\
         zone \"example.com\" {{ type primary; file \"{path}/zone\"; }};\n",
        certs.path("server.key").display(),
        certs.path("server.pem").display(),
        plain.port(),
        over_tls.port(),
        over_https.port(),
    );
    let _named = Daemon::start("/usr/sbin/named", &["-f"], &config, dir, plain)
        .ready()
        .await;
    until(&authority(plain, "example.com"), Outcome::Ok).await; // its zones are loaded
    for (server, via) in [(over_tls, tls()), (over_https, https("/dns-query"))] {
        let reply = ask(&ask_by(server, via, certs.roots())).await;
        assert_eq!(reply.outcome, Outcome::Ok, "{reply:?}");
        assert_eq!(reply.details.answers, ["192.0.2.10", "192.0.2.9"]);
        assert_eq!(reply.details.nsid.as_deref(), Some("lab-b1"));
        assert!(reply.details.authoritative);
    }
}

/// The engine makes no connections: it hands such a probe back at once, to be finished.
#[tokio::test]
async fn the_udp_engine_hands_on_what_is_not_for_it() {
    if !has(&["nsd"], "the_udp_engine_hands_on_what_is_not_for_it") {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let engine = UdpEngine::start(UdpSettings::default()).unwrap();
    let (ended, mut end) = tokio::sync::mpsc::channel(1);
    let to: netfault_sources::dns::udp::OnEnd = Arc::new(move |tag, end| ended.try_send((tag, end)).unwrap());
    let question = Question {
        via: Via::Tcp,
        ..Question::to_authority(server.addr, name("www.example.com"), RecordType::A)
    };
    engine.submit(Arc::new(question), 7, &to).unwrap();
    let (tag, ended) = end.recv().await.unwrap();
    let Ended::NeedsTcp(unfinished) = ended else {
        panic!("{ended:?}");
    };
    let reply = unfinished.finish().await;
    assert_eq!(
        (tag, reply.outcome, reply.transport),
        (7, Outcome::Ok, Transport::Tcp)
    );
    assert_eq!((reply.packets_sent, engine.counters().sent), (1, 0));
}
