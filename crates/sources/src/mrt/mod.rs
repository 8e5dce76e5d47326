//! MRT archives (RFC 6396) in: files on disk to inputs, merged by time.
//!
//! ```text
//! paths ─► discover ─► [MrtFile] ─► Stream ─► Vec<Input>, Vec<Input>, …
//!
//! in a Stream, worker threads:   inflate ─► pieces ─► decode ─► batches      (each file, several ahead)
//!              your thread:                                     batches ─► merge ─► next()
//! ```
//!
//! * [`name`], [`discover`] what the user typed to files, with collector, kind and time
//! * [`inflate`] gzip, bzip2 or plain, by magic; [`bunzip2`] decompresses bzip2
//! * [`frame`] where records end, and where they begin again after damage
//! * [`bgp4mp`], [`rib`] what is in a record
//! * [`decode`] a file's bytes to inputs, damage included as `Gap`; [`sound`] what may be believed after it
//! * [`origin`] whose bytes they are
//! * [`work`] the worker threads, and what bounds their memory
//! * [`stream`] several files of several collectors as one sequence
//! * [`progress`] how far it is, and what was counted
//!
//! Same files, same inputs in the same order, whatever the number of threads.

pub mod bgp4mp;
pub mod bunzip2;
pub mod decode;
pub mod discover;
pub mod frame;
pub mod inflate;
pub mod name;
pub mod origin;
mod out;
pub mod progress;
pub mod rib;
pub mod sound;
pub mod stream;
mod work;

pub use decode::Decoder;
pub use discover::{MrtError, MrtFile, discover};
pub use name::FileKind;
pub use origin::{Interval, Origin};
pub use progress::{Counts, Progress};
pub use stream::{Options, Stream};
