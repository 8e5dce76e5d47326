//! What came in, in arrival order, on disk (DESIGN section 3, item 6).
//!
//! What comes in: batches of [`Input`](netfault_model::Input), ticks too, before the engine orders them.
//! What goes out: the same batches' inputs, to be replayed. Played again they give the same answer.
//!
//! A journal is a folder of segments, `<offset of its first input>.nfj`. Offsets count the inputs that were
//! ever appended, so a store can say up to where it has everything.
//!
//! ```text
//! segment = magic block*  closing-block?
//! block   = length, crc, offset of its first input, number of inputs, length unpacked │ zstd(postcard inputs)
//! ```
//!
//! A segment that was closed in order ends with an empty block. One that was not (kill, power failure)
//! ends in [`Gap`](netfault_model::Gap): up to one second may be missing. So does a block whose check sum
//! is wrong; reading goes on at the next segment, and its offset says how many inputs were lost.
//!
//! * [`writer`] appends, rotates, deletes what is over the bounds
//! * [`reader`] one segment or a folder of them, as an iterator
//! * [`format`] the bytes

pub mod format;
pub mod reader;
pub mod writer;

pub use reader::{OpenError, Reader, is_journal};
pub use writer::{Limits, WriteError, Writer, end_of};
