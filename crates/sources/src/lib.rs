//! Edges in: everything that becomes a [`netfault_model::Input`].
//!
//! * [`bgp`] a lean, borrowing decoder of BGP messages; nothing is allocated
//! * [`convert`] decoded BGP to `Input`, once for every source
//! * [`mrt`] archive files: framing, table dumps, damage as data, several collectors merged by time
//! * [`archive`] archives of them, near and far: found, fetched, cached; what fills a hole
//! * [`ris_live`] the RIS Live feed
//! * [`dns`] one question to one address, and the schedule of questions
//! * [`hints`] HTTP(S) probes of a service's URLs, and its status page
//! * [`journal`] what came in, in arrival order, on disk
//!
//! Sources never see the engine. Each judges the time stamps it brings (the engine has no clock) and
//! says so in the input; a hole in what it delivers is an `Input::Gap` in its place in the stream.

pub mod archive;
pub mod bgp;
pub mod convert;
pub mod dns;
pub mod hints;
pub mod journal;
pub mod mrt;
pub mod ris_live;
