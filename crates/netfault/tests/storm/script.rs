//! What happens in the storm: origins of one prefix each go, one after the other, and come back; then some of them again.
//! The script stands still while nobody listens, and lasts as long as the kills.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::IpNet;
use netfault_sources::ris_live::server::record::Record;

use crate::common::pause;
use crate::feed::{self, Feed};

pub const ORIGINS: usize = 1_000;
/// As many again, of every fourth origin.
pub const AGAIN: usize = ORIGINS / 4;
const PEERS: u8 = 12;
const HALF: u8 = PEERS / 2;
/// Half of the peers lose every third origin so many steps before the others do.
const BY_HALVES: usize = 40;
/// An origin is away for so many steps.
const LASTS: usize = 120;
pub const STEPS: usize = ORIGINS + AGAIN + LASTS;
const STEP: Duration = Duration::from_millis(30);
/// What the last run was sent in its last moments it may not have kept: so much is said again to the next.
const SAID_AGAIN: usize = 100;
/// For the baseline (`held_for_s: 2` in the configuration), and the second by which engine time is behind.
const LEARNING: Duration = Duration::from_secs(5);

pub struct Storm {
    step: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    pub fn start(feed: Feed) -> Storm {
        let (step, allowed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
        let stop = Arc::new(AtomicBool::new(false));
        let player = Player {
            feed,
            heard_by: None,
            step: Arc::clone(&step),
            allowed: Arc::clone(&allowed),
            stop: Arc::clone(&stop),
        };
        let thread = Some(std::thread::spawn(move || player.play()));
        Storm {
            step,
            allowed,
            stop,
            thread,
        }
    }

    /// As much of it may happen, from 0 to 1.
    pub fn go_on_to(&self, share: f64) {
        self.allowed.store((STEPS as f64 * share) as usize, Relaxed);
    }

    /// After [`STEPS`] everything is back, and stays.
    pub fn step(&self) -> usize {
        self.step.load(Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic has failed the test already
        }
    }
}

struct Player {
    feed: Feed,
    heard_by: Option<usize>,
    step: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Player {
    fn play(mut self) {
        self.say(all(), |_| all());
        pause(LEARNING);
        for step in 0..STEPS {
            while step >= self.allowed.load(Relaxed) && !self.stop.load(Relaxed) {
                pause(STEP);
            }
            self.say(happens(step), |player| {
                let now = player.step.load(Relaxed);
                (now.saturating_sub(SAID_AGAIN)..now).flat_map(happens).collect()
            });
            self.step.store(step + 1, Relaxed);
            pause(STEP);
        }
        // Whatever was lost: in the end everything is there.
        self.heard_by = None;
        while !self.stop.load(Relaxed) {
            self.say(route(0), |_| all());
            pause(STEP * 10);
        }
    }

    /// Waits for somebody who listens, tells a new one what went before, and then this.
    fn say(&mut self, records: Vec<Record>, before: impl Fn(&Player) -> Vec<Record>) {
        while !self.stop.load(Relaxed) {
            let session = self.feed.session();
            if session.is_none() {
                pause(Duration::from_millis(5));
                continue;
            }
            let again = if session == self.heard_by {
                Vec::new()
            } else {
                before(self)
            };
            if self
                .feed
                .send(again.into_iter().chain(records.iter().cloned()))
                .is_some()
            {
                self.heard_by = session;
                return;
            }
        }
    }
}

fn prefix(origin: usize) -> IpNet {
    let text = format!("10.{}.{}.0/24", origin / 250, origin % 250);
    text.parse().expect("a prefix")
}

/// Every peer is a neighbour of every origin: without a common transit AS each is an incident of its own.
fn route(origin: usize) -> Vec<Record> {
    let path = [60_000 + u32::try_from(origin).expect("an AS")];
    let announced = |peer| feed::announce(peer, &path, &[prefix(origin)]);
    (1..=PEERS).map(announced).collect()
}

fn all() -> Vec<Record> {
    (0..ORIGINS).flat_map(route).collect()
}

fn origin_of(step: usize) -> Option<usize> {
    match step {
        0..ORIGINS => Some(step),
        _ if step < ORIGINS + AGAIN => Some((step - ORIGINS) * 4),
        _ => None,
    }
}

fn happens(step: usize) -> Vec<Record> {
    let before = |steps| step.checked_sub(steps).and_then(origin_of);
    let mut records = Vec::new();
    match before(0) {
        Some(origin) if goes_by_halves(origin) => records.extend(goes(origin, 1..=HALF)),
        Some(origin) => records.extend(goes(origin, 1..=PEERS)),
        None => {}
    }
    if let Some(origin) = before(BY_HALVES).filter(|&origin| goes_by_halves(origin)) {
        records.extend(goes(origin, HALF + 1..=PEERS));
    }
    records.extend(before(LASTS).into_iter().flat_map(route));
    records
}

fn goes(origin: usize, peers: RangeInclusive<u8>) -> impl Iterator<Item = Record> {
    peers.map(move |peer| feed::withdraw(peer, &[prefix(origin)]))
}

fn goes_by_halves(origin: usize) -> bool {
    origin.is_multiple_of(3)
}
