//! How soon alerts are there through the whole service, how many they are, and what waits for a dead receiver; one JSON
//! object, in about a minute and a half.
//!
//!     cargo run --release -p netfault-tests --example alert_bench [-- target/release/netfault]
//!
//! Latencies are from the input that decides to the request that a receiver on loopback has taken, in milliseconds: the last
//! withdrawal as it is written to the RIS Live socket, plus the hold if there is one; the answer of the name server as it is
//! sent, or, where none comes, the moment at which the question was given up. The runs go on beside each other, since each
//! of them mostly waits.

#[path = "../../../crates/netfault/tests/common/feed.rs"]
mod feed;
mod names;
#[path = "../../../crates/netfault/tests/storm/receiver.rs"]
mod receiver;
mod routes;
mod service;

use std::path::PathBuf;

use serde_json::{Value, json};

fn main() {
    let program = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/release/netfault".to_owned());
    let program = PathBuf::from(program)
        .canonicalize()
        .expect("the program is built");
    let beside = |name: &'static str, run: fn(&std::path::Path) -> Value| {
        let program = program.clone();
        (name, std::thread::spawn(move || run(&program)))
    };
    let runs = [
        beside("busy_feed", routes::busy),
        beside("quiet_feed", routes::quiet),
        beside("hold", routes::held),
        beside("names", names::alone),
        beside("names_beside_feed", names::beside_a_feed),
    ];
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut all = json!({ "load": load.split(' ').next() });
    for (name, run) in runs {
        all[name] = run.join().expect("the run did not panic");
    }
    all["many"] = routes::many(&program);
    println!("{all}");
}
