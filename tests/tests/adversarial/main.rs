//! Streams that were made to mislead. Each scenario writes an archive (table dumps and updates, MRT), has the program
//! replay it, and holds what it says against an answer that was worked out from the rules before the program ran:
//! first its own verdict, in code, then the whole of standard output, in `tests/golden/adversarial/`.
//!
//! `UPDATE_GOLDEN=1` writes the golden files anew, but only behind a verdict that holds; read them as a diff.
//!
//! * [`wire`] makes the bytes of RFC 4271 and RFC 6396; [`world`] has collectors, peers and a timeline
//! * [`program`] runs the binary; [`said`] reads what it says; [`golden`] compares
//! * the other modules are the scenarios, each described in words where it begins
//!
//! Times are seconds from the beginning of the world, 2024-03-01T00:00:00Z, when the table dumps are made. Peer ASes
//! are 3001, 3002, …; they reach an origin through 2001 or 2002.

mod clocks;
mod drain;
mod feeds;
mod golden;
mod holds;
mod mass;
mod nights;
mod origins;
mod program;
mod said;
mod sessions;
mod wire;
mod world;
