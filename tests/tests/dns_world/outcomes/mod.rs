//! One question and its outcome, by `netfault dns check`.
//!
//! * [`servers`] what authorities do; [`resolvers`] what resolvers make of it; [`validation`] what we make of signatures

mod resolvers;
mod servers;
mod validation;

use std::collections::BTreeSet;

use crate::world::{Layout, World};

const ALL: [u8; 4] = [1, 2, 3, 4];

fn only(outcome: &str) -> BTreeSet<&str> {
    BTreeSet::from([outcome])
}

fn world(test: &str) -> Option<World> {
    World::new(test, Layout::default())
}

/// RFC 8767: TTL 30, EDE 3 (Stale Answer); RFC 8914 §4.20: 19 (Stale NXDOMAIN Answer).
pub const STALE: &str = " serve-expired: yes\n serve-expired-ttl: 600\n serve-expired-reply-ttl: 30\n \
                         serve-expired-client-timeout: 100\n ede-serve-expired: yes";
