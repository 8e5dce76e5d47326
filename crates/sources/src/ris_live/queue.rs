//! Between the socket and the decoder: bounded in frames and in bytes, and the writer never waits.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What the socket hands over.
#[derive(Debug)]
pub enum Item {
    /// A text frame, and how many frames were dropped just before it because the queue was full.
    Frame { text: Utf8Bytes, dropped: u64 },
    /// A frame that cannot be RIS Live.
    Bad(Bad),
    /// The connection broke, and how many frames were dropped just before.
    Broken { reason: String, dropped: u64 },
}

#[derive(Clone, Copy, Debug)]
pub enum Bad {
    Binary,
    TooLong,
}

/// Single producer, single consumer.
#[derive(Debug)]
pub struct Queue {
    max_frames: usize,
    max_bytes: usize,
    inner: Mutex<Inner>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    dropped: u64,
    closed: bool,
}

impl Queue {
    pub fn new(max_frames: usize, max_bytes: usize) -> Self {
        Queue {
            max_frames,
            max_bytes,
            inner: Mutex::default(),
            filled: Notify::new(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing in here can panic half-way, so a poisoned queue is still whole.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// False if there was no room: then the frame is gone, and the next item that fits says so.
    pub fn push_frame(&self, text: Utf8Bytes) -> bool {
        let mut inner = self.lock();
        if inner.items.len() >= self.max_frames || inner.bytes + text.len() > self.max_bytes {
            inner.dropped += 1;
            return false;
        }
        inner.bytes += text.len();
        let dropped = std::mem::take(&mut inner.dropped);
        self.put(inner, Item::Frame { text, dropped });
        true
    }

    /// False if there was no room.
    pub fn push_bad(&self, bad: Bad) -> bool {
        let mut inner = self.lock();
        if inner.items.len() >= self.max_frames {
            inner.dropped += 1;
            return false;
        }
        self.put(inner, Item::Bad(bad));
        true
    }

    /// Always fits: two breaks that nobody has read become one.
    pub fn push_broken(&self, reason: String) {
        let mut inner = self.lock();
        let dropped = std::mem::take(&mut inner.dropped);
        if dropped == 0 && matches!(inner.items.back(), Some(Item::Broken { .. })) {
            return;
        }
        self.put(inner, Item::Broken { reason, dropped });
    }

    fn put(&self, mut inner: std::sync::MutexGuard<'_, Inner>, item: Item) {
        inner.items.push_back(item);
        let first = inner.items.len() == 1;
        drop(inner);
        if first {
            self.filled.notify_one();
        }
    }

    /// No more will come; what is there can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Moves up to `max` items to the end of `into`. False when closed and empty.
    pub async fn take(&self, max: usize, into: &mut Vec<Item>) -> bool {
        loop {
            {
                let mut inner = self.lock();
                if !inner.items.is_empty() {
                    let n = inner.items.len().min(max.max(1));
                    into.extend(inner.items.drain(..n));
                    for item in &into[into.len() - n..] {
                        if let Item::Frame { text, .. } = item {
                            inner.bytes -= text.len();
                        }
                    }
                    return true;
                }
                if inner.closed {
                    return false;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Takes the number of frames dropped since the last item, once the queue has been emptied.
    pub fn take_dropped(&self) -> u64 {
        let mut inner = self.lock();
        if inner.items.is_empty() {
            std::mem::take(&mut inner.dropped)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn drain(queue: &Queue) -> Vec<Item> {
        let mut items = Vec::new();
        queue.close();
        while queue.take(3, &mut items).await {}
        items
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_on_the_next_item() {
        let queue = Queue::new(4, 10);
        let pushed: Vec<bool> = ["aaaa", "bbbb", "cccc", "dd", "e"]
            .into_iter()
            .map(|text| queue.push_frame(text.into()))
            .collect();
        assert_eq!(pushed, [true, true, false, true, false]);
        let mut items = Vec::new();
        assert!(queue.take(100, &mut items).await);
        assert!(matches!(items[2], Item::Frame { dropped: 1, .. }));
        assert!(queue.push_frame("f".into()));
        assert!(matches!(
            drain(&queue).await[..],
            [Item::Frame { dropped: 1, .. }]
        ));
    }

    #[tokio::test]
    async fn a_break_always_fits_and_two_are_one() {
        let queue = Queue::new(1, 10);
        assert!(queue.push_frame("a".into()));
        assert!(!queue.push_bad(Bad::Binary));
        queue.push_broken("reset".to_owned());
        queue.push_broken("refused".to_owned());
        let items = drain(&queue).await;
        assert!(
            matches!(&items[..], [Item::Frame { .. }, Item::Broken { reason, dropped: 1 }] if reason == "reset")
        );
    }

    #[tokio::test]
    async fn drops_that_nothing_followed_can_be_asked_for() {
        let queue = Queue::new(1, 10);
        assert!(queue.push_frame("a".into()) && !queue.push_frame("b".into()));
        assert_eq!(queue.take_dropped(), 0, "they come after what is still queued");
        let mut items = Vec::new();
        assert!(queue.take(9, &mut items).await);
        assert_eq!((queue.take_dropped(), queue.take_dropped()), (1, 0));
    }
}
