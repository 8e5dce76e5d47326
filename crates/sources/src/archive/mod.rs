//! Archives of MRT files, near and far: found, fetched into a cache, and read as one sequence.
//!
//! ```text
//! Source (broker, URL, folder) ─► list ─► plan ─► fetch (a few files ahead) ─► cache ─► Playback ─► Vec<Input>, …
//!                                                                          └► heal ─► Filled (files of a hole)
//! ```
//!
//! * [`source`] what the user typed; [`limits`] how long and how much
//! * [`http`] one request: redirects, timeouts, sizes; [`url`] relative addresses
//! * [`broker`] the BGPKIT broker's search; [`layout`] where RIS and RouteViews keep what; [`index`] their folder pages
//! * [`entry`] one file of a listing, and the spans that no file covers
//! * [`cache`] files on disk, named once, bounded in bytes and age
//! * [`fetch`] one file into the cache, tried again where that may help
//! * [`plan`] which table dump and which updates make a span
//! * [`playback`] a plan as batches of inputs; [`lane`] one collector of it
//! * [`heal`] the files of a hole, once they are published
//!
//! What an archive says is not trusted: names, sizes and addresses are checked before anything is written. A
//! file that cannot be had is a [`Gap`](netfault_model::Gap) in its place, and reading goes on. Nothing here
//! looks at the clock but [`heal`], which waits.

pub mod broker;
pub mod cache;
pub mod entry;
pub mod fetch;
pub mod heal;
pub mod http;
pub mod index;
mod lane;
pub mod layout;
pub mod limits;
pub mod plan;
pub mod playback;
pub mod source;
mod url;

pub use cache::{CacheSettings, Pin};
pub use entry::Entry;
pub use fetch::{Archive, ArchiveError, Held};
pub use limits::Limits;
pub use plan::{Plan, Request};
pub use playback::{Playback, Progress};
pub use source::Source;
