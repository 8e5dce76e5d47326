//! The UDP engine against a server that lies, mumbles, repeats itself or is not there, and against NSD.

mod dns_lab;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_lab::*;
use futures_util::future::join_all;
use hickory_proto::rr::RecordType;
use netfault_model::Outcome;
use netfault_sources::dns::outcome::Failure;
use netfault_sources::dns::probe::{Ended, Question, ask};
use netfault_sources::dns::udp::matching::{Match, match_answer};
use netfault_sources::dns::udp::{Busy, End, Exchange, OnEnd, UdpCounters, UdpEngine, UdpSettings};
use netfault_sources::dns::wire::{self, Flags, Query0x20};
use proptest::prelude::*;
use tokio::net::UdpSocket;

const SOON: Duration = Duration::from_millis(300);

fn engine() -> UdpEngine {
    UdpEngine::start(UdpSettings::default()).unwrap()
}

fn query(text: &str) -> Query0x20 {
    let flags = Flags {
        random_case: true,
        ..Flags::default()
    };
    wire::query(&name(text), RecordType::A, flags).unwrap()
}

async fn put(engine: &UdpEngine, server: SocketAddr, wait: Duration) -> Exchange {
    engine.exchange(server, query("www.example.com"), wait).await
}

fn good(query: &[u8]) -> Vec<u8> {
    response(query, AA, 0, &[&a_record([192, 0, 2, 1], 60)], &[])
}

fn answered(exchange: &Exchange) -> bool {
    matches!(exchange.end, End::Answer(_))
}

fn failed(exchange: &Exchange, failure: Failure) -> bool {
    matches!(&exchange.end, End::Failed(why) if *why == failure)
}

/// Waits for what another thread counts.
async fn counted(engine: &UdpEngine, wanted: impl Fn(UdpCounters) -> bool) -> UdpCounters {
    let start = Instant::now();
    loop {
        let counters = engine.counters();
        if wanted(counters) {
            return counters;
        }
        assert!(start.elapsed() < PATIENCE, "{counters:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn answers_from_another_port_or_address_are_counted_and_ignored() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let other_port = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other_address = UdpSocket::bind(("127.0.0.2", addr.port())).await.unwrap();
    let engine = engine();
    let talk = async {
        let mut buffer = [0u8; 512];
        let (len, client) = server.recv_from(&mut buffer).await.unwrap();
        let lie = response(&buffer[..len], AA, 3, &[], &[]);
        other_port.send_to(&lie, client).await.unwrap();
        other_address.send_to(&lie, client).await.unwrap();
        server.send_to(&good(&buffer[..len]), client).await.unwrap();
    };
    let (exchange, ()) = tokio::join!(put(&engine, addr, PATIENCE), talk);
    assert!(answered(&exchange), "{exchange:?}");
    assert_eq!(
        (exchange.ignored.mismatched, exchange.ignored.from_server),
        (2, 0)
    );
    assert_eq!(engine.counters().wrong_source, 2);
}

/// Whoever can send to us but cannot hear our questions shall not turn a silent server into a broken one.
#[tokio::test]
async fn forgeries_from_elsewhere_leave_a_silent_server_silent() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let forger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let engine = engine();
    let talk = async {
        let mut buffer = [0u8; 512];
        let (len, client) = silent.recv_from(&mut buffer).await.unwrap();
        for answer in [good(&buffer[..len]), b"garbage".to_vec(), Vec::new()] {
            forger.send_to(&answer, client).await.unwrap();
        }
    };
    let (exchange, ()) = tokio::join!(put(&engine, silent.local_addr().unwrap(), SOON), talk);
    assert!(failed(&exchange, Failure::Timeout), "{exchange:?}");
    assert_eq!(
        (exchange.ignored.mismatched, exchange.ignored.from_server),
        (1, 0)
    );
    assert!(exchange.latency >= SOON, "{:?}", exchange.latency);
}

#[tokio::test]
async fn lies_of_the_server_itself_are_counted_and_do_not_end_the_wait() {
    let server = responder(|query| {
        let lie = |at: usize, bits: u8| {
            let mut answer = good(query);
            answer[at] ^= bits;
            answer
        };
        let end = header_and_question(query).len();
        vec![
            lie(0, 0x55),       // another id
            lie(13, 0x01),      // another name
            lie(end - 3, 0x1d), // another type
            lie(end - 1, 0x02), // another class
            lie(2, 0x80),       // no response
            lie(2, 0x20),       // another opcode
            lie(5, 0x03),       // two questions
            lie(7, 0x08),       // records that are not there
            good(query)[..7].to_vec(),
            Vec::new(),
            good(query),
        ]
    })
    .await;
    let engine = engine();
    let exchange = put(&engine, server.addr, PATIENCE).await;
    assert!(answered(&exchange), "{exchange:?}");
    assert_eq!(
        (exchange.ignored.mismatched, exchange.ignored.from_server),
        (10, 10)
    );
}

#[tokio::test]
async fn letter_case_is_part_of_the_match() {
    let server = responder(|query| {
        let mut answer = good(query);
        answer[12..28]
            .iter_mut()
            .filter(|byte| byte.is_ascii_alphabetic())
            .for_each(|byte| *byte ^= 0x20);
        vec![answer]
    })
    .await;
    let exchange = put(&engine(), server.addr, PATIENCE).await;
    assert!(matches!(exchange.end, End::CaseDiffers), "{exchange:?}");
}

#[tokio::test]
async fn an_answer_said_twice_is_heard_once() {
    let server = responder(|query| vec![good(query), good(query), good(query)]).await;
    let engine = engine();
    for _ in 0..50 {
        let exchange = put(&engine, server.addr, PATIENCE).await;
        assert!(answered(&exchange), "{exchange:?}");
    }
    let counters = counted(&engine, |counters| counters.mismatched == 100).await;
    assert_eq!((counters.sent, counters.answered, counters.timeouts), (50, 50, 0));
}

#[tokio::test]
async fn an_answer_after_the_timeout_is_counted_as_late() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let engine = engine();
    let exchange = put(&engine, server.local_addr().unwrap(), SOON).await;
    assert!(failed(&exchange, Failure::Timeout), "{exchange:?}");
    let mut buffer = [0u8; 512];
    let (len, client) = server.recv_from(&mut buffer).await.unwrap();
    server.send_to(&good(&buffer[..len]), client).await.unwrap();
    let counters = counted(&engine, |counters| counters.late == 1).await;
    assert_eq!(
        (counters.timeouts, counters.mismatched, counters.answered),
        (1, 0, 0)
    );
}

