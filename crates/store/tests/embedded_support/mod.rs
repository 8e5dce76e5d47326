//! A database process for a test: the example `db_serve` on a fresh folder, stopped by its lifeline or killed by pid.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use netfault_store::embedded::Bound;

/// Whether libchdb is there; says so visibly where it is not.
pub fn libchdb_present(test: &str) -> bool {
    match netfault_store::embedded::find(None) {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: {test}: {error}");
            eprintln!("SKIPPED: {test}: {error}");
            false
        }
    }
}

/// The example's executable, which cargo builds together with the tests.
pub fn db_serve() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples/db_serve");
    assert!(
        path.exists(),
        "{} is not built: cargo build -p netfault-store --examples",
        path.display()
    );
    path
}

pub struct Db {
    pub child: Child,
    pub bound: Bound,
    lifeline: Option<ChildStdin>,
}

impl Db {
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    pub fn start_with(dir: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(db_serve());
        command.arg("--dir").arg(dir).arg("--stop-with-stdin").args(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let bound = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line but {line:?}"));
        let lifeline = child.stdin.take();
        Self {
            child,
            bound,
            lifeline,
        }
    }

    pub fn address(&self) -> &str {
        self.bound.url.strip_prefix("http://").unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).unwrap()
    }

    /// A kB figure of /proc/PID/status, such as `VmHWM`, in MB.
    pub fn memory_mb(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit())
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    /// curl with user and password; `rest` has the other arguments, `query` goes into the URL.
    pub fn curl(&self, query: &str, rest: &[&str]) -> Output {
        let url = format!("{}/{query}", self.bound.url);
        let key = format!("{}:{}", self.bound.user, self.bound.password);
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--max-time", "60", "-u", &key, &url])
            .args(rest);
        command.output().unwrap()
    }

    /// The text a statement answers with, error or not.
    pub fn sql(&self, statement: &str) -> String {
        let output = self.curl("", &["--data-binary", statement]);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.bound.url)
            .with_user(&self.bound.user)
            .with_password(&self.bound.password)
    }

    /// Ends it in order and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.lifeline.take();
        self.child.wait().unwrap().code()
    }

    /// SIGKILL, by its own pid.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

/// The status and body of one raw HTTP/1.1 exchange on a socket; the server closes it.
pub fn exchange(socket: &mut TcpStream, request: &[u8]) -> (u16, String) {
    use std::io::Write;
    socket.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _reset_after_the_answer = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    (status, text)
}
