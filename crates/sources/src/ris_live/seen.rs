//! Which messages have been seen before. Overlapping subscriptions deliver the same message twice.

use std::hash::{DefaultHasher, Hash, Hasher};

use rustc_hash::FxHashSet;

/// The last messages, at least `window` and at most twice as many: two sets, the older is thrown away
/// when the newer is full. Keys are 64-bit hashes: at this size two messages in 10⁸ years collide.
#[derive(Debug)]
pub struct Seen {
    window: usize,
    newer: FxHashSet<u64>,
    older: FxHashSet<u64>,
}

impl Seen {
    pub fn new(window: usize) -> Self {
        Seen {
            window: window.max(1),
            newer: FxHashSet::default(),
            older: FxHashSet::default(),
        }
    }

    /// True the first time.
    pub fn is_new(&mut self, key: u64) -> bool {
        if self.older.contains(&key) || !self.newer.insert(key) {
            return false;
        }
        if self.newer.len() >= self.window {
            self.older = std::mem::take(&mut self.newer);
            self.newer.reserve(self.window);
        }
        true
    }
}

/// The key of a message: its `id`, which the service makes unique but does not document, or without one
/// the whole text of the frame.
pub fn key(id: Option<&str>, frame: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match id {
        Some(id) => (0u8, id).hash(&mut hasher),
        None => (1u8, frame).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_and_never_shorter_than_asked() {
        let mut seen = Seen::new(100);
        for n in 0..1000u64 {
            assert!(seen.is_new(n));
            for recent in n.saturating_sub(99)..=n {
                assert!(!seen.is_new(recent), "{recent} forgotten at {n}");
            }
            assert!(seen.newer.len() + seen.older.len() <= 200);
        }
        assert!(seen.is_new(1), "old ones are forgotten");
    }

    #[test]
    fn an_id_is_the_key_else_the_text() {
        assert_eq!(key(Some("a"), "x"), key(Some("a"), "y"));
        assert_ne!(key(None, "x"), key(None, "y"));
        assert_ne!(key(Some("x"), "x"), key(None, "x"));
    }
}
