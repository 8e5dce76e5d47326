//! Alerts: incidents in, messages to people out.
//!
//! [`notices`] decides, without I/O: which version of an incident opens an alert, updates it, resolves it. [`Alerts`]
//! delivers: one task per receiver, each with its own outbox on disk, so that a dead receiver holds up
//! nothing but itself and a restart forgets nothing.
//!
//! ```text
//! incident ─► notice ─┬─► lane (receiver) ─► outbox ─► message ─► receiver
//! ourselves ──────────┘     ▲ routes, silences, caps
//! ```
//! * [`notice`] what is delivered: an incident, a group, or something about ourselves, in its newest state
//! * [`notices`] incident → notice, pure; [`ourselves`] what is wrong with netfault → notice, pure
//! * [`health`] whether netfault itself is well; [`heartbeat`] says so to somebody outside while it is
//! * [`matcher`], [`routing`], [`silences`], [`windows`], [`rate`] who is told of what, and when not: pure, but for
//!   the file of silences
//! * [`outbox`] what is not delivered yet, and what is open at the receiver, on disk
//! * [`lane`] the task of one receiver; [`retry`] again, or not, and when: pure
//! * [`template`], [`message`] the words; [`receivers`] who is told, one file per kind; [`http`] one exchange
//!
//! Delivery is at least once: a notice is on disk before it is first sent, and the note that it was
//! accepted is written before the next is sent, so a crash between the two repeats it with the same event id.

mod clock;
mod deliver;
mod failure;
pub mod health;
pub mod heartbeat;
mod http;
mod lane;
pub mod matcher;
mod message;
pub mod notice;
pub mod notices;
mod ourselves;
mod outbox;
pub mod rate;
pub mod receivers;
mod retry;
pub mod routing;
mod samples;
pub mod silences;
pub mod status;
pub mod template;
pub mod windows;

pub use deliver::{Alerts, Closed, Setup, test};
pub use failure::Failure;
pub use health::Health;
pub use heartbeat::Heartbeat;
pub use http::{Headers, TIMEOUT, headers};
pub use lane::Counts;
pub use matcher::Matcher;
pub use notice::{About, Notice, NoticeState};
pub use notices::{Open, Policy, decides, from_incident, notice_id};
pub use outbox::OutboxError;
pub use rate::Rate;
pub use receivers::{Receiver, Secret, To, Webhook};
pub use routing::{GroupBy, Route, Routing};
pub use silences::{Maintenance, Silence, SilenceFile};
pub use template::Template;
pub use windows::Weekly;
