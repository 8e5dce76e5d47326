//! The route table under load; one JSON object per line.
//!
//!     cargo run --release -p netfault-tests --example table_bench -- gz FILE
//!     cargo run --release -p netfault-tests --example table_bench -- full | watch
//!
//! * `gz`: a gz of updates: inflating alone; inflating in one thread while another decodes and keeps state per
//!   (peer, prefix); and bgpkit-parser's elements into a `HashMap`
//! * `full`: 1.2 M prefixes × 300 full-feed peers through the engine, then churn; `watch`: the same input with
//!   a watch list of 10,000 prefixes. Only the engine is on the clock, not the making of the input.

use std::collections::HashMap;
use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use bgpkit_parser::BgpkitParser;
use netfault_engine::table::{Interest, Table};
use netfault_engine::{Engine, Settings, dns::DnsSettings};
use netfault_model::{
    Announcement, Arrival, Asn, Collector, Input, Nlri, Peer, Prefix, RibRoute, Time, Update, Watch,
};
use netfault_sources::bgp;
use netfault_sources::mrt::Progress;
use netfault_sources::mrt::bgp4mp::{Envelope, FarEnd, envelope};
use netfault_sources::mrt::frame::{Frame, frame};
use netfault_sources::mrt::inflate::{Inflater, PIECE};
use serde_json::json;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["gz", file] => gz(Path::new(file)),
        ["full"] => generated(
            "full",
            Watch {
                all: true,
                ..Watch::default()
            },
        ),
        ["watch"] => {
            let prefixes = (0..10_000).map(|n| prefix(n * 120)).collect();
            generated(
                "watch",
                Watch {
                    prefixes,
                    ..Watch::default()
                },
            );
        }
        _ => {
            eprintln!("usage: table_bench gz FILE | full | watch");
            std::process::exit(64);
        }
    }
}

/// Best of some runs, in seconds: the machine is shared.
fn best(runs: usize, mut what: impl FnMut() -> usize) -> (f64, usize) {
    let timed = (0..runs).map(|_| {
        let started = Instant::now();
        let result = what();
        (started.elapsed().as_secs_f64(), result)
    });
    timed
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .expect("at least one run")
}

fn gz(path: &Path) {
    let (inflate, bytes) = best(3, || {
        inflate(path, |piece| {
            std::hint::black_box(piece);
        })
    });
    let (ours, routes) = best(3, || gz_to_table(path));
    let (theirs, known) = best(1, || gz_to_map(path));
    println!(
        "{}",
        json!({ "bench": "gz", "bytes": bytes, "inflate_s": inflate, "ours_s": ours, "bgpkit_s": theirs,
            "ratio_inflate": ours / inflate, "ratio_bgpkit": theirs / ours, "routes": routes, "bgpkit_routes": known })
    );
}

fn inflate(path: &Path, mut each: impl FnMut(&mut Vec<u8>)) -> usize {
    let mut inflater = Inflater::open(path, &Progress::default()).expect("a gz file");
    let (mut piece, mut bytes) = (Vec::new(), 0);
    loop {
        inflater.fill(&mut piece).expect("a whole gz file");
        let ended = piece.len() < PIECE;
        bytes += piece.len();
        each(&mut piece);
        if ended {
            return bytes;
        }
    }
}

/// Inflates in one thread, decodes and keeps state in another. Returns how many routes are held at the end.
fn gz_to_table(path: &Path) -> usize {
    let (to_walker, pieces) = mpsc::sync_channel::<Vec<u8>>(4);
    let (to_inflater, spare) = mpsc::sync_channel::<Vec<u8>>(8);
    std::thread::scope(|scope| {
        let walker = scope.spawn(move || {
            let (mut state, mut carry) = (State::default(), Vec::new());
            for piece in pieces {
                // Only the record that the last piece cut is copied.
                let rest = state.join(&mut carry, &piece);
                let used = state.walk(&piece[rest..]);
                carry.extend_from_slice(&piece[rest + used..]);
                let _ = to_inflater.try_send(piece);
            }
            state.routes
        });
        inflate(path, |piece| {
            let full = std::mem::replace(piece, spare.try_recv().unwrap_or_default());
            to_walker.send(full).expect("the walker lives");
        });
        drop(to_walker);
        walker.join().expect("the walker does not panic")
    })
}

