//! DNS in: one question to one address, and the schedule of questions.
//!
//! One probe is one question to one address, so an answer is never hidden by a second server, a retry
//! that nobody counts, or a cache of ours.
//!
//! * [`wire`] a question to bytes, bytes to an answer
//! * [`resolver`] whom to ask, and how: UDP, TCP, TLS, HTTPS
//! * [`expect`] what a name should answer, as its owner says
//! * [`outcome`] what an answer (or none) means: pure, and the entry of the fuzz target
//! * [`asking`] what to send next, until there is an outcome
//! * [`probe`] puts one question to one address over UDP, and TCP where truncated
//! * [`udp`] the engine under it: a few shared sockets for thousands of questions
//! * [`validate`] DNSSEC, where asked: secure, insecure or bogus, and which link fails
//! * [`walk`] from the root down to a name: which servers have authority for it, and what is wrong with its delegation
//! * [`limit`] how much one server may be asked
//! * [`schedule`] every name's servers, round after round
//! * [`check`] one name, once, now: `netfault dns check`
//! * [`resolv_conf`] the resolvers of this host
//!
//! Absent on purpose: caching, and any resolver that chooses among servers. What a verdict over several probes is, the engine decides.

mod asking;
pub mod bogon;
pub mod check;
pub mod expect;
mod limit;
pub mod outcome;
pub mod probe;
pub mod resolv_conf;
pub mod resolver;
pub mod schedule;
pub mod transport;
pub mod udp;
pub mod validate;
pub mod walk;
pub mod wire;

/// The wire library's own names and types, for callers that make plans and questions.
pub use hickory_proto::rr::{Name, RecordType};
