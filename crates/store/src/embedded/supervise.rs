//! The database as a child process that is started again when it dies.
//!
//! ```text
//! Supervised ── owns ──► task `keep` ── owns ──► child: stdin (its lifeline), stdout (ready line), stderr (forwarded)
//! ```
//! The child stops when its stdin ends, so it follows this process however that ends. Address, user and password
//! stay the same over restarts: clients only see refused connections for a while. Cancelling `keep` is safe: the
//! child's stdin closes with it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::args::PASSWORD_ENV;
use super::error::EngineError;
use super::serve::Bound;

/// Waits between restarts: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// A child that lived this long starts again with the shortest wait.
const STEADY: Duration = Duration::from_secs(60);

/// How long a child may take to stop before it is killed; it gives itself 8 s for queries and 8 s for the engine.
const STOP: Duration = Duration::from_secs(20);

/// How to start the database process.
#[derive(Debug, Clone)]
pub struct SupervisedOptions {
    /// This executable where absent.
    pub program: Option<PathBuf>,
    /// What comes before the options of [`super::parse_args`].
    pub args: Vec<OsString>,
    pub dir: PathBuf,
    pub libchdb: Option<PathBuf>,
    /// Port 0 takes a free one at the first start, which is then kept.
    pub listen: SocketAddr,
    pub user: String,
    /// A random one where absent.
    pub password: Option<String>,
    /// How long a start may take; loading many tables after a crash takes a while.
    pub ready_within: Duration,
}

impl SupervisedOptions {
    /// `netfault db serve` on `dir`, on a free port of 127.0.0.1.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            program: None,
            args: ["db", "serve"].map(OsString::from).to_vec(),
            dir: dir.into(),
            libchdb: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            user: "netfault".to_owned(),
            password: None,
            ready_within: Duration::from_secs(120),
        }
    }
}

/// How the child is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Ready, with this process id, after so many restarts.
    Up { pid: u32, restarts: u64 },
    /// Being restarted; the reason of the last end.
    Down { reason: String, restarts: u64 },
}

/// A running, supervised database.
pub struct Supervised {
    bound: Bound,
    health: watch::Receiver<Health>,
    stop: watch::Sender<bool>,
    keep: Option<tokio::task::JoinHandle<()>>,
}

impl Supervised {
    /// Starts the child and waits until it is ready.
    pub async fn start(mut options: SupervisedOptions) -> Result<Self, EngineError> {
        if options.program.is_none() {
            let unknown = |source| EngineError::Spawn {
                program: "this executable".into(),
                source,
            };
            options.program = Some(std::env::current_exe().map_err(unknown)?);
        }
        let (child, bound) = launch(&options).await?;
        options.password = Some(bound.password.clone());
        options.listen = bound
            .url
            .trim_start_matches("http://")
            .parse()
            .unwrap_or(options.listen);
        let (health_to, health) = watch::channel(Health::Up {
            pid: child.process.id().unwrap_or(0),
            restarts: 0,
        });
        let (stop, stopping) = watch::channel(false);
        let keep = Some(tokio::spawn(keep(child, options, health_to, stopping)));
        Ok(Self {
            bound,
            health,
            stop,
            keep,
        })
    }

    /// `http://127.0.0.1:PORT`, the same for as long as this lives.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.bound.url
    }

    #[must_use]
    pub fn user(&self) -> &str {
        &self.bound.user
    }

    #[must_use]
    pub fn password(&self) -> &str {
        &self.bound.password
    }

    /// ClickHouse's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.bound.version
    }

    /// The child's health, now and as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Stops the child in order and waits for it (at most 20 s, then it is killed).
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(keep) = self.keep.take() {
            let _panicked = keep.await;
        }
    }
}

impl Drop for Supervised {
    /// Without [`Supervised::shutdown`] the child's stdin closes and it stops by itself.
    fn drop(&mut self) {
        if let Some(keep) = &self.keep {
            keep.abort();
        }
    }
}

/// A running child. Its stdin is kept apart, because waiting for a process closes the stdin in its handle.
struct Running {
    process: Child,
    lifeline: Option<ChildStdin>,
}

