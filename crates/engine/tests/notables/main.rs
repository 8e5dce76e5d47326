//! Notables on small streams: what is told, when, once, and above all what is not.

mod clock;
mod hijack;
mod leak;
mod world;
