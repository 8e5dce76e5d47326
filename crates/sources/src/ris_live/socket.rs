//! The WebSocket side of the client: connect, subscribe, ping, notice silence, try again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_rustls::rustls;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::config::{ClientConfig, Subscription};
use super::queue::{Bad, Queue};
use super::stats::Stats;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PING: &str = r#"{"type":"ping"}"#;

/// Why there is no connection (any more). All of them are tried again: nothing here is the user's to fix
/// while the service runs, and a URL that is wrong was refused when the configuration was read.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot connect: {0}")]
    Connect(#[source] tungstenite::Error),
    #[error("cannot connect: no answer in time")]
    ConnectTimeout,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    #[error("{0}")]
    Socket(#[source] tungstenite::Error),
    #[error("closed by the server{0}")]
    Closed(String),
    #[error("no message for {0:?}")]
    Silent(Duration),
    #[error("no sign of life for {0:?}")]
    Dead(Duration),
}

/// Never returns; cancel it.
pub async fn keep_connected(config: &ClientConfig, queue: &Queue, stats: &Stats) {
    let mut attempt = 0;
    loop {
        let messages_before = stats.frames.get();
        let broken = match connect(config).await {
            Ok(socket) => {
                stats.connects.add(1);
                let Err(broken) = serve(socket, config, queue, stats).await;
                stats.connected.set(0);
                stats.breaks.add(1);
                broken
            }
            Err(broken) => {
                stats.connect_failures.add(1);
                broken
            }
        };
        if stats.frames.get() > messages_before {
            attempt = 0;
        }
        let wait = config.backoff.wait(attempt, fastrand::f64());
        tracing::warn!(url = %config.url, cause = %broken, attempt, ?wait, "RIS Live: no connection");
        queue.push_broken(broken.to_string());
        sleep(wait).await;
        attempt = attempt.saturating_add(1);
    }
}

async fn connect(config: &ClientConfig) -> Result<Socket, Broken> {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(config.limits.frame_bytes_hard))
        .max_frame_size(Some(config.limits.frame_bytes_hard));
    let tls = config.url.starts_with("wss:").then(tls).transpose()?;
    // Without a TLS connector only `ws://` can be meant, and no TLS is set up behind our back.
    let connector = tls.map_or(Connector::Plain, Connector::Rustls);
    let attempt = connect_async_tls_with_config(config.full_url(), Some(limits), true, Some(connector));
    match timeout(config.limits.connect_timeout, attempt).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(error)) => Err(Broken::Connect(error)),
        Err(_) => Err(Broken::ConnectTimeout),
    }
}

/// The roots of Mozilla, and `ring`; said here, because with two providers in one program rustls takes none.
fn tls() -> Result<Arc<rustls::ClientConfig>, Broken> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Broken::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn serve(
    mut socket: Socket,
    config: &ClientConfig,
    queue: &Queue,
    stats: &Stats,
) -> Result<std::convert::Infallible, Broken> {
    for message in config.subscribe_messages() {
        socket
            .feed(Message::text(message))
            .await
            .map_err(Broken::Socket)?;
    }
    socket.flush().await.map_err(Broken::Socket)?;
    stats.connected.set(1);
    tracing::info!(url = %config.url, "RIS Live: connected");

    let limits = &config.limits;
    let full_feed = config.subscription == Subscription::Everything;
    let mut ping = interval(limits.ping_every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut heard_message = heard;
    loop {
        let deadline = if full_feed {
            (heard + limits.dead).min(heard_message + limits.silence)
        } else {
            heard + limits.dead
        };
        tokio::select! {
            biased;
            frame = socket.next() => {
                heard = Instant::now();
                if take(frame, config, queue, stats)? {
                    heard_message = heard;
                }
            }
            _ = ping.tick() => socket.send(Message::text(PING)).await.map_err(Broken::Socket)?,
            () = sleep_until(deadline) => {
                if full_feed && heard.elapsed() < limits.dead {
                    return Err(Broken::Silent(limits.silence));
                }
                return Err(Broken::Dead(limits.dead));
            }
        }
    }
}

/// Puts one frame into the queue. True if it carries a message (and is no `pong` or control frame).
fn take(
    frame: Option<Result<Message, tungstenite::Error>>,
    config: &ClientConfig,
    queue: &Queue,
    stats: &Stats,
) -> Result<bool, Broken> {
    let message = frame
        .ok_or_else(|| Broken::Closed(String::new()))?
        .map_err(Broken::Socket)?;
    let fits = match message {
        Message::Text(text) => {
            stats.frames.add(1);
            stats.bytes.add(text.len() as u64);
            if text.len() > config.limits.frame_bytes {
                queue.push_bad(Bad::TooLong)
            } else {
                let is_message = is_message(&text);
                if !queue.push_frame(text) {
                    stats.overflow.add(1);
                }
                return Ok(is_message);
            }
        }
        Message::Binary(bytes) => {
            stats.frames.add(1);
            stats.bytes.add(bytes.len() as u64);
            queue.push_bad(Bad::Binary)
        }
        Message::Close(reason) => {
            let reason = reason.map(|reason| format!(": {} {}", reason.code, reason.reason));
            return Err(Broken::Closed(reason.unwrap_or_default()));
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(false),
    };
    if !fits {
        stats.overflow.add(1);
    }
    Ok(false)
}

/// A guess from the first bytes, since the JSON is not read here: every `ris_message` seen since 2019
/// begins with its type. A frame that hides it only counts as silence if all others do too.
fn is_message(text: &str) -> bool {
    let head = text.as_bytes().get(..40).unwrap_or(text.as_bytes());
    head.windows(b"ris_message".len())
        .any(|window| window == b"ris_message")
}
