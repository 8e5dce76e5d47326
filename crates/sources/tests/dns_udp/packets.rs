//! What a probe costs the servers: one packet; two and a connection at the very most, whatever they do.

use std::sync::Mutex;

use netfault_sources::dns::probe::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn probes_without_failure_send_one_packet_each() {
    if !has(&["nsd"], "probes_without_failure_send_one_packet_each") {
        return;
    }
    const N: u64 = 1000;
    let server = nsd(free_port(), &zone("")).await;
    let kinds = ["example.com", "www.example.com", "gone.example.com"];
    let questions = kinds.map(|text| {
        let question = Question {
            timeout: PATIENCE,
            ..authority(server.addr, text)
        };
        Arc::new(question)
    });
    let engine = engine();
    let (send, mut receive) = tokio::sync::mpsc::channel(N as usize);
    let to: OnEnd = Arc::new(move |_, ended| send.try_send(ended).unwrap());
    for tag in 0..N {
        engine
            .submit(questions[tag as usize % 3].clone(), tag, &to)
            .unwrap();
    }
    for _ in 0..N {
        let ended = tokio::time::timeout(PATIENCE, receive.recv()).await.unwrap();
        let Some(Ended::Done(reply)) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!((reply.packets_sent, reply.retries), (1, 0));
    }
    let counters = engine.counters();
    assert_eq!((counters.sent, counters.answered), (N, N));
}

/// How a server takes a packet over UDP.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Udp {
    Answers,
    IsSilent,
    Fails,
    Refuses,
    Truncates,
    ChangesCase,
    Mumbles,
    TakesAnotherId,
}

/// How it takes a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tcp {
    Answers,
    Closes,
    Fails,
    Truncates,
}

const UDP: [Udp; 8] = [
    Udp::Answers,
    Udp::IsSilent,
    Udp::Fails,
    Udp::Refuses,
    Udp::Truncates,
    Udp::ChangesCase,
    Udp::Mumbles,
    Udp::TakesAnotherId,
];
const TCP: [Tcp; 4] = [Tcp::Answers, Tcp::Closes, Tcp::Fails, Tcp::Truncates];

/// First packet, second packet, connection, and who is asked (0 an authority, 1 a resolver); the name of the question tells the server.
type Case = (usize, usize, usize, usize);

fn asked_name((first, second, tcp, role): Case) -> String {
    format!("n-{first}-{second}-{tcp}-{role}.example.com")
}

fn case_of(query: &[u8]) -> Case {
    let label = String::from_utf8_lossy(&query[13..][..usize::from(query[12])]).to_lowercase();
    let numbers: Vec<usize> = label
        .split('-')
        .skip(1)
        .map(|number| number.parse().unwrap())
        .collect();
    (numbers[0], numbers[1], numbers[2], numbers[3])
}

fn over_udp(how: Udp, query: &[u8]) -> Vec<Vec<u8>> {
    let mut good = good(query);
    match how {
        Udp::Answers => {}
        Udp::IsSilent => return vec![],
        Udp::Fails => good = response(query, 0, 2, &[], &[]),
        Udp::Refuses => good = response(query, 0, 5, &[], &[]),
        Udp::Truncates => good[2] |= TC,
        Udp::ChangesCase => {
            let len = usize::from(good[12]);
            good[13..][..len].make_ascii_lowercase();
        }
        Udp::Mumbles => return vec![b"mumble".to_vec(), good[..20].to_vec()],
        Udp::TakesAnotherId => good[1] ^= 1,
    }
    vec![good]
}

fn over_tcp(how: Tcp, query: &[u8]) -> Vec<u8> {
    let mut good = good(query);
    match how {
        Tcp::Answers => {}
        Tcp::Closes => return vec![],
        Tcp::Fails => good = response(query, 0, 2, &[], &[]),
        Tcp::Truncates => good[2] |= TC,
    }
    let mut framed = (good.len() as u16).to_be_bytes().to_vec();
    framed.extend(good);
    framed
}

