//! What no real server can be made to say: a UDP responder that lies, mumbles or keeps silent.

mod dns_lab;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_lab::*;
use hickory_proto::rr::RecordType;
use netfault_model::Outcome;
use netfault_sources::dns::expect::Expectation;
use netfault_sources::dns::probe::{Question, ask};
use tokio::net::UdpSocket;

fn question(server: SocketAddr) -> Question {
    let question = Question::to_authority(server, name("www.example.com"), RecordType::A);
    Question {
        timeout: Duration::from_millis(400),
        ..question
    }
}

fn good(query: &[u8]) -> Vec<u8> {
    response(query, AA, 0, &[&a_record([192, 0, 2, 1], 60)], &[])
}

#[tokio::test]
async fn silence_is_asked_once_more_and_then_a_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let reply = ask(&question(silent.local_addr().unwrap())).await;
    assert_eq!(
        (
            reply.outcome,
            reply.packets_sent,
            reply.retries,
            reply.details.rcode
        ),
        (Outcome::Timeout, 2, 1, None)
    );
    assert!(reply.latency >= Duration::from_millis(800));
    let to_resolver = Question {
        retries: 0,
        ..question(silent.local_addr().unwrap())
    };
    assert_eq!(ask(&to_resolver).await.packets_sent, 1);
}

#[tokio::test]
async fn a_lost_packet_costs_a_retry_and_no_verdict() {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let server = responder(move |query| {
        if seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            vec![]
        } else {
            vec![good(query)]
        }
    })
    .await;
    let reply = ask(&question(server.addr)).await;
    assert_eq!(
        (reply.outcome, reply.packets_sent, reply.retries),
        (Outcome::Ok, 2, 1)
    );
    assert!(
        reply.latency < Duration::from_millis(400),
        "the latency of the packet that was answered"
    );
}

#[tokio::test]
async fn a_closed_port_is_refused_at_once() {
    let reply = ask(&Question {
        timeout: PATIENCE,
        ..question(free_port())
    })
    .await;
    assert_eq!((reply.outcome, reply.packets_sent), (Outcome::ConnRefused, 1));
    assert!(reply.latency < PATIENCE);
}

/// The kernel refuses a datagram to the broadcast address at once: the one way to "not from here" that every
/// host has. What routers say arrives as the same errors of the same calls.
#[tokio::test]
async fn no_way_there_is_unreachable_and_no_timeout() {
    let target: SocketAddr = "255.255.255.255:53".parse().unwrap();
    let reply = ask(&Question {
        timeout: PATIENCE,
        ..question(target)
    })
    .await;
    assert_eq!((reply.outcome, reply.packets_sent), (Outcome::NetUnreachable, 1));
}

#[tokio::test]
async fn forged_answers_are_counted_and_do_not_end_the_wait() {
    let server = responder(|query| {
        let lie = |change: fn(&mut Vec<u8>)| {
            let mut answer = response(query, AA, 3, &[], &[]);
            change(&mut answer);
            answer
        };
        vec![
            lie(|answer| answer[0] ^= 0x55), // another id
            lie(|answer| answer[13] = b'x'), // another name
            lie(|answer| {
                let last = answer.len() - 3;
                answer[last] = 28; // another type
            }),
            lie(|answer| answer[2] &= 0x7f),  // a query
            lie(|answer| answer.truncate(7)), // no header
            lie(|answer| answer[7] = 9),      // records that are not there
            good(query),
        ]
    })
    .await;
    let reply = ask(&question(server.addr)).await;
    assert_eq!(
        (reply.outcome, reply.mismatched, reply.packets_sent),
        (Outcome::Ok, 6, 1)
    );
    assert_eq!(reply.details.answers, ["192.0.2.1"]);
}

#[tokio::test]
async fn an_answer_from_another_address_is_counted_and_not_believed() {
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0u8; 512];
        while let Ok((len, client)) = server.recv_from(&mut buffer).await {
            let lie = response(&buffer[..len], AA, 3, &[], &[]);
            other.send_to(&lie, client).await.unwrap();
            server.send_to(&good(&buffer[..len]), client).await.unwrap();
        }
    });
    let reply = ask(&question(addr)).await;
    task.abort();
    assert_eq!((reply.outcome, reply.mismatched), (Outcome::Ok, 1));
}

#[tokio::test]
async fn nothing_but_garbage_is_malformed() {
    let server = responder(|_| vec![b"not a DNS message at all".to_vec()]).await;
    let reply = ask(&question(server.addr)).await;
    assert_eq!((reply.outcome, reply.mismatched), (Outcome::Malformed, 2));
    let server = responder(|query| {
        let mut answer = good(query);
        answer.truncate(answer.len() - 3);
        vec![answer]
    })
    .await;
    let reply = ask(&question(server.addr)).await;
    assert_eq!(
        (reply.outcome, reply.details.rcode),
        (Outcome::Malformed, Some(0))
    );
}