#[derive(Default)]
struct State {
    table: Table,
    slots: HashMap<(IpAddr, Asn), u16>,
    newest: Option<((IpAddr, Asn), u16)>,
    routes: usize,
}

impl State {
    /// Completes the record in `carry` with the head of `piece`; returns how much of the piece that took.
    fn join(&mut self, carry: &mut Vec<u8>, piece: &[u8]) -> usize {
        if carry.is_empty() {
            return 0;
        }
        let before = carry.len();
        let mut taken = 0;
        loop {
            let more = (taken + 4096).min(piece.len());
            carry.extend_from_slice(&piece[taken..more]);
            taken = more;
            if let Frame::Record(record) = frame(carry) {
                let size = record.size;
                self.walk(&carry[..size]);
                carry.clear();
                return size - before;
            }
            if taken == piece.len() {
                return taken;
            }
        }
    }

    fn walk(&mut self, data: &[u8]) -> usize {
        let mut at = 0;
        while let Frame::Record(record) = frame(&data[at..]) {
            at += record.size;
            let Ok(Envelope::Update { from, encoding, body }) = envelope(&record) else {
                continue;
            };
            let Ok(update) = bgp::Update::parse(body, encoding) else {
                continue;
            };
            self.apply(from, &update);
        }
        at
    }

    fn apply(&mut self, from: FarEnd, update: &bgp::Update<'_>) {
        let slot = self.slot((from.addr, from.asn));
        let (table, routes) = (&mut self.table, &mut self.routes);
        let _ = update.withdrawn().each(|nlri| {
            if let Some(row) = table.find(nlri.prefix) {
                *routes -= usize::from(table.lose(row, slot, 0));
            }
        });
        let origin = update.path().and_then(|path| path.origin().ok()).flatten();
        let _ = update.announced().each(|nlri| {
            let row = table
                .find(nlri.prefix)
                .or_else(|| table.add(nlri.prefix, Interest::Evidence));
            let Some(row) = row else { return };
            *routes += usize::from(table.gain(row, slot, 0));
            table.note_origin(row, slot, origin);
        });
    }

    fn slot(&mut self, peer: (IpAddr, Asn)) -> u16 {
        if let Some((known, slot)) = self.newest
            && known == peer
        {
            return slot;
        }
        let next = self.slots.len() as u16;
        let slot = *self.slots.entry(peer).or_insert(next);
        self.table.widen(self.slots.len());
        self.newest = Some((peer, slot));
        slot
    }
}

fn gz_to_map(path: &Path) -> usize {
    let file = std::fs::File::open(path).expect("the file is there");
    let reader = BufReader::with_capacity(1 << 20, flate2::read::MultiGzDecoder::new(file));
    let mut routes: HashMap<(IpAddr, ipnet::IpNet), Option<u32>> = HashMap::new();
    for element in BgpkitParser::from_reader(reader) {
        let key = (element.peer_ip, element.prefix.prefix);
        if element.is_announcement() {
            let origin = element.origin_asns.as_deref().and_then(|origins| origins.first());
            routes.insert(key, origin.map(|origin| origin.to_u32()));
        } else {
            routes.remove(&key);
        }
    }
    routes.len()
}

/// `PREFIXES` in the environment makes it smaller, for profiling.
static PREFIXES: LazyLock<u32> = LazyLock::new(|| {
    let given = std::env::var("PREFIXES").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(1_200_000)
});
const PEERS: u32 = 300;
/// Prefixes in one message; the real mean is about four.
const PER_MESSAGE: u32 = 4;

/// Distinct /24s from 1.0.0.0 on.
fn prefix(n: u32) -> Prefix {
    Prefix::v4(Ipv4Addr::from(0x0100_0000 + (n << 8)), 24).expect("24 fits")
}

fn peer(n: u32) -> Peer {
    let name = ["rrc00", "rrc01", "rrc03", "rrc04", "rrc05", "rrc06", "rrc10"][n as usize % 7];
    Peer {
        collector: Collector::new(name),
        addr: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)),
        asn: Asn(100_000 + n),
    }
}

