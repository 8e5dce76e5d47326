//! What a receiver has not been told yet, and what it holds as open: in memory ([`Ledger`], pure) and in
//! one file ([`Log`]).
//!
//! * [`entry`] one alert at one receiver: its newest state, what the receiver took last, and what is due
//! * [`ledger`] all of them, and the queue
//! * [`groups`] several alerts told as one
//! * [`log`] the file; [`replay`] a ledger from its records

mod entry;
mod groups;
mod ledger;
mod log;
mod replay;

use std::io;
use std::path::PathBuf;

use netfault_model::Time;
use serde::{Deserialize, Serialize};

pub(crate) use entry::{Due, Manner, Told};
pub(crate) use groups::SUMMARY;
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
        #[serde(default)]
        version: u32,
        #[serde(default = "epoch")]
        at: Time,
        /// What the receiver calls it, where it has a name of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
    },
    /// The receiver will never take it.
    Refused {
        id: String,
        state: NoticeState,
        #[serde(default)]
        version: u32,
    },
    /// Somebody looks after the incident.
    Acked {
        id: String,
        by: String,
    },
    /// It is not due (a silence, a wait): its open is not sent …
    Held {
        id: String,
    },
    /// … and from now on it may be.
    Due {
        id: String,
    },
    /// It is told as part of a summary only.
    Summed {
        id: String,
    },
    /// What a file that was written anew has in place of the history of one id.
    Entry {
        notice: Notice,
        /// It is in the queue.
        pending: bool,
        /// It may have been sent.
        #[serde(default)]
        tried: bool,
        told: WasTold,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acked: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        summed: bool,
    },
}

/// An older netfault wrote only whether.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum WasTold {
    Plain(bool),
    Told(Told),
}

fn epoch() -> Time {
    Time::from_secs(0)
}
