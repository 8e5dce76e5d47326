//! The answer to one query, from the thread that runs it to the task that owns the socket.
//!
//! Nothing is sent until the query is over or a first megabyte is there, so that most failures still get a status
//! and most answers their final figures. From then on the thread waits when the client is slow: at most
//! [`QUEUE`] pieces are under way. A failure after the start ends the body with ClickHouse's exception frame and a
//! broken connection.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};

use super::codec::Packer;
use super::error::Exception;
use super::ffi::Stats;

/// Pieces (about 0.5 MB each) between the engine and the socket.
pub const QUEUE: usize = 4;

/// ClickHouse's own default of `http_response_buffer_size` is of this order.
const FIRST: usize = 1 << 20;

/// With `wait_end_of_query=1`; a larger answer is streamed all the same, so that memory stays bounded.
const FIRST_WAITING: usize = 64 << 20;

/// What the first line and the headers of an answer need, and its body or the first part of it.
pub struct Head {
    pub stats: Stats,
    pub elapsed: Duration,
    /// The output format, where the statement has output.
    pub format: String,
    pub first: Bytes,
    /// Whether `first` is all.
    pub complete: bool,
}

pub type HeadSender = oneshot::Sender<Result<Head, Exception>>;

/// The sending side.
pub struct Answer {
    head: Option<HeadSender>,
    rest: mpsc::Sender<io::Result<Bytes>>,
    packer: Packer,
    first: Vec<Bytes>,
    room: usize,
    started: Instant,
    tag: String,
    format: String,
    pub stats: Stats,
}

/// The client is gone.
#[derive(Debug)]
pub struct Gone;

impl Answer {
    pub fn new(
        head: HeadSender,
        rest: mpsc::Sender<io::Result<Bytes>>,
        packer: Packer,
        wait_end: bool,
    ) -> Self {
        let room = if wait_end { FIRST_WAITING } else { FIRST };
        let (first, stats, started) = (Vec::new(), Stats::default(), Instant::now());
        let (tag, format) = (String::new(), String::new());
        Self {
            head: Some(head),
            rest,
            packer,
            first,
            room,
            started,
            tag,
            format,
            stats,
        }
    }

    /// The format of the output, and the tag by which clients know an exception frame.
    pub fn describe(&mut self, format: &str, tag: &str) {
        format.clone_into(&mut self.format);
        tag.clone_into(&mut self.tag);
    }

    /// Adds a piece of output; waits while the client is behind.
    pub fn push(&mut self, piece: impl AsRef<[u8]> + Send + 'static) -> Result<(), Gone> {
        let packed = self.packer.push(piece).map_err(|_| Gone)?;
        self.send(packed)
    }

    fn send(&mut self, packed: Bytes) -> Result<(), Gone> {
        if packed.is_empty() {
            return Ok(());
        }
        if self.head.is_none() {
            return self.rest.blocking_send(Ok(packed)).map_err(|_| Gone);
        }
        self.room = self.room.saturating_sub(packed.len());
        self.first.push(packed);
        if self.room == 0 { self.start(false) } else { Ok(()) }
    }

    fn start(&mut self, complete: bool) -> Result<(), Gone> {
        let Some(sender) = self.head.take() else {
            return Ok(());
        };
        let head = Head {
            stats: self.stats,
            elapsed: self.started.elapsed(),
            format: std::mem::take(&mut self.format),
            first: join(std::mem::take(&mut self.first)),
            complete,
        };
        sender.send(Ok(head)).map_err(|_| Gone)
    }

    /// The query is over.
    pub fn finish(mut self) {
        let packer = std::mem::replace(&mut self.packer, Packer::Plain);
        let sent = packer
            .finish()
            .map_err(|_| Gone)
            .and_then(|tail| self.send(tail))
            .and_then(|()| self.start(true));
        if sent.is_err() {
            tracing::debug!("a client was gone before its answer was complete");
        }
    }

    /// The query failed: an error answer, or where output is on its way already, an exception frame
    /// (`WriteBufferFromHTTPServerResponse.cpp`) and a broken body.
    pub fn fail(mut self, exception: Exception, version: &str) {
        if let Some(head) = self.head.take() {
            let _gone = head.send(Err(exception));
            return;
        }
        let (tag, text) = (&self.tag, exception.body(version));
        let frame = format!(
            "\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n",
            text.len()
        );
        let sent = self.rest.blocking_send(Ok(frame.into()));
        if sent.is_ok() {
            let _gone = self.rest.blocking_send(Err(io::Error::other(exception)));
        }
    }
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => pieces
            .iter()
            .fold(BytesMut::new(), |mut all, piece| {
                all.extend_from_slice(piece);
                all
            })
            .freeze(),
    }
}
