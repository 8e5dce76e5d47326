//! Why: whole stories in event time, for each rule one that it fits and one that it must not fit.

mod facebook;
mod rules;
mod services;
mod silent;
mod vantages;
mod world;
