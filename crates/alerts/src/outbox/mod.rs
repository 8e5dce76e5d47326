//! What a receiver has not been told yet, and what it holds as open: in memory ([`Ledger`], pure) and in
//! one file ([`Log`]).

mod ledger;
mod log;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use ledger::{Ledger, Put};
pub(crate) use log::Log;

use crate::notice::{Notice, NoticeState};

#[derive(Debug, thiserror::Error)]
#[error("cannot use the alert outbox {}: {source}", path.display())]
pub struct OutboxError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Put(Notice),
    /// The receiver took it.
    Accepted {
        id: String,
        state: NoticeState,
    },
    /// The receiver will never take it.
    Refused {
        id: String,
        state: NoticeState,
    },
    /// What a file that was written anew has in place of the history of one id.
    Entry {
        notice: Notice,
        pending: bool,
        told: bool,
    },
}
