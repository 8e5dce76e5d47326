//! The service as a child, and what all runs have in common.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netfault_model::Time;
use serde_json::{Value, json};

/// Longer than anything takes that is waited for here.
const PATIENCE: Duration = Duration::from_secs(40);

pub struct Service(Child);

impl Service {
    pub fn start(program: &Path, folder: &Path, config: &str) -> Service {
        let path = folder.join("netfault.yaml");
        std::fs::write(&path, config).expect("a file");
        let child = Command::new(program)
            .args(["-q", "run", "-c"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Service(child.expect("the service starts"))
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        self.0.wait().expect("a child of ours");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing is ever sent on the channel that is waited for.
pub fn pause(time: Duration) {
    let (_held, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        pause(Duration::from_millis(5));
    }
}

pub fn millis(from: Time, to: Time) -> f64 {
    to.since(from) as f64 / 1e3
}

pub fn figures(mut latencies: Vec<f64>) -> Value {
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize].round();
    json!({ "alerts": latencies.len(), "median_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0) })
}
