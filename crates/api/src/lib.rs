//! The collector's door: what others send to it over HTTP, and who may.
//!
//! What comes in: HTTP/1.1 requests, over TLS or on loopback. What goes out: [`Input`](netfault_model::Input)s into the bounded
//! channels of [`Doors`], and an answer once they are where they are safe. This crate sees no engine and writes no file.
//!
//! ```text
//! connection ─► server (limits, TLS) ─► route ─► callers (who is it?) ─► endpoints/* ─► Doors ─► the pipeline
//!                                        404 405 413  401                 400 409 415    503
//! ```
//!
//! * [`server`] the listener: how many connections, how long each may take
//! * [`route`] which path is which endpoint, who may call it, how much it takes; a new endpoint is one file and one line there
//! * [`callers`] agents and clients with their tokens; [`sign`] how an agent and its collector prove themselves to each other
//! * [`endpoints`] one file each
//! * [`batch`] the results of an agent as bytes; [`reports`] counts of user reports and traffic as JSON
//! * [`client`] the agent's end of the same protocol
//! * [`tls`] certificates and authorities from PEM files
//!
//! ## The exchange between an agent and its collector
//!
//! `POST /api/v1/probes?epoch=E&seq=N` carries a batch. It is signed with the agent's token (the token itself is never sent), with the
//! time and a nonce; the answer is signed with the same token over the nonce of the request. So the collector knows who
//! speaks, and the agent that it was its collector that said "taken", and no proxy. `E` begins with the agent, `N` counts batches: what
//! was taken is never taken again.

pub mod answer;
pub mod batch;
pub mod callers;
pub mod client;
mod endpoints;
mod heard;
mod names;
pub mod reports;
pub mod route;
pub mod server;
pub mod sign;
pub mod tls;

use std::sync::Arc;

use netfault_model::{Input, Time};
use tokio::sync::{mpsc, oneshot};

pub use callers::{Caller, Callers};
pub use client::Client;
pub use reports::Reports;
pub use server::{Limits, Server};
pub use sign::Token;

/// What time it is: the wall clock in the service, anything in a test.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Where accepted things go. Both channels are bounded; a full one is a 503 with Retry-After, never a wait.
#[derive(Clone)]
pub struct Doors {
    /// For what may be said twice, and is answered as soon as it is queued.
    pub inputs: mpsc::Sender<Vec<Input>>,
    /// For what is answered only once it is safe.
    pub deliveries: mpsc::Sender<Delivery>,
}

/// The place of a batch among all that an agent ever sent: compared by epoch, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// A run of the agent: microseconds since 1970 at its start, or higher.
    pub epoch: u64,
    /// Counts the batches of that run.
    pub seq: u64,
}

/// One batch of an agent, on its way to the journal.
#[derive(Debug)]
pub struct Delivery {
    pub agent: Arc<str>,
    pub position: Position,
    /// One for each item of the batch, in its order: the same batch makes the same number of inputs whenever it comes.
    pub inputs: Vec<Input>,
    /// Told once the inputs are in the journal, or why they are not. Dropped: the service is stopping.
    pub taken: oneshot::Sender<Taken>,
}

/// What became of a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the journal.
    Applied,
    /// It was there before: the answer to it was lost.
    Known,
    /// It is of an earlier run of the agent than this epoch, and not known.
    OlderEpoch(u64),
}
