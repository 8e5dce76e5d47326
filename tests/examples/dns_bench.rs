//! The DNS probe engine under load, against NSD on loopback, and dnsperf in turns with it; one JSON object.
//!
//!     cargo run --release -p netfault-tests --example dns_bench
//!
//! Our side goes from question to classified outcome with answers in text: by `UdpEngine::submit` for the rate, by `probe::ask` for
//! latency. CPU time is that of the whole process, dnsperf's that of its process, both as the kernel counts it. The questions (EDNS and NSID
//! among them), how many are in flight, and the timeout are the same. dnsperf takes its turn twice, with one socket, as it does of itself, and with as many as
//! we have; what is better for it counts. About 35 s.

#[path = "../../crates/sources/tests/dns_lab/mod.rs"]
mod dns_lab;

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_proto::rr::RecordType;
use netfault_model::Outcome;
use netfault_sources::dns::probe::{Ended, Question, Reply, ask};
use netfault_sources::dns::udp::{OnEnd, UdpEngine};
use netfault_sources::dns::wire::{Flags, query};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use tokio::sync::Notify;

/// In flight; seconds of each turn.
const LOADS: [(usize, f64); 3] = [(100, 0.4), (1000, 0.4), (10_000, 1.0)];
/// Turns of ours and of dnsperf, one after the other. Medians are compared, and bests: the machine may be shared.
const TURNS: usize = 5;
/// Sockets of dnsperf.
const THEIRS: [u32; 2] = [1, 8];
const STEADY_PER_SECOND: u32 = 20_000;
const STEADY_SECONDS: u32 = 3;

/// What is asked: each kind of answer that an authority has for us every day.
const QUESTIONS: [(&str, RecordType, Outcome); 4] = [
    ("example.com", RecordType::SOA, Outcome::Ok),
    ("www.example.com", RecordType::A, Outcome::Ok),
    ("www.example.com", RecordType::SOA, Outcome::Nodata),
    ("gone.example.com", RecordType::A, Outcome::Nxdomain),
];

