//! Both ends of the exchange: what an agent believes, and whom.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use netfault_api::batch::{self, Item};
use netfault_api::client::Failure;
use netfault_api::{Client, Limits, Position, Taken, Token, tls};
use netfault_model::{Arrival, Input};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_batch_is_taken_once() {
    let (addr, _stop, taken) = Door::open(limits()).await.takes_all();
    let mut client = client(addr, TOKEN, clock(0));
    for (position, expected) in [
        (at(1), Taken::Applied),
        (at(1), Taken::Known),
        (at(3), Taken::Applied),
        (at(2), Taken::Known),
        (Position { epoch: 8, seq: 1 }, Taken::Applied),
    ] {
        let sent = client.send(position, probes("ams1").into()).await;
        assert_eq!(sent.unwrap(), expected, "{position:?}");
    }
    let older = client.send(at(9), probes("ams1").into()).await;
    assert!(matches!(older, Err(Failure::OlderEpoch(8))), "{older:?}");
    let taken = taken.lock().unwrap();
    assert_eq!(taken.len(), 3);
    for input in taken.iter() {
        let Input::Probe(probe) = input else {
            panic!("{input:?}")
        };
        assert_eq!((probe.vantage.as_str(), probe.arrival), ("ams1", Arrival::InTime));
    }
}

#[tokio::test]
async fn an_agent_with_a_wrong_clock_learns_the_time_and_its_results_are_judged() {
    let (addr, _stop, taken) = Door::open(limits()).await.takes_all();
    let hour = 3_600_000_000;
    let mut client = client(addr, TOKEN, clock(-hour));
    let first = client.send(at(1), probes("ams1").into()).await;
    assert!(matches!(first, Err(Failure::Stale { .. })), "{first:?}");
    let skew = client.skew().expect("the answer was signed");
    assert!((skew.at_least() - hour).abs() < 60_000_000, "{skew:?}");
    let mut late = probe("ams1");
    late.at = late.at.plus_micros(-hour);
    let late = batch::pack(&[Item::Probe(Box::new(late)), gap("x")]).unwrap();
    assert_eq!(client.send(at(1), late.into()).await.unwrap(), Taken::Applied);
    let taken = taken.lock().unwrap();
    let Input::Probe(probe) = &taken[0] else { panic!() };
    assert_eq!(probe.arrival, Arrival::Late);
}

#[tokio::test]
async fn a_wrong_token_is_a_stranger_at_both_ends() {
    let (addr, _stop, taken) = Door::open(limits()).await.takes_all();
    let mut client = client(addr, "another token, 0123456789", clock(0));
    let sent = client.send(at(1), probes("ams1").into()).await.unwrap_err();
    assert_eq!(
        sent.to_string(),
        "the answer is not signed by the collector (401 Unauthorized: no agent of that name with that token)"
    );
    assert!(client.skew().is_none() && taken.lock().unwrap().is_empty());
}

/// Says 200 to everything; and plays an answer again that was genuine once.
#[tokio::test]
async fn an_impostor_is_not_believed() {
    let (addr, _stop, _taken) = Door::open(limits()).await.takes_all();
    let body = probes("ams1");
    let genuine = send(addr, &Signed::new(&body).bytes()).await;
    assert_eq!((genuine.status, genuine.is_signed()), (200, true));
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"taken\":\"applied\"}\n".to_owned();
    let replayed = format!("{}\r\n\r\n{}", genuine.head, genuine.body);
    for said in [plain, replayed] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let impostor = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
            stream
                .write_all(said.replace("http/1.1 200 ok", "HTTP/1.1 200 OK").as_bytes())
                .await
                .unwrap();
            std::future::pending::<()>().await;
        });
        let sent = client(impostor, TOKEN, clock(0))
            .send(at(1), body.clone().into())
            .await;
        assert!(
            matches!(sent, Err(Failure::Stranger { status, .. }) if status == 200),
            "{sent:?}"
        );
    }
}

#[tokio::test]
async fn a_private_authority_is_believed_by_its_file_and_no_other_is() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    authority(ours.path());
    authority(theirs.path());
    let file = |name| ours.path().join(name);
    let server = tls::server(&file("cert.pem"), &file("key.pem")).unwrap();
    let (addr, _stop, taken) = Door::with(limits(), Some(server), clock(0)).await.takes_all();
    let send = async |ca: Option<&std::path::Path>| {
        let url = format!("https://{addr}").parse().unwrap();
        let mut client = Client::new(url, "ams1", Token::new(TOKEN), tls::client(ca).unwrap(), clock(0));
        client.send(at(1), probes("ams1").into()).await
    };
    for ca in [None, Some(theirs.path().join("ca.pem"))] {
        let refused = send(ca.as_deref()).await.unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
    }
    assert!(taken.lock().unwrap().is_empty());
    assert_eq!(send(Some(&file("ca.pem"))).await.unwrap(), Taken::Applied);

    // The files say what is wrong with them.
    let wrong = tls::server(&file("cert.pem"), &theirs.path().join("key.pem")).unwrap_err();
    assert!(wrong.to_string().contains("cannot be used"), "{wrong}");
    std::fs::write(file("empty.pem"), "").unwrap();
    for bad in ["empty.pem", "absent.pem"] {
        let error = tls::server(&file(bad), &file("key.pem")).unwrap_err().to_string();
        assert!(error.contains(bad), "{error}");
        assert!(tls::client(Some(&file(bad))).is_err());
    }
}

#[tokio::test]
async fn an_agent_that_does_not_report_is_told_once() {
    let by = Arc::new(AtomicI64::new(0));
    let limits = Limits {
        silence: std::time::Duration::from_secs(600),
        ..limits()
    };
    let mut door = Door::with(limits, None, moved(by.clone())).await;
    // It is silent from the moment at which the door is open.
    assert_eq!(get(door.addr, "GET", "/healthz").await.status, 200);
    by.store(601_000_000, Ordering::Relaxed);
    let told = tokio::time::timeout(PATIENCE, door.inputs.recv())
        .await
        .unwrap()
        .unwrap();
    let reasons: Vec<_> = told
        .iter()
        .map(|input| match input {
            Input::Gap(gap) => gap.reason.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        ["agent ams1: it does not report", "agent fra1: it does not report"]
    );
}
