//! Many questions at once: none is lost, none can be guessed.

use super::*;

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
