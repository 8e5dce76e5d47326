//! What the test server says to a client that is not ours.

mod ris_live_common;

use futures_util::{SinkExt, StreamExt};
use netfault_sources::ris_live::server::Speed;
use ris_live_common::*;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    let frame = tokio::time::timeout(PATIENCE, socket.next())
        .await
        .expect("an answer")
        .unwrap()
        .unwrap();
    serde_json::from_str(frame.to_text().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speaks_the_protocol_of_the_manual() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = server_config(&make_mrt(dir.path(), 10));
    config.files[0].collector = "rrc07".to_owned();
    let server = start_server(config).await;
    let (mut socket, _) = connect_async(&server.url).await.unwrap();
    say(&mut socket, r#"{"type":"ping"}"#).await;
    assert_eq!(hear(&mut socket).await["type"], "pong");
    say(&mut socket, r#"{"type":"request_rrc_list"}"#).await;
    assert_eq!(
        hear(&mut socket).await,
        json!({ "type": "ris_rrc_list", "data": ["rrc07.ripe.net"] })
    );
    say(&mut socket, r#"{"type":"ris_dance"}"#).await;
    assert_eq!(hear(&mut socket).await["type"], "ris_error");
    say(
        &mut socket,
        r#"{"type":"ris_subscribe","data":{"prefix":"10.0.0.0/33"}}"#,
    )
    .await;
    assert_eq!(
        hear(&mut socket).await["data"]["message"],
        "bad prefix '10.0.0.0/33'"
    );
    let subscribe = json!({ "type": "ris_subscribe", "data": {
        "host": "rrc07", "require": "withdrawals", "socketOptions": { "acknowledge": true, "includeRaw": true } } });
    say(&mut socket, &subscribe.to_string()).await;
    assert_eq!(hear(&mut socket).await["type"], "ris_subscribe_ok");
    // The fifth of ten updates is the first withdrawal.
    let mut message = hear(&mut socket).await;
    let timestamp = message["data"]
        .as_object_mut()
        .unwrap()
        .remove("timestamp")
        .unwrap();
    assert!((timestamp.as_f64().unwrap() - START as f64 - 0.04).abs() < 1e-6);
    assert_eq!(
        message,
        json!({ "type": "ris_message", "data": {
            "peer": "192.0.2.5", "peer_asn": "64505",
            "id": format!("192.0.2.5-{:012x}0005", START * 1000 + 40), "host": "rrc07.ripe.net",
            "type": "UPDATE", "path": [], "community": [], "announcements": [],
            "withdrawals": ["10.0.4.0/24"],
            "raw": format!("{}001B020004180A00040000", "FF".repeat(16)) } })
    );
    assert_eq!(
        hear(&mut socket).await["data"]["withdrawals"],
        json!(["10.0.9.0/24"])
    );
    assert!(
        matches!(socket.next().await, Some(Ok(Message::Close(_)))),
        "says goodbye at the end"
    );
    assert!(socket.next().await.is_none(), "and so do we");
    assert_eq!(server.done.await.unwrap().messages, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_subscriptions_deliver_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = server_config(&make_mrt(dir.path(), 10));
    config.speed = Speed::PerSecond(2000.0);
    config.repeat = true;
    let server = start_server(config).await;
    let (mut socket, _) = connect_async(&server.url).await.unwrap();
    socket
        .feed(Message::text(
            r#"{"type":"ris_subscribe","data":{"prefix":"10.0.3.0/24"}}"#,
        ))
        .await
        .unwrap();
    say(
        &mut socket,
        r#"{"type":"ris_subscribe","data":{"prefix":["10.0.0.0/16"]}}"#,
    )
    .await;
    // The feed began with the first subscription; from the second one on, 10.0.3.0/24 comes twice.
    let mut before = hear(&mut socket).await;
    loop {
        let frame = hear(&mut socket).await;
        if frame == before {
            break;
        }
        before = frame;
    }
    assert_eq!(
        before["data"]["announcements"][0]["prefixes"],
        json!(["10.0.3.0/24"])
    );
    server.shutdown.send(true).unwrap();
    server.done.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_falls_behind_is_cut_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = server_config(&make_mrt(dir.path(), 5000));
    config.speed = Speed::PerSecond(1e9);
    config.repeat = true;
    config.buffer_frames = 2000;
    let server = start_server(config).await;
    let (mut slow, _) = connect_async(&server.url).await.unwrap();
    let (mut other, _) = connect_async(&server.url).await.unwrap();
    say(&mut slow, r#"{"type":"ris_subscribe","data":{}}"#).await;
    // A narrow subscription keeps the other one far from its limit.
    say(
        &mut other,
        r#"{"type":"ris_subscribe","data":{"prefix":"10.0.3.0/24"}}"#,
    )
    .await;
    // 20 rounds of 5,000 messages are some 30 MB, more than any socket buffer.
    for _ in 0..20 {
        assert_eq!(hear(&mut other).await["type"], "ris_message");
    }
    let mut heard = 0u64;
    let end = loop {
        match tokio::time::timeout(PATIENCE, slow.next())
            .await
            .expect("the slow one is cut")
        {
            Some(Ok(Message::Text(_))) => heard += 1,
            end => break end,
        }
    };
    assert!(
        !matches!(end, Some(Ok(Message::Binary(_)))) && heard < 20 * 5000,
        "{end:?} after {heard}"
    );
    assert_eq!(hear(&mut other).await["type"], "ris_message");
    server.shutdown.send(true).unwrap();
    server.done.await.unwrap();
}
