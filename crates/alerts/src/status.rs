//! How the receivers fare, in a file beside the outbox: `netfault alert status` reads it without asking the service.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netfault_model::Time;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::lane::Counts;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When something changed last.
    pub at: Time,
    pub receivers: Vec<ReceiverStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiverStatus {
    pub name: String,
    #[serde(flatten)]
    pub counts: Counts,
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("status.json")
}

/// Nothing depends on it, so a failure is not worth more than a line.
pub(crate) fn write(path: &Path, counts: &[(String, Counts)]) {
    let status = Status {
        at: clock::now(),
        receivers: counts
            .iter()
            .map(|(name, counts)| ReceiverStatus {
                name: name.clone(),
                counts: counts.clone(),
            })
            .collect(),
    };
    let beside = path.with_extension("new");
    let written = serde_json::to_vec_pretty(&status)
        .map_err(io::Error::from)
        .and_then(|bytes| fs::write(&beside, bytes))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        tracing::debug!(%error, "the status of the receivers is not written");
    }
}

/// `None`: no service has written one.
pub fn read(folder: &Path) -> io::Result<Option<Status>> {
    match fs::read(path(folder)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
