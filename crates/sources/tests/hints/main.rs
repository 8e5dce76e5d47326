//! HTTP(S) probes and status pages, against real servers on loopback that behave well, badly or not at all.

mod servers;
mod status;

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use netfault_model::{Hint, HintKind, HttpPhase, Input, Time};
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::hints::{Asker, Counters, Job, Kind, Limits, Plan, Target, run};
use servers::{Does, Server, own_authority, says};
use tokio::sync::{mpsc, watch};
use tokio_rustls::rustls::ClientConfig;

/// So late that only what hangs runs into it, and soon enough to wait for.
const LIMIT: Duration = Duration::from_millis(400);

pub fn plan(jobs: Vec<(Kind, String)>, tls: Arc<ClientConfig>, interval: Duration) -> Plan {
    let limits = Limits {
        resolve: Duration::from_secs(20),
        connect: Duration::from_secs(20),
        tls: LIMIT,
        answer: LIMIT,
    };
    let job = |(kind, url): (Kind, String)| Job {
        service: "Shop".to_owned(),
        kind,
        target: Target::parse(&url).unwrap(),
    };
    Plan {
        vantage: "here".to_owned(),
        jobs: jobs.into_iter().map(job).collect(),
        interval,
        max_in_flight: 16,
        asker: Asker::new(tls, limits),
    }
}

/// A plan that runs: its hints, and how it is stopped.
pub struct Running {
    pub hints: mpsc::Receiver<Vec<Input>>,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Counters>,
}

impl Running {
    pub fn start(plan: Plan) -> Running {
        let (out, hints) = mpsc::channel(64);
        let (stop, stopping) = watch::channel(false);
        let clock = Arc::new(|| Time::from_secs(1_000));
        let ended = tokio::spawn(run(plan, out, stopping, clock));
        Running { hints, stop, ended }
    }

    pub async fn next(&mut self) -> Hint {
        let batch = tokio::time::timeout(Duration::from_secs(60), self.hints.recv()).await;
        match batch.expect("a hint in time").expect("it runs").remove(0) {
            Input::Hint(hint) => *hint,
            other => panic!("{other:?}"),
        }
    }

    pub async fn stop(self) -> Counters {
        self.stop.send(true).unwrap();
        self.ended.await.unwrap()
    }
}

/// What one probe of `url` says: how far it came, the status, and what is wrong.
async fn probed(url: &str, tls: &Arc<ClientConfig>) -> (HttpPhase, Option<u16>, String) {
    let mut running = Running::start(plan(
        vec![(Kind::Probe, url.to_owned())],
        tls.clone(),
        Duration::from_secs(1),
    ));
    let hint = running.next().await;
    assert_eq!((hint.service.as_str(), hint.source.as_str()), ("Shop", url));
    assert_eq!(hint.at, Time::from_secs(1_000));
    let HintKind::Http {
        vantage,
        reached,
        status,
        error,
        addr,
        latency_us,
    } = hint.what
    else {
        panic!("{hint:?}")
    };
    assert_eq!(vantage, "here");
    assert_eq!(addr.is_some(), reached >= HttpPhase::Resolved);
    assert!(latency_us > 0);
    let counters = running.stop().await;
    assert!(
        counters.requests >= counters.hints && counters.hints >= 1,
        "{counters:?}"
    );
    (reached, status, error.unwrap_or_default())
}

async fn plain(does: Does) -> (HttpPhase, Option<u16>, String) {
    let server = Server::plain(does).await;
    probed(&format!("http://{}/", server.addr), &TlsRoots::public().plain()).await
}