fn announcement(origin: u32, peer: u32) -> Announcement {
    let origin = Asn(200_000 + origin / 16);
    Announcement {
        origin: Some(origin),
        path: [Asn(100_000 + peer), Asn(3356), Asn(1299), origin].into(),
    }
}

/// Engine time and inputs, apart from the making of the inputs.
struct Load {
    engine: Engine,
    busy: Duration,
    inputs: Vec<Input>,
    out: Vec<netfault_model::Output>,
    outputs: usize,
}

impl Load {
    fn add(&mut self, input: Input) {
        self.inputs.push(input);
        if self.inputs.len() == 10_000 {
            self.run();
        }
    }

    fn run(&mut self) {
        let started = on_core();
        for input in self.inputs.drain(..) {
            self.engine.push(input, &mut self.out);
        }
        self.busy += on_core() - started;
        self.outputs += self.out.len();
        self.out.clear();
    }
}

fn generated(name: &str, watch: Watch) {
    let mut load = Load {
        engine: Engine::new(Settings::default(), DnsSettings::default(), watch),
        busy: Duration::ZERO,
        inputs: Vec::new(),
        out: Vec::new(),
        outputs: 0,
    };
    let start = Time::from_secs(1_600_000_000);
    seed(&mut load, start);
    load.run();
    let (seed_s, seeded) = (load.busy.as_secs_f64(), u64::from(*PREFIXES) * u64::from(PEERS));
    let rss_seeded = memory("VmRSS");
    load.busy = Duration::ZERO;
    let changed = churn(&mut load, start);
    load.run();
    let churn_s = load.busy.as_secs_f64();
    let (rows, sessions) = load.engine.size();
    println!(
        "{}",
        json!({ "bench": name, "prefixes": rows, "sessions": sessions, "seeded": seeded, "seed_s": seed_s,
            "seed_per_s": seeded as f64 / seed_s, "churned": changed, "churn_s": churn_s,
            "churn_per_s": changed as f64 / churn_s, "rss_seeded_mb": rss_seeded, "peak_mb": memory("VmHWM"),
            "outputs": load.outputs })
    );
}

/// A table dump of every peer. One route in a hundred is younger than an hour, on a tenth of the prefixes.
fn seed(load: &mut Load, at: Time) {
    for n in 0..*PREFIXES {
        for p in 0..PEERS {
            let young = n % 10 == 0 && fastrand::u32(..10) == 0;
            let age = if young { fastrand::i64(1..3600) } else { 90_000 };
            load.add(Input::Rib(RibRoute {
                at,
                peer: peer(p),
                nlri: Nlri {
                    prefix: prefix(n),
                    path_id: 0,
                },
                originated: at.plus_micros(-age * 1_000_000),
                announcement: announcement(n, p),
            }));
        }
    }
}

/// Ten minutes of updates: 70 % new paths, 15 % withdrawals, 15 % returns. Returns how many routes were said.
fn churn(load: &mut Load, start: Time) -> u64 {
    const MESSAGES: u32 = 5_000_000;
    let mut gone: Vec<(u32, u32)> = Vec::new();
    for message in 0..MESSAGES {
        let at = start.plus_micros(1_000_000 + i64::from(message) * 120);
        let kind = fastrand::u32(..100);
        let (n, p) = match kind {
            85.. if !gone.is_empty() => gone.swap_remove(fastrand::usize(..gone.len())),
            _ => (
                fastrand::u32(..*PREFIXES / PER_MESSAGE) * PER_MESSAGE,
                fastrand::u32(..PEERS),
            ),
        };
        let withdraw = (70..85).contains(&kind);
        if withdraw {
            gone.push((n, p));
        }
        load.add(Input::Update(Update {
            at,
            peer: peer(p),
            arrival: Arrival::InTime,
            nlri: (n..n + PER_MESSAGE)
                .map(|n| Nlri {
                    prefix: prefix(n),
                    path_id: 0,
                })
                .collect(),
            announced_from: if withdraw { PER_MESSAGE } else { 0 },
            announcement: (!withdraw).then(|| announcement(n, p)),
        }));
    }
    u64::from(MESSAGES) * u64::from(PER_MESSAGE)
}

/// How long this thread has run on a core: the machine is shared, and the figure is "on one core".
fn on_core() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// A line of /proc/self/status, in MB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what));
    let kb = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kb| kb.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024 / 1_000_000
}
