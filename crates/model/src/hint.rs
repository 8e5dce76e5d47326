//! Signals beside routes and names: hints, never verdicts.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::input::Arrival;
use crate::time::Time;

/// One measurement of how users of a service fare. It never makes an outage by itself; it is shown beside the network layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    pub at: Time,
    pub arrival: Arrival,
    /// The service of the configuration that it is about.
    pub service: String,
    /// Who says so: a URL, the name of a report source or of a status page.
    pub source: String,
    pub what: HintKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HintKind {
    /// One HTTP(S) request. It went well if `reached` is `Done` and the status is below 500.
    Http {
        vantage: String,
        /// How far it came.
        reached: HttpPhase,
        status: Option<u16>,
        /// In words, if it did not go well.
        error: Option<String>,
        addr: Option<IpAddr>,
        /// From the first packet to the last byte that was read, in microseconds.
        latency_us: u32,
    },
    /// How many users reported trouble in the interval that ended at `at`.
    Reports {
        interval_s: u32,
        count: f64,
        /// Mean of that time of day over the history, per interval; `None`: too little history.
        usual: Option<f64>,
    },
    /// Traffic of a service in the interval that ended at `at`.
    Traffic {
        interval_s: u32,
        /// The part of it that this is about: a country or an AS; empty: all.
        of: String,
        /// `bytes` or `count`.
        unit: String,
        value: f64,
        usual: Option<f64>,
    },
    /// A public status page (Statuspage `summary.json`).
    Status {
        /// `none`, `minor`, `major` or `critical`.
        indicator: String,
        description: String,
    },
}

/// How far an HTTP request came: the last phase that it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpPhase {
    /// Not even an address.
    Nothing,
    Resolved,
    Connected,
    Secured,
    /// A whole answer.
    Done,
}
