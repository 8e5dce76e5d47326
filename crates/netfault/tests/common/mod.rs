//! The `netfault` program as a user meets it: started with arguments, read by its two outputs and its exit code.

#![allow(dead_code)] // each test file uses a part of it

pub mod authority;
pub mod dns;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that a test waits for takes longer, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The program in `dir`, with nothing of this process's environment that changes what it does.
pub fn netfault(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netfault"));
    command.current_dir(dir).stdin(Stdio::null());
    for name in [
        "NETFAULT_CONFIG",
        "NETFAULT_DB_PASSWORD",
        "RUST_LOG",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Lines of standard output that are transitions, as they are.
    pub fn transitions(&self) -> Vec<&str> {
        transitions(&self.out)
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }
}

pub fn transitions(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains(r#""kind":"transition""#))
        .collect()
}

/// Incidents, each in all its versions.
pub fn incidents(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| line.contains(r#""kind":"incident""#) && line.ends_with('}'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// A version of an incident of the lab that opens an alert: watched, and its prefixes are still going.
pub fn may_alert(incident: &Value) -> bool {
    let is_down = incident["level"]
        .as_str()
        .is_some_and(|level| ["degrading", "partial", "out"].contains(&level));
    incident["watched"] == true && is_down
}

/// Runs to the end.
pub fn run(dir: &Path, args: &[&str]) -> Ended {
    ended(netfault(dir).args(args))
}

pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the program starts");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the lab capture; the folder itself for an empty name.
pub fn lab(file: &str) -> String {
    let folder = workspace().join("examples/lab-capture").canonicalize();
    folder.expect("the lab capture").join(file).display().to_string()
}

/// The updates of the lab capture, and its table dump.
pub fn lab_files() -> (String, String) {
    let files = std::fs::read_dir(lab("")).expect("the lab capture");
    let named = |prefix: &str| {
        let mut names = std::fs::read_dir(lab(""))
            .expect("the lab capture")
            .flatten()
            .map(|entry| entry.path().display().to_string());
        names
            .find(|path| path.contains(&format!("/{prefix}.")))
            .expect("a file of the capture")
    };
    drop(files);
    (named("updates"), named("rib"))
}

/// True if the embedded engine can be had; else says so on one line.
pub fn has_engine(test: &str) -> bool {
    let found = netfault_store::embedded::find(None).is_ok();
    if !found {
        println!("SKIPPED: libchdb is absent (make libchdb): {test}");
    }
    found
}

/// Between two looks, and the random moment of a kill: nothing is ever sent on the channel that is waited for.
pub fn pause(time: Duration) {
    let (_held, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Looks again and again until `condition` has an answer.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        pause(Duration::from_millis(10));
    }
}

/// A program that runs beside the test, with its outputs in files. Killed by its pid when dropped.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    pub fn start(mut command: Command, dir: &Path, name: &str) -> Running {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let child = command
            .stdout(File::create(&out).expect("a file"))
            .stderr(File::create(&err).expect("a file"))
            .spawn()
            .expect("the program starts");
        Running { child, out, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    pub fn err(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits until standard error says it.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let start = Instant::now();
        while !self.err().contains(text) {
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "it does not say '{text}' ({ended:?}):\n{}",
                self.err()
            );
            pause(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
        self.out()
    }

    /// SIGTERM; how it ended, and how long that took.
    #[track_caller]
    pub fn stop(mut self) -> (Ended, Duration) {
        let start = Instant::now();
        self.signal("TERM");
        let status = self.wait();
        (self.ended(status), start.elapsed())
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the program", || {
            self.child.try_wait().expect("a child of ours")
        })
    }

    pub fn ended(&self, status: ExitStatus) -> Ended {
        Ended {
            code: status.code(),
            out: self.out(),
            err: self.err(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.expect("kill").success(), "no process {pid}");
}

/// `netfault dev ris-live-server` with the updates of the lab capture; its URL.
pub fn ris_live(dir: &Path, name: &str, args: &[&str]) -> (Running, String) {
    let mut command = netfault(dir);
    command
        .args(["dev", "ris-live-server", &lab_files().0])
        .args(args);
    let server = Running::start(command, dir, name);
    let url = wait_for("the URL of the test server", || {
        let out = server.out();
        out.ends_with('\n').then(|| out.trim().to_owned())
    });
    (server, url)
}

/// A configuration for the lab capture over RIS Live, with `more` behind it.
pub fn config(dir: &Path, url: &str, more: &str) -> String {
    let path = dir.join("netfault.yaml");
    let text = format!(
        "watch: {{prefixes: [198.18.0.0/17, 2001:db8::/40, 192.0.2.0/24]}}\n\
         detect: {{held_for_s: 60}}\n\
         sources:\n  ris_live: {{url: '{url}', lateness: trust, everything: true}}\n  mrt: {{seed: ['{}']}}\n{more}\n",
        lab_files().1
    );
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// What a webhook was sent: CloudEvents, in order of arrival.
#[derive(Clone)]
pub struct Hook {
    pub url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    /// Accepts everything with 204.
    pub fn start() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || answer(stream, &kept));
            }
        });
        Hook { url, bodies }
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().expect("the lock").clone()
    }

    /// Without what netfault says about itself (a store that was killed, a feed that broke).
    pub fn about_targets(&self) -> Vec<Value> {
        let mut bodies = self.bodies();
        bodies.retain(|body| body["data"]["about"] == "target");
        bodies
    }
}

fn answer(stream: TcpStream, kept: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        kept.lock().ok()?.push(serde_json::from_slice(&body).ok()?);
        (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}

/// A port of this host that somebody holds for as long as the listener lives.
pub fn taken_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    (listener, addr)
}

/// A port where nobody listens.
pub fn closed_port() -> SocketAddr {
    taken_port().1
}

/// The updates of the lab capture of `span` (Unix seconds), as one MRT file of the same collector below `dir`.
pub fn lab_part(dir: &Path, name: &str, span: std::ops::Range<u32>) -> String {
    /// Before a record's body: time, type, subtype, length (RFC 6396 §2).
    const HEADER: usize = 12;
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(lab_files().0).expect("the capture");
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(packed), &mut bytes)
        .expect("the capture");
    let number =
        |from: usize| u32::from_be_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]);
    let (mut at, mut part) = (0, Vec::new());
    while at < bytes.len() {
        let end = at + HEADER + number(at + 8) as usize;
        if span.contains(&number(at)) {
            part.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    assert!(!part.is_empty(), "nothing happens in {span:?}");
    let folder = dir.join(name).join("lab-capture"); // the collector's name
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("updates.20261122.0646");
    std::fs::write(&path, part).expect("a file");
    path.display().to_string()
}

/// `netfault dev ris-live-server` with one file, as fast as it goes; its URL.
pub fn ris_live_file(dir: &Path, name: &str, file: &str, listen: &str) -> (Running, String) {
    let mut command = netfault(dir);
    command.args([
        "dev",
        "ris-live-server",
        file,
        "--speed",
        "max",
        "--listen",
        listen,
    ]);
    let server = Running::start(command, dir, name);
    let url = wait_for("the URL of the test server", || {
        let out = server.out();
        out.ends_with('\n').then(|| out.trim().to_owned())
    });
    (server, url)
}