/// A closed port is told at once, and the error of one question is never another's, though they share sockets.
#[tokio::test]
async fn closed_ports_are_refused_and_disturb_nobody() {
    let server = responder(|query| vec![good(query)]).await;
    let mut closed = vec![free_port()];
    if let Ok(socket) = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        closed.push(socket.local_addr().unwrap());
    }
    let engine = UdpEngine::start(UdpSettings {
        sockets: 2,
        ..UdpSettings::default()
    })
    .unwrap();
    for _ in 0..5 {
        let questions = (0..300).map(|n| {
            let to = match n % 3 {
                0 => closed[(n / 3) % closed.len()],
                _ => server.addr,
            };
            put(&engine, to, PATIENCE)
        });
        for (n, exchange) in join_all(questions).await.iter().enumerate() {
            let refused = failed(exchange, Failure::ConnRefused);
            assert!(
                if n % 3 == 0 { refused } else { answered(exchange) },
                "{n}: {exchange:?}"
            );
        }
    }
    let counters = engine.counters();
    assert_eq!(
        (
            counters.sent,
            counters.answered,
            counters.unreachable,
            counters.local
        ),
        (1500, 1000, 500, 0)
    );
}

/// The kernel refuses a datagram to the broadcast address at once: the way to "not from here" that every host has.
#[tokio::test]
async fn no_way_there_disturbs_nobody() {
    let server = responder(|query| vec![good(query)]).await;
    let nowhere: SocketAddr = (Ipv4Addr::BROADCAST, 53).into();
    let engine = engine();
    let questions = (0..200).map(|n| put(&engine, if n % 2 == 0 { nowhere } else { server.addr }, PATIENCE));
    for (n, exchange) in join_all(questions).await.iter().enumerate() {
        let unreachable = failed(exchange, Failure::NetUnreachable);
        assert!(
            if n % 2 == 0 {
                unreachable
            } else {
                answered(exchange)
            },
            "{n}: {exchange:?}"
        );
    }
}

#[tokio::test]
async fn what_is_too_much_ends_at_once_as_our_own_fault() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let engine = UdpEngine::start(UdpSettings {
        max_in_flight: 10,
        ..UdpSettings::default()
    })
    .unwrap();
    let ends = join_all((0..25).map(|_| put(&engine, addr, SOON))).await;
    assert_eq!(
        ends.iter().filter(|end| failed(end, Failure::Timeout)).count(),
        10
    );
    assert_eq!(ends.iter().filter(|end| failed(end, Failure::Local)).count(), 15);
    // The places are free again, and those of askers that went away, too.
    let abandoned = tokio::time::timeout(
        Duration::from_millis(1),
        join_all((0..10).map(|_| put(&engine, addr, PATIENCE))),
    );
    assert!(abandoned.await.is_err());
    assert!(failed(&put(&engine, addr, SOON).await, Failure::Timeout));
}

