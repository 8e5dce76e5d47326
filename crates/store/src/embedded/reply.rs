//! The body of an answer, and the leash on the query that makes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::engine::Engine;

/// What a job and its leash tell each other.
#[derive(Default)]
pub struct Flags {
    pub cancelled: Arc<AtomicBool>,
    pub finished: AtomicBool,
}

/// Held by whoever waits for a query; dropping it stops the query.
pub struct Leash {
    pub engine: Arc<Engine>,
    pub mark: String,
    pub state: Arc<Flags>,
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.state.cancelled.store(true, Ordering::Relaxed);
        if self.state.finished.load(Ordering::Relaxed) {
            return;
        }
        let (engine, mark, state) = (
            Arc::clone(&self.engine),
            std::mem::take(&mut self.mark),
            Arc::clone(&self.state),
        );
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            // The query may not have reached the engine yet, hence more than one try; most end within the first wait.
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if state.finished.load(Ordering::Relaxed) {
                    return;
                }
                let (engine, mark) = (Arc::clone(&engine), mark.clone());
                let _ended = tokio::task::spawn_blocking(move || engine.kill(&mark)).await;
            }
        });
    }
}

/// The body of an answer: what is known at once, then what still comes.
pub struct ReplyBody {
    pub first: Option<Bytes>,
    pub rest: Option<(mpsc::Receiver<io::Result<Bytes>>, Leash)>,
    pub failure: Option<(Pin<Box<tokio::time::Sleep>>, io::Error)>,
}

/// hyper drops what it has not sent yet when a body fails; this long it may send the exception frame first.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl ReplyBody {
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        Self {
            first: Some(bytes),
            rest: None,
            failure: None,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.failure.is_none() {
            let Some((rest, _)) = &mut self.rest else {
                return Poll::Ready(None);
            };
            match std::task::ready!(rest.poll_recv(cx)) {
                Some(Err(error)) => {
                    self.failure = Some((Box::pin(tokio::time::sleep(LAST_WORDS)), error));
                }
                piece => return Poll::Ready(piece.map(|piece| piece.map(Frame::data))),
            }
        }
        if let Some((wait, _)) = &mut self.failure {
            std::task::ready!(wait.as_mut().poll(cx));
        }
        Poll::Ready(self.failure.take().map(|(_, error)| Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.first.as_ref().map_or(0, |first| first.len() as u64);
        if self.rest.is_none() {
            SizeHint::with_exact(length)
        } else {
            SizeHint::default()
        }
    }
}
