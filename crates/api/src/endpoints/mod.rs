//! What can be called. Each is a function from a [`Call`](crate::route::Call) to an [`Answer`](crate::answer::Answer).

pub(crate) mod health;
pub(crate) mod probes;
pub(crate) mod reports;
