//! Why a notice was not accepted, and what follows from it.

use std::time::Duration;

use hyper::StatusCode;

use crate::retry::{self, Verdict};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot reach it: {0}")]
    Network(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("it answered {status}{}", if body.is_empty() { String::new() } else { format!(": {body}") })]
    Status {
        status: StatusCode,
        retry_after: Option<String>,
        body: String,
    },
    /// The transport is content and the service is not.
    #[error("it answered: {0}")]
    Answer(String),
    #[error("the request cannot be built: {0}")]
    Request(String),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] std::io::Error),
    #[error("the mail server: {message}")]
    Smtp { message: String, permanent: Option<u16> },
    #[error("cannot run {program}: {source}")]
    Spawn { program: String, source: std::io::Error },
    #[error("the command ended with {status}{}", if said.is_empty() { String::new() } else { format!(": {said}") })]
    Command { status: String, said: String },
}

impl Failure {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Failure::Network(_) | Failure::Timeout(_) | Failure::Stdout(_) | Failure::Spawn { .. } => {
                Verdict::RetryReceiver { after: None }
            }
            Failure::Status {
                status, retry_after, ..
            } => retry::judge(status.as_u16(), retry_after.as_deref()),
            Failure::Answer(_) => Verdict::RetryReceiver {
                after: Some(retry::LONGEST),
            },
            Failure::Smtp { permanent: None, .. } => Verdict::RetryReceiver { after: None },
            // RFC 4954 §6: what is refused is who we are, so the next message would be refused as well.
            Failure::Smtp {
                permanent: Some(530 | 534 | 535 | 538),
                ..
            } => Verdict::RetryReceiver {
                after: Some(retry::LONGEST),
            },
            Failure::Smtp { .. } | Failure::Command { .. } => Verdict::RetryNotice,
            Failure::Request(_) => Verdict::Refused,
        }
    }
}
