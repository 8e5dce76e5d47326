//! One connection: what it asks for, what it gets, and what goes wrong on request.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message as Ws, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::Faults;
use super::feed::{Delivery, Hub, Message};
use super::filter::Command;
use super::record::{Body, Record};
use super::render;

/// Messages that are written before the socket is flushed.
const BATCH: usize = 256;
/// How long a client may take for what is still under way, and its goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

pub struct Config {
    pub buffer_frames: usize,
    pub faults: Faults,
    /// For `request_rrc_list`.
    pub collectors: Vec<String>,
}

/// Serves one connection until one side ends it.
pub async fn run(stream: TcpStream, hub: Arc<Hub>, config: Config) {
    // Frames are batched here already; Nagle's algorithm would only add delay to the last one.
    let _ = stream.set_nodelay(true);
    let Ok(socket) = accept_async(stream).await else {
        return;
    };
    let (out, deliveries) = mpsc::channel(config.buffer_frames);
    let id = hub.join(out);
    let mut session = Session {
        socket,
        hub: Arc::clone(&hub),
        id,
        config,
        sent: 0,
        faults_made: 0,
    };
    if let Err(error) = session.serve(deliveries).await {
        tracing::debug!(%error, "RIS Live session ended");
    }
    hub.leave(id);
}

struct Session {
    socket: WebSocketStream<TcpStream>,
    hub: Arc<Hub>,
    id: u64,
    config: Config,
    /// Messages sent, duplicates and faults not counted.
    sent: u64,
    faults_made: u64,
}

impl Session {
    async fn serve(&mut self, mut deliveries: mpsc::Receiver<Delivery>) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                command = self.socket.next() => match command {
                    Some(Ok(Ws::Text(text))) => self.answer(&text).await?,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                n = deliveries.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        // The feed has ended, or has cut us because we are too far behind.
                        return self.close().await;
                    }
                    for (message, raw) in batch.drain(..) {
                        if !self.send(&message, raw).await? {
                            return Ok(());
                        }
                    }
                    self.socket.flush().await?;
                }
            }
        }
    }

    /// Waits for the other side's goodbye (RFC 6455 §7.1.1): a socket that is dropped with a ping unread is reset, and what it had
    /// not sent yet is lost.
    async fn close(&mut self) -> Result<(), Error> {
        self.socket.close(None).await?;
        let goodbye = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await; // a client that does not read loses what it did not read
        Ok(())
    }

    async fn answer(&mut self, text: &str) -> Result<(), Error> {
        let answer = match Command::parse(text) {
            Ok(Command::Ping) => Some(json!({ "type": "pong", "data": null })),
            Ok(Command::RrcList) => Some(json!({ "type": "ris_rrc_list", "data": self.config.collectors })),
            Ok(Command::Unsubscribe) => {
                self.hub.unsubscribe(self.id);
                None
            }
            Ok(Command::Subscribe(filter)) => {
                let options = json!({ "includeRaw": filter.include_raw, "acknowledge": filter.acknowledge });
                let wanted = filter.acknowledge;
                self.hub.subscribe(self.id, *filter);
                wanted.then(|| json!({ "type": "ris_subscribe_ok", "data": { "socketOptions": options } }))
            }
            Err(error) => Some(json!({ "type": "ris_error", "data": { "message": error.to_string() } })),
        };
        match answer {
            Some(answer) => self.socket.send(Ws::text(answer.to_string())).await,
            None => Ok(()),
        }
    }

    /// False if the connection is to be cut.
    async fn send(&mut self, message: &Message, raw: bool) -> Result<bool, Error> {
        let faults = self.config.faults;
        let is_nth =
            |every: Option<u64>, n: u64| every.is_some_and(|every| every > 0 && n.is_multiple_of(every));
        if faults.cut_after.is_some_and(|after| self.sent >= after) {
            self.socket.flush().await?;
            return Ok(false);
        }
        if let Some((after, pause)) = faults.stall
            && self.sent == after
        {
            self.socket.flush().await?;
            tokio::time::sleep(pause).await;
        }
        let nth = self.sent + 1;
        if is_nth(faults.state_every, nth) {
            self.send_states(message).await?;
        }
        let text = if raw {
            message.text_with_raw()
        } else {
            message.text.clone()
        };
        if is_nth(faults.duplicate_every, nth) {
            self.feed(text.clone()).await?;
        }
        self.feed(text).await?;
        self.sent = nth;
        if is_nth(faults.garbage_every, nth) {
            let garbage = garbage(self.faults_made, &message.text);
            self.faults_made += 1;
            self.socket.feed(garbage).await?;
        }
        Ok(true)
    }

    async fn feed(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        self.socket.feed(Ws::Text(text)).await
    }

    async fn send_states(&mut self, message: &Message) -> Result<(), Error> {
        for state in ["down", "connected"] {
            let record = Record {
                body: Body::State(state),
                ..message.record.clone()
            };
            // High sequence numbers keep these ids apart from those of real messages.
            let sequence = 0x8000 | (self.faults_made % 0x8000) as u16;
            self.faults_made += 1;
            self.feed(render::frame(&record, message.at, sequence).into())
                .await?;
        }
        Ok(())
    }
}

fn garbage(n: u64, text: &str) -> Ws {
    match n % 3 {
        0 => Ws::text("this is no JSON"),
        // ASCII: every index is a boundary.
        1 => Ws::text(text.get(..text.len() / 2).unwrap_or_default().to_owned()),
        _ => Ws::binary(text.as_bytes().to_vec()),
    }
}
