//! One RIS Live connection at a given rate: what does the client cost, and does it lose anything?
//!
//!     cargo run --release -p netfault-sources --example ris_live_bench -- RATE SECONDS [--raw] MRT-FILE…
//!
//! Server and client are two processes. The server repeats the files at RATE messages per second with the
//! moment of sending as time stamp; the client subscribes to everything and throws the inputs away. Prints
//! one JSON line: frames per second, bytes per frame, processor share of the client, gaps and lost frames.
//! Exits with 1 if anything was lost.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netfault_model::Input;
use netfault_sources::mrt;
use netfault_sources::ris_live::server::{ServedFile, ServerConfig, Speed, Stamps, serve};
use netfault_sources::ris_live::{ClientConfig, Stats, Subscription, run, system_clock};
use tokio::sync::{mpsc, oneshot, watch};

/// Time for connecting and for the first burst, not measured.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let serving = args.first().is_some_and(|arg| arg == "serve");
    if serving {
        args.remove(0);
    }
    let raw = args.iter().any(|arg| arg == "--raw");
    args.retain(|arg| arg != "--raw");
    let (Some(rate), Some(secs)) = (number(args.first()), number(args.get(1))) else {
        eprintln!("usage: ris_live_bench RATE SECONDS [--raw] MRT-FILE…");
        return ExitCode::from(64);
    };
    let files = args.split_off(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    if serving {
        runtime.block_on(serve_files(rate, files));
        return ExitCode::SUCCESS;
    }
    let mut server = Command::new(std::env::current_exe().expect("own path"))
        .arg("serve")
        .args([rate.to_string(), secs.to_string()])
        .args(&files)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut url = String::new();
    BufReader::new(server.stdout.take().expect("its output"))
        .read_line(&mut url)
        .expect("its address");
    let lost = runtime.block_on(measure(url.trim(), raw, rate, Duration::from_secs_f64(secs)));
    // It may have ended by itself; both are fine.
    let _ = server.kill();
    let _ = server.wait();
    ExitCode::from(u8::from(lost))
}

fn number(text: Option<&String>) -> Option<f64> {
    text?.parse().ok().filter(|n| *n > 0.0)
}

async fn serve_files(rate: f64, files: Vec<String>) {
    let files = mrt::discover(&files)
        .expect("MRT files")
        .into_iter()
        .map(ServedFile::from)
        .collect();
    let mut config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), files);
    config.speed = Speed::PerSecond(rate);
    config.stamps = Stamps::Sent;
    config.repeat = true;
    let (ready, address) = oneshot::channel();
    let (_running, shutdown) = watch::channel(false);
    let serving = tokio::spawn(serve(config, ready, shutdown));
    println!("ws://{}/v1/ws/", address.await.expect("an address"));
    std::io::stdout().flush().expect("stdout");
    serving.await.expect("the server").expect("serves");
}

/// True if something was lost.
async fn measure(url: &str, raw: bool, rate: f64, time: Duration) -> bool {
    let mut config = ClientConfig::new(url, Subscription::Everything);
    config.include_raw = raw;
    let (out, mut inputs) = mpsc::channel(64);
    let (shutdown, stop) = watch::channel(false);
    let stats = Arc::new(Stats::default());
    let client = tokio::spawn(run(config, out, system_clock(), stop, Arc::clone(&stats)));
    let drain = tokio::spawn(async move {
        let mut gaps = 0u64;
        while let Some(batch) = inputs.recv().await {
            gaps += batch
                .iter()
                .filter(|input| matches!(input, Input::Gap(_)))
                .count() as u64;
        }
        gaps
    });
    tokio::time::sleep(WARM_UP).await;
    let (begun, cpu, frames, bytes) = (
        Instant::now(),
        cpu_seconds(),
        stats.frames.get(),
        stats.bytes.get(),
    );
    tokio::time::sleep(time).await;
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (frames, bytes) = (stats.frames.get() - frames, stats.bytes.get() - bytes);
    let lost = stats.overflow.get() + stats.garbage.get() + stats.late.get() + stats.duplicates.get();
    shutdown.send(true).expect("the client runs");
    client.await.expect("the client ends");
    let gaps = drain.await.expect("the reader ends");
    println!(
        "{{\"rate_wanted\":{rate},\"frames_per_second\":{:.0},\"bytes_per_frame\":{:.0},\"raw\":{raw},\"client_cores\":{:.3},\"seconds\":{wall:.1},\"gaps\":{gaps},\"lost\":{lost},\"breaks\":{}}}",
        frames as f64 / wall,
        bytes as f64 / frames.max(1) as f64,
        cpu / wall,
        stats.breaks.get(),
    );
    gaps > 0 || lost > 0 || frames == 0
}

/// User and system time of this process, from /proc/self/stat (proc(5): fields 14 and 15, 100 per second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse().ok())
        .collect();
    ticks.iter().sum::<f64>() / 100.0
}
