//! RIS Live: BGP messages of the RIPE RIS collectors over a WebSocket, as JSON.
//!
//! What comes in: text frames of `wss://ris-live.ripe.net/v1/ws/`. What goes out: batches of
//! [`Input`](netfault_model::Input) into one bounded channel, in arrival order.
//!
//! ```text
//!  socket task ──► queue (frames and bytes bounded) ──► decoder task ──► out (bounded channel)
//!  connect, subscribe,      full = counted, never       JSON, lateness,
//!  ping, silence, backoff   waited for                  duplicates, gaps
//! ```
//!
//! The service cuts a reader that falls behind, so the socket task waits for nothing but the socket:
//! what does not fit into the queue is lost and becomes a [`Gap`](netfault_model::Gap) with its number.
//! There is no resume: every break is a gap too. Nothing is dropped without being counted in [`Stats`].
//!
//! * [`config`] what to subscribe to, and the limits
//! * [`client`] the two tasks
//! * [`frame`] the JSON of one frame, borrowed; [`stamp`] its time
//! * [`decode`] frames to inputs, pure: no socket and no clock, `now` is an argument
//! * [`server`] the other end, for tests and `netfault dev ris-live-server`: it serves MRT files
//!
//! The decoded JSON fields are used, not the `raw` hex beside them: they need half the bytes on the wire
//! (a reader that is 128 MiB behind is cut), and the collector has already settled what the hex alone does
//! not say (four-octet AS numbers, ADD-PATH). `raw` is read where a frame has nothing else.

pub mod client;
pub mod config;
pub mod decode;
pub mod frame;
mod gaps;
mod queue;
mod raw;
mod seen;
pub mod server;
mod socket;
pub mod stamp;
mod stats;
mod update;

pub use client::{Clock, Sink, run, system_clock};
pub use config::{Backoff, ClientConfig, Lateness, Limits, Subscription};
pub use decode::Decoder;
pub use stats::{Counter, Stats};
