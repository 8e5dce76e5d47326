//! A program of the user's: the notice as JSON on its standard input, accepted if it ends with 0.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command as Process;

use crate::failure::Failure;
use crate::http::first_line;
use crate::message::Message;

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Program and arguments. Nothing in them is expanded: no shell is involved.
    argv: Vec<String>,
    /// For all of it; then it is killed.
    timeout: Duration,
}

impl Command {
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    pub fn new(argv: Vec<String>, timeout: Duration) -> Result<Self, String> {
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(Command { argv, timeout }),
            _ => Err("a command needs a program".to_owned()),
        }
    }

    /// Somebody asked for a shell: what is in `line` is theirs, the alert comes on standard input only.
    pub fn shell(line: &str, timeout: Duration) -> Result<Self, String> {
        if line.trim().is_empty() {
            return Err("a command needs a program".to_owned());
        }
        Ok(Command {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()],
            timeout,
        })
    }

    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        match tokio::time::timeout(self.timeout, self.run(message)).await {
            Ok(result) => result,
            // Dropped, and so killed.
            Err(_) => Err(Failure::Timeout(self.timeout)),
        }
    }

    async fn run(&self, message: &Message) -> Result<(), Failure> {
        let program = self.argv.first().cloned().unwrap_or_default();
        let unspawned = |source| Failure::Spawn {
            program: program.clone(),
            source,
        };
        let mut child = Process::new(&program)
            .args(&self.argv[1..])
            .env("NETFAULT_ALERT_ID", &message.notice.id)
            .env("NETFAULT_ALERT_STATE", message.notice.state.name())
            .env("NETFAULT_ALERT_EVENT", message.event_id())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(unspawned)?;
        let stdin = child.stdin.take();
        let body = format!("{}\n", message.data());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read it decides by its exit code all the same.
                let _ = stdin.write_all(body.as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(unspawned)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::Command {
            status: output.status.to_string(),
            said: first_line(&output.stderr),
        })
    }
}
