//! One line on standard output.

use std::io::Write;

use crate::failure::Failure;
use crate::message::Message;
use crate::notice::Notice;

/// A pipe that nobody reads must not hold up the task, so the write is made elsewhere.
pub(super) async fn print(message: &Message) -> Result<(), Failure> {
    let line = line(message);
    let write = move || -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(result) => result.map_err(Failure::Stdout),
        Err(_) => Err(Failure::Stdout(std::io::Error::other("shutting down"))),
    }
}

fn line(message: &Message) -> String {
    let said = Notice {
        title: message.title.clone(),
        text: message.body.split_whitespace().collect::<Vec<_>>().join(" "),
        ..message.notice.clone()
    };
    said.to_string()
}