#[tokio::test]
async fn a_server_that_mangles_letter_case_is_asked_again_without() {
    let server = responder(|query| {
        let mut answer = good(query);
        answer[12..30].make_ascii_lowercase();
        vec![answer]
    })
    .await;
    let reply = ask(&question(server.addr)).await;
    // "www.example.com" has 13 letters: once in 8,192 questions the random case is all lower.
    assert_eq!(reply.outcome, Outcome::Ok);
    assert!(reply.mangles_case == (reply.packets_sent == 2) && reply.packets_sent <= 2);
    let plain = ask(&Question {
        plain_case: true,
        ..question(server.addr)
    })
    .await;
    assert_eq!(
        (plain.outcome, plain.packets_sent, plain.mangles_case),
        (Outcome::Ok, 1, false)
    );
}

/// Mangled case, truncation, SERVFAIL: whatever comes together, two packets and one connection are the most.
#[tokio::test]
async fn a_server_of_all_vices_costs_two_packets_and_a_connection() {
    let server = responder(|query| {
        let mut answer = response(query, TC, 2, &[], &[]);
        answer[12..30].make_ascii_lowercase();
        vec![answer]
    })
    .await;
    let reply = ask(&resolver(server.addr, "www.example.com", RecordType::A)).await;
    assert!(reply.packets_sent <= 3, "{}", reply.packets_sent);
    assert_eq!(reply.outcome, Outcome::Truncated, "nobody listens on TCP");
}

#[tokio::test]
async fn rcodes_that_come_without_a_question() {
    let cases = [
        (1, Outcome::Formerr),
        (2, Outcome::Servfail),
        (4, Outcome::Notimp),
        (5, Outcome::Refused),
        (9, Outcome::Lame),
    ];
    for (rcode, expected) in cases {
        let server =
            responder(move |query| vec![[&query[..2], &[0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0]].concat()])
                .await;
        let reply = ask(&question(server.addr)).await;
        assert_eq!(
            (reply.outcome, reply.details.rcode),
            (expected, Some(u16::from(rcode)))
        );
    }
}

#[tokio::test]
async fn an_extended_rcode_an_error_text_and_broken_options() {
    // EDE 22 "no reach", NSID "a1", then an option that claims more bytes than there are.
    let options = [
        b"\0\x0f\0\x0a\0\x16no reach".as_slice(),
        b"\0\x03\0\x02a1",
        b"\0\x63\xff\xff\x01",
    ]
    .concat();
    let server = responder(move |query| vec![response(query, 0, 0, &[], &[&opt(1, &options)])]).await;
    let reply = ask(&question(server.addr)).await;
    assert_eq!(
        (reply.outcome, reply.details.rcode),
        (Outcome::Notimp, Some(16)),
        "BADVERS"
    );
    assert_eq!(reply.details.ede, Some((22, "no reach".to_owned())));
    assert_eq!(reply.details.nsid.as_deref(), Some("a1"));
}

#[tokio::test]
async fn servfail_at_a_resolver_is_bogus_only_if_cd_brings_an_answer() {
    let validating = responder(|query| {
        let no_validation = query[3] & 0x10 != 0;
        vec![if no_validation {
            good(query)
        } else {
            response(query, 0, 2, &[], &[])
        }]
    })
    .await;
    let failing = responder(|query| vec![response(query, 0, 2, &[], &[])]).await;
    for (server, expected) in [(&validating, Outcome::Bogus), (&failing, Outcome::Servfail)] {
        let reply = ask(&resolver(server.addr, "www.example.com", RecordType::A)).await;
        assert_eq!(
            (reply.outcome, reply.details.rcode, reply.packets_sent),
            (expected, Some(2), 2)
        );
    }
    // An authority validates nothing: no second question.
    assert_eq!(ask(&question(validating.addr)).await.packets_sent, 1);
}

/// The same answer, expected and not: the sentence about it comes with the outcome.
#[tokio::test]
async fn an_answer_that_is_not_expected_is_wrong() {
    let server = responder(|query| vec![good(query)]).await;
    let expecting = |wanted: &str| Question {
        expect: Some(Arc::new(Expectation {
            any_of: vec![wanted.parse().unwrap()],
            ..Expectation::default()
        })),
        ..question(server.addr)
    };
    let right = ask(&expecting("192.0.2.1")).await;
    assert_eq!((right.outcome, right.details.detail), (Outcome::Ok, None));
    let wrong = ask(&expecting("192.0.2.2")).await;
    assert_eq!(wrong.outcome, Outcome::WrongAnswer);
    assert_eq!(
        wrong.details.detail.as_deref(),
        Some("not 192.0.2.2 but 192.0.2.1")
    );
    assert_eq!(wrong.details.answers, ["192.0.2.1"]);
}
