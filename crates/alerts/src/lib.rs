//! Alerts: incidents in, messages to people out.
//!
//! [`notices`] decides, without I/O: which version of an incident opens an alert and which one resolves it. [`Alerts`]
//! delivers: one task per receiver, each with its own outbox on disk, so that a dead receiver holds up
//! nothing but itself and a restart forgets nothing.
//!
//! * [`notice`] what is delivered: one notice per incident, open or resolved, with its id
//! * [`notices`] incident → notice, pure
//! * [`receiver`] who is told: as the configuration says it
//! * [`outbox`] what is not delivered yet, and what is open at the receiver, on disk
//! * [`lane`] the task of one receiver
//! * [`retry`] again, or not, and when: pure
//! * [`webhook`] one HTTP POST, as a CloudEvents 1.0 document
//!
//! Delivery is at least once: a notice is on disk before it is first sent, and the note that it was
//! accepted is on disk before it is forgotten, so a crash between the two repeats it with the same event id.
//! There is no grouping, no silence and no route in here yet; every receiver gets every notice.

mod deliver;
mod lane;
pub mod notice;
pub mod notices;
mod outbox;
pub mod receiver;
mod retry;
mod webhook;

pub use deliver::{Alerts, Closed, test};
pub use lane::Counts;
pub use notice::{Notice, NoticeState};
pub use notices::{Open, Policy, decides, from_incident, notice_id};
pub use outbox::OutboxError;
pub use receiver::{Receiver, Secret, To, Webhook};
pub use webhook::Failure;