#[tokio::test]
async fn what_servers_answer() {
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(
        plain(says(good)).await,
        (HttpPhase::Done, Some(200), String::new())
    );
    let until_closed = "HTTP/1.0 200 OK\r\n\r\nhi";
    assert_eq!(
        plain(says(until_closed)).await,
        (HttpPhase::Done, Some(200), String::new())
    );
    let absent = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        plain(says(absent)).await,
        (HttpPhase::Done, Some(404), String::new())
    );
    let failing = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let error = "answers 503 Service Unavailable".to_owned();
    assert_eq!(plain(says(failing)).await, (HttpPhase::Done, Some(503), error));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let other = Server::plain(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let moved = format!(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        other.addr
    );
    assert_eq!(
        plain(says(&moved)).await,
        (HttpPhase::Done, Some(301), String::new())
    );
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn answers_that_are_none() {
    let (reached, status, error) = plain(Does::Hangs).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert_eq!(error, "does not answer within 400 ms");

    let (reached, status, error) =
        plain(says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")).await;
    assert_eq!((reached, status), (HttpPhase::Connected, Some(200)), "{error}");
    assert!(error.starts_with("breaks off after 10 bytes"), "{error}");

    let (reached, status, error) = plain(says("")).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert_eq!(error, "closes the connection without an answer");

    let (reached, status, error) = plain(says("SSH-2.0-OpenSSH_9.6\r\n\r\n")).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert!(error.starts_with("answers what is no HTTP"), "{error}");
}

#[tokio::test]
async fn what_never_ends_is_read_no_further_than_it_need_be() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let forever = Does::SaysForever(head, vec![b'x'; 4096]);
    assert_eq!(plain(forever).await, (HttpPhase::Done, Some(200), String::new()));

    let endless_head = Does::SaysForever(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Y: z\r\n".repeat(100));
    let (reached, status, error) = plain(endless_head).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert!(error.starts_with("answers what is no HTTP"), "{error}");
}

#[tokio::test]
async fn nobody_is_there() {
    let tls = TlsRoots::public().plain();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (reached, status, error) = probed(&format!("http://{free}/"), &tls).await;
    assert_eq!((reached, status), (HttpPhase::Resolved, None));
    assert!(
        error.starts_with("cannot be connected to: Connection refused"),
        "{error}"
    );

    // RFC 6761: never there. Whether a resolver says so or nobody answers is a matter of this host.
    let (reached, status, error) = probed("http://nobody.invalid/", &tls).await;
    assert_eq!((reached, status), (HttpPhase::Nothing, None));
    assert!(
        error.contains("has no address") || error.contains("is not looked up"),
        "{error}"
    );
}

#[tokio::test]
async fn the_systems_resolver_is_asked_for_names() {
    let first = ("localhost", 0).to_socket_addrs().unwrap().next().unwrap();
    let good = says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let server = Server::start(&first.to_string(), None, move |_, head| {
        assert!(
            head.contains("host: localhost:") || head.contains("Host: localhost:"),
            "{head}"
        );
        good.clone()
    })
    .await;
    let url = format!("http://localhost:{}/", server.addr.port());
    let answer = probed(&url, &TlsRoots::public().plain()).await;
    assert_eq!(answer, (HttpPhase::Done, Some(200), String::new()));
}

#[tokio::test]
async fn tls_is_a_phase_of_its_own() {
    let (acceptor, client) = own_authority();
    let good = says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let server = Server::start("127.0.0.1:0", Some(acceptor.clone()), move |_, _| good.clone()).await;
    let url = format!("https://{}/", server.addr);
    assert_eq!(
        probed(&url, &client).await,
        (HttpPhase::Done, Some(200), String::new())
    );

    let (reached, status, error) = probed(&url, &TlsRoots::public().plain()).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert_eq!(
        error,
        "fails the TLS handshake: invalid peer certificate: UnknownIssuer"
    );

    let hangs = Server::start("127.0.0.1:0", Some(acceptor), |_, _| Does::Hangs).await;
    let (reached, status, error) = probed(&format!("https://{}/", hangs.addr), &client).await;
    assert_eq!((reached, status), (HttpPhase::Secured, None));
    assert_eq!(error, "does not answer within 400 ms");

    // It takes the first bytes of the handshake for the beginning of a request, and waits for more.
    let no_tls = Server::plain(Does::Hangs).await;
    let (reached, status, error) = probed(&format!("https://{}/", no_tls.addr), &client).await;
    assert_eq!((reached, status), (HttpPhase::Connected, None));
    assert_eq!(error, "does not end the TLS handshake within 400 ms");
}

#[tokio::test]
async fn no_more_is_in_flight_than_may_be_and_a_job_is_asked_once_at_a_time() {
    let server = Server::plain(Does::Hangs).await;
    let jobs = (0..8).map(|n| (Kind::Probe, format!("http://{}/{n}", server.addr)));
    let mut plan = plan(
        jobs.collect(),
        TlsRoots::public().plain(),
        Duration::from_millis(80),
    );
    plan.max_in_flight = 3;
    let mut running = Running::start(plan);
    for _ in 0..6 {
        running.next().await;
    }
    let counters = running.stop().await;
    assert!(counters.skipped > 0, "{counters:?}");
    // A connection may be seen to open before the one before it is seen to close; never by more than those in flight.
    assert!(
        server.seen.most.load(Ordering::SeqCst) <= 6,
        "{}",
        server.seen.most.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn jobs_come_round_again() {
    let good = says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let server = Server::plain(good).await;
    let jobs = vec![
        (Kind::Probe, format!("http://{}/a", server.addr)),
        (Kind::Probe, format!("http://{}/b", server.addr)),
    ];
    let mut running = Running::start(plan(jobs, TlsRoots::public().plain(), Duration::from_millis(50)));
    let mut asked = std::collections::BTreeMap::new();
    while asked.len() < 2 || asked.values().any(|times| *times < 3) {
        *asked.entry(running.next().await.source).or_insert(0) += 1;
    }
    running.stop().await;
}
