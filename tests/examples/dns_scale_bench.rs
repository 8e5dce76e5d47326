//! The DNS schedule at scale: 10,000 names with eight servers each at rounds of 60 s, all servers well, then all of them silent; one
//! JSON object.
//!
//!     cargo run --release -p netfault-tests --example dns_scale_bench [-- NAMES INTERVAL_S]
//!
//! The servers are 4,000 loopback addresses, so that the limit of one question a second to each holds; a name has eight of them at
//! random. They are a process of their own (this program again), whose CPU time is not ours, and which counts the packets of every
//! second as they arrive: the jitter is the largest number over the mean. One interval to warm up, two that count, and the same
//! again with silent servers: five minutes at 60 s.

#[path = "../../crates/sources/tests/dns_lab/mod.rs"]
mod dns_lab;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use netfault_model::{Input, Outcome, Time};
use netfault_sources::dns::schedule::{Clock, NamePlan, Plan, run};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

const ADDRESSES: u32 = 4000;
const SERVERS_OF_A_NAME: usize = 8;
/// Seconds that the responder can count.
const SECONDS: usize = 7200;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default: u64| args.get(n).and_then(|text| text.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    if args.first().is_some_and(|arg| arg == "serve") {
        runtime.block_on(serve(u16::try_from(number(1, 0)).expect("a port")));
        return ExitCode::SUCCESS;
    }
    runtime.block_on(bench(number(0, 10_000), number(1, 60)));
    ExitCode::SUCCESS
}

fn address(n: u32, port: u16) -> SocketAddr {
    (Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 77, 0, 1)) + n), port).into()
}

/// The servers. A line on standard input: `silent` silences them, anything else is answered with the packets of every second so far.
async fn serve(port: u16) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel knows");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a file for every address");
    let begun = Instant::now();
    let silent = Arc::new(AtomicBool::new(false));
    let seconds: Arc<Vec<AtomicU32>> = Arc::new((0..SECONDS).map(|_| AtomicU32::new(0)).collect());
    for n in 0..ADDRESSES {
        let socket = UdpSocket::bind(address(n, port)).await.expect("a free address");
        tokio::spawn(answer(socket, begun, silent.clone(), seconds.clone()));
    }
    println!("ready");
    let asked = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            silent.store(line == "silent", Relaxed);
            let now = begun.elapsed().as_secs() as usize;
            let counts: Vec<u32> = seconds
                .iter()
                .take(now)
                .map(|count| count.load(Relaxed))
                .collect();
            println!("{}", json!(counts));
        }
    });
    asked.await.expect("not cancelled");
}

