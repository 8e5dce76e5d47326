//! Many clients that ask again and again, as they do when a large name comes back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::daemon::pause;
use crate::net::Side;
use crate::wire;
use crate::world::World;
use crate::zones::{NAME, server_v4};

/// Questions in a burst, to each server; a burst every 5 ms is more than a test machine needs for a full queue.
const BURST: usize = 10;

pub struct Storm {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    pub fn begin(world: &World, servers: &[u8]) -> Storm {
        let socket = world.net.socket(Side::Net, IpAddr::from([0, 0, 0, 0]), 0);
        socket.set_nonblocking(true).expect("a socket that does not wait");
        let parse = |n: &u8| SocketAddr::new(server_v4(*n).parse().expect("an address"), 53);
        let servers: Vec<SocketAddr> = servers.iter().map(parse).collect();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        let thread = std::thread::spawn(move || {
            let query = wire::query(NAME, wire::A, false);
            while !stopped.load(Ordering::Relaxed) {
                for server in servers.iter().flat_map(|server| [server; BURST]) {
                    count.fetch_add(
                        u64::from(socket.send_to(&query, server).is_ok()),
                        Ordering::Relaxed,
                    );
                }
                pause(Duration::from_millis(5));
            }
        });
        Storm {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// How many questions it was.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the storm");
        }
        self.sent.load(Ordering::Relaxed)
    }
}