/// Packets and connections by case, as the server saw them.
type Seen = Arc<Mutex<BTreeMap<Case, (u8, u8)>>>;

async fn serve_tcp(listener: TcpListener, seen: Seen) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let Ok(len) = stream.read_u16().await else {
            continue; // it gave up before it asked
        };
        let mut query = vec![0; len.into()];
        if stream.read_exact(&mut query).await.is_err() {
            continue;
        }
        let case = case_of(&query);
        seen.lock().unwrap().entry(case).or_default().1 += 1;
        let _ = stream.write_all(&over_tcp(TCP[case.2], &query)).await;
    }
}

fn all_cases() -> impl Iterator<Item = Case> {
    (0..UDP.len()).flat_map(|first| {
        (0..UDP.len()).flat_map(move |second| {
            (0..TCP.len()).flat_map(move |tcp| [0, 1].map(|role| (first, second, tcp, role)))
        })
    })
}

fn question_of(case: Case, server: SocketAddr) -> Question {
    let name = name(&asked_name(case));
    let question = match case.3 {
        1 => Question::to_resolver(server, name, RecordType::A),
        _ => Question::to_authority(server, name, RecordType::A),
    };
    Question {
        timeout: Duration::from_millis(400),
        ..question
    }
}

#[tokio::test]
async fn whatever_a_server_does_it_gets_two_packets_and_a_connection_at_most() {
    let seen = Seen::default();
    let by_udp = seen.clone();
    let server = responder(move |query| {
        let case = case_of(query);
        let mut seen = by_udp.lock().unwrap();
        let (packets, _) = seen.entry(case).or_default();
        *packets += 1;
        let how = if *packets == 1 { case.0 } else { case.1 };
        over_udp(UDP[how], query)
    })
    .await;
    let listener = TcpListener::bind(server.addr).await.unwrap();
    let listening = tokio::spawn(serve_tcp(listener, seen.clone()));
    let questions: Vec<Question> = all_cases().map(|case| question_of(case, server.addr)).collect();
    // Not all at once: the server must have room for them.
    let mut replies = Vec::new();
    for some in questions.chunks(64) {
        replies.extend(join_all(some.iter().map(ask)).await);
    }
    // The last packets may still lie in the server's queue; what comes after them has waited behind them.
    let last = Question {
        timeout: PATIENCE,
        ..question_of((0, 0, 0, 2), server.addr)
    };
    assert_eq!(ask(&last).await.outcome, Outcome::Ok);
    listening.abort();
    let seen = seen.lock().unwrap();
    for (case, reply) in all_cases().zip(&replies) {
        judge(case, reply, seen.get(&case).copied().unwrap_or_default());
    }
    let most = replies.iter().map(|reply| reply.packets_sent).max();
    assert_eq!(most, Some(3), "all of it is reached");
}

fn judge(case: Case, reply: &Reply, (packets, connections): (u8, u8)) {
    let (first, second, tcp) = (UDP[case.0], UDP[case.1], TCP[case.2]);
    let what = format!("{packets}, {connections}: {first:?}, {second:?}, {tcp:?}: {reply:?}");
    assert!(
        packets <= 2 && connections <= 1 && reply.packets_sent <= 3,
        "{what}"
    );
    // Nothing is sent that is not told; a busy machine may lose what is.
    assert!(packets + connections <= reply.packets_sent, "{what}");
    if first == Udp::Refuses && reply.retries == 0 {
        assert_eq!(
            (reply.packets_sent, reply.outcome),
            (1, Outcome::Refused),
            "{what}"
        );
    }
    if first == Udp::Fails && case.3 == 0 && reply.retries == 0 {
        assert_eq!(
            (reply.packets_sent, reply.outcome),
            (1, Outcome::Servfail),
            "{what}"
        );
    }
}
