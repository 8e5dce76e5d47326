//! Output: data in one of four formats, on whatever writer the caller has (standard output, mostly).
//!
//! * [`event`] the engine's outputs as JSON (`schemas/event.schema.json`)
//! * [`human`] the same for people: one line each, readable at 3 a.m.; [`told`] of them incidents and notables
//! * [`events`] writes outputs as they come (`replay`, `run`)
//! * [`rows`] writes the answer of a query: rows of named columns
//! * [`style`] colour, only where a person reads
//!
//! A reader that goes away (`| head`) is no error: see [`quiet_pipe`].

mod event;
mod events;
mod human;
mod rows;
mod style;
mod told;

use std::io;

pub use event::event_line;
pub use events::EventWriter;
pub use human::{change, share_sentence, who};
pub use rows::{Column, RowWriter};
pub use style::{Style, moment, moment_beside};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// One JSON object per line, as it comes.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
}

/// Turns the end of the reader into a quiet end: `Ok(false)` means stop writing, and exit with 0.
pub fn quiet_pipe(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let broken = Err(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!quiet_pipe(broken).unwrap());
        assert!(quiet_pipe(Ok(())).unwrap());
        assert!(quiet_pipe(Err(io::Error::from(io::ErrorKind::StorageFull))).is_err());
    }
}
