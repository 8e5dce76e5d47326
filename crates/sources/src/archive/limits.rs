//! How long anything may take, and how much may come.

use std::time::Duration;

/// Limits of one archive. The defaults suit the public archives; tests make them short.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    /// Between two pieces of an answer, and until its head.
    pub read: Duration,
    /// Of one file in one try. A table dump of 300 MB needs 170 kB/s.
    pub overall: Duration,
    /// Bytes of one file. The largest table dumps today are below 500 MB.
    pub max_file: u64,
    /// Bytes of a listing. A month of RIS is 9,000 lines, 2.5 MB.
    pub max_listing: usize,
    pub redirects: usize,
    /// How often a file is asked for before it is given up.
    pub tries: u32,
    /// Before the second try; doubled each time, up to a minute, a random half of it left out.
    pub backoff: Duration,
    /// Files fetched ahead of the reader, for each collector.
    pub ahead: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            overall: Duration::from_secs(1800),
            max_file: 4 << 30,
            max_listing: 16 << 20,
            redirects: 5,
            tries: 5,
            backoff: Duration::from_secs(1),
            ahead: 3,
        }
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Limits {
    /// The wait after the `done`th try (1 is the first).
    pub(super) fn wait(&self, done: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << done.saturating_sub(1).min(16));
        doubled.min(LONGEST_WAIT).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}
