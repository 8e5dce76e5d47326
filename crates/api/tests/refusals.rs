//! Every way in which a request is refused, over real sockets: with the right status, one sentence, and nothing let in.

mod support;

use netfault_api::sign::Nonce;
use netfault_model::Time;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn paths_and_methods() {
    let door = Door::open(limits()).await;
    let health = get(door.addr, "GET", "/healthz").await;
    assert_eq!(health.status, 200);
    assert!(health.body.contains(r#""status":"ok""#), "{health:?}");
    let mut stream = TcpStream::connect(door.addr).await.unwrap();
    stream
        .write_all(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).await.unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert_eq!(get(door.addr, "GET", "/").await.status, 404);
    assert_eq!(get(door.addr, "GET", "/api/v1/probes/x").await.status, 404);
    for (method, path, allowed) in [("POST", "/healthz", "get"), ("GET", "/api/v1/probes", "post")] {
        let refused = get(door.addr, method, path).await;
        assert_eq!(refused.status, 405);
        assert!(refused.head.contains(&format!("allow: {allowed}")), "{refused:?}");
        assert!(!refused.error().is_empty());
    }
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let mut door = Door::open(limits()).await;
    let body = probes("ams1");
    let bare = get(door.addr, "POST", "/api/v1/probes?epoch=1&seq=1").await;
    assert_eq!((bare.status, bare.is_signed()), (401, false));
    let wrong_token = Signed {
        token: "another token, 0123456789",
        ..Signed::new(&body)
    };
    let nobody = Signed {
        caller: "nobody",
        ..Signed::new(&body)
    };
    let of_another = Signed {
        caller: "fra1",
        ..Signed::new(&body)
    };
    for request in [wrong_token, nobody, of_another] {
        let refused = send(door.addr, &request.bytes()).await;
        assert_eq!((refused.status, refused.is_signed()), (401, false));
        assert_eq!(refused.error(), "no agent of that name with that token");
        assert!(refused.head.contains("www-authenticate"), "{refused:?}");
    }
    // Signed, and changed on the way.
    let bytes = Signed::new(&body).bytes();
    let other = String::from_utf8_lossy(&bytes).find("seq=1").unwrap();
    let mut changed = bytes.clone();
    changed[other + 4] = b'2';
    assert_eq!(send(door.addr, &changed).await.status, 401);
    assert!(door.deliveries.try_recv().is_err(), "nothing came through");
}

#[tokio::test]
async fn a_request_is_good_once_and_for_five_minutes() {
    let door = Door::open(limits()).await;
    let (addr, _stop, taken) = door.takes_all();
    let body = probes("ams1");
    let request = Signed::new(&body).bytes();
    assert_eq!(send(addr, &request).await.status, 200);
    let again = send(addr, &request).await;
    assert_eq!(
        (again.status, again.error().as_str()),
        (401, "this request was made before")
    );
    assert!(again.is_signed());
    for seconds in [-400, 400, i64::MIN / 2_000_000, i64::MAX / 2_000_000] {
        let stale = Signed {
            time: Time::from_micros(now().micros().saturating_add(seconds.saturating_mul(1_000_000))),
            ..Signed::new(&body)
        };
        let refused = send(addr, &stale.bytes()).await;
        assert_eq!(
            (refused.status, refused.is_signed()),
            (401, true),
            "{seconds}: {refused:?}"
        );
        assert!(refused.error().contains("the collector's clock"), "{refused:?}");
    }
    assert_eq!(taken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn bodies_that_are_no_batch() {
    let mut door = Door::open(limits()).await;
    let body = probes("ams1");
    let foreign = probes("fra1");
    let long = vec![0; 2 << 20];
    let cases: [(&str, Signed, u16); 6] = [
        (
            "another type",
            Signed {
                kind: "text/plain",
                ..Signed::new(&body)
            },
            415,
        ),
        (
            "no position",
            Signed {
                target: "/api/v1/probes?epoch=x&seq=1",
                ..Signed::new(&body)
            },
            400,
        ),
        (
            "no query",
            Signed {
                target: "/api/v1/probes",
                ..Signed::new(&body)
            },
            400,
        ),
        ("no zstd", Signed::new(b"{}"), 400),
        ("another vantage", Signed::new(&foreign), 403),
        ("too long", Signed::new(&long), 413),
    ];
    for (what, request, status) in cases {
        let mut stream = TcpStream::connect(door.addr).await.unwrap();
        let _ = stream.write_all(&request.bytes()).await; // a body that is too long is not read to its end
        let refused = answer(&mut stream).await.expect(what);
        assert_eq!(refused.status, status, "{what}: {refused:?}");
        assert!(!refused.error().is_empty(), "{what}");
        // Of a body that was not read nobody knows who sent it.
        assert_eq!(refused.is_signed(), status != 413, "{what}");
    }
    assert!(door.deliveries.try_recv().is_err(), "nothing came through");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_too() {
    let door = Door::open(limits()).await;
    let request = String::from_utf8(Signed::new(b"").bytes()).unwrap();
    let request = request.replace("content-length: 0", "transfer-encoding: chunked");
    let mut stream = TcpStream::connect(door.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let chunk = [b"40000\r\n".as_slice(), &vec![0; 0x40000], b"\r\n"].concat();
    for _ in 0..5 {
        if stream.write_all(&chunk).await.is_err() {
            break; // it has seen enough
        }
    }
    let refused = answer(&mut stream).await.expect("an answer");
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn a_full_queue_and_an_impatient_agent_are_told_to_wait() {
    let mut door = Door::open(limits()).await;
    let body = probes("ams1");
    // The first one waits for its answer, and fills the queue of one.
    let first = tokio::spawn({
        let (addr, bytes) = (door.addr, Signed::new(&body).bytes());
        async move { send(addr, &bytes).await }
    });
    while door.deliveries.is_empty() {
        tokio::task::yield_now().await;
    }
    let second = send(door.addr, &Signed::new(&body).bytes()).await;
    assert_eq!((second.status, second.is_signed()), (429, true));
    assert!(second.head.contains("retry-after: 2"), "{second:?}");
    let others = probes("fra1");
    let other = Signed {
        caller: "fra1",
        token: "the token of fra1, 0123456789",
        ..Signed::new(&others)
    };
    let full = send(door.addr, &other.bytes()).await;
    assert_eq!((full.status, full.is_signed()), (503, true));
    assert!(full.head.contains("retry-after: 2"), "{full:?}");
    // The service ends without having taken it.
    drop(door.deliveries.recv().await);
    let dropped = first.await.unwrap();
    assert_eq!((dropped.status, dropped.is_signed()), (503, true));
}

#[tokio::test]
async fn slow_callers_are_cut_off_and_the_others_go_on() {
    let door = Door::open(limits()).await;
    let mut silent = TcpStream::connect(door.addr).await.unwrap();
    let mut header = TcpStream::connect(door.addr).await.unwrap();
    header.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut body = TcpStream::connect(door.addr).await.unwrap();
    let request = Signed::new(&[0; 1000]).bytes();
    body.write_all(&request[..request.len() - 1]).await.unwrap();
    assert_eq!(get(door.addr, "GET", "/healthz").await.status, 200);
    assert_eq!(answer(&mut body).await.expect("an answer").status, 408);
    for stream in [&mut silent, &mut header] {
        let said = answer(stream).await; // hyper answers 408 or closes
        assert!(said.as_ref().is_none_or(|said| said.status == 408), "{said:?}");
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let few = netfault_api::Limits {
        connections: 2,
        ..limits()
    };
    let door = Door::open(few).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(door.addr).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(answer(&mut stream).await.unwrap().status, 200);
        held.push(stream);
    }
    let mut third = TcpStream::connect(door.addr).await.unwrap();
    let _ = third.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer(&mut third).await.is_none());
    drop(held);
    // Those who have gone make room.
    loop {
        let mut stream = TcpStream::connect(door.addr).await.unwrap();
        let _ = stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await;
        if answer(&mut stream).await.is_some() {
            return;
        }
    }
}

/// Whatever the bytes are, the next one is served.
#[tokio::test]
async fn bytes_that_are_no_http() {
    let door = Door::open(limits()).await;
    let mut seed = fastrand::Rng::with_seed(20211004);
    let good = Signed::new(&probes("ams1")).bytes();
    for round in 0..200 {
        let mut bytes = if round % 2 == 0 {
            good.clone()
        } else {
            (0..seed.usize(..600)).map(|_| seed.u8(..)).collect()
        };
        for _ in 0..seed.usize(..4) {
            let place = seed.usize(..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(place) {
                *byte = seed.u8(..);
            }
        }
        let mut stream = TcpStream::connect(door.addr).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        if let Some(said) = answer(&mut stream).await {
            assert!((400..600).contains(&said.status), "{said:?}");
        }
    }
    assert_eq!(get(door.addr, "GET", "/healthz").await.status, 200);
    let nonce = Nonce::random();
    assert_eq!(Nonce::parse(&nonce.to_string()), Some(nonce));
}

#[tokio::test]
async fn at_the_end_health_says_so_and_connections_are_closed() {
    let door = Door::open(limits()).await;
    let mut idle = TcpStream::connect(door.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(answer(&mut idle).await.unwrap().status, 200);
    drop(door.inputs);
    assert_eq!(get(door.addr, "GET", "/healthz").await.status, 503);
    door.stop.send(true).unwrap();
    assert!(answer(&mut idle).await.is_none(), "closed");
    let gone = async {
        while TcpStream::connect(door.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("nobody listens any more");
}