async fn keep(
    mut child: Running,
    options: SupervisedOptions,
    health: watch::Sender<Health>,
    mut stopping: watch::Receiver<bool>,
) {
    let (mut wait, mut restarts) = (BACKOFF.0, 0);
    loop {
        let born = Instant::now();
        let ended = tokio::select! {
            _ = stopping.changed() => return stop(child).await,
            ended = child.process.wait() => ended,
        };
        let reason = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        wait = if born.elapsed() > STEADY { BACKOFF.0 } else { wait };
        let mut reason = format!("the database process ended: {reason}");
        child = loop {
            restarts += 1;
            tracing::warn!(
                reason,
                restarts,
                wait_ms = wait.as_millis(),
                "the database process is started again"
            );
            health.send_replace(Health::Down { reason, restarts });
            tokio::select! {
                _ = stopping.changed() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(BACKOFF.1);
            let launched = tokio::select! {
                _ = stopping.changed() => return,
                launched = launch(&options) => launched,
            };
            match launched {
                Ok((child, _)) => break child,
                Err(error) => reason = error.to_string(),
            }
        };
        health.send_replace(Health::Up {
            pid: child.process.id().unwrap_or(0),
            restarts,
        });
    }
}

async fn stop(mut child: Running) {
    drop(child.lifeline.take());
    if timeout(STOP, child.process.wait()).await.is_err() {
        tracing::warn!(
            seconds = STOP.as_secs(),
            "the database process did not stop in time and is killed"
        );
        let _gone_already = child.process.kill().await;
    }
}

/// Starts the program and reads its ready line.
async fn launch(options: &SupervisedOptions) -> Result<(Running, Bound), EngineError> {
    let program = options.program.clone().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(&options.args).arg("--dir").arg(&options.dir);
    command
        .arg("--listen")
        .arg(options.listen.to_string())
        .arg("--user")
        .arg(&options.user)
        .arg("--stop-with-stdin");
    if let Some(libchdb) = &options.libchdb {
        command.arg("--libchdb").arg(libchdb);
    }
    match &options.password {
        Some(password) => command.env(PASSWORD_ENV, password),
        None => command.env_remove(PASSWORD_ENV),
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Ctrl-C in a terminal reaches the whole group; the database has to outlive the writer that drains into it.
    command.process_group(0);
    let mut child = command
        .spawn()
        .map_err(|source| EngineError::Spawn { program, source })?;
    let lifeline = child.stdin.take();
    let last_words = forward_stderr(&mut child);
    let ready = timeout(options.ready_within, ready_line(&mut child)).await;
    match ready {
        Ok(Some(bound)) => {
            last_words.go_on();
            Ok((
                Running {
                    process: child,
                    lifeline,
                },
                bound,
            ))
        }
        Ok(None) => {
            let status = timeout(STOP, child.wait()).await;
            let status = status.map_or("it hangs".to_owned(), |end| {
                end.map_or_else(|e| e.to_string(), |s| s.to_string())
            });
            Err(ended(status, &last_words).await)
        }
        Err(_) => {
            last_words.go_on();
            let _gone_already = child.kill().await;
            Err(EngineError::NotReady(options.ready_within.as_secs()))
        }
    }
}

async fn ready_line(child: &mut Child) -> Option<Bound> {
    let mut lines = BufReader::new(child.stdout.take()?.take(1 << 16)).lines();
    let line = lines.next_line().await.ok()??;
    serde_json::from_str(&line).ok()
}

/// What the child writes to stderr goes to ours once it is ready; before that it is held back, because a child
/// that fails says why in one sentence, which becomes our error.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    kept: Vec<u8>,
    forwards: bool,
}

impl LastWords {
    const KEEP: usize = 2048;

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take(&self, bytes: &[u8]) {
        let mut words = self.lock();
        if words.forwards {
            let _closed = std::io::Write::write_all(&mut std::io::stderr(), bytes);
        }
        words.kept.extend_from_slice(bytes);
        let excess = words.kept.len().saturating_sub(Self::KEEP);
        if excess > 0 && !words.forwards {
            // A long story: no single sentence will do.
            words.forwards = true;
            let _closed = std::io::Write::write_all(&mut std::io::stderr(), &words.kept);
        }
        words.kept.drain(..excess);
    }

    fn go_on(&self) {
        let mut words = self.lock();
        if !words.forwards {
            words.forwards = true;
            let _closed = std::io::Write::write_all(&mut std::io::stderr(), &words.kept);
        }
    }
}

fn forward_stderr(child: &mut Child) -> LastWords {
    let last_words = LastWords::default();
    let (Some(mut from), kept) = (child.stderr.take(), last_words.clone()) else {
        return last_words;
    };
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            kept.take(&buffer[..read]);
        }
    });
    last_words
}

async fn ended(status: String, last_words: &LastWords) -> EngineError {
    // The forwarding task may still have the last bytes in hand.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let kept = String::from_utf8_lossy(&last_words.lock().kept).into_owned();
    if let [said] = kept.lines().collect::<Vec<_>>().as_slice()
        && let Some(said) = said.strip_prefix("netfault: ")
    {
        return EngineError::Said(said.to_owned());
    }
    last_words.go_on();
    let text = kept;
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    EngineError::Ended(if line.is_empty() {
        status
    } else {
        format!("{status}: {}", line.trim())
    })
}
