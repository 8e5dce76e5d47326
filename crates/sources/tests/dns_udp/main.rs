//! The UDP engine against a server that lies, mumbles, repeats itself or is not there, and against NSD.

#[path = "../dns_lab/mod.rs"]
mod dns_lab;
mod load;
mod packets;

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