fn main() -> ExitCode {
    if !dns_lab::has(&["nsd", "dnsperf"], "dns_bench") {
        return ExitCode::from(69);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(bench());
    ExitCode::SUCCESS
}

async fn bench() {
    let server = dns_lab::nsd(dns_lab::free_port(), &dns_lab::zone("")).await;
    let steady = steady(server.addr).await;
    let mut loads = Vec::new();
    for (in_flight, seconds) in LOADS {
        let (mut ours, mut theirs) = (Vec::new(), THEIRS.map(|_| Vec::new()));
        for _ in 0..TURNS {
            ours.push(closed_loop(server.addr, in_flight, Duration::from_secs_f64(seconds)).await);
            for (sockets, theirs) in THEIRS.into_iter().zip(&mut theirs) {
                theirs.push(dnsperf(server.addr, in_flight, seconds, sockets).await);
            }
        }
        let best = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let most = |figure: fn(&[f64]) -> f64| theirs.each_ref().map(|theirs| figure(theirs));
        let (their_best, their_median) = (
            best(&most(|of| of.iter().copied().fold(0.0, f64::max))),
            best(&most(median)),
        );
        loads.push(json!({ "in_flight": in_flight, "ours_per_cpu_s": median(&ours), "dnsperf_per_cpu_s": their_median,
            "ratio": median(&ours) / their_median, "best_ratio": best(&ours) / their_best, "peak_mb": peak_mb() }));
    }
    let counters = UdpEngine::shared().expect("the engine runs").counters();
    println!(
        "{}",
        json!({ "bench": "dns", "loads": loads, "steady": steady, "counters": format!("{counters:?}") })
    );
}

fn questions(server: SocketAddr) -> Vec<Question> {
    QUESTIONS
        .iter()
        .map(|(text, qtype, _)| Question::to_authority(server, dns_lab::name(text), *qtype))
        .collect()
}

/// Keeps `in_flight` questions in flight for a while. Returns right answers per CPU second.
async fn closed_loop(server: SocketAddr, in_flight: usize, span: Duration) -> f64 {
    let engine = UdpEngine::shared().expect("the engine starts");
    let load = Arc::new(Load {
        questions: questions(server).into_iter().map(Arc::new).collect(),
        stop: AtomicBool::new(false),
        asked: AtomicU64::new(0),
        right: AtomicU64::new(0),
        wrong: AtomicU64::new(0),
        pending: AtomicU64::new(in_flight as u64),
        over: Notify::new(),
        next: OnceLock::new(),
    });
    let cpu = cpu_seconds(UsageWho::RUSAGE_SELF);
    let weak = Arc::downgrade(&load);
    let next: OnEnd = Arc::new(move |tag, ended| {
        if let Some(load) = weak.upgrade() {
            load.ended(engine, tag, &ended);
        }
    });
    assert!(load.next.set(next).is_ok());
    (0..in_flight).for_each(|_| load.ask(engine));
    tokio::time::sleep(span).await;
    load.stop.store(true, Relaxed);
    load.over.notified().await;
    let cpu = cpu_seconds(UsageWho::RUSAGE_SELF) - cpu;
    let wrong = load.wrong.load(Relaxed);
    if wrong > 0 {
        eprintln!("in flight {in_flight}: {wrong} wrong");
    }
    load.right.load(Relaxed) as f64 / cpu
}

/// One closed loop: each answer is followed by the next question, until the time is over.
struct Load {
    questions: Vec<Arc<Question>>,
    stop: AtomicBool,
    asked: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    pending: AtomicU64,
    over: Notify,
    next: OnceLock<OnEnd>,
}

impl Load {
    fn ask(&self, engine: &UdpEngine) {
        let tag = self.asked.fetch_add(1, Relaxed);
        let question = &self.questions[tag as usize % self.questions.len()];
        let next = self.next.get().expect("set before the first question");
        engine.submit(question.clone(), tag, next).expect("room");
    }

    fn ended(&self, engine: &UdpEngine, tag: u64, ended: &Ended) {
        match ended {
            Ended::Done(reply) if is_right(tag as usize, reply) => self.right.fetch_add(1, Relaxed),
            _ => self.wrong.fetch_add(1, Relaxed),
        };
        if !self.stop.load(Relaxed) {
            self.ask(engine);
        } else if self.pending.fetch_sub(1, Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

fn is_right(n: usize, reply: &Reply) -> bool {
    reply.outcome == QUESTIONS[n % QUESTIONS.len()].2
}

/// A steady rate. Returns percentiles of the time from asking to the outcome in hand, and how long the server itself takes meanwhile.
async fn steady(server: SocketAddr) -> serde_json::Value {
    let questions = questions(server);
    let stop = Arc::new(AtomicBool::new(false));
    let bare = std::thread::spawn({
        let stop = stop.clone();
        move || bare_socket(server, &stop)
    });
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut pending = FuturesUnordered::new();
    let (begun, mut asked, mut wrong) = (Instant::now(), 0u32, 0u32);
    let cpu = cpu_seconds(UsageWho::RUSAGE_SELF);
    let (mut whole, mut engine) = (Vec::new(), Vec::new());
    while asked < STEADY_PER_SECOND * STEADY_SECONDS || !pending.is_empty() {
        tokio::select! {
            biased;
            Some((n, from, reply)) = pending.next() => {
                let (n, from, reply): (usize, Instant, Reply) = (n, from, reply);
                whole.push(from.elapsed());
                engine.push(reply.latency);
                wrong += u32::from(!is_right(n, &reply));
            }
            _ = ticks.tick(), if asked < STEADY_PER_SECOND * STEADY_SECONDS => {
                // What is due by now, so that a late tick is made up for; the clock of a question starts when it is due.
                let due = (begun.elapsed().as_secs_f64() * f64::from(STEADY_PER_SECOND)) as u32;
                for n in asked..due.min(STEADY_PER_SECOND * STEADY_SECONDS) {
                    let (n, from) = (n as usize, Instant::now());
                    let question = &questions[n % questions.len()];
                    pending.push(async move { (n, from, ask(question).await) });
                }
                asked = due.min(STEADY_PER_SECOND * STEADY_SECONDS);
            }
        }
    }
    let cpu = cpu_seconds(UsageWho::RUSAGE_SELF) - cpu;
    stop.store(true, Relaxed);
    let mut bare = bare.join().expect("the bare socket has its answers");
    let (p99, bare_p99) = (percentile(&mut whole, 0.99), percentile(&mut bare, 0.99));
    json!({ "per_s": STEADY_PER_SECOND, "wrong": wrong, "p50_ms": percentile(&mut whole, 0.5), "p99_ms": p99,
        "bare_p99_ms": bare_p99, "added_p99_ms": (p99 - bare_p99).max(0.0), "engine_p99_ms": percentile(&mut engine, 0.99), "cores": cpu / begun.elapsed().as_secs_f64() })
}

/// What the server and this machine take without us: a thread that asks one question after the other over a socket of its own.
fn bare_socket(server: SocketAddr, stop: &AtomicBool) -> Vec<Duration> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("connected");
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a timeout");
    let query = query(&dns_lab::name("example.com"), RecordType::SOA, Flags::default()).expect("a query");
    let (mut times, mut buffer) = (Vec::new(), [0; 4096]);
    while !stop.load(Relaxed) {
        let from = Instant::now();
        if socket.send(&query.bytes).is_ok() && socket.recv(&mut buffer).is_ok() {
            times.push(from.elapsed());
        }
        #[allow(clippy::disallowed_methods)] // the pace of a measurement, not a wait for something
        std::thread::sleep(Duration::from_millis(1));
    }
    times
}

/// The same questions by dnsperf. Returns completed ones per CPU second.
async fn dnsperf(server: SocketAddr, in_flight: usize, seconds: f64, sockets: u32) -> f64 {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for (text, qtype, _) in QUESTIONS {
        writeln!(file, "{text} {qtype}").expect("written");
    }
    let cpu = cpu_seconds(UsageWho::RUSAGE_CHILDREN);
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", &server.ip().to_string(), "-p", &server.port().to_string()])
        .args(["-q", &in_flight.to_string(), "-l", &seconds.to_string()])
        // Buffers as large as the system gives; EDNS with NSID (option 3), which dnsperf does not send empty.
        .args([
            "-c",
            &sockets.to_string(),
            "-T",
            "1",
            "-b",
            "4096",
            "-t",
            "2",
            "-e",
            "-E",
            "3:00",
            "-d",
        ])
        .arg(file.path())
        .stderr(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("not cancelled")
        .expect("dnsperf runs");
    let cpu = cpu_seconds(UsageWho::RUSAGE_CHILDREN) - cpu;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |what: &str| {
        let line = text.lines().find(|line| line.contains(what));
        line.and_then(|line| line.split_whitespace().nth(2)?.parse::<f64>().ok())
    };
    let completed = figure("Queries completed:").unwrap_or_else(|| panic!("dnsperf says how many:\n{text}"));
    if figure("Queries lost:").is_some_and(|lost| lost > 0.0) {
        eprintln!(
            "in flight {in_flight}: dnsperf lost {:?}",
            figure("Queries lost:")
        );
    }
    completed / cpu
}

/// User and system time together.
fn cpu_seconds(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("the kernel knows");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn percentile(values: &mut [Duration], share: f64) -> f64 {
    values.sort_unstable();
    let at = (values.len() as f64 * share) as usize;
    values.get(at).map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

/// Peak of this process so far, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or(0.0) * 1024.0 / 1e6
}