async fn answer(socket: UdpSocket, begun: Instant, silent: Arc<AtomicBool>, seconds: Arc<Vec<AtomicU32>>) {
    let mut soa = vec![0xc0, 12, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0];
    soa.extend([0u8; 20]);
    let mut buffer = [0u8; 1500];
    while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
        if let Some(count) = seconds.get(begun.elapsed().as_secs() as usize) {
            count.fetch_add(1, Relaxed);
        }
        if !silent.load(Relaxed) {
            let answer = dns_lab::response(&buffer[..len], dns_lab::AA, 0, &[&soa], &[]);
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// The responder as a child.
struct Servers {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Servers {
    fn start(port: u16) -> Servers {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["serve", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut servers = Servers { child, lines };
        assert_eq!(servers.line().trim(), "ready");
        servers
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the responder lives");
        line
    }

    /// Packets of every second since its start.
    fn counts(&mut self, word: &str) -> Vec<u32> {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{word}").expect("the responder lives");
        serde_json::from_str(&self.line()).expect("a list of numbers")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(names: u64, interval: Duration, port: u16) -> Plan {
    let mut random = fastrand::Rng::with_seed(4);
    let name = |n| {
        let mut authorities = BTreeSet::new();
        while authorities.len() < SERVERS_OF_A_NAME {
            authorities.insert(address(random.u32(..ADDRESSES), port));
        }
        NamePlan {
            name: dns_lab::name(&format!("www.n{n}.example")),
            authorities,
            resolvers: Vec::new(),
            expect: None,
            validate: false,
            private_ok: false,
        }
    };
    Plan {
        interval,
        // The ten-minute look at the delegation is not in these few minutes.
        refresh: Duration::from_secs(86_400),
        ..Plan::new("bench", (0..names).map(name).collect())
    }
}

/// What came out of the schedule in one window.
#[derive(Default)]
struct Heard {
    outcomes: BTreeMap<Outcome, u64>,
    lost: u64,
    why: BTreeSet<String>,
}

impl Heard {
    fn take(&mut self, input: Input) {
        match input {
            Input::Probe(probe) => *self.outcomes.entry(probe.outcome).or_default() += 1,
            Input::Gap(gap) => {
                self.lost += gap.lost.unwrap_or(1);
                self.why.insert(gap.reason.into_owned());
            }
            _ => {}
        }
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }
}

async fn listen(inputs: &mut mpsc::Receiver<Vec<Input>>, span: Duration) -> Heard {
    let mut heard = Heard::default();
    let over = tokio::time::sleep(span);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = &mut over => return heard,
            batch = inputs.recv() => batch.expect("the schedule runs").into_iter().for_each(|input| heard.take(input)),
        }
    }
}

async fn bench(names: u64, interval_s: u64) {
    let interval = Duration::from_secs(interval_s);
    let port = dns_lab::free_port().port();
    let mut servers = Servers::start(port);
    let (out, mut inputs) = mpsc::channel(64);
    let (stop, shutdown) = watch::channel(false);
    let clock: Clock = Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Time::from_micros(since.as_micros() as i64)
    });
    let schedule = tokio::spawn(run(plan(names, interval, port), out, shutdown, clock));
    // The first round, and the first look at every delegation, are no steady state.
    let first = listen(&mut inputs, interval).await;
    let healthy = window(&mut servers, &mut inputs, interval, "go on").await;
    servers.counts("silent");
    listen(&mut inputs, interval / 2).await;
    let silent = window(&mut servers, &mut inputs, interval, "silent").await;
    stop.send_replace(true);
    let counters = schedule.await.expect("the schedule ends");
    let expected = names as f64 * SERVERS_OF_A_NAME as f64 / interval_s as f64;
    println!(
        "{}",
        json!({ "bench": "dns_scale", "names": names, "servers": SERVERS_OF_A_NAME, "interval_s": interval_s,
            "expected_per_s": expected, "warm_up_lost": first.lost, "healthy": healthy, "silent": silent,
            "skipped": counters.skipped, "stood_still": counters.stood_still, "peak_mb": peak_mb() })
    );
}

/// Two intervals that count.
async fn window(
    servers: &mut Servers,
    inputs: &mut mpsc::Receiver<Vec<Input>>,
    interval: Duration,
    word: &str,
) -> Value {
    let from = servers.counts(word).len();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let heard = listen(inputs, interval * 2).await;
    let cores = (cpu_seconds() - cpu) / begun.elapsed().as_secs_f64();
    let seconds = begun.elapsed().as_secs_f64();
    let counts = servers.counts(word);
    let counts = &counts[(from + 1).min(counts.len())..];
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len().max(1) as f64;
    let most = f64::from(counts.iter().copied().max().unwrap_or(0));
    let ended = heard.outcomes.values().sum::<u64>() as f64;
    json!({ "cores": cores, "probes_per_s": ended / seconds, "packets_per_s": mean, "jitter": most / mean, "lost": heard.lost,
        "why": heard.why, "ok": heard.of(Outcome::Ok), "timeouts": heard.of(Outcome::Timeout), "peak_mb": peak_mb() })
}

/// User and system time of this process together.
fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel knows");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}

/// Peak of this process so far, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or(0.0) * 1024.0 / 1e6
}
