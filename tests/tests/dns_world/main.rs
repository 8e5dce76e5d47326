//! Every way in which a name can fail, made by breaking real servers: Knot, NSD, BIND and Unbound in network namespaces,
//! with the real `netfault` among them. Nothing here speaks to the Internet.
//!
//! * [`net`] namespaces, cable, firewall; [`daemon`] a server process; [`servers`] their configurations
//! * [`zones`] what they serve, signed; [`world`] all of it, and its faults
//! * [`program`] `netfault dns check` and the journal; [`watching`] `netfault run` and what it said
//! * [`outcomes`] one test for each outcome of a question, [`names`] for each verdict on a name, [`resolvers`] on resolvers,
//!   [`ourselves`] on the vantage; [`figures`] what was promised in numbers

mod daemon;
mod figures;
mod net;
mod program;
mod servers;
mod storm;
mod vantages;
mod watching;
mod wire;
mod world;
mod zones;

mod names;
mod ourselves;
mod outcomes;
mod resolvers;
