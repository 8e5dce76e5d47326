//! The store: what netfault saw and decided, in ClickHouse.
//!
//! In come the items of the vocabulary ([`netfault_model`]): updates, transitions, incidents, notables, probes,
//! feed states and gaps. Out go batches over HTTP to a server, a cluster, or the embedded engine; and answers to questions.
//!
//! * [`writer`] batches, a spool on disk that outlives every crash, a sender that never gives up
//! * `rows` and `native` which columns the tables have, and ClickHouse's `Native` format
//! * `spool`, `segment`, `frame` a batch on disk is exactly the body of its request
//! * `sender`, [`retry`] how a batch gets to ClickHouse once and only once
//! * [`migrate`] the schema, from `schemas/clickhouse`; [`retention`] how long rows are kept
//! * [`query`] the questions people ask; [`client`] the connection; [`error`] what can go wrong
//! * [`embedded`] ClickHouse itself as a supervised child
//!
//! This crate decides nothing about networks and knows nothing of the engine.

pub mod client;
pub mod embedded;
pub mod error;
mod frame;
pub mod migrate;
mod native;
pub mod query;
pub mod retention;
pub mod retry;
mod rows;
mod segment;
mod sender;
mod spool;
pub mod stats;
pub mod writer;

pub use client::{Client, SqlStream, StoreTarget};
pub use error::StoreError;
pub use retention::Retention;
pub use retry::is_retryable;
pub use rows::Table;
pub use stats::{Stats, TableStats};
pub use writer::{Overflow, Report, Writer, WriterConfig};