#[tokio::test]
async fn an_engine_that_is_dropped_takes_nobody_along() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let engine = Arc::new(engine());
    let other = UdpEngine::start(UdpSettings::default()).unwrap();
    drop(other);
    assert!(failed(&put(&engine, addr, SOON).await, Failure::Timeout));
}

/// Probes that the engine takes through all their packets itself: retry, CD=1 and letter case on its thread, TCP on ours.
#[tokio::test]
async fn submitted_probes_come_back_once_each_with_their_outcome() {
    if !has(
        &["nsd"],
        "submitted_probes_come_back_once_each_with_their_outcome",
    ) {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let validating = responder(|query| {
        let no_validation = query[3] & 0x10 != 0;
        vec![if no_validation {
            good(query)
        } else {
            response(query, 0, 2, &[], &[])
        }]
    })
    .await;
    let mangling = responder(|query| {
        let mut answer = good(query);
        answer[12..30].make_ascii_lowercase();
        vec![answer]
    })
    .await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let a = |server, text| Question::to_authority(server, name(text), RecordType::A);
    let cases = [
        (authority(server.addr, "example.com"), Outcome::Ok, 1..=1),
        (a(server.addr, "many.example.com"), Outcome::Ok, 2..=2),
        (
            resolver(validating.addr, "www.example.com", RecordType::A),
            Outcome::Bogus,
            2..=2,
        ),
        (a(mangling.addr, "www.example.com"), Outcome::Ok, 1..=2),
        (a(free_port(), "www.example.com"), Outcome::ConnRefused, 1..=1),
        (
            Question {
                timeout: SOON,
                ..a(silent.local_addr().unwrap(), "www.example.com")
            },
            Outcome::Timeout,
            2..=2,
        ),
    ];
    let (send, mut receive) = tokio::sync::mpsc::channel(1000);
    let to: OnEnd = Arc::new(move |tag, ended| send.try_send((tag, ended)).unwrap());
    let engine = engine();
    let questions: Vec<Arc<Question>> = cases
        .iter()
        .map(|(question, ..)| Arc::new(question.clone()))
        .collect();
    for tag in 0..600u64 {
        engine
            .submit(questions[tag as usize % cases.len()].clone(), tag, &to)
            .unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 600 {
        let (tag, ended) = tokio::time::timeout(PATIENCE, receive.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(seen.insert(tag), "{tag} twice");
        let reply = match ended {
            Ended::Done(reply) => *reply,
            Ended::NeedsTcp(unfinished) => unfinished.finish().await,
        };
        let (question, outcome, packets) = &cases[tag as usize % cases.len()];
        assert_eq!(reply.outcome, *outcome, "{question:?}");
        assert!(
            packets.contains(&reply.packets_sent),
            "{question:?}: {}",
            reply.packets_sent
        );
    }
    assert!(receive.try_recv().is_err());
}

#[tokio::test]
async fn an_engine_that_is_full_says_so() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let question = Arc::new(authority(silent.local_addr().unwrap(), "example.com"));
    let engine = UdpEngine::start(UdpSettings {
        max_in_flight: 3,
        ..UdpSettings::default()
    })
    .unwrap();
    let to: OnEnd = Arc::new(|_, _| {});
    let taken: Vec<_> = (0..5)
        .map(|tag| engine.submit(question.clone(), tag, &to))
        .collect();
    assert_eq!(taken, [Ok(()), Ok(()), Ok(()), Err(Busy), Err(Busy)]);
}

/// What somebody would have to guess: of 4,000 questions the ids look drawn, the ports are spread, and change with time.
#[tokio::test]
async fn ports_and_ids_are_unpredictable() {
    const N: u32 = 4000;
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let engine = engine();
    let hear = async {
        let (mut seen, mut buffer) = (Vec::new(), [0u8; 512]);
        while seen.len() < N as usize {
            let (len, client) = server.recv_from(&mut buffer).await.unwrap();
            seen.push((client.port(), u16::from_be_bytes([buffer[0], buffer[1]])));
            server.send_to(&good(&buffer[..len]), client).await.unwrap();
        }
        seen
    };
    let ask_all = async {
        for _ in 0..N {
            assert!(answered(&put(&engine, addr, PATIENCE).await));
        }
    };
    let (seen, ()) = tokio::join!(hear, ask_all);

    let mut ports = BTreeMap::<u16, u32>::new();
    seen.iter()
        .for_each(|(port, _)| *ports.entry(*port).or_default() += 1);
    assert_eq!(ports.len(), 8);
    // 500 each, give or take six standard deviations (21).
    assert!(
        ports.values().all(|count| count.abs_diff(N / 8) < 126),
        "{ports:?}"
    );
    let ids: BTreeSet<u16> = seen.iter().map(|(_, id)| *id).collect();
    // Birthdays: of 4,000 drawn out of 65,536 some 120 repeat an earlier one.
    assert!((3800..3960).contains(&ids.len()), "{} different ids", ids.len());
    for bit in 0..16 {
        let ones = seen.iter().filter(|(_, id)| id >> bit & 1 == 1).count() as u32;
        let same_as_before = seen
            .windows(2)
            .filter(|pair| (pair[0].1 ^ pair[1].1) >> bit & 1 == 0)
            .count() as u32;
        assert!(
            ones.abs_diff(N / 2) < 190 && same_as_before.abs_diff(N / 2) < 190,
            "bit {bit}: {ones}, {same_as_before}"
        );
    }
    // The next socket is not the one after the last: every pair of ports follows each other.
    let pairs: BTreeSet<(u16, u16)> = seen.windows(2).map(|pair| (pair[0].0, pair[1].0)).collect();
    assert!(pairs.len() >= 60, "{} of 64", pairs.len());
}

#[tokio::test]
async fn sockets_are_replaced_and_the_old_ones_are_heard_to_the_end() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let engine = UdpEngine::start(UdpSettings {
        sockets: 2,
        socket_age: Duration::from_millis(20),
        ..UdpSettings::default()
    })
    .unwrap();
    // The first question waits for its answer until the others have worn out many sockets.
    let first = put(&engine, addr, PATIENCE);
    let rest = async {
        let mut buffer = [0u8; 512];
        let (len, client) = server.recv_from(&mut buffer).await.unwrap();
        let (query, mut ports) = (buffer[..len].to_vec(), BTreeSet::new());
        while ports.len() < 12 {
            let serve = async {
                let (len, client) = server.recv_from(&mut buffer).await.unwrap();
                ports.insert(client.port());
                server.send_to(&good(&buffer[..len]), client).await.unwrap();
            };
            let (exchange, ()) = tokio::join!(put(&engine, addr, PATIENCE), serve);
            assert!(answered(&exchange), "{exchange:?}");
        }
        server.send_to(&good(&query), client).await.unwrap();
    };
    let (exchange, ()) = tokio::join!(first, rest);
    assert!(answered(&exchange), "{exchange:?}");
    assert!(engine.counters().sockets_opened >= 12);
}

#[tokio::test]
async fn two_thousand_questions_at_once_to_nsd() {
    if !has(&["nsd"], "two_thousand_questions_at_once_to_nsd") {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let cases = [
        ("example.com", Outcome::Ok),
        ("www.example.com", Outcome::Nodata),
        ("gone.example.com", Outcome::Nxdomain),
        ("example.net", Outcome::Refused),
    ];
    let questions: Vec<_> = (0..2000)
        .map(|n| authority(server.addr, cases[n % 4].0))
        .collect();
    let replies = join_all(questions.iter().map(ask)).await;
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(
            (
                reply.outcome,
                reply.packets_sent,
                reply.mismatched,
                reply.details.nsid.as_deref()
            ),
            (cases[n % 4].1, 1, 0, Some("lab-1")),
            "{n}"
        );
    }
    let many = Question {
        qtype: RecordType::A,
        ..authority(server.addr, "many.example.com")
    };
    let reply = ask(&many).await;
    assert_eq!(
        (reply.outcome, reply.details.answers.len(), reply.packets_sent),
        (Outcome::Ok, 200, 2)
    );
}

proptest! {
    /// Nothing that differs in id or question is an answer, and nothing at all panics.
    #[test]
    fn no_flipped_bit_of_id_or_question_passes(at in 0usize..1000, bit in 0u8..8) {
        let query = query("www.example.com");
        let mut answer = good(&query.bytes);
        prop_assert!(matches!(match_answer(&query, &answer), Match::Exact(_)));
        let checked = 2 + query.question().len();
        let at = match at % checked { n @ 0..2 => n, n => n + 10 };
        answer[at] ^= 1 << bit;
        let is_case = at >= 12 && bit == 5 && answer[at].is_ascii_alphabetic() && at < 12 + query.question().len() - 4;
        match match_answer(&query, &answer) {
            Match::Exact(_) => prop_assert!(false, "byte {at}, bit {bit}"),
            Match::CaseDiffers(_) => prop_assert!(is_case, "byte {at}, bit {bit}"),
            Match::No { .. } => {}
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), plausible in any::<bool>()) {
        let query = query("www.example.com");
        if plausible && bytes.len() > 12 + query.question().len() {
            bytes[..2].copy_from_slice(&query.bytes[..2]);
            bytes[2] = 0x84;
            bytes[4..6].copy_from_slice(&[0, 1]);
            bytes[12..12 + query.question().len()].copy_from_slice(query.question());
        }
        match_answer(&query, &bytes);
    }
}
